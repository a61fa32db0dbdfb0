//! The receiver of events in `examples/build-hook/`: it takes what the grammar allows, refuses everything else, and
//! runs nothing; and the sample workflow hands values over in the environment only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use metahub_testkit::config::parse;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::process::Process;
use metahub_testkit::temp::TempDir;
use metahub_testkit::{port, root, wait_for};
use serde_json::{Value, json};

use super::build_scripts::install;

const HEADER: (&str, &str) = ("Authorization", "Bearer hunter2");

/// A running receiver, in a folder of its own.
pub(crate) struct Receiver {
    port: u16,
    _process: Process,
    folder: PathBuf,
}

impl Receiver {
    /// Starts one on this port; it reads again what an earlier one has left in the folder.
    pub(crate) fn start(folder: &Path, port: u16, arguments: &[&str]) -> Self {
        let mut command = Command::new("python3");
        command.arg(root().join("examples/build-hook/receiver.py")).args(arguments).current_dir(folder);
        command.args(["--listen", &format!("127.0.0.1:{port}")]);
        command.env("METAHUB_EVENTS_HEADER", format!("{}: {}", HEADER.0, HEADER.1));
        let process = Process::spawn("receiver", &command, &folder.join("log")).unwrap();
        let receiver = Self { port, _process: process, folder: folder.to_owned() };
        wait_for("the receiver", Duration::from_secs(20), || receiver.try_get("/matrix.json").ok()).unwrap();
        receiver
    }

    fn try_get(&self, path: &str) -> metahub_testkit::Result<Response> {
        Request::get(path).header(HEADER.0, HEADER.1).send(self.port)
    }

    /// The items of its matrix.
    pub(crate) fn matrix(&self) -> Vec<Value> {
        let document = self.try_get("/matrix.json").unwrap().json();
        document["include"].as_array().unwrap().clone()
    }

    fn post(&self, body: &str) -> (u16, Value) {
        let request = Request::new("POST", "/events").header(HEADER.0, HEADER.1).body(body.as_bytes());
        let answer = request.send(self.port).unwrap();
        (answer.status, answer.json())
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join("matrix").join(name)).unwrap()
    }
}

fn event() -> Value {
    json!({
        "reason": "missing_variant", "registry": "registry.example:5000", "repository": "qnib/bench", "tag": "latest",
        "variant_tag": null, "index": format!("sha256:{}", "a".repeat(64)), "machine_type": "gpu1", "os": "linux",
        "os_version": null, "architecture": "amd64", "variant": "v3", "features": ["cpu:haswell", "nvcap:8.6"],
        "missing": ["nvcap:8.6"], "first_seen": 1_790_000_000, "count": 12,
    })
}

fn with(pointer: &str, value: Value) -> String {
    let mut event = event();
    *event.pointer_mut(pointer).unwrap() = value;
    format!("{event}\n")
}

#[test]
fn events_become_a_matrix_and_a_file_for_bake() {
    let directory = TempDir::new("build-hook").unwrap();
    let receiver = Receiver::start(directory.path(), port::free(), &[]);
    let again = with("/count", json!(99));
    let absent = json!({ "reason": "absent_tag", "variant_tag": "latest-rocm", "index": null, "variant": null });
    let mut other = event();
    other.as_object_mut().unwrap().extend(absent.as_object().unwrap().clone());
    let batch = format!("{}\n{again}{other}\n", event());
    assert_eq!(receiver.post(&batch), (202, json!({ "accepted": 3, "refused": [] })));

    let matrix = receiver.matrix();
    let [one, two] = matrix.as_slice() else { panic!("{matrix:?}") };
    let (missing, absent) = if one["reason"] == "missing_variant" { (one, two) } else { (two, one) };
    assert_eq!(missing["count"], "99", "the newest counts");
    let shown = ["image", "tag", "platform", "features", "missing"].map(|key| missing[key].as_str().unwrap());
    let expected =
        ["registry.example:5000/qnib/bench", "latest", "linux/amd64/v3", "cpu:haswell,nvcap:8.6", "nvcap:8.6"];
    assert_eq!(shown, expected);
    assert_eq!((&absent["platform"], &absent["variant_tag"]), (&json!("linux/amd64"), &json!("latest-rocm")));
    assert!(one.as_object().unwrap().values().all(Value::is_string), "a workflow hands over text");

    let bake: Value = serde_json::from_str(&receiver.file("docker-bake.json")).unwrap();
    let target = |item: &Value| bake["target"][item["target"].as_str().unwrap()].clone();
    let tag = format!("registry.example:5000/qnib/bench:latest-{}", missing["target"].as_str().unwrap());
    assert_eq!(target(missing)["tags"], json!([tag]));
    assert_eq!(target(missing)["args"]["METAHUB_FEATURES"], "cpu:haswell,nvcap:8.6");
    assert_eq!(target(absent)["tags"], json!(["registry.example:5000/qnib/bench:latest-rocm"]));
    assert_eq!(bake["group"]["default"]["targets"].as_array().map(Vec::len), Some(2));

    // Once built, an item goes; the others are there after a restart.
    let path = format!("/targets/{}", missing["target"].as_str().unwrap());
    let remove = || Request::new("DELETE", &path).header(HEADER.0, HEADER.1).send(receiver.port).unwrap().status;
    assert_eq!([remove(), remove()], [200, 404]);
    let absent = absent.clone();
    drop(receiver);
    assert_eq!(Receiver::start(directory.path(), port::free(), &[]).matrix(), [absent]);
}

/// Values that would do harm in a shell, in bake's expressions or in a workflow's, and others that are not in order.
fn hostile() -> Vec<String> {
    let texts = [
        "$(touch x)",
        "`touch x`",
        "a;touch x",
        "a\ntouch x",
        "a\n",
        "${x}",
        "${{ x }}",
        "a b",
        "a\"b",
        "a'b",
        "a|b",
        "a&b",
        "../x",
        "-x",
        "",
        "é",
        "a\u{0}",
    ];
    let names = [
        "registry",
        "repository",
        "tag",
        "variant_tag",
        "index",
        "machine_type",
        "os",
        "os_version",
        "architecture",
        "variant",
        "reason",
    ];
    let mut lines: Vec<String> = Vec::new();
    for text in texts {
        lines.extend(names.map(|name| with(&format!("/{name}"), json!(text))));
        lines.extend(["/features", "/missing"].map(|name| with(name, json!(["cpu:haswell", text]))));
        lines.extend(["/features", "/missing"].map(|name| with(name, json!([format!("cpu:{text}$(touch x)")]))));
    }
    lines.extend([
        with("/features", json!("cpu:haswell")),
        with("/features", json!([["a"]])),
        with("/features", json!(vec!["a"; 65])),
        with("/count", json!(true)),
        with("/count", json!("1")),
        with("/count", json!(-1)),
        with("/count", json!(1.5)),
        with("/tag", Value::Null),
        with("/repository", json!("a".repeat(256))),
        with("/tag", json!("a".repeat(129))),
        "[]\n".to_owned(),
        "null\n".to_owned(),
        "{\n".to_owned(),
        "[".repeat(50_000) + "\n",
        event().to_string().replace("\"count\":12", "\"count\":12,\"command\":\"touch x\"") + "\n",
        event().to_string().replace("\"count\":12", "\"count\":12,\"count\":13") + "\n",
        event().to_string().replace("\"count\":12,", "") + "\n",
    ]);
    lines
}

#[test]
fn what_breaks_the_grammar_is_refused_and_nothing_runs() {
    let directory = TempDir::new("build-hook").unwrap();
    let receiver = Receiver::start(directory.path(), port::free(), &[]);
    let lines = hostile();
    assert!(lines.len() > 200, "{}", lines.len());
    for line in &lines {
        let (status, answer) = receiver.post(line);
        assert_eq!((status, &answer["accepted"]), (400, &json!(0)), "{line}");
        assert_eq!(answer["refused"].as_array().map(Vec::len), Some(1), "{line}");
    }
    assert_eq!(receiver.matrix(), [] as [Value; 0]);
    // A bad line takes nothing from the good ones of its batch.
    let batch = format!("{}{}\n", with("/repository", json!("$(touch x)")), event());
    assert_eq!(receiver.post(&batch), (202, json!({ "accepted": 1, "refused": ["repository"] })));
    for name in ["matrix.json", "docker-bake.json", "events.json"] {
        assert!(!receiver.file(name).contains("touch"), "{name}");
    }
    assert!(!fs::read_to_string(directory.join("log")).unwrap().contains("touch"), "nor is it logged");
    let names = |folder: &Path| {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(directory.path()), ["log", "matrix"]);
    assert_eq!(names(&directory.join("matrix")), ["docker-bake.json", "events.json", "matrix.json"]);
}

#[test]
fn strangers_large_bodies_and_other_images_get_nothing_in() {
    let directory = TempDir::new("build-hook").unwrap();
    let receiver = Receiver::start(directory.path(), port::free(), &["--image", "registry.example:5000/qnib/bench"]);
    let body = event().to_string();
    let status = |request: Request| request.send(receiver.port).unwrap().status;
    let post = || Request::new("POST", "/events").body(body.as_bytes());
    assert_eq!(status(post()), 401);
    assert_eq!(status(post().header(HEADER.0, "Bearer hunter")), 401);
    assert_eq!(status(Request::get("/matrix.json")), 401);
    assert_eq!(status(Request::new("DELETE", "/targets/x")), 401);
    let large = vec![b'\n'; 128 * 1024 + 1];
    assert_eq!(status(Request::new("POST", "/events").header(HEADER.0, HEADER.1).body(&large)), 413);
    assert_eq!(receiver.post(&with("/repository", json!("qnib/other"))).0, 202);
    assert_eq!(receiver.matrix().len(), 0);
    assert_eq!(receiver.post(&body).0, 202);
    assert_eq!(receiver.matrix().len(), 1);
    assert!(!fs::read_to_string(directory.join("log")).unwrap().contains("hunter2"), "the header is not logged");
}

/// The commands of the sample workflow's jobs.
fn commands() -> Vec<Value> {
    let workflow = parse(&fs::read_to_string(root().join("examples/build-hook/workflow.yml")).unwrap()).unwrap();
    let jobs = workflow["jobs"].as_object().unwrap().values();
    let steps = jobs.flat_map(|job| job["steps"].as_array().unwrap()).filter(|step| step["run"].is_string());
    steps.cloned().collect()
}

#[test]
fn the_workflow_hands_values_over_in_the_environment_only() {
    let commands = commands();
    assert!(commands.len() >= 2, "{commands:?}");
    for step in commands {
        assert!(!step["run"].as_str().unwrap().contains("${{"), "{step}");
    }
}

/// The step that builds, with a receiver, where docker is played. Even if a value with a command in it came so far, it
/// would be an argument and no more.
#[test]
fn the_workflow_runs_no_value() {
    let directory = TempDir::new("build-hook").unwrap();
    let receiver = Receiver::start(directory.path(), port::free(), &[]);
    receiver.post(&event().to_string());
    let bin = directory.join("bin");
    fs::create_dir(&bin).unwrap();
    install(
        &bin.join("docker"),
        b"#!/bin/sh\n[ \"$1\" != login ] || cat >/dev/null\nprintf '<%s>' \"$@\" >>\"$LOG\"\n",
    );
    install(&bin.join("curl"), b"#!/bin/sh\nprintf '<%s>' \"$@\" >>\"$LOG\"\n");
    let target = receiver.matrix()[0]["target"].as_str().unwrap().to_owned();
    let log = directory.join("arguments");
    let step = commands().into_iter().find(|step| step["run"].as_str().unwrap().contains(" bake ")).unwrap();
    for target in [target.as_str(), "$(touch x)", "`touch x`; touch x"] {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", step["run"].as_str().unwrap()]).current_dir(directory.path());
        command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())).env("LOG", &log);
        command.env("RECEIVER", "http://receiver").env("HEADER", "Authorization: Bearer hunter2");
        command.env("REGISTRY_USER", "me").env("REGISTRY_TOKEN", "secret");
        command.env("IMAGE", "registry.example:5000/qnib/$(touch x)").env("TARGET", target);
        assert!(command.status().unwrap().success());
        let arguments = fs::read_to_string(&log).unwrap();
        assert!(arguments.contains(&format!("<--push><{target}>")), "{arguments}");
        assert!(arguments.contains("<registry.example:5000>"), "{arguments}");
    }
    assert!(!directory.join("x").exists());
}
