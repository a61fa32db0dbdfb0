//! The digest of the index behind a tag: answers to the tag tell it, and what a pull by it gets.

use metahub::config::Config;
use metahub::oci::digest::Digest;
use metahub::oci::media_type::{DOCKER_LIST, OCI_INDEX, OCI_MANIFEST};
use serde_json::{Value, json};

use super::driver::{basic, configuration, exchange, parse, send_headers};
use super::flow_cache::{DEMO, demo, large, requests, with_cache};
use super::outcome::Outcome;
use super::scripted_registry::{Response, ScriptedRegistry, child, header_list, list};

const HEADER: &str = "x-metahub-index";

/// The digest of the document behind the tag.
fn top(upstream: &ScriptedRegistry) -> String {
    Digest::of(&upstream.index.as_ref().unwrap().body).to_string()
}

#[test]
fn answers_to_a_tag_name_the_index() {
    let cache = json!({ "tag_ttl": "30s", "serve_stale_on_error": "1m" });
    let config = parse(&with_cache(&cache));
    let mut upstream = demo();
    let index = top(&upstream);
    let pull = |method, upstream: &ScriptedRegistry| -> (u16, String, Vec<String>) {
        let outcome: Outcome = exchange(&config, method, DEMO, "qnib-type1", upstream);
        (outcome.status, outcome.header(HEADER).to_owned(), requests(&outcome))
    };
    upstream.memory.now.set(1_000);
    for (method, now, asked) in [
        ("GET", 1_000, &["GET latest", "GET sha256"][..]),
        ("HEAD", 1_010, &[]),
        ("GET", 1_010, &[]),
        ("HEAD", 1_050, &["HEAD own"]),
        ("GET", 1_090, &["HEAD own"]),
    ] {
        upstream.memory.now.set(now);
        let (status, told, requests) = pull(method, &upstream);
        assert_eq!((status, told, requests.iter().map(String::as_str).collect()), (200, index.clone(), asked.to_vec()));
    }
    upstream.index = Some(Response::new(503, "text/plain", ""));
    upstream.memory.now.set(1_125);
    for method in ["GET", "HEAD"] {
        let (status, told, _) = pull(method, &upstream);
        assert_eq!((status, told), (200, index.clone()), "{method} while the registry is down");
    }
}

#[test]
fn a_large_image_that_passes_names_its_index_and_not_the_registrys() {
    for size in [100_000, 600_000] {
        let (config, mut upstream, digest) = large(size);
        let lie = upstream.by_digest[&digest].clone().unwrap().with(HEADER, "sha256:0").with(HEADER, "evil");
        upstream.by_digest.insert(digest, Some(lie));
        // The second time from what is known.
        for method in ["GET", "HEAD", "GET"] {
            let outcome = exchange(&config, method, DEMO, "qnib-type1", &upstream);
            assert_eq!((outcome.status, outcome.header(HEADER)), (200, top(&upstream).as_str()), "{method} {size}");
        }
    }
}

#[test]
fn what_the_registry_says_in_this_header_is_not_passed_on() {
    let lie = |response: Response| response.with(HEADER, "evil");
    let mut upstream = demo();
    let index = upstream.index.take().unwrap();
    let named = Digest::of(&index.body).to_string();
    upstream.index = Some(lie(index));
    for response in upstream.by_digest.values_mut() {
        *response = response.take().map(lie);
    }
    let config = parse(&configuration());
    for method in ["GET", "HEAD", "GET"] {
        assert_eq!(exchange(&config, method, DEMO, "qnib-type1", &upstream).header(HEADER), named);
    }
    for status in [404, 429] {
        upstream.index = Some(lie(Response::new(status, "application/json", "{}")));
        let refused = exchange(&config, "GET", DEMO, "qnib-type1", &upstream);
        assert_eq!((refused.status, refused.header(HEADER)), (status, ""));
    }
}

/// The outer one: it is what the tag points to, and what was signed.
#[test]
fn of_nested_indexes_the_outer_one_is_named() {
    let mut upstream = demo();
    let inner = upstream.index.take().unwrap().body;
    let entry = json!({
        "mediaType": DOCKER_LIST, "digest": Digest::of(&inner).as_str(), "size": inner.len(),
        "platform": { "os": "linux", "architecture": "amd64" },
    });
    upstream.by_digest.insert(Digest::of(&inner).to_string(), Some(Response::new(200, DOCKER_LIST, inner)));
    upstream.index = Some(Response::new(200, DOCKER_LIST, list(&[entry])));
    let outcome = exchange(&parse(&configuration()), "GET", DEMO, "qnib-type1", &upstream);
    assert_eq!((outcome.status, outcome.header(HEADER)), (200, top(&upstream).as_str()));
}

#[test]
fn a_tag_of_one_image_names_the_image() {
    let (_, bytes) = child(&[]);
    let upstream = ScriptedRegistry { index: Some(Response::new(200, OCI_MANIFEST, "{}")), ..demo() };
    let outcome = exchange(&parse(&configuration()), "GET", DEMO, "qnib-type1", &upstream);
    assert_eq!(outcome.header(HEADER), outcome.header("docker-content-digest"));
    let upstream = ScriptedRegistry { index: Some(Response::new(200, OCI_MANIFEST, bytes)), ..demo() };
    let all = exchange(&parse(&configuration()), "GET", DEMO, "all", &upstream);
    assert_eq!((all.status, all.header(HEADER)), (200, ""), "an unfiltered view is the registry's own answer");
}

/// A registry with one document, under its digest.
fn document(media_type: &str, body: &Value) -> (ScriptedRegistry, String) {
    let body = body.to_string();
    let digest = Digest::of(body.as_bytes()).to_string();
    let mut upstream = ScriptedRegistry::default();
    let response = Response::new(200, media_type, body).with("docker-content-digest", &digest);
    upstream.by_digest.insert(digest.clone(), Some(response));
    (upstream, digest)
}

/// An index of images that is at least this long.
fn index(size: usize) -> Value {
    json!({ "mediaType": OCI_INDEX, "manifests": [child(&[]).0], "annotations": { "x": " ".repeat(size) } })
}

/// Asks for a document by its digest, in `method` and perhaps with one more header.
fn ask(config: &Config, asked: (&str, &[(&str, &str)], &str), upstream: &ScriptedRegistry, digest: &str) -> Outcome {
    let (method, more, user) = asked;
    let (path, authorization) = (format!("/v2/qnib/bench/manifests/{digest}"), basic(user, user));
    let mut headers = vec![(":method", method), (":path", &path), ("authorization", &authorization)];
    headers.extend(more);
    send_headers(config, &header_list(&headers), upstream)
}

/// All ways to ask for a document by digest.
const WAYS: [(&str, &[(&str, &str)], &str); 4] = [
    ("GET", &[], "qnib-type1"),
    ("HEAD", &[], "qnib-type1"),
    ("GET", &[("range", "bytes=0-9")], "qnib-type1"),
    ("GET", &[("if-none-match", "\"x\"")], "qnib-type1"),
];

fn with_rule(rule: &str, cache: &Value) -> Config {
    let mut document = with_cache(cache);
    document["index_by_digest"] = json!(rule);
    parse(&document)
}

/// Whether the client got the document, and how often an index was counted.
fn got(outcome: &Outcome) -> (u16, usize) {
    (outcome.status, outcome.counters.iter().filter(|name| **name == "metahub_index_by_digest").count())
}

#[test]
fn an_index_by_digest_is_counted_or_refused_on_every_path() {
    for cache in [json!({}), json!({ "bytes": 0 })] {
        let (pass, refuse) = (with_rule("pass", &cache), with_rule("refuse", &cache));
        for size in [10, 40_000, 100_000, 600_000] {
            for way in WAYS {
                let (upstream, digest) = document(OCI_INDEX, &index(size));
                let body = upstream.by_digest[&digest].clone().unwrap().body;
                // Unknown, then known.
                for known in [false, true, true] {
                    let row = format!("{way:?} of {size} bytes, cache {cache}, known: {known}");
                    let passed = ask(&pass, way, &upstream, &digest);
                    assert_eq!(got(&passed), (200, 1), "{row}");
                    assert!(way.0 == "HEAD" || passed.body == body, "{row}");
                }
                for known in [true, false, true] {
                    let row = format!("{way:?} of {size} bytes, cache {cache}, known: {known}");
                    if !known {
                        upstream.memory.values.borrow_mut().clear();
                    }
                    let refused = ask(&refuse, way, &upstream, &digest);
                    assert_eq!(got(&refused), (403, 1), "{row}");
                    let expected = format!(
                        "qnib/bench@{digest}: this is an index, which is not given out by its digest \
                         (index_by_digest is refuse); pull by tag, or by the digest of one image"
                    );
                    assert_eq!((refused.code(), refused.message()), ("DENIED".to_owned(), expected.clone()), "{row}");
                    let [line] = refused.lines.as_slice() else { panic!("{row}: {:?}", refused.lines) };
                    assert!(line.starts_with(&format!("403 {expected}")) && line.contains("\"qnib-type1\""), "{line}");
                }
            }
        }
    }
}

#[test]
fn what_is_no_index_of_images_is_given_out_by_its_digest() {
    let artifacts = json!({ "mediaType": OCI_INDEX, "artifactType": "x/y", "manifests": [child(&[]).0] });
    let mut entry = child(&[]).0;
    entry.as_object_mut().unwrap().remove("platform");
    let without_platforms = json!({ "mediaType": OCI_INDEX, "manifests": [entry] });
    let large = json!({ "mediaType": OCI_MANIFEST, "x": " ".repeat(100_000) });
    let rows = [
        (OCI_INDEX, artifacts),
        (OCI_INDEX, without_platforms),
        (OCI_MANIFEST, json!({ "mediaType": OCI_MANIFEST })),
        (OCI_MANIFEST, large),
    ];
    for rule in ["pass", "refuse"] {
        for cache in [json!({}), json!({ "bytes": 0 })] {
            let config = with_rule(rule, &cache);
            for (media_type, body) in &rows {
                for way in WAYS {
                    let (upstream, digest) = document(media_type, body);
                    for known in [false, true] {
                        let outcome = ask(&config, way, &upstream, &digest);
                        // Where indexes pass, the type of an answer that passes tells enough.
                        let by_type = rule == "pass" && (way != WAYS[0] || cache["bytes"] == 0);
                        let counted = usize::from(by_type && *media_type == OCI_INDEX);
                        assert_eq!(got(&outcome), (200, counted), "{rule} {way:?} {cache} {known}: {body:.80}");
                    }
                }
            }
        }
    }
}

#[test]
fn an_unfiltered_login_may_ask_for_an_index_by_digest() {
    let config = with_rule("refuse", &json!({}));
    for size in [10, 100_000] {
        for (method, more, _) in WAYS {
            let (upstream, digest) = document(OCI_INDEX, &index(size));
            for _ in 0..3 {
                let outcome = ask(&config, (method, more, "all"), &upstream, &digest);
                assert_eq!(got(&outcome), (200, 0), "{method} {more:?} {size}");
            }
        }
    }
}

/// What a document is, its content decides.
#[test]
fn a_type_that_lies_lets_no_index_out() {
    let [refuse, pass] = ["refuse", "pass"].map(|rule| with_rule(rule, &json!({})));
    let unreadable = json!({ "mediaType": OCI_INDEX, "manifests": "none" });
    for (media_type, body) in [("application/json", index(10)), (OCI_MANIFEST, index(600_000)), (OCI_INDEX, unreadable)]
    {
        for way in WAYS {
            let (upstream, digest) = document(media_type, &body);
            for _ in 0..2 {
                let refused = ask(&refuse, way, &upstream, &digest);
                assert_eq!(got(&refused), (403, 1), "{way:?} {media_type}");
            }
        }
    }
    // An answer that is no plain success may carry it all the same.
    for status in [203, 206] {
        let (mut upstream, digest) = document(OCI_INDEX, &index(10));
        let whole = upstream.by_digest[&digest].clone().unwrap();
        upstream.by_digest.insert(digest.clone(), Some(Response { status, ..whole }));
        for way in WAYS {
            assert_eq!(ask(&refuse, way, &upstream, &digest).status, 502, "{way:?} {status}");
        }
    }
    // A redirect would lead to it.
    let (mut upstream, digest) = document(OCI_INDEX, &index(10));
    let elsewhere = Response::new(307, "text/plain", "").with("location", "https://elsewhere.example/index");
    upstream.by_digest.insert(digest.clone(), Some(elsewhere));
    for way in WAYS {
        let refused = ask(&refuse, way, &upstream, &digest);
        assert_eq!((refused.status, refused.header("location")), (502, ""), "{way:?}");
        let passed = ask(&pass, way, &upstream, &digest);
        assert_eq!((got(&passed), passed.header("location")), ((307, 0), "https://elsewhere.example/index"));
    }
}

/// A refusal tells that the index is there, so the registry has to say so first.
#[test]
fn nobody_learns_of_an_index_before_the_registry_has_spoken() {
    let mut settings = configuration();
    settings["index_by_digest"] = json!("refuse");
    settings["registries"]["registry"]["authentication"] = json!("upstream");
    let config = parse(&settings);
    for size in [10, 100_000] {
        let (mut upstream, digest) = document(OCI_INDEX, &index(size));
        assert_eq!(ask(&config, ("GET", &[], "me-type1"), &upstream, &digest).status, 403);
        for (answer, expected) in [(401, 401), (404, 404), (403, 403)] {
            let refusal = Response::new(answer, "application/json", "{\"errors\":[]}");
            upstream.by_digest.insert(digest.clone(), Some(refusal));
            for (method, more, _) in WAYS {
                let outcome = ask(&config, (method, more, "you-type1"), &upstream, &digest);
                assert_eq!(got(&outcome), (expected, 0), "{method} {more:?} {size}");
            }
        }
    }
}
