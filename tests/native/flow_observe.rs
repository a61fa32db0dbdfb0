//! A registry that is only observed: clients get what they would get without MetaHub, and operators learn what
//! selection would do.

use metahub::config::Config;
use metahub::oci::digest::Digest;
use metahub::oci::media_type::{self, DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX};
use serde_json::{Value, json};

use super::driver::{basic, configuration, parse, send, send_headers};
use super::flow_cache::{DEMO, demo, requests, with_cache};
use super::outcome::Outcome;
use super::scripted_registry::{Response, ScriptedRegistry, child, header_list, list};

const MANIFESTS: &str = "/v2/qnib/bench/manifests/";

/// The configuration with the registry in this mode.
fn in_mode(mode: &str, mut document: Value) -> Config {
    document["registries"]["registry"]["mode"] = json!(mode);
    parse(&document)
}

fn observing() -> Config {
    in_mode("observe", configuration())
}

/// A request as runtimes make it, with these headers besides.
fn ask(config: &Config, asked: (&str, &str, &str), more: &[(&str, &str)], upstream: &ScriptedRegistry) -> Outcome {
    let (method, path, user) = asked;
    let (authorization, accept) = (basic(user, user), media_type::ALL.join(", "));
    let mut headers = vec![(":method", method), (":path", path), ("authorization", &authorization)];
    headers.push(("accept", &accept));
    headers.extend(more);
    send_headers(config, &header_list(&headers), upstream)
}

fn pull(config: &Config, method: &str, upstream: &ScriptedRegistry) -> Outcome {
    ask(config, (method, &format!("{MANIFESTS}latest"), "qnib-type1"), &[], upstream)
}

/// What a client sees of a document.
fn document(outcome: &Outcome) -> (u16, Vec<String>) {
    let names = ["docker-content-digest", "content-length", "content-type"];
    (outcome.status, names.map(|name| outcome.header(name).to_owned()).to_vec())
}

/// A registry whose tag points to an index that names another one.
fn nested(inner: Vec<u8>) -> (ScriptedRegistry, String) {
    let digest = Digest::of(&inner).to_string();
    let entry = json!({ "mediaType": DOCKER_LIST, "digest": digest, "size": inner.len(),
        "platform": { "os": "linux", "architecture": "amd64" } });
    let outer = Response::new(200, DOCKER_LIST, list(&[entry]));
    let named = Digest::of(&outer.body).to_string();
    let outer = outer.with("docker-content-digest", &named);
    let mut upstream = ScriptedRegistry { index: Some(outer), ..ScriptedRegistry::default() };
    upstream.by_digest.insert(digest.clone(), Some(Response::new(200, DOCKER_LIST, inner)));
    (upstream, digest)
}

#[test]
fn an_index_passes_as_it_is_and_the_selection_is_told() {
    let cache = json!({ "tag_ttl": "30s", "serve_stale_on_error": "1m" });
    let config = in_mode("observe", with_cache(&cache));
    for first in ["GET", "HEAD"] {
        let mut upstream = demo();
        let unfiltered = ask(&config, ("GET", &format!("{MANIFESTS}latest"), "all"), &[], &upstream);
        let (_, selected) = child(&["cpu:broadwell"]);
        let selected = format!("passed through: observed; selected would be {}: linux/amd64", Digest::of(&selected));
        let mut rows = vec![
            (first, 10_000, vec!["GET latest"], true),
            ("HEAD", 10_010, vec![], false),
            ("GET", 10_010, vec![], false),
            ("HEAD", 10_100, vec!["HEAD own"], false),
            ("GET", 13_700, vec!["HEAD own"], true),
            ("GET", 13_735, vec!["HEAD own", "HEAD latest"], false),
        ];
        while !rows.is_empty() {
            let (method, now, asked, is_logged) = rows.remove(0);
            if rows.is_empty() {
                upstream.index = Some(Response::new(503, "text/plain", "down"));
            }
            upstream.memory.now.set(now);
            let outcome = pull(&config, method, &upstream);
            assert_eq!(document(&outcome), document(&unfiltered), "{method} at {now}");
            assert!(method == "HEAD" || outcome.body == unfiltered.body, "{method} at {now}");
            assert_eq!(requests(&outcome), asked, "{method} at {now}");
            assert_eq!(outcome.header("x-metahub-index"), outcome.header("docker-content-digest"));
            assert!(outcome.header("x-metahub-selected").starts_with(&selected), "{:?}", outcome.headers);
            let counters: Vec<_> = outcome.counters.iter().filter(|name| **name != "metahub_served_stale").collect();
            assert_eq!(counters, [&"metahub_passed_through", &"metahub_observed"], "{method} at {now}");
            let told = format!("{DEMO} for machine type type1: {selected}");
            let lines = outcome.lines.iter().filter(|line| line.starts_with(&told)).count();
            assert_eq!(lines, usize::from(is_logged), "{method} at {now}: {:?}", outcome.lines);
        }
    }
}

#[test]
fn a_large_index_passes_too() {
    let mut index = json!({ "mediaType": OCI_INDEX, "manifests": [child(&[]).0] });
    index["annotations"] = json!({ "x": "y".repeat(100_000) });
    let index = Response::new(200, OCI_INDEX, index.to_string());
    let digest = Digest::of(&index.body).to_string();
    let index = index.with("docker-content-digest", &digest);
    let mut upstream = ScriptedRegistry { index: Some(index.clone()), ..ScriptedRegistry::default() };
    upstream.by_digest.insert(digest.clone(), Some(index.clone()));
    for method in ["GET", "HEAD", "GET"] {
        let outcome = pull(&observing(), method, &upstream);
        assert_eq!((outcome.status, outcome.header("docker-content-digest")), (200, digest.as_str()), "{method}");
        assert!(method == "HEAD" || outcome.body == index.body);
        assert_eq!(outcome.counters, ["metahub_passed_through", "metahub_observed"]);
    }
}

#[test]
fn where_nothing_would_fit_it_is_told_and_the_index_passes() {
    let (broken, _) = nested(list(&[json!({})]));
    let mut document = configuration();
    for on_no_match in ["refuse", "deny", "unfiltered"] {
        document["on_no_match"] = json!(on_no_match);
        let config = in_mode("observe", document.clone());
        let upstream = ScriptedRegistry::with_list(&[child(&["cpu:zen4"])]);
        for method in ["GET", "HEAD", "GET"] {
            let outcome = pull(&config, method, &upstream);
            assert_eq!(outcome.status, 200, "{on_no_match}");
            assert_eq!(outcome.counters, ["metahub_passed_through", "metahub_observed_no_match"]);
            let told = "passed through: observed; nothing fits; the index offers linux/amd64 cpu:zen4";
            assert_eq!(outcome.header("x-metahub-selected"), told);
        }
        let logged = pull(&config, "GET", &ScriptedRegistry::with_list(&[child(&["cpu:zen4"])])).lines;
        assert!(matches!(logged.as_slice(), [line] if line.contains("nothing fits")), "{logged:?}");
    }
    // A pull would be refused: the nested index is larger than what is read.
    let mut entry: Value = serde_json::from_slice::<Value>(&broken.index.unwrap().body).unwrap()["manifests"][0].take();
    entry["size"] = json!(5 << 20);
    let upstream = ScriptedRegistry { index: Some(Response::new(200, DOCKER_LIST, list(&[entry]))), ..demo() };
    let outcome = pull(&observing(), "GET", &upstream);
    assert_eq!((outcome.status, outcome.counters.last()), (200, Some(&"metahub_observed_no_match")));
    assert!(outcome.header("x-metahub-selected").contains("larger than 4 MiB"), "{:?}", outcome.headers);
}

/// The client may never need it.
#[test]
fn a_nested_index_is_not_fetched_but_known_once_a_client_has_it() {
    let (config, (upstream, digest)) = (observing(), nested(demo().index.unwrap().body));
    for cold in [true, false] {
        let outcome = pull(&config, "GET", &upstream);
        assert_eq!(requests(&outcome), [if cold { "GET latest" } else { "HEAD own" }]);
        assert_eq!(outcome.counters, ["metahub_passed_through", "metahub_observed"]);
        let told = format!("passed through: observed; selection would go on in the nested index {digest}");
        assert_eq!((outcome.header("x-metahub-selected"), outcome.lines.len()), (told.as_str(), usize::from(cold)));
    }
    let inner = ask(&config, ("GET", &format!("{MANIFESTS}{digest}"), "qnib-type1"), &[], &upstream);
    assert_eq!((inner.status, inner.counters.len()), (200, 0), "an observed registry gives indexes out by digest");
    let outcome = pull(&config, "GET", &upstream);
    assert_eq!(requests(&outcome), ["HEAD own"]);
    assert!(outcome.header("x-metahub-selected").contains("cpu:broadwell"), "{:?}", outcome.headers);
    assert_eq!(outcome.lines.len(), 1, "another result is told at once: {:?}", outcome.lines);
}

/// Without MetaHub the client would get it.
#[test]
fn an_answer_that_metahub_cannot_use_passes_too() {
    let index = demo().index.unwrap();
    let with = |name, value| index.clone().with(name, value);
    let cut: Vec<u8> = index.body.iter().copied().take(100).collect();
    let rows = [
        Response::new(307, "text/plain", "elsewhere").with("location", "https://elsewhere.example/"),
        with("content-encoding", "gzip"),
        Response::new(200, DOCKER_LIST, cut),
        Response::new(200, DOCKER_LIST, " ".repeat((4 << 20) + 1)),
        Response::new(200, DOCKER_LIST, ""),
    ];
    for response in rows {
        for method in ["GET", "HEAD"] {
            let mut upstream = ScriptedRegistry { index: Some(response.clone()), ..ScriptedRegistry::default() };
            let outcome = pull(&observing(), method, &upstream);
            assert_eq!(outcome.status, response.status, "{method} {response:.60?}");
            assert!(method == "HEAD" || outcome.body == response.body, "{method}");
            // The same where the tag was known: the client comes round.
            (upstream.memory, upstream.index) = (demo().memory, demo().index);
            assert_eq!(pull(&observing(), "GET", &upstream).status, 200);
            upstream.index = Some(response.clone().with("docker-content-digest", Digest::of(&response.body).as_str()));
            let mut outcome = pull(&observing(), method, &upstream);
            if outcome.header("location").contains("metahub-retry") {
                let again = outcome.header("location").to_owned();
                outcome = ask(&observing(), (method, &again, "qnib-type1"), &[], &upstream);
            }
            assert_eq!(outcome.status, response.status, "{method} {response:.60?}");
        }
    }
}

#[test]
fn a_request_for_less_is_not_observed() {
    let narrow = |accept| {
        let path = format!("{MANIFESTS}latest");
        let authorization = basic("qnib-type1", "qnib-type1");
        let headers = [(":method", "GET"), (":path", &path), ("authorization", &authorization), ("accept", accept)];
        send_headers(&observing(), &header_list(&headers), &demo())
    };
    let conditional = |name, value| {
        let path = format!("{MANIFESTS}latest");
        ask(&observing(), ("GET", &path, "qnib-type1"), &[(name, value)], &demo())
    };
    for outcome in [narrow(DOCKER_MANIFEST), conditional("if-none-match", "\"x\""), conditional("range", "bytes=0-1")] {
        assert_eq!(requests(&outcome), ["GET own"], "it goes on as it is");
        assert_eq!((outcome.status, outcome.counters), (200, vec!["metahub_passed_through"]));
    }
}

#[test]
fn what_is_no_index_of_images_passes_as_ever() {
    let artifact = json!({ "mediaType": OCI_INDEX, "artifactType": "x/y", "manifests": [child(&[]).0] }).to_string();
    let rows = [Response::new(200, DOCKER_MANIFEST, child(&[]).1), Response::new(200, OCI_INDEX, artifact)];
    for response in rows {
        let upstream = ScriptedRegistry { index: Some(response.clone()), ..ScriptedRegistry::default() };
        let outcome = pull(&observing(), "GET", &upstream);
        assert_eq!((outcome.status, &outcome.body), (200, &response.body));
        assert_eq!(outcome.counters, ["metahub_passed_through"]);
    }
}

#[test]
fn access_is_checked_all_the_same() {
    let (upstream, mut upstream_mode) = (demo(), configuration());
    let path = format!("{MANIFESTS}latest");
    let wrong = send(&observing(), "GET", &path, "qnib-type1", "wrong", &upstream);
    let elsewhere = send(&observing(), "GET", &path, "team-type1", "team", &upstream);
    let nobody = send(&observing(), "GET", "/v2/team/a/manifests/latest", "team", "team", &upstream);
    assert_eq!([wrong.status, elsewhere.status, nobody.status], [401, 403, 403]);
    upstream_mode["registries"]["registry"]["authentication"] = json!("upstream");
    let config = in_mode("observe", upstream_mode);
    assert_eq!(pull(&config, "GET", &upstream).status, 200);
    for status in [401, 403, 404] {
        let upstream = ScriptedRegistry { memory: demo().memory, ..demo() };
        assert_eq!(pull(&config, "GET", &upstream).status, 200);
        let refusal = Response::new(status, "application/json", "{}");
        let upstream = ScriptedRegistry { index: Some(refusal), memory: upstream.memory, ..demo() };
        assert_eq!(pull(&config, "GET", &upstream).status, status);
    }
}

/// Its clients ask for the index's digest next.
#[test]
fn an_observed_registry_refuses_no_index_by_digest() {
    let mut document = configuration();
    document["index_by_digest"] = json!("refuse");
    let config = in_mode("observe", document);
    let mut upstream = demo();
    let index = upstream.index.clone().unwrap();
    let digest = Digest::of(&index.body).to_string();
    upstream.by_digest.insert(digest.clone(), Some(index));
    assert_eq!(pull(&config, "HEAD", &upstream).header("docker-content-digest"), digest);
    for method in ["HEAD", "GET"] {
        let outcome = ask(&config, (method, &format!("{MANIFESTS}{digest}"), "qnib-type1"), &[], &upstream);
        assert_eq!((outcome.status, outcome.counters.len()), (200, 0), "{method}");
    }
}

#[test]
fn the_mode_takes_effect_with_the_configuration() {
    let (upstream, child) = (demo(), child(&["cpu:broadwell"]).1);
    let index = upstream.index.clone().unwrap().body;
    for (mode, expected) in [("observe", &index), ("select", &child), ("observe", &index), ("select", &child)] {
        assert_eq!(&pull(&in_mode(mode, configuration()), "GET", &upstream).body, expected, "{mode}");
    }
}

#[test]
fn an_explanation_says_that_the_registry_is_only_observed() {
    for mode in ["observe", "select"] {
        let path = "/metahub/v1/explain?image=qnib/bench";
        let outcome = ask(&in_mode(mode, configuration()), ("GET", path, "qnib-type1"), &[], &demo());
        let explained: Value = serde_json::from_slice(&outcome.body).unwrap();
        assert_eq!(explained["mode"], mode);
        let selected = Digest::of(&child(&["cpu:broadwell"]).1).to_string();
        assert_eq!(explained["machine_types"][0]["selected"], selected);
    }
}
