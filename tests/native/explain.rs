//! `explain`: its walk is the pull's, its pages are bounded.

use std::collections::BTreeMap;

use metahub::config::Config;
use metahub::flow::Step;
use metahub::oci::digest::Digest;
use metahub::oci::media_type::{DOCKER_LIST, OCI_INDEX};
use serde_json::{Value, json};

use super::driver::{basic, configuration, exchange, parse, request, send};
use super::scripted_registry::{Response, ScriptedRegistry, child, header_list, list};
use metahub_testkit::schema::Schema;

/// Asks for an explanation as `login`; returns status and document, which every time must fit the schema.
fn explain(configuration: &Value, login: &str, query: &str, upstream: &ScriptedRegistry) -> (u16, Value) {
    explain_with(&parse(configuration), login, query, upstream)
}

/// The same, with a configuration that is parsed already.
pub(super) fn explain_with(config: &Config, login: &str, query: &str, upstream: &ScriptedRegistry) -> (u16, Value) {
    let password = login.split('-').next().filter(|name| *name == "team").unwrap_or(login);
    let path = format!("/metahub/v1/explain?{query}");
    let outcome = send(config, "GET", &path, login, password, upstream);
    let document = serde_json::from_slice(&outcome.body).unwrap();
    if outcome.status == 200 {
        Schema::of("explain").require(&document);
    }
    (outcome.status, document)
}

/// Machine type → selected digest.
fn selections(document: &Value) -> BTreeMap<String, Option<String>> {
    let mut result = BTreeMap::new();
    for group in document["machine_types"].as_array().unwrap() {
        for name in group["names"].as_array().unwrap() {
            result.insert(name.as_str().unwrap().to_owned(), group["selected"].as_str().map(str::to_owned));
        }
    }
    result
}

pub(super) fn children() -> [(Value, Vec<u8>); 4] {
    [child(&[]), child(&["cpu:skylake"]), child(&["cpu:broadwell"]), child(&["cpu:zen4"])]
}

/// Every machine type of the configuration in `none` mode, so that any login may ask.
pub(super) fn everybody() -> Value {
    json!({
        "machine_types": {
            "a-skylake": { "features": ["cpu:skylake"] },
            "b-icelake": { "features": ["cpu:icelake"] },
            "c-skylake": { "features": ["cpu:skylake"] },
            "d-plain": { "architecture": "amd64" },
            "e-arm": { "architecture": "arm64" },
        },
        "registries": { "registry": { "host": "registry.example", "authentication": "none" } },
    })
}

#[test]
fn says_what_pulls_return() {
    let document = everybody();
    let demo = ScriptedRegistry::with_list(&children());
    let (status, explained) = explain(&document, "who", "image=qnib/bench", &demo);
    assert_eq!(status, 200, "{explained}");
    let config = parse(&document);
    for (name, selected) in selections(&explained) {
        let pulled = exchange(&config, "GET", "qnib/bench:latest", &format!("x-{name}"), &demo);
        let digest = (pulled.status == 200).then(|| pulled.header("docker-content-digest").to_owned());
        assert_eq!(selected, digest, "{name}");
    }
    assert_eq!(explained["machine_types"][0]["names"], json!(["a-skylake", "c-skylake"]), "types alike are one group");
    assert_eq!(explained["machine_types"][1]["missing_variants"], json!(["cpu:icelake"]));
    let criteria: Vec<&Value> =
        explained["machine_types"].as_array().unwrap().iter().map(|group| &group["criterion"]).collect();
    assert_eq!(criteria, [&json!("nearest"), &json!("nearest"), &json!("only"), &Value::Null]);
    assert_eq!(explained["entries"].as_array().unwrap().len(), 4);
    assert_eq!(
        explained["entries"][3]["requires"],
        json!(["os linux", "architecture amd64", "variant v1 (none given)", "cpu:zen4"])
    );
    let [broadwell, zen4] = explained["unselected"].as_array().unwrap().as_slice() else { panic!("{explained}") };
    assert_eq!(broadwell["outranked_for"], json!(["a-skylake", "b-icelake"]));
    assert_eq!(zen4["outranked_for"], json!([]));
    assert_eq!(zen4["needs"][3], "cpu:zen4");
    assert_eq!((&broadwell["unmet"], &zen4["unmet"]), (&json!([]), &json!(["cpu:zen4"])));
    assert_eq!(explained["digest"], Digest::of(&demo.index.unwrap().body).as_str());
}

#[test]
fn says_which_alternative_matched_and_what_is_missing() {
    let mut document = everybody();
    document["machine_types"] = json!({
        "cpu": { "architecture": "amd64" },
        "gpu": { "architecture": "amd64", "features": ["nvcap:12.0"] },
        "two": { "architecture": "amd64", "features": ["nvcap:7.5", "nvcap:8.6"] },
    });
    let features = [&["nvcap:7.0|8.0|9.0+ptx"][..], &[], &["nvcap:10.0|12.0a", "cuda:13.0"], &["gfx:gfx942|gfx1100"]];
    let children = features.map(child);
    let image = ScriptedRegistry::with_list(&children);
    let entries = children.map(|(entry, _)| entry);
    let (status, explained) = explain(&document, "who", "image=qnib/bench", &image);
    assert_eq!(status, 200, "{explained}");
    let [cpu, gpu, two] = explained["machine_types"].as_array().unwrap().as_slice() else { panic!("{explained}") };
    assert_eq!((&cpu["matched"], &cpu["selected"]), (&json!([]), &entries[1]["digest"]));
    assert_eq!((&gpu["matched"], &gpu["selected"]), (&json!(["nvcap:9.0+ptx"]), &entries[0]["digest"]));
    assert_eq!(gpu["reason"], "linux/amd64 nvcap:9.0+ptx (of 3); asks for the most keys; 2 of 4 fit");
    assert_eq!(gpu["missing_variants"], json!(["nvcap:12.0"]));
    assert_eq!((&two["matched"], &two["selected"]), (&json!(["nvcap:7.0|8.0"]), &entries[0]["digest"]));
    let [cuda, amd] = explained["unselected"].as_array().unwrap().as_slice() else { panic!("{explained}") };
    // One of the machines would run the code, but none has the toolkit.
    assert_eq!((&cuda["unmet"], &amd["unmet"]), (&json!(["cuda:13.0"]), &json!(["gfx:gfx942|gfx1100"])));
}

#[test]
fn shows_a_caller_its_own_types_and_repositories_only() {
    let demo = ScriptedRegistry::with_list(&children());
    let names = |login: &str| {
        selections(&explain(&configuration(), login, "image=team/app", &demo).1).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(names("qnib-type1"), ["type1"]);
    assert_eq!(names("team-type1"), ["type1", "type2"]);
    assert_eq!(names("team"), ["type1", "type2"], "no machine type is needed to ask");
    assert_eq!(names("all"), ["type1", "type2"], "who sees whole indexes sees all");
    assert_eq!(explain(&configuration(), "team-type1", "image=qnib/bench", &demo).0, 403);
    let (status, error) = explain(&configuration(), "qnib-type1", "image=team/app&machine_type=type2", &demo);
    assert_eq!((status, &error["errors"][0]["code"]), (404, &json!("NAME_UNKNOWN")));
    assert_eq!(explain(&configuration(), "qnib-type1", "image=Team", &demo).0, 400);
    assert_eq!(explain(&configuration(), "qnib-type1", "", &demo).0, 400);
}

#[test]
fn narrows_and_pages() {
    let mut document = everybody();
    let types: serde_json::Map<String, Value> = (0..2500)
        .map(|n| (format!("t{n:04}"), json!({ "features": ["cpu:skylake", format!("rack:{}", n % 1500)] })))
        .collect();
    document["machine_types"] = Value::Object(types);
    let demo = ScriptedRegistry::with_list(&children());
    let (mut query, mut seen, mut pages) = ("image=a&ns=x".to_owned(), Vec::new(), 0);
    loop {
        let (status, page) = explain(&document, "who", &query, &demo);
        assert_eq!(status, 200);
        assert_eq!(page.get("entries").is_some(), pages == 0, "entries are on the first page");
        let names = selections(&page);
        assert!(!names.is_empty() && names.len() <= 1000);
        let different = page["machine_types"].as_array().unwrap().len();
        assert!(different <= 250, "{different} evaluations for one answer, however small the image");
        seen.extend(names.into_keys());
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        assert!(next.starts_with("/metahub/v1/explain?image=a&ns=x&after=t"), "{next}");
        query = next.split_once('?').unwrap().1.to_owned();
    }
    let expected: Vec<String> = (0..2500).map(|n| format!("t{n:04}")).collect();
    assert_eq!(seen, expected, "each once, in order");
    assert!(pages >= 3);
    let (_, one) = explain(&document, "who", "image=a&machine_type=t0042", &demo);
    assert_eq!(selections(&one).into_keys().collect::<Vec<_>>(), ["t0042"]);
}

#[test]
fn follows_nested_indexes_and_survives_loops() {
    let inner = list(&children().map(|(entry, _)| entry));
    let entry = |bytes: &[u8]| {
        json!({
            "mediaType": DOCKER_LIST, "digest": Digest::of(bytes).as_str(), "size": bytes.len(),
            "platform": { "os": "linux", "architecture": "amd64" },
        })
    };
    let outer = list(&[entry(&inner)]);
    let mut nested = ScriptedRegistry::with_list(&children());
    nested.by_digest.insert(Digest::of(&inner).to_string(), Some(Response::new(200, DOCKER_LIST, inner)));
    nested.index = Some(Response::new(200, OCI_INDEX, outer.clone()));
    let (_, explained) = explain(&everybody(), "who", "image=a", &nested);
    let expected = selections(&explain(&everybody(), "who", "image=a", &ScriptedRegistry::with_list(&children())).1);
    assert_eq!(selections(&explained), expected);
    assert_eq!(explained["entries"].as_array().unwrap().len(), 5);
    nested.by_digest.clear();
    let (status, explained) = explain(&everybody(), "who", "image=a", &nested);
    assert_eq!(status, 200);
    let pulled = exchange(&parse(&everybody()), "GET", "a:latest", "x-a-skylake", &nested).message();
    let reason = explained["machine_types"][0]["reason"].as_str().unwrap();
    assert_eq!(pulled, format!("a:latest for machine type a-skylake: {reason}"));
    assert!(reason.contains("does not have the manifest sha256:"), "{reason}");
    assert_eq!(explained["unreadable"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_no_index_goes_to_everybody() {
    let (_, manifest) = child(&[]);
    let upstream = ScriptedRegistry {
        index: Some(Response::new(200, metahub::oci::media_type::DOCKER_MANIFEST, manifest.clone())),
        ..ScriptedRegistry::default()
    };
    let (_, explained) = explain(&everybody(), "who", "image=a:v1", &upstream);
    assert_eq!(explained["is_image_index"], json!(false));
    assert!(selections(&explained).values().all(|digest| digest.as_deref() == Some(Digest::of(&manifest).as_str())));
}

#[test]
fn faults_of_the_registry_are_registry_errors() {
    let rows = [
        (None, 503, "UNAVAILABLE"),
        (Some(Response::new(404, "application/json", "{}")), 404, "MANIFEST_UNKNOWN"),
        (Some(Response::new(429, "application/json", "{}")), 429, "TOOMANYREQUESTS"),
        (Some(Response::new(200, OCI_INDEX, "<html>")), 502, "MANIFEST_INVALID"),
    ];
    for (index, status, code) in rows {
        // Without an answer the connection breaks.
        let by_digest = [("latest".to_owned(), index)].into();
        let (actual, error) =
            explain(&everybody(), "who", "image=a", &ScriptedRegistry { by_digest, ..ScriptedRegistry::default() });
        assert_eq!((actual, &error["errors"][0]["code"]), (status, &json!(code)));
        assert!(error["errors"][0]["message"].as_str().unwrap().starts_with("a:latest: "), "{error}");
    }
}

#[test]
fn a_registry_that_refuses_metahub_is_said_so() {
    let index = Some(Response::new(401, "application/json", "{}"));
    let (status, error) =
        explain(&everybody(), "who", "image=a", &ScriptedRegistry { index, ..ScriptedRegistry::default() });
    assert_eq!((status, &error["errors"][0]["code"]), (403, &json!("DENIED")));
    assert!(error["errors"][0]["message"].as_str().unwrap().contains("registry.example refuses MetaHub"), "{error}");
}

/// Where one machine's image is another's too, nothing can go wrong beside other tools.
#[test]
fn a_tag_that_is_several_images_has_a_note_on_other_tools() {
    let document = everybody();
    let demo = ScriptedRegistry::with_list(&children());
    let same = ScriptedRegistry::with_list(&[child(&[])]);
    let digest = Digest::of(&demo.index.as_ref().unwrap().body);
    let mut by_digest = demo;
    by_digest.by_digest.insert(digest.to_string(), by_digest.index.clone());
    let rows = [
        ("image=qnib/bench".to_owned(), &by_digest, 1),
        ("image=qnib/bench&machine_type=a-skylake".to_owned(), &by_digest, 0),
        (format!("image=qnib/bench@{digest}"), &by_digest, 0),
        ("image=qnib/bench".to_owned(), &same, 0),
    ];
    for (query, upstream, notes) in rows {
        let (status, explained) = explain(&document, "who", &query, upstream);
        assert_eq!((status, explained["notes"].as_array().unwrap().len()), (200, notes), "{query}: {explained}");
        let page = include_str!("../../docs/limits.md");
        let names_the_page = |note: &Value| note.as_str().unwrap().ends_with("see docs/limits.md#beside-other-tools");
        assert!(explained["notes"].as_array().unwrap().iter().all(names_the_page), "{explained}");
        assert!(page.contains("\n## Beside other tools\n"));
    }
}

#[test]
fn lists_machine_types() {
    let config = parse(&configuration());
    let ask = |path: &str| {
        let headers = header_list(&[(":method", "GET"), (":path", path), ("authorization", &basic("team", "team"))]);
        let Step::Reply(reply) = request(&config, Some("registry"), &headers).step else { panic!() };
        let document = serde_json::from_slice::<Value>(&reply.body).unwrap();
        Schema::of("machine-types").require(&document);
        document
    };
    let all = ask("/metahub/v1/machine-types");
    assert_eq!(all["machine_types"][0]["name"], "type1");
    assert_eq!(all["machine_types"][0]["architecture"], "amd64");
    assert_eq!(all["machine_types"][0]["features"], json!(["cpu:broadwell"]));
    assert_eq!(all["machine_types"].as_array().unwrap().len(), 2);
    assert_eq!(all["next"], Value::Null);
    assert_eq!(ask("/metahub/v1/machine-types?after=type1")["machine_types"].as_array().unwrap().len(), 1);
}

/// The schema says something: each of these changes to a valid answer makes an invalid one.
#[test]
fn the_schema_refuses_other_answers() {
    let valid = explain(&everybody(), "who", "image=a", &ScriptedRegistry::with_list(&children())).1;
    let schema = Schema::of("explain");
    assert_eq!(schema.problems(&valid), Vec::<String>::new());
    let rows = [
        ("/image", json!(1)),
        ("/digest", json!("sha256:00")),
        ("/is_image_index", json!(null)),
        ("/next", json!(false)),
        ("/machine_types/0", json!({})),
        ("/machine_types/0/names", json!([])),
        ("/machine_types/0/selected", json!("latest")),
        ("/machine_types/0/missing_variants/0", json!(1)),
        ("/entries/0/position", json!(-1)),
        ("/entries/0/never_selected", json!("because")),
        ("/unselected/0/needs", json!("cpu:zen4")),
        ("/unreadable", json!({})),
    ];
    for (pointer, value) in rows {
        let mut document = valid.clone();
        // The item of an empty array is put there.
        match document.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => {
                let (array, _) = pointer.rsplit_once('/').unwrap();
                document.pointer_mut(array).unwrap().as_array_mut().unwrap().push(value);
            }
        }
        assert_ne!(schema.problems(&document), Vec::<String>::new(), "{pointer}");
    }
    for name in valid.as_object().unwrap().keys() {
        let mut document = valid.clone();
        document.as_object_mut().unwrap().remove(name);
        assert_ne!(schema.problems(&document), Vec::<String>::new(), "without {name}");
    }
    let mut document = valid;
    document["more"] = json!(1);
    assert_ne!(schema.problems(&document), Vec::<String>::new(), "an unknown property");
}

#[test]
fn attestations_and_unreadable_entries_fit_the_schema() {
    let mut children = children().map(|(entry, _)| entry).to_vec();
    children.push(json!({
        "mediaType": metahub::oci::media_type::OCI_MANIFEST, "digest": Digest::of(b"a").as_str(), "size": 1,
        "platform": { "os": "unknown", "architecture": "unknown" },
    }));
    children.push(json!({ "mediaType": "text/plain", "digest": Digest::of(b"b").as_str(), "size": 2 }));
    children.push(json!({ "digest": 7 }));
    let index = Some(Response::new(200, OCI_INDEX, list(&children)));
    let (status, explained) =
        explain(&everybody(), "who", "image=a", &ScriptedRegistry { index, ..ScriptedRegistry::default() });
    assert_eq!(status, 200);
    assert_eq!(explained["entries"][4]["never_selected"], "an attestation, not an image");
    assert_ne!(explained["entries"][5]["never_selected"], Value::Null);
    assert_eq!(explained["unreadable"].as_array().unwrap().len(), 1);
}

#[test]
fn nothing_fits_is_said_with_what_a_machine_would_need() {
    let demo = ScriptedRegistry::with_list(&children());
    let (_, explained) = explain(&everybody(), "who", "image=a&machine_type=e-arm", &demo);
    assert_eq!(explained["machine_types"][0]["selected"], Value::Null);
    let reason = explained["machine_types"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("nothing fits; the index offers linux/amd64, "), "{reason}");
    assert_eq!(explained["unselected"].as_array().unwrap().len(), 4);
}

/// An image that any client may push must not make an answer that stalls a worker.
#[test]
fn large_and_many_indexes_are_bounded() {
    let large = |seed: usize| {
        let entries: Vec<Value> = (0..4000)
            .map(|n| {
                let digest = Digest::of(format!("{seed} {n}").as_bytes()).to_string();
                json!({
                    "mediaType": DOCKER_LIST.replace("list.", ""), "digest": digest, "size": 10,
                    "platform": { "os": "linux", "architecture": "amd64" },
                })
            })
            .collect();
        list(&entries)
    };
    let nested: Vec<Vec<u8>> = (0..16).map(large).collect();
    let entries: Vec<Value> = nested
        .iter()
        .map(|bytes| {
            json!({
                "mediaType": DOCKER_LIST, "digest": Digest::of(bytes).as_str(), "size": bytes.len(),
                "platform": { "os": "linux", "architecture": "amd64" },
            })
        })
        .collect();
    let mut upstream = ScriptedRegistry::with_list(&[]);
    upstream.index = Some(Response::new(200, OCI_INDEX, list(&entries)));
    upstream.by_digest = nested
        .into_iter()
        .map(|bytes| (Digest::of(&bytes).to_string(), Some(Response::new(200, DOCKER_LIST, bytes))))
        .collect();
    let (status, explained) = explain(&everybody(), "who", "image=a", &upstream);
    assert_eq!(status, 200);
    assert!(explained.to_string().len() < 2_000_000, "{} bytes", explained.to_string().len());
    assert_eq!(explained["entries"].as_array().unwrap().len(), 1000);
    assert_eq!(explained["unselected"].as_array().unwrap().len(), 1000);
    assert!(explained["more_unselected"].as_u64().unwrap() < 10_000);
}
