//! An upstream whose images are broken in one way each, and the check that every such row goes through.

use metahub::oci::media_type::DOCKER_LIST;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

use crate::real::observe::{PROTOCOLS, Protocol, Watch, assert_error, assert_no_vm_died};
use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::http::{Request, Response};
use metahub_testkit::server::{Act, Answer, Received};
use metahub_testkit::stage::{self, stage};

/// The login of the rows: a machine that the demo's third entry fits.
pub(super) const LOGIN: &str = "qnib-type1";
/// Its image.
pub(super) const FEATURES: &[&str] = &["cpu:broadwell"];

/// One way in which upstream is broken, and the outcome.
pub(super) struct Row {
    /// The repository below `fault/`.
    pub(super) name: &'static str,
    /// The acts of upstream for a request for the tag.
    pub(super) index: Vec<Act>,
    /// The acts for a request for the selected image.
    pub(super) child: Option<Vec<Act>>,
    pub(super) status: u16,
    pub(super) code: &'static str,
    /// Parts of the message beside the image's name and the machine type.
    pub(super) says: &'static [&'static str],
    pub(super) counter: &'static str,
}

/// Envoy in front of an upstream that serves the demo repository as it is, and the rows' repositories broken.
pub(super) struct Stage {
    base: stage::Stage,
}

stands_on_base!(Stage);

impl Stage {
    pub(super) fn set(rows: &[Row]) -> Self {
        Self { base: stage().server(broken(rows)).start().unwrap() }
    }

    /// Pulls the demo image through MetaHub, which must work after every fault.
    pub(super) fn assert_serves(&self, row: &str) {
        let answer = self.envoy.send(&manifest(REPOSITORY).login(LOGIN, LOGIN)).unwrap();
        assert_eq!(answer.status, 200, "after {row}: {}", answer.text());
        assert_eq!(answer.body, self.bench.image(FEATURES).manifest.bytes, "after {row}");
    }

    /// Sends every row's request in every way, and checks everything that a client or an operator sees.
    pub(super) fn check(&self, rows: &[Row]) {
        for row in rows {
            for protocol in PROTOCOLS {
                self.check_get(row, protocol);
                self.check_head(row, protocol);
            }
        }
        assert_no_vm_died(&self.envoy);
    }

    /// Sends all rows' GETs at the same time, for faults that take long.
    pub(super) fn check_at_once(&self, rows: &[Row]) {
        let watch = Watch::begin(&self.envoy);
        std::thread::scope(|scope| {
            let ask = |row: &Row| self.ask("GET", row, Protocol::Http1);
            let threads: Vec<_> = rows.iter().map(|row| (row, scope.spawn(move || ask(row)))).collect();
            for (row, thread) in threads {
                assert_refused(row, &thread.join().unwrap(), true, row.name);
            }
        });
        self.assert_serves("all of them");
        let lines = watch.lines(rows.len());
        assert_eq!(lines.len(), rows.len(), "{lines:#?}");
        let mut counted = BTreeMap::from([("selected".to_owned(), 1)]);
        for row in rows {
            let image = image(row);
            let line = lines.iter().find(|line| line.contains(&image)).unwrap_or_else(|| panic!("{image}: {lines:#?}"));
            assert_tells(row, line, row.name);
            *counted.entry(row.counter.to_owned()).or_default() += 1;
        }
        assert_eq!(watch.counted(), counted, "the faults, and the good request after them");
    }

    fn check_get(&self, row: &Row, protocol: Protocol) {
        let context = format!("GET {} over {protocol:?}", row.name);
        let watch = Watch::begin(&self.envoy);
        self.assert_fault(&watch, row, &self.ask("GET", row, protocol), true, &context);
    }

    /// HEAD answers as GET does, also for an image that only GET returns: a client must not begin a pull that will
    /// fail.
    fn check_head(&self, row: &Row, protocol: Protocol) {
        let context = format!("HEAD {} over {protocol:?}", row.name);
        let watch = Watch::begin(&self.envoy);
        self.assert_fault(&watch, row, &self.ask("HEAD", row, protocol), false, &context);
    }

    fn ask(&self, method: &str, row: &Row, protocol: Protocol) -> Response {
        let path = format!("/v2/fault/{}/manifests/latest", row.name);
        protocol.send(&self.envoy, &Request::new(method, &path).login(LOGIN, LOGIN)).unwrap()
    }

    fn assert_fault(&self, watch: &Watch<'_>, row: &Row, answer: &Response, has_body: bool, context: &str) {
        assert_refused(row, answer, has_body, context);
        self.assert_serves(context);
        let lines = watch.lines(1);
        let [line] = lines.as_slice() else { panic!("{context}: {lines:#?}") };
        assert_tells(row, line, context);
        let expected = BTreeMap::from([(row.counter.to_owned(), 1), ("selected".to_owned(), 1)]);
        assert_eq!(watch.counted(), expected, "{context}: the fault, and the good request after it");
    }
}

fn image(row: &Row) -> String {
    format!("fault/{}:latest for machine type type1", row.name)
}

/// Checks the answer that the client sees.
fn assert_refused(row: &Row, answer: &Response, has_body: bool, context: &str) {
    let image = image(row);
    let says = [row.says, &[image.as_str()]].concat();
    assert_error(answer, row.status, row.code, &says, has_body, context);
    assert_eq!(answer.header("x-metahub-machine-type"), Some("type1"), "{context}");
    assert_eq!(answer.header("docker-content-digest"), None, "{context}: nothing was selected");
}

/// Checks the line that the operator reads.
fn assert_tells(row: &Row, line: &str, context: &str) {
    let (image, login, status) = (image(row), format!("login {LOGIN:?}"), row.status.to_string());
    for part in row.says.iter().copied().chain([image.as_str(), login.as_str(), status.as_str()]) {
        assert!(line.contains(part), "{context}: {part:?} is not in {line:?}");
    }
}

/// A GET of the tag `latest`.
pub(super) fn manifest(repository: &str) -> Request {
    Request::get(&format!("/v2/{repository}/manifests/latest"))
}

/// The upstream's handler: the demo repository, and the rows.
pub(super) fn broken(rows: &[Row]) -> impl Fn(&Received) -> Vec<Act> + Send + Sync + 'static {
    let bench = Bench::build();
    let mut answers: HashMap<String, Vec<Act>> = HashMap::new();
    let mut serve = |repository: &str, reference: &str, acts: Vec<Act>| {
        answers.insert(format!("/v2/{repository}/manifests/{reference}"), acts);
    };
    serve(REPOSITORY, "latest", sound_index());
    for image in &bench.images {
        let document = Answer::document(&image.manifest.media_type, image.manifest.bytes.clone());
        serve(REPOSITORY, &image.manifest.digest(), document.acts());
    }
    for row in rows {
        serve(&format!("fault/{}", row.name), "latest", row.index.clone());
        if let Some(child) = &row.child {
            serve(&format!("fault/{}", row.name), &bench.digest(FEATURES), child.clone());
        }
    }
    move |request| answers.get(&request.path).cloned().unwrap_or_else(|| Answer::new(404).acts())
}

/// The demo's list, unbroken.
pub(super) fn sound_index() -> Vec<Act> {
    Answer::document(DOCKER_LIST, Bench::build().list.bytes).acts()
}

/// The demo's list as JSON, to be broken.
pub(super) fn index_with(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut index: Value = serde_json::from_slice(&Bench::build().list.bytes).unwrap();
    change(&mut index);
    index.to_string().into_bytes()
}
