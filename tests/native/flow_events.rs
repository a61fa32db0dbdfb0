//! Events for a build pipeline: which requests queue one, and what it says.

use metahub::config::Config;
use metahub::oci::digest::Digest;
use metahub::oci::media_type;
use serde_json::{Value, json};

use super::driver::{configuration, exchange, header_list_of, parse, send_headers};
use super::envoy::Envoy;
use super::schema::require;
use super::scripted_registry::{Response, ScriptedRegistry, child, header_list};

fn with_events() -> Config {
    let mut document = configuration();
    document["events"] = json!({ "cluster": "builds", "host": "builds.example" });
    parse(&document)
}

/// An image in variants of `cpu`, none of them type1's.
fn variants() -> ScriptedRegistry {
    ScriptedRegistry::with_list(&[child(&[]), child(&["cpu:haswell"])])
}

/// The events that a pull queued, each as the schema describes it.
fn pull(config: &Config, image: &str, upstream: &ScriptedRegistry) -> Vec<Value> {
    let (name, tag) = image.split_once(':').unwrap();
    let mut headers = header_list_of("GET", &format!("/v2/{name}/manifests/{tag}"), "qnib-type1", "qnib-type1");
    headers.extend(header_list(&[("accept", &media_type::ALL.join(", "))]));
    let outcome = send_headers(config, &headers, upstream);
    let events: Vec<Value> = outcome.events.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let schema: Value = serde_json::from_str(include_str!("../../docs/events.schema.json")).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    events.iter().for_each(|event| require(&schema, event, image));
    events
}

#[test]
fn a_missing_variant_is_one_event_an_hour() {
    let (config, upstream) = (with_events(), variants());
    upstream.memory.now.set(1_790_000_000);
    let index = Digest::of(&upstream.index.as_ref().unwrap().body).to_string();
    let events = pull(&config, "qnib/bench:latest", &upstream);
    let expected = json!({
        "reason": "missing_variant", "registry": "registry.example", "repository": "qnib/bench", "tag": "latest",
        "variant_tag": null, "index": index, "machine_type": "type1", "os": "linux", "os_version": null,
        "architecture": "amd64", "variant": "v3", "features": ["cpu:broadwell"], "missing": ["cpu:broadwell"],
        "first_seen": 1_790_000_000, "count": 1,
    });
    assert_eq!(events, [expected]);
    for _ in 0..20 {
        assert_eq!(pull(&config, "qnib/bench:latest", &upstream), [] as [Value; 0]);
    }
    assert_eq!(pull(&config, "qnib/bench:other", &upstream).len(), 1, "another image");
    upstream.memory.now.set(1_790_003_600);
    let events = pull(&config, "qnib/bench:latest", &upstream);
    assert_eq!((&events[0]["first_seen"], &events[0]["count"]), (&json!(1_790_000_000), &json!(22)));
}

#[test]
fn an_image_of_which_nothing_fits_is_an_event() {
    for on_no_match in ["refuse", "deny", "unfiltered", "observe"] {
        let mut document = configuration();
        document["events"] = json!({ "cluster": "builds", "host": "builds.example" });
        if on_no_match == "observe" {
            document["registries"]["registry"]["mode"] = json!("observe");
        } else {
            document["on_no_match"] = json!(on_no_match);
        }
        let (config, upstream) = (parse(&document), ScriptedRegistry::with_list(&[child(&["cpu:zen4"])]));
        let index = Digest::of(&upstream.index.as_ref().unwrap().body).to_string();
        let events = pull(&config, "qnib/bench:latest", &upstream);
        assert_eq!(events.len(), 1, "{on_no_match}");
        let event = &events[0];
        assert_eq!((&event["reason"], &event["index"]), (&json!("nothing_fits"), &json!(index)), "{on_no_match}");
        assert_eq!(event["missing"], json!([]), "{on_no_match}");
        assert_eq!(pull(&config, "qnib/bench:latest", &upstream).len(), 0, "{on_no_match}");
    }
}

#[test]
fn a_tag_of_a_variant_that_does_not_exist_is_an_event() {
    let mut document = configuration();
    document["events"] = json!({ "cluster": "builds", "host": "builds.example" });
    let variants = json!([{ "tag": "{tag}-broadwell", "features": ["cpu:broadwell"] }, { "tag": "{tag}" }]);
    document["images"] = json!({ "qnib/bench": [{ "tag": "*", "variants": variants }] });
    let (config, mut upstream) = (parse(&document), ScriptedRegistry::with_list(&[child(&[])]));
    let absent = Response::new(404, "application/json", "{}");
    upstream.by_digest.insert("latest-broadwell".to_owned(), Some(absent));
    let events = pull(&config, "qnib/bench:latest", &upstream);
    assert_eq!(events.len(), 1, "{events:?}");
    let shown = ["reason", "tag", "variant_tag", "machine_type"].map(|key| events[0][key].as_str().unwrap());
    assert_eq!(shown, ["absent_tag", "latest", "latest-broadwell", "type1"]);
    assert_eq!(pull(&config, "qnib/bench:latest", &upstream).len(), 0);
}

#[test]
fn what_is_there_is_no_event() {
    let (config, upstream) = (with_events(), ScriptedRegistry::with_list(&[child(&[]), child(&["cpu:broadwell"])]));
    assert_eq!(pull(&config, "qnib/bench:latest", &upstream).len(), 0);
    // An image that is not made in variants.
    let upstream = ScriptedRegistry::with_list(&[child(&[])]);
    assert_eq!(pull(&config, "qnib/bench:latest", &upstream).len(), 0);
    // Whole indexes are for no machine.
    assert_eq!(exchange(&config, "GET", "qnib/bench:latest", "all", &variants()).events.len(), 0);
}

#[test]
fn without_a_receiver_nothing_is_queued_or_remembered() {
    let (config, upstream) = (parse(&configuration()), variants());
    assert_eq!(exchange(&config, "GET", "qnib/bench:latest", "qnib-type1", &upstream).events.len(), 0);
    assert!(!upstream.memory.values.borrow().keys().any(|key| key.starts_with("metahub.events.")));
}

/// An index is written by its author, who may mean ill. Nothing of its text is in an event.
#[test]
fn no_text_of_a_document_is_in_an_event() {
    let config = with_events();
    let hostile = ["cpu:$(touch x)", "$(touch x)", "cpu:haswell"];
    for rows in [vec![child(&["cpu:haswell"]), child(&hostile)], vec![child(&hostile)]] {
        let upstream = ScriptedRegistry::with_list(&rows);
        let outcome = exchange(&config, "GET", "qnib/bench:latest", "qnib-type1", &upstream);
        assert_eq!(outcome.events.len(), 1);
        assert!(!outcome.events[0].contains("touch"), "{}", outcome.events[0]);
    }
}

#[test]
fn an_event_without_room_is_counted_once() {
    let (config, upstream) = (with_events(), variants());
    let counted = |times: u32| {
        let request = header_list_of("GET", "/v2/qnib/bench/manifests/latest", "qnib-type1", "qnib-type1");
        let envoy = Envoy::new(&config, &request, &upstream);
        envoy.fails.set(("queue_event", times));
        envoy.run();
        let outcome = envoy.outcome.into_inner();
        assert_eq!((outcome.status, outcome.events.len()), (200, 0));
        outcome.counters.contains(&"metahub_events_dropped")
    };
    assert!(counted(1));
    assert!(!counted(0), "within the hour it is not tried again");
}
