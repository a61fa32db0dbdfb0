//! One fleet, one image name: the story of `docs/fleet.md`, whose configuration and table this test runs.

use metahub::oci::media_type;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use metahub_testkit::client::curl::{Curl, Version};
use metahub_testkit::client::docker::Docker;
use metahub_testkit::client::{Client, Login};
use metahub_testkit::config::{self, Edit as _};
use metahub_testkit::elf::Architecture;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::image::{Document, Format, Image, index};
use metahub_testkit::schema::Schema;
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::stage::{Stage, stage};

const REPOSITORY: &str = "fleet/solver";

/// The list: entry, architecture, variant, features.
const ENTRIES: [(&str, Architecture, Option<&str>, &[&str]); 6] = [
    ("generic", Architecture::Amd64, None, &[]),
    ("v3", Architecture::Amd64, Some("v3"), &[]),
    ("broadwell", Architecture::Amd64, None, &["cpu:broadwell"]),
    ("skylake", Architecture::Amd64, None, &["cpu:skylake"]),
    ("skylake+nvcap:8.0", Architecture::Amd64, None, &["cpu:skylake", "nvcap:8.0"]),
    ("arm64", Architecture::Arm64, None, &[]),
];

/// The entry that every machine type gets, and those of its features for which no variant was built yet.
const TABLE: [(&str, &str, &[&str]); 10] = [
    ("westmere", "generic", &[]),
    ("haswell", "v3", &["cpu:haswell"]),
    ("zen4", "v3", &["cpu:zen4"]),
    ("amd64v3", "v3", &[]),
    ("broadwell", "broadwell", &[]),
    ("skylake", "skylake", &[]),
    ("icelake", "skylake", &["cpu:icelake"]),
    ("skylake_a40", "skylake+nvcap:8.0", &["nvcap:8.6"]),
    ("sapphire_h100", "skylake", &["cpu:sapphirerapids"]),
    ("graviton3", "arm64", &[]),
];

/// Fits nothing.
const MISFIT: &str = "mainframe";

struct Fleet {
    images: BTreeMap<&'static str, Image>,
    list: Document,
    base: Stage,
}

stands_on_base!(Fleet);

fn story() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/fleet.md")).unwrap()
}

/// The text of the story's first block in this language.
fn block(language: &str) -> String {
    let story = story();
    let (_, rest) = story.split_once(&format!("\n```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

impl Fleet {
    fn set() -> Self {
        let images: BTreeMap<&str, Image> = ENTRIES
            .iter()
            .map(|(name, architecture, ..)| (*name, Image::printing(Format::Oci, *architecture, &line(name))))
            .collect();
        let entries: Vec<Value> = ENTRIES
            .iter()
            .map(|(name, architecture, variant, features)| {
                let mut platform = json!({ "architecture": architecture.name(), "os": "linux" });
                if let Some(variant) = variant {
                    platform["variant"] = json!(variant);
                }
                if !features.is_empty() {
                    platform["features"] = json!(features);
                }
                images[name].manifest.entry(&platform)
            })
            .collect();
        let list = index(Format::Oci, &entries);
        let base = stage().configuration(configuration()).start().unwrap();
        for image in images.values() {
            base.registry().push_image(REPOSITORY, image).unwrap();
        }
        base.registry().push_manifest(REPOSITORY, "latest", &list).unwrap();
        Self { images, list, base }
    }

    fn digest(&self, entry: &str) -> String {
        self.images[entry].manifest.digest()
    }

    fn tag(&self) -> String {
        format!("{}/{REPOSITORY}:latest", self.front())
    }

    fn ask(&self, user: &str, path: &str) -> Response {
        let password = user.split('-').next().unwrap();
        self.envoy.send(&Request::get(path).login(user, password)).unwrap()
    }

    /// Asks `explain` as `user`; the answer must be one and fit the schema.
    fn explain(&self, user: &str, query: &str) -> Value {
        let answer = self.ask(user, &format!("/metahub/v1/explain?image={query}"));
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        Schema::of("explain").require(&answer.json());
        answer.json()
    }

    /// Machine type → digest of what a pull of `image` returns.
    fn pulls(&self, repository: &str, reference: &str) -> BTreeMap<String, Option<String>> {
        let names = TABLE.iter().map(|(name, ..)| *name).chain([MISFIT]);
        let pull = |name: &str| {
            let path = format!("/v2/{repository}/manifests/{reference}");
            let answer = self.ask(&format!("fleet-{name}"), &path);
            assert!(matches!(answer.status, 200 | 404), "{name}: {} {}", answer.status, answer.text());
            // Hashed here, because a client holds these bytes and the headers may be wrong.
            (answer.status == 200).then(|| Document::new("", answer.body).digest())
        };
        names.map(|name| (name.to_owned(), pull(name))).collect()
    }
}

fn line(entry: &str) -> String {
    format!(">> solver for {entry}")
}

fn login(machine_type: &str) -> Login {
    Login::new(&format!("fleet-{machine_type}"), "fleet")
}

/// The story's configuration, but for the registry's port.
fn configuration() -> Value {
    let mut config = config::parse(&block("yaml")).unwrap();
    assert_eq!(config.remove("registries.registry.host"), "127.0.0.1:5000");
    config
}

/// Machine type → selected digest.
fn selections(document: &Value) -> BTreeMap<String, Option<String>> {
    let groups = document["machine_types"].as_array().unwrap().iter();
    let names = groups.flat_map(|group| {
        let selected = group["selected"].as_str().map(str::to_owned);
        group["names"].as_array().unwrap().iter().map(move |name| (name.as_str().unwrap().to_owned(), selected.clone()))
    });
    names.collect()
}

fn names(document: &Value) -> Vec<String> {
    selections(document).into_keys().collect()
}

#[test]
fn every_machine_type_gets_what_the_table_says() {
    let fleet = Fleet::set();
    for version in [Version::Http1, Version::Http2] {
        for (machine_type, entry, _) in TABLE {
            let mut curl = Curl::new(version);
            curl.log_in(&fleet.front(), &login(machine_type)).unwrap();
            let answer = curl.manifest(&fleet.tag()).unwrap();
            assert_eq!(answer.header("docker-content-digest").unwrap(), fleet.digest(entry), "{machine_type}");
            assert_eq!(answer.body, fleet.images[entry].manifest.bytes, "{machine_type}");
            assert_eq!(answer.header("x-metahub-machine-type").unwrap(), machine_type);
        }
    }
    let path = format!("/v2/{REPOSITORY}/manifests/latest");
    let answer = fleet.ask(&format!("fleet-{MISFIT}"), &path);
    assert_eq!((answer.status, &answer.json()["errors"][0]["code"]), (404, &json!("MANIFEST_UNKNOWN")));
    assert_eq!(answer.json()["errors"][0]["message"], block("text").trim(), "as the story has it");
}

#[test]
fn the_story_shows_the_table() {
    let story = story();
    let rows: Vec<[&str; 3]> = story
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            (cells.len() == 6).then(|| [cells[1], cells[2], cells[3]])
        })
        .filter(|[first, ..]| !["machine type", "---"].contains(first))
        .collect();
    assert_eq!(rows.len(), TABLE.len(), "{rows:?}");
    let configuration = block("yaml");
    for ([name, features, gets], (machine_type, entry, _)) in rows.iter().zip(TABLE) {
        assert_eq!((*name, *gets), (machine_type, entry));
        // The features of the table are those of the configuration.
        let configured = configuration.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}: "))).unwrap();
        for feature in features.split('`').skip(1).step_by(2) {
            assert!(configured.contains(&format!("\"{feature}\"")), "{name}: {feature} in {configured}");
        }
        let listed = configured.split('"').skip(1).step_by(2).count();
        assert_eq!(features.split('`').skip(1).step_by(2).count(), listed, "{name}: {features}");
    }
}

/// The daemon accepts any architecture that the index's answer names; it can only run those of this machine.
#[test]
fn docker_runs_what_the_table_says() {
    if reason_to_skip("docker", &Docker::PROGRAMS, true).unwrap().is_some() {
        return;
    }
    let fleet = Fleet::set();
    let mut docker = Docker::start().unwrap();
    for (machine_type, entry, _) in TABLE {
        let (_, architecture, ..) = ENTRIES.iter().find(|(name, ..)| *name == entry).unwrap();
        if *architecture != Architecture::host() {
            continue;
        }
        docker.log_in(&fleet.front(), &login(machine_type)).unwrap();
        let pulled = docker.pull(&fleet.tag()).unwrap();
        assert_eq!(pulled.digest, fleet.digest(entry), "{machine_type}");
        assert_eq!(pulled.printed, Some(line(entry)), "{machine_type}");
    }
    docker.log_in(&fleet.front(), &login(MISFIT)).unwrap();
    let error = docker.pull(&fleet.tag()).unwrap_err().to_string();
    assert!(error.contains("nothing fits; the index offers linux/amd64, linux/amd64/v3, "), "{error}");
}

#[test]
fn explain_says_what_pulls_return() {
    let fleet = Fleet::set();
    let explained = fleet.explain("fleet", REPOSITORY);
    assert_eq!(selections(&explained), fleet.pulls(REPOSITORY, "latest"));
    let table = TABLE.iter().map(|(name, entry, _)| ((*name).to_owned(), Some(fleet.digest(entry))));
    assert_eq!(selections(&explained), table.chain([(MISFIT.to_owned(), None)]).collect());
    assert_eq!(explained["image"], format!("{REPOSITORY}:latest"));
    assert_eq!(explained["digest"], fleet.list.digest());
    assert_eq!(explained["media_type"], media_type::OCI_INDEX);
    assert_eq!((&explained["unselected"], &explained["next"]), (&json!([]), &Value::Null));
    assert_eq!(explained["entries"].as_array().unwrap().len(), ENTRIES.len());
    assert_eq!(
        explained["entries"][4]["requires"].as_array().unwrap()[3..],
        [json!("cpu:skylake"), json!("nvcap:8.0")]
    );
    // The part that the story shows, with digests cut off.
    let shown: Value = serde_json::from_str(&block("json")).unwrap();
    let same = |shown: &Value, real: &Value| match (shown.as_str(), real.as_str()) {
        (Some(shown), Some(real)) => real.starts_with(shown.trim_end_matches('…')),
        _ => shown == real,
    };
    for (name, value) in shown.as_object().unwrap() {
        match value.as_array().filter(|items| !items.is_empty()) {
            Some(items) => {
                let real = explained[name].as_array().unwrap();
                for item in items {
                    let shown_in = |real: &&Value| match item.as_object() {
                        Some(item) => item.iter().all(|(name, value)| same(value, &real[name])),
                        None => same(item, real),
                    };
                    assert_eq!(real.iter().filter(shown_in).count(), 1, "{name}: {item:?} in {explained:#}");
                }
            }
            None => assert!(same(value, &explained[name]), "{name}: {value} in {explained:#}"),
        }
    }
    for (name, _, missing) in TABLE {
        let one = fleet.explain("fleet", &format!("{REPOSITORY}:latest&machine_type={name}"));
        assert_eq!(names(&one), [name]);
        assert_eq!(one["machine_types"][0]["missing_variants"], json!(missing), "{name}");
    }
}

#[test]
fn explain_by_digest_and_of_a_nested_index() {
    let fleet = Fleet::set();
    // By digest the answer is as if this document were tagged.
    let by_digest = fleet.explain("fleet", &format!("{REPOSITORY}@{}", fleet.list.digest()));
    assert_eq!(selections(&by_digest), selections(&fleet.explain("fleet", REPOSITORY)));
    assert_eq!(by_digest["image"], format!("{REPOSITORY}@{}", fleet.list.digest()));

    let outer = index(Format::Oci, &[fleet.list.entry(&json!({ "architecture": "amd64", "os": "linux" }))]);
    fleet.registry().push_manifest(REPOSITORY, "nested", &outer).unwrap();
    let nested = fleet.explain("fleet", &format!("{REPOSITORY}:nested"));
    assert_eq!(selections(&nested), fleet.pulls(REPOSITORY, "nested"));
    assert_eq!(selections(&nested)["icelake"], Some(fleet.digest("skylake")));
    assert_eq!(selections(&nested)["graviton3"], None, "the outer index is for amd64 only");
    let entries = nested["entries"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[0]["nested_index"]), (1 + ENTRIES.len(), &json!(true)));
    assert_eq!(entries[1]["index"], fleet.list.digest());

    let single = fleet.images["v3"].manifest.clone();
    fleet.registry().push_manifest(REPOSITORY, "single", &single).unwrap();
    let explained = fleet.explain("fleet", &format!("{REPOSITORY}:single"));
    assert_eq!(explained["is_image_index"], json!(false));
    assert_eq!(selections(&explained), fleet.pulls(REPOSITORY, "single"));
}

#[test]
fn explain_shows_a_login_its_own() {
    let fleet = Fleet::set();
    for image in fleet.images.values() {
        fleet.registry().push_image("lab/solver", image).unwrap();
    }
    fleet.registry().push_manifest("lab/solver", "latest", &fleet.list).unwrap();
    let explained = fleet.explain("lab", "lab/solver");
    assert_eq!(names(&explained), ["haswell", "zen4"]);
    assert_eq!(names(&fleet.explain("lab-zen4", "lab/solver")), ["haswell", "zen4"]);
    // broadwell, generic, …: none of this login's machine types gets them.
    assert_eq!(explained["unselected"].as_array().unwrap().len(), ENTRIES.len() - 1);

    let types = |user: &str| {
        let answer = fleet.ask(user, "/metahub/v1/machine-types");
        assert_eq!(answer.status, 200, "{}", answer.text());
        Schema::of("machine-types").require(&answer.json());
        let types = answer.json()["machine_types"].as_array().unwrap().clone();
        types.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(types("lab"), ["haswell", "zen4"]);
    assert_eq!(types("fleet"), names(&fleet.explain("fleet", REPOSITORY)));

    let digest = fleet.list.digest();
    let rows = [
        ("lab", format!("image={REPOSITORY}"), 403, "DENIED"),
        ("lab", format!("image={REPOSITORY}@{digest}"), 403, "DENIED"),
        ("lab", "image=lab/solver&machine_type=skylake".to_owned(), 404, "NAME_UNKNOWN"),
        ("lab", "image=lab/solver:nothing".to_owned(), 404, "MANIFEST_UNKNOWN"),
        ("fleet", "image=no/such".to_owned(), 404, "MANIFEST_UNKNOWN"),
        ("fleet", "image=Lab".to_owned(), 400, "NAME_INVALID"),
        ("fleet", String::new(), 400, "NAME_INVALID"),
        ("other", format!("image={REPOSITORY}"), 401, "UNAUTHORIZED"),
    ];
    for (user, query, status, code) in rows {
        let answer = fleet.ask(user, &format!("/metahub/v1/explain?{query}"));
        assert_eq!((answer.status, &answer.json()["errors"][0]["code"]), (status, &json!(code)), "{user} {query}");
    }
    assert_eq!(fleet.envoy.send(&Request::get("/metahub/v1/explain?image=a")).unwrap().status, 401);
}
