//! Images whose variants are tags or repositories: one name each, seven kinds of machines.

use metahub_testkit::client::docker::Docker;
use metahub_testkit::client::{Client as _, Login};
use metahub_testkit::elf::Architecture;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::image::{Document, Format, Image, index};
use metahub_testkit::schema::Schema;
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::stage::{Stage, stage};
use serde_json::{Value, json};

/// Each machine type with its architecture and the repository and tag that it gets of both names.
const TABLE: [(&str, Architecture, &str, &str); 7] = [
    ("cpu", Architecture::Amd64, "ollama/ollama:0.5", "vllm/vllm:1-cpu"),
    ("gfx1151", Architecture::Amd64, "ollama/ollama:0.5-rocm", "vllm/vllm:1-cpu"),
    ("gfx942", Architecture::Amd64, "ollama/ollama:0.5-rocm", "vllm/vllm-rocm:1"),
    ("a40", Architecture::Amd64, "ollama/ollama:0.5", "vllm/vllm:1"),
    ("rtx5090", Architecture::Amd64, "ollama/ollama:0.5", "vllm/vllm:1"),
    ("orin", Architecture::Arm64, "ollama/ollama:0.5", "vllm/vllm:1-arm"),
    ("arm", Architecture::Arm64, "ollama/ollama:0.5", "vllm/vllm:1-arm"),
];

/// Each tag with the architectures that are in its index.
const TAGS: [(&str, &[Architecture]); 6] = [
    ("ollama/ollama:0.5", &[Architecture::Amd64, Architecture::Arm64]),
    ("ollama/ollama:0.5-rocm", &[Architecture::Amd64]),
    ("vllm/vllm:1", &[Architecture::Amd64]),
    ("vllm/vllm:1-cpu", &[Architecture::Amd64]),
    ("vllm/vllm:1-arm", &[Architecture::Arm64]),
    ("vllm/vllm-rocm:1", &[Architecture::Amd64]),
];

fn configuration() -> Value {
    json!({
        "machine_types": {
            "cpu": { "architecture": "amd64" },
            "gfx1151": { "architecture": "amd64", "features": ["gfx:gfx1151"] },
            "gfx942": { "architecture": "amd64", "features": ["gfx:gfx942"] },
            "a40": { "architecture": "amd64", "features": ["nvcap:8.6"] },
            "rtx5090": { "architecture": "amd64", "features": ["nvcap:12.0"] },
            "orin": { "architecture": "arm64", "features": ["nvcap:8.7"] },
            "arm": { "architecture": "arm64" },
        },
        "registries": { "registry": { "authentication": "none" } },
        "images": {
            "ollama/ollama": [{ "tag": "*", "variants": [
                { "tag": "{tag}", "features": ["nvcap"] },
                { "tag": "{tag}-rocm", "architecture": "amd64", "features": ["gfx:gfx90a|gfx942|gfx1151"] },
                { "tag": "{tag}" },
            ] }],
            "vllm/vllm": [
                { "repositories": [
                    { "repository": "vllm/vllm-rocm", "architecture": "amd64", "features": ["gfx:gfx90a|gfx942"] },
                ] },
                { "tag": "*", "variants": [
                    { "tag": "{tag}", "architecture": "amd64", "features": ["nvcap:8.0|8.6|9.0+ptx"] },
                    { "tag": "{tag}-arm", "architecture": "arm64" },
                    { "tag": "{tag}-cpu", "architecture": "amd64" },
                ] },
            ],
        },
    })
}

/// The line that the image behind a tag prints.
fn line(tag: &str, architecture: Architecture) -> String {
    format!(">> {tag} for {}", architecture.name())
}

fn image(tag: &str, architecture: Architecture) -> Image {
    Image::printing(Format::Oci, architecture, &line(tag, architecture))
}

/// MetaHub before a registry with all tags but these.
fn without(left_out: &[&str]) -> Stage {
    let stage = stage().configuration(configuration()).start().unwrap();
    for (name, architectures) in TAGS.iter().filter(|(name, _)| !left_out.contains(name)) {
        push(&stage, name, architectures);
    }
    stage
}

fn push(stage: &Stage, name: &str, architectures: &[Architecture]) {
    let (repository, tag) = name.split_once(':').unwrap();
    let mut entries = Vec::new();
    for architecture in architectures {
        let image = image(name, *architecture);
        stage.registry().push_image(repository, &image).unwrap();
        entries.push(image.manifest.entry(&json!({ "os": "linux", "architecture": architecture.name() })));
    }
    stage.registry().push_manifest(repository, tag, &index(Format::Oci, &entries)).unwrap();
}

fn ask(stage: &Stage, machine_type: &str, path: &str) -> Response {
    let accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
    let request = Request::get(path).header("accept", accept);
    stage.envoy.send(&request.login(&format!("x-{machine_type}"), "x")).unwrap()
}

fn pull(stage: &Stage, machine_type: &str, name: &str) -> Response {
    let (repository, tag) = name.split_once(':').unwrap();
    ask(stage, machine_type, &format!("/v2/{repository}/manifests/{tag}"))
}

#[test]
fn each_machine_gets_its_variant_with_all_its_parts() {
    let stage = without(&[]);
    for (machine_type, architecture, ollama, vllm) in TABLE {
        for (name, expected) in [("ollama/ollama:0.5", ollama), ("vllm/vllm:1", vllm)] {
            let image = image(expected, architecture);
            for _ in 0..2 {
                let answer = pull(&stage, machine_type, name);
                assert_eq!(answer.body, image.manifest.bytes, "{machine_type} {name}: {}", answer.text());
            }
            let (repository, _) = name.split_once(':').unwrap();
            for part in [&image.config, &image.layer] {
                let answer = ask(&stage, machine_type, &format!("/v2/{repository}/blobs/{}", part.digest()));
                assert_eq!(Document::new("", answer.body).digest(), part.digest(), "{machine_type} {name}");
            }
            let digest = image.manifest.digest();
            let answer = ask(&stage, machine_type, &format!("/v2/{repository}/manifests/{digest}"));
            assert_eq!(answer.body, image.manifest.bytes, "{machine_type} {name}");
        }
        let lists = ask(&stage, machine_type, "/v2/vllm/vllm/tags/list?n=1");
        let is_mapped = machine_type == "gfx942";
        assert_eq!(lists.json()["name"], if is_mapped { "vllm/vllm-rocm" } else { "vllm/vllm" });
        let link = lists.header("link").unwrap_or_default();
        assert!(link.is_empty() || link.contains("/v2/vllm/vllm/tags/list?"), "{machine_type}: {link}");
    }
}

#[test]
fn explain_says_what_pulls_return() {
    let stage = without(&["vllm/vllm:1-cpu"]);
    for name in ["ollama/ollama:0.5", "vllm/vllm:1"] {
        let mut told = Vec::new();
        let mut path = format!("/metahub/v1/explain?image={name}");
        loop {
            let page = ask(&stage, "cpu", &path).json();
            Schema::of("explain").require(&page);
            for group in page["machine_types"].as_array().unwrap() {
                let names = group["names"].as_array().unwrap().iter();
                told.extend(names.map(|name| (name.as_str().unwrap().to_owned(), group["selected"].clone())));
            }
            let Some(next) = page["next"].as_str() else { break };
            path = next.to_owned();
        }
        assert_eq!(told.len(), TABLE.len());
        for (machine_type, selected) in told {
            let pulled = pull(&stage, &machine_type, name);
            let digest = (pulled.status == 200).then(|| Document::new("", pulled.body.clone()).digest());
            assert_eq!(selected.as_str(), digest.as_deref(), "{machine_type} {name}: {}", pulled.text());
        }
    }
}

/// A variant that is missing costs a fallback, which is counted, and nothing else.
#[test]
fn a_missing_variant_falls_back() {
    let stage = without(&["ollama/ollama:0.5-rocm"]);
    for _ in 0..2 {
        let answer = pull(&stage, "gfx942", "ollama/ollama:0.5");
        assert_eq!(answer.body, image("ollama/ollama:0.5", Architecture::Amd64).manifest.bytes, "{}", answer.text());
        assert!(answer.header("x-metahub-selected").unwrap().contains(": tag 0.5; "));
    }
    push(&stage, "ollama/ollama:0.6", &[Architecture::Amd64]);
    push(&stage, "ollama/ollama:0.6-rocm", &[Architecture::Amd64]);
    let answer = pull(&stage, "gfx942", "ollama/ollama:0.6");
    assert_eq!(answer.body, image("ollama/ollama:0.6-rocm", Architecture::Amd64).manifest.bytes, "{}", answer.text());
}

#[test]
fn docker_runs_the_variant() {
    if reason_to_skip("docker", &Docker::PROGRAMS, true).unwrap().is_some() {
        return;
    }
    let stage = without(&[]);
    let mut docker = Docker::start().unwrap();
    for (machine_type, architecture, ollama, vllm) in TABLE {
        if architecture != Architecture::host() {
            continue;
        }
        docker.log_in(&stage.front(), &Login::new(&format!("x-{machine_type}"), "x")).unwrap();
        for (name, expected) in [("ollama/ollama:0.5", ollama), ("vllm/vllm:1", vllm)] {
            let pulled = docker.pull(&format!("{}/{name}", stage.front())).unwrap();
            assert_eq!(pulled.printed, Some(line(expected, architecture)), "{machine_type} {name}");
        }
    }
}
