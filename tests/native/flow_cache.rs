//! The requests that the cache spares upstream, and the answers that it must never give.

use metahub::config::Config;
use metahub::oci::digest::Digest;
use metahub::oci::media_type::DOCKER_MANIFEST;
use metahub::text::headers::HeaderChange;
use serde_json::{Value, json};

use super::driver::{configuration, exchange, parse, send};
use super::outcome::Outcome;
use super::scripted_registry::{Response, ScriptedRegistry, child, list};

pub(super) const DEMO: &str = "qnib/bench:latest";

pub(super) fn demo() -> ScriptedRegistry {
    ScriptedRegistry::with_list(&[child(&[]), child(&["cpu:skylake"]), child(&["cpu:broadwell"])])
}

pub(super) fn with_cache(cache: &Value) -> Value {
    let mut document = configuration();
    document["cache"] = cache.clone();
    document
}

/// The requests that went to the registry, in order: `GET latest, GET sha256:…`; the client's own request last.
pub(super) fn requests(outcome: &Outcome) -> Vec<String> {
    let path = |headers: &[(&str, String)]| {
        let value = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()).unwrap();
        let last = value(":path").rsplit('/').next().unwrap().split(':').next().unwrap().to_owned();
        format!("{} {last}", value(":method"))
    };
    let own = outcome.asked.iter().map(|method| format!("{method} own"));
    own.chain(outcome.callouts.iter().map(|callout| path(&callout.headers))).collect()
}

#[test]
fn a_known_image_costs_upstream_one_head() {
    let (config, upstream) = (parse(&configuration()), demo());
    let pull = |method, user| exchange(&config, method, DEMO, user, &upstream);
    let cold = pull("GET", "qnib-type1");
    assert_eq!(requests(&cold), ["GET latest", "GET sha256"]);
    assert_eq!(cold.cache.iter().filter(|name| **name == "metahub_cache_miss").count(), 1);
    for method in ["GET", "HEAD", "GET"] {
        let warm = pull(method, "qnib-type1");
        assert_eq!(requests(&warm), ["HEAD own"], "{method}");
        assert_eq!((warm.status, warm.counters.as_slice()), (200, ["metahub_selected"].as_slice()));
        assert_eq!(warm.cache, ["metahub_cache_hit"]);
        let headers = |outcome: &Outcome| {
            let mut names: Vec<String> = outcome.headers.keys().cloned().collect();
            names.sort();
            names.into_iter().map(|name| (outcome.header(&name).to_owned(), name)).collect::<Vec<_>>()
        };
        assert_eq!(headers(&warm), headers(&cold), "{method}");
        if method == "GET" {
            assert_eq!(warm.body, cold.body);
        }
    }
}

#[test]
fn a_large_image_passes_from_upstream() {
    // One that the cache has no slot for, and one that it has.
    for size in [600_000, 100_000] {
        let (config, upstream, digest) = large(size);
        let cold = exchange(&config, "GET", DEMO, "qnib-type1", &upstream);
        assert_eq!(
            requests(&cold),
            ["GET own", "GET latest", "GET sha256"],
            "fetched once and checked, for all who wait"
        );
        for method in ["HEAD", "GET"] {
            let warm = exchange(&config, method, DEMO, "qnib-type1", &upstream);
            assert_eq!(requests(&warm), [&format!("{method} own"), "HEAD latest"], "{method}");
            for outcome in [&warm, &cold] {
                let length = (size + DOCKER_MANIFEST.len()).to_string();
                let said = [outcome.header("docker-content-digest"), outcome.header("content-length")];
                assert_eq!((outcome.status, said), (200, [digest.as_str(), &length]), "{method}");
                assert_eq!(outcome.header("x-metahub-machine-type"), "type1");
            }
            let changed = |name: &str| {
                warm.changes.iter().find_map(|change| match change {
                    HeaderChange::Set(key, value) if *key == name => Some(value.clone()),
                    _ => None,
                })
            };
            assert_eq!(changed(":path"), Some(format!("/v2/qnib/bench/manifests/{digest}")));
            assert_eq!(changed("accept-encoding").as_deref(), Some("identity"));
            let body = if method == "GET" { size + DOCKER_MANIFEST.len() } else { 0 };
            assert_eq!((warm.body.len(), warm.counters.as_slice()), (body, ["metahub_selected"].as_slice()));
        }
    }
}

#[test]
fn a_large_image_that_is_another_on_its_way_is_cut_off() {
    let (config, mut upstream, digest) = large(100_000);
    assert_eq!(exchange(&config, "GET", DEMO, "qnib-type1", &upstream).status, 200);
    let good = upstream.by_digest[&digest].clone().unwrap();
    let change = |change: &dyn Fn(Response) -> Response| Some(change(good.clone()));
    let (size, type_) = (good.body.len(), |name| format!("application/vnd.oci.image.{name}.v1+json"));
    let rows: [(Option<Response>, u16, &str); 7] = [
        (change(&|response| Response { body: vec![b'x'; size], ..response }), 0, "hashes to something else"),
        (change(&|response| Response { body: vec![b'x'; size + 1], ..response }), 0, "bytes, not"),
        (change(&|response| Response { body: vec![b'x'; size - 1], ..response }), 0, "bytes, not"),
        (change(&|response| response.without("content-length").with("content-length", "7")), 502, "has 7 bytes, not"),
        (change(&|response| response.with("content-encoding", "gzip")), 502, " compressed; "),
        (change(&|response| response.without("content-type").with("content-type", &type_("index"))), 502, "media type"),
        (change(&|response| Response { status: 404, ..response }), 404, "does not have the manifest"),
    ];
    for (response, status, problem) in rows {
        upstream.by_digest.insert(digest.clone(), response);
        let outcome = exchange(&config, "GET", DEMO, "qnib-type1", &upstream);
        assert_eq!(outcome.status, status, "{problem}");
        assert!(outcome.lines.iter().any(|line| line.contains(problem)), "{problem}: {:?}", outcome.lines);
    }
    upstream.by_digest.insert(digest, Some(good));
    assert_eq!(exchange(&config, "GET", DEMO, "qnib-type1", &upstream).status, 200);
}

#[test]
fn a_client_is_sent_round_once_when_its_tag_moves_to_a_large_image() {
    let (config, mut upstream) = (parse(&configuration()), demo());
    assert_eq!(exchange(&config, "GET", DEMO, "qnib-type1", &upstream).status, 200);
    let (_, moved, digest) = large(100_000);
    (upstream.index, upstream.by_digest) = (moved.index, moved.by_digest);
    let index = upstream.index.clone();
    let named =
        index.as_ref().and_then(|index| index.list().into_iter().find(|(name, _)| name == "docker-content-digest"));
    upstream.by_digest.insert(String::from_utf8(named.unwrap().1).unwrap(), index);
    let outcome = exchange(&config, "GET", DEMO, "qnib-type1", &upstream);
    assert_eq!((outcome.status, outcome.header("location")), (307, "/v2/qnib/bench/manifests/latest?metahub-retry=1"));
    let again = send(&config, "GET", outcome.header("location"), "qnib-type1", "qnib-type1", &upstream);
    assert_eq!((again.status, again.header("docker-content-digest")), (200, digest.as_str()), "{:?}", again.lines);
}

/// A configuration, and a registry with one image whose manifest has this many bytes and a few more.
pub(super) fn large(size: usize) -> (Config, ScriptedRegistry, String) {
    let bytes = [DOCKER_MANIFEST.as_bytes(), &vec![b' '; size]].concat();
    let platform = json!({ "os": "linux", "architecture": "amd64" });
    let digest = Digest::of(&bytes).to_string();
    let entry = json!({ "mediaType": DOCKER_MANIFEST, "digest": digest, "size": bytes.len(), "platform": platform });
    (parse(&configuration()), ScriptedRegistry::with_list(&[(entry, bytes)]), digest)
}

#[test]
fn a_fleet_costs_one_get_per_index_and_one_per_selected_image() {
    let (config, upstream) = (parse(&configuration()), demo());
    let mut gets = 0;
    for _ in 0..10 {
        for user in ["team-type1", "team-type2", "qnib-type1"] {
            let image = if user.starts_with("team") { "team/bench:latest" } else { DEMO };
            let outcome = exchange(&config, "GET", image, user, &upstream);
            let digest = outcome.header("docker-content-digest").to_owned();
            let by_digest = format!("/v2/{}/manifests/{digest}", image.split(':').next().unwrap());
            let password = user.strip_suffix("-type1").or(user.strip_suffix("-type2")).filter(|name| *name == "team");
            let again = send(&config, "GET", &by_digest, user, password.unwrap_or(user), &upstream);
            if outcome.status == 200 {
                assert_eq!((again.status, &again.body), (200, &outcome.body));
                assert_eq!(requests(&again), ["HEAD own"]);
            }
            gets += requests(&outcome).iter().filter(|request| request.starts_with("GET")).count();
        }
    }
    // Two repositories; the team's login names are refused by `exchange`, whose passwords are the whole names.
    assert_eq!(gets, 2);
}

#[test]
fn machine_types_share_an_index() {
    let (config, upstream) = (parse(&configuration()), demo());
    let team = |user| send(&config, "GET", "/v2/team/bench/manifests/latest", user, "team", &upstream);
    assert_eq!(requests(&team("team-type1")), ["GET latest", "GET sha256"]);
    assert_eq!(requests(&team("team-type2")), ["HEAD own", "GET sha256"], "the index is known, the image is not");
    assert_eq!(requests(&team("team-type1")), ["HEAD own"]);
    assert_eq!(requests(&team("team-type2")), ["HEAD own"]);
}

#[test]
fn a_moved_tag_takes_effect_at_once() {
    let (config, mut upstream) = (parse(&configuration()), demo());
    let pull = |upstream: &ScriptedRegistry| exchange(&config, "GET", DEMO, "qnib-type1", upstream);
    assert_eq!(pull(&upstream).status, 200);
    let (entry, bytes) = child(&["cpu:haswell"]);
    let moved = ScriptedRegistry::with_list(&[(entry, bytes.clone())]);
    let index = moved.index.clone().unwrap();
    upstream.by_digest.extend(moved.by_digest);
    upstream.by_digest.insert(Digest::of(&index.body).to_string(), Some(index.clone()));
    let before = upstream.index.replace(index);
    let outcome = pull(&upstream);
    assert_eq!(requests(&outcome), ["HEAD own", "GET sha256", "GET sha256"]);
    assert_eq!(outcome.body, bytes);
    upstream.index = before;
    assert_eq!(requests(&pull(&upstream)), ["HEAD own"], "moved back: all of it is known");
}

#[test]
fn denied_and_deleted_tags_take_effect_at_once() {
    let config = parse(&configuration());
    for (status, expected) in [(401, 403), (403, 403), (404, 404), (429, 429), (503, 503)] {
        let mut upstream = demo();
        assert_eq!(exchange(&config, "GET", DEMO, "qnib-type1", &upstream).status, 200);
        let response = Response::new(status, "application/json", "{\"errors\":[]}").with("retry-after", "9");
        upstream.index = Some(response.with("ratelimit-remaining", "0;w=21600"));
        let outcome = exchange(&config, "GET", DEMO, "qnib-type1", &upstream);
        assert_eq!(outcome.status, expected, "{status}");
        assert_eq!(outcome.header("retry-after"), if matches!(status, 401) { "" } else { "9" }, "{status}");
        if status == 429 {
            assert_eq!(outcome.header("ratelimit-remaining"), "0;w=21600");
            assert_eq!(outcome.code(), "TOOMANYREQUESTS");
            assert_eq!(requests(&outcome), ["HEAD own"], "no further request");
        }
    }
}

#[test]
fn a_registry_without_head_or_digests_is_asked_with_get() {
    let config = parse(&configuration());
    let mut upstream = demo();
    upstream.index = upstream.index.map(|index| index.without("docker-content-digest"));
    for _ in 0..2 {
        let outcome = exchange(&config, "GET", DEMO, "qnib-type1", &upstream);
        assert_eq!(outcome.status, 200);
        assert_eq!(requests(&outcome)[0], "GET latest", "a HEAD would say nothing");
    }
    let mut upstream = demo();
    assert_eq!(exchange(&config, "GET", DEMO, "qnib-type1", &upstream).status, 200);
    upstream.refuses_head = Some(405);
    let outcome = exchange(&config, "GET", DEMO, "qnib-type1", &upstream);
    assert_eq!(
        (outcome.status, requests(&outcome)),
        (200, ["HEAD own", "HEAD latest", "GET latest"].map(str::to_owned).to_vec())
    );
}

#[test]
fn content_is_served_only_after_upstreams_word() {
    let (config, mut upstream) = (parse(&configuration()), demo());
    let (entry, bytes) = child(&["cpu:broadwell"]);
    let digest = entry["digest"].as_str().unwrap();
    let path = |repository: &str| format!("/v2/{repository}/manifests/{digest}");
    let get = |repository: &str, upstream: &ScriptedRegistry| {
        send(&config, "GET", &path(repository), "qnib-type1", "qnib-type1", upstream)
    };
    assert_eq!(requests(&get("qnib/bench", &upstream)), ["GET sha256"]);
    let known = get("qnib/bench", &upstream);
    assert_eq!((known.status, &known.body, requests(&known)), (200, &bytes, vec!["HEAD own".to_owned()]));
    assert_eq!(known.header("content-type"), DOCKER_MANIFEST);
    assert_eq!(known.header("docker-content-digest"), digest);
    assert_eq!(requests(&get("other/bench", &upstream)), ["GET sha256"], "known in one repository only");
    for (status, expected) in [(401, 403), (403, 403), (404, 404), (429, 429), (500, 503)] {
        upstream.by_digest.insert(digest.to_owned(), Some(Response::new(status, "text/plain", "no")));
        let outcome = get("qnib/bench", &upstream);
        assert_eq!(outcome.status, expected);
        assert_ne!(outcome.body, bytes, "{status}");
    }
}

#[test]
fn content_that_hashes_to_something_else_is_refused_and_not_kept() {
    let (config, mut upstream) = (parse(&configuration()), demo());
    let (entry, bytes) = child(&["cpu:broadwell"]);
    let digest = entry["digest"].as_str().unwrap();
    let path = format!("/v2/qnib/bench/manifests/{digest}");
    let get = |upstream: &ScriptedRegistry| send(&config, "GET", &path, "qnib-type1", "qnib-type1", upstream);
    upstream.by_digest.insert(digest.to_owned(), Some(Response::new(200, DOCKER_MANIFEST, "forged")));
    let outcome = get(&upstream);
    assert_eq!((outcome.status, outcome.code().as_str()), (502, "MANIFEST_INVALID"));
    upstream.by_digest.insert(digest.to_owned(), Some(Response::new(200, DOCKER_MANIFEST, bytes.clone())));
    let outcome = get(&upstream);
    assert_eq!((requests(&outcome), outcome.body), (vec!["GET sha256".to_owned()], bytes));
}

/// Upstream names a digest that is not the index's: nothing is kept under it, and the served document is verified as
/// always.
#[test]
fn a_digest_that_lies_is_as_good_as_none() {
    let (config, mut upstream) = (parse(&configuration()), demo());
    let index = upstream.index.take().unwrap().without("docker-content-digest");
    upstream.index = Some(index.with("docker-content-digest", Digest::of(b"another").as_str()));
    for _ in 0..2 {
        let outcome = exchange(&config, "GET", DEMO, "qnib-type1", &upstream);
        assert_eq!((outcome.status, requests(&outcome)[0].as_str()), (200, "GET latest"));
        assert_eq!(outcome.body, child(&["cpu:broadwell"]).1);
    }
}

/// HEAD names a digest behind which GET has something else.
#[test]
fn a_moved_tag_must_lead_to_what_it_names() {
    let (config, mut upstream) = (parse(&configuration()), demo());
    assert_eq!(exchange(&config, "GET", DEMO, "qnib-type1", &upstream).status, 200);
    let (index, other) = (upstream.index.take().unwrap(), Digest::of(b"another"));
    upstream.by_digest.insert(other.to_string(), Some(index.clone()));
    upstream.index = Some(index.without("docker-content-digest").with("docker-content-digest", other.as_str()));
    let outcome = exchange(&config, "GET", DEMO, "qnib-type1", &upstream);
    assert_eq!((outcome.status, outcome.code().as_str()), (502, "MANIFEST_INVALID"));
}

#[test]
fn single_manifests_are_known_too() {
    let (config, mut upstream) = (parse(&configuration()), demo());
    let (_, bytes) = child(&["cpu:skylake"]);
    let digest = Digest::of(&bytes).to_string();
    upstream.index = Some(Response::new(200, DOCKER_MANIFEST, bytes.clone()).with("docker-content-digest", &digest));
    for expected in [["GET latest"], ["HEAD own"]] {
        let outcome = exchange(&config, "GET", DEMO, "qnib-type1", &upstream);
        assert_eq!((requests(&outcome), &outcome.body), (expected.map(str::to_owned).to_vec(), &bytes));
        assert_eq!(outcome.counters, ["metahub_passed_through"]);
        assert_eq!(outcome.header("x-metahub-selected"), "passed through: not an index");
    }
}

#[test]
fn a_missing_variant_is_counted_from_the_cache_too() {
    let (config, upstream) =
        (parse(&configuration()), ScriptedRegistry::with_list(&[child(&[]), child(&["cpu:haswell"])]));
    for (now, is_logged) in [(0, true), (3_599, false), (3_600, true)] {
        upstream.memory.now.set(now);
        let outcome = exchange(&config, "GET", DEMO, "qnib-type1", &upstream);
        assert_eq!(outcome.counters, ["metahub_selected", "metahub_missing_variant"]);
        let lines: Vec<bool> = outcome.lines.iter().map(|line| line.contains("cpu:broadwell")).collect();
        assert_eq!(lines, vec![true; usize::from(is_logged)], "once an hour, at {now}: {:?}", outcome.lines);
    }
}

/// Two images of one platform, without the features that somebody meant to give them.
#[test]
fn images_that_only_list_order_tells_apart_are_counted_each_time_and_logged_once_an_hour() {
    let (config, twin) = (parse(&configuration()), child(&["cpu:skylake"]));
    let mut lost = twin.0.clone();
    lost["platform"]["features"] = json!([]);
    let upstream = ScriptedRegistry::with_list(&[child(&[]), (lost, twin.1)]);
    // The first from the registry, the others from the cache.
    for (now, is_logged) in [(10_000, true), (10_001, false), (13_599, false), (13_600, true)] {
        upstream.memory.now.set(now);
        let outcome = exchange(&config, "GET", DEMO, "qnib-type1", &upstream);
        assert_eq!((outcome.status, &outcome.body), (200, &child(&[]).1), "the first of the list");
        assert_eq!(outcome.counters, ["metahub_selected", "metahub_indistinguishable"], "at {now}");
        assert_eq!(outcome.lines.len(), usize::from(is_logged), "at {now}: {:?}", outcome.lines);
        for line in &outcome.lines {
            for part in ["qnib/bench:latest", "type1", "some tool has lost their features", "(1)", "linux/amd64"] {
                assert!(line.contains(part), "{line} lacks {part}");
            }
        }
    }
    let other = exchange(&config, "GET", "qnib/other:latest", "qnib-type1", &upstream);
    assert_eq!(other.lines.len(), 1, "another image has a line of its own");
}

#[test]
fn on_no_match_takes_effect_with_the_configuration() {
    let upstream = ScriptedRegistry::with_list(&[child(&["cpu:zen4"])]);
    let mut document = configuration();
    document["on_no_match"] = json!("unfiltered");
    for (on_no_match, status) in [("unfiltered", 200), ("refuse", 404), ("deny", 403), ("unfiltered", 200)] {
        document["on_no_match"] = json!(on_no_match);
        assert_eq!(exchange(&parse(&document), "GET", DEMO, "qnib-type1", &upstream).status, status, "{on_no_match}");
    }
}

#[test]
fn nested_indexes_are_kept_too() {
    let (config, mut upstream) = (parse(&configuration()), demo());
    let inner = upstream.index.take().unwrap();
    let digest = Digest::of(&inner.body).to_string();
    let entry = json!({ "mediaType": metahub::oci::media_type::DOCKER_LIST, "digest": digest, "size": inner.body.len(),
        "platform": { "os": "linux", "architecture": "amd64" } });
    upstream.by_digest.insert(digest, Some(inner));
    let outer = list(&[entry]);
    let named = Digest::of(&outer).to_string();
    upstream.index =
        Some(Response::new(200, metahub::oci::media_type::DOCKER_LIST, outer).with("docker-content-digest", &named));
    let team = |user| requests(&send(&config, "GET", "/v2/team/b/manifests/latest", user, "team", &upstream));
    assert_eq!(team("team-type1"), ["GET latest", "GET sha256", "GET sha256"]);
    assert_eq!(team("team-type1"), ["HEAD own"]);
    assert_eq!(team("team-type2"), ["HEAD own", "GET sha256"]);
}
