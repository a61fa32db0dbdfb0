//! Facts that are remembered of the tags of an image, for how long, and for whom.

use metahub::text::headers::HeaderChange;
use serde_json::json;

use super::driver::{parse, send, send_headers};
use super::flow_cache::requests;
use super::flow_images::{document, ollama, pull, push, says};
use super::flow_jwt::jwt;
use super::scripted_registry::{Response, ScriptedRegistry, header_list};

#[test]
fn a_known_variant_costs_upstream_one_head() {
    let (config, upstream) = (parse(&document()), ollama());
    let cold = pull(&config, "rocm", "0.5", &upstream);
    assert_eq!(requests(&cold), ["GET 0.5-rocm", "GET sha256"]);
    let warm = pull(&config, "rocm", "0.5", &upstream);
    assert_eq!((requests(&warm), &warm.body), (vec!["HEAD own".to_owned()], &cold.body));
    let path = HeaderChange::Set(":path", "/v2/ollama/ollama/manifests/0.5-rocm".to_owned());
    assert!(warm.changes.contains(&path), "{:?}", warm.changes);
    assert!(warm.lines.is_empty() && !warm.counters.contains(&"metahub_missing_variant"));
    // The cache is the one of the tag itself.
    assert_eq!(requests(&pull(&config, "rocm", "0.5-rocm", &upstream)), ["HEAD own"]);
}

#[test]
fn a_missing_variant_is_asked_for_once_a_minute_and_found_within_one() {
    let (config, mut upstream) = (parse(&document()), ollama());
    upstream.by_digest.remove("0.5-rocm");
    let cold = pull(&config, "rocm", "0.5", &upstream);
    assert_eq!(requests(&cold), ["GET 0.5-rocm", "GET 0.5", "GET sha256"]);
    assert_eq!(says(&cold), "0.5 amd64");
    assert!(cold.counters.contains(&"metahub_missing_variant"), "{:?}", cold.counters);
    let reason = "linux/amd64; the only one that fits; 1 of 2 fit";
    assert_eq!(
        cold.lines,
        [format!("ollama/ollama:0.5 has no tag 0.5-rocm: machine type rocm falls back to tag 0.5: {reason}")]
    );
    upstream.memory.now.set(1_059);
    let warm = pull(&config, "rocm", "0.5", &upstream);
    assert_eq!((requests(&warm), says(&warm)), (vec!["HEAD own".to_owned()], "0.5 amd64".to_owned()));
    assert!(warm.counters.contains(&"metahub_missing_variant"), "counted each time, logged once an hour");
    upstream.memory.now.set(1_060);
    assert_eq!(requests(&pull(&config, "rocm", "0.5", &upstream)), ["GET 0.5-rocm", "HEAD 0.5"]);
    push(&mut upstream, "0.5-rocm", &["amd64"]);
    upstream.memory.now.set(1_119);
    assert_eq!(says(&pull(&config, "rocm", "0.5", &upstream)), "0.5 amd64", "still remembered");
    upstream.memory.now.set(1_120);
    let found = pull(&config, "rocm", "0.5", &upstream);
    assert_eq!(
        (requests(&found), says(&found)),
        (vec!["GET 0.5-rocm".to_owned(), "GET sha256".to_owned()], "0.5-rocm amd64".to_owned())
    );
}

/// A variant that was there and is gone is not asked for with the client's request again and again.
#[test]
fn a_variant_that_disappears_is_absent() {
    let (config, mut upstream) = (parse(&document()), ollama());
    assert_eq!(says(&pull(&config, "rocm", "0.5", &upstream)), "0.5-rocm amd64");
    upstream.by_digest.remove("0.5-rocm");
    let gone = pull(&config, "rocm", "0.5", &upstream);
    assert_eq!(says(&gone), "0.5 amd64");
    assert_eq!(requests(&gone), ["HEAD own", "GET 0.5-rocm", "GET 0.5", "GET sha256"], "the 404 is confirmed");
    upstream.memory.now.set(1_060);
    assert_eq!(requests(&pull(&config, "rocm", "0.5", &upstream)), ["GET 0.5-rocm", "HEAD 0.5"]);
}

#[test]
fn a_tag_may_be_answered_from_an_earlier_confirmation() {
    let mut document = document();
    document["cache"] = json!({ "tag_ttl": "10m" });
    let (config, mut upstream) = (parse(&document), ollama());
    assert_eq!(says(&pull(&config, "rocm", "0.5", &upstream)), "0.5-rocm amd64");
    upstream.memory.now.set(1_599);
    let warm = pull(&config, "rocm", "0.5", &upstream);
    assert_eq!((says(&warm), requests(&warm).len()), ("0.5-rocm amd64".to_owned(), 0));
    // A better tag that is missing is asked for once a minute all the same.
    push(&mut upstream, "0.6", &["amd64"]);
    assert_eq!(says(&pull(&config, "rocm", "0.6", &upstream)), "0.6 amd64");
    assert_eq!(requests(&pull(&config, "rocm", "0.6", &upstream)).len(), 0);
    upstream.memory.now.set(1_659);
    assert_eq!(requests(&pull(&config, "rocm", "0.6", &upstream)), ["GET 0.6-rocm"]);
}

/// One account may not see the variant, which the registry shows as 404. Nobody else is the worse for it.
#[test]
fn what_is_hidden_from_one_account_is_hidden_from_nobody_else() {
    let mut document = document();
    document["registries"]["registry"]["authentication"] = json!("upstream");
    let (config, mut upstream) = (parse(&document), ollama());
    let get = |user: &str, password: &str, upstream: &ScriptedRegistry| {
        send(&config, "GET", "/v2/ollama/ollama/manifests/0.5", user, password, upstream)
    };
    let variant = upstream.by_digest.remove("0.5-rocm").unwrap();
    assert_eq!(says(&get("guest-rocm", "pw", &upstream)), "0.5 amd64");
    upstream.by_digest.insert("0.5-rocm".to_owned(), variant);
    assert_eq!(says(&get("guest-rocm", "pw", &upstream)), "0.5 amd64", "remembered");
    for (user, password) in [("staff-rocm", "pw"), ("guest-rocm", "other")] {
        assert_eq!(says(&get(user, password, &upstream)), "0.5-rocm amd64", "{user} {password}");
    }
    // The registry sees the account, not the machine type.
    let mut document = document.clone();
    document["machine_types"]["rocm2"] = json!({ "architecture": "amd64", "features": ["gfx:gfx942", "ib"] });
    let outcome = send(&parse(&document), "GET", "/v2/ollama/ollama/manifests/0.5", "guest-rocm2", "pw", &upstream);
    assert_eq!(says(&outcome), "0.5 amd64");
}

/// MetaHub's own credentials are what the registry sees of all accounts.
#[test]
fn accounts_share_what_the_registry_says_to_metahub() {
    let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
    let mut document = document();
    document["registries"]["registry"] = json!({
        "host": "registry.example", "authentication": "accounts", "credentials": { "username": "u", "password": "p" },
    });
    document["accounts"] = json!({
        "a": { "password": hash("a") }, "b": { "password": hash("b"), "repositories": ["ollama/*"] },
        "c": { "password": hash("c"), "repositories": ["else/*"] },
    });
    let (config, mut upstream) = (parse(&document), ollama());
    upstream.by_digest.remove("0.5-rocm");
    let get = |account: &str| {
        let user = format!("{account}-rocm");
        send(&config, "GET", "/v2/ollama/ollama/manifests/0.5", &user, account, &upstream)
    };
    assert_eq!(requests(&get("a")), ["GET 0.5-rocm", "GET 0.5", "GET sha256"]);
    assert_eq!(requests(&get("b")), ["HEAD own"]);
    assert_eq!((get("c").status, get("c").code().as_str()), (403, "DENIED"));
}

/// What the client's own headers may have brought about is not believed.
#[test]
fn a_404_to_the_clients_own_request_hides_nothing() {
    let (config, mut upstream) = (parse(&document()), ollama());
    assert_eq!(pull(&config, "rocm", "0.5", &upstream).status, 200);
    upstream.refuses_own_head = Some(404);
    for _ in 0..2 {
        let outcome = pull(&config, "rocm", "0.5", &upstream);
        assert_eq!(says(&outcome), "0.5-rocm amd64");
        assert_eq!(requests(&outcome)[..2], ["HEAD own", "GET 0.5-rocm"]);
    }
}

/// With a registry that refuses HEAD nothing changes but its cost.
#[test]
fn a_registry_without_head_is_asked_with_get() {
    let (config, mut upstream) = (parse(&document()), ollama());
    upstream.refuses_head = Some(405);
    for _ in 0..3 {
        assert_eq!(says(&pull(&config, "rocm", "0.5", &upstream)), "0.5-rocm amd64");
        assert_eq!(says(&pull(&config, "cpu", "0.5", &upstream)), "0.5 amd64");
    }
}

#[test]
fn without_a_cache_each_tag_is_asked_for() {
    let mut document = document();
    document["cache"] = json!({ "bytes": 0 });
    let (config, mut upstream) = (parse(&document), ollama());
    upstream.by_digest.remove("0.5-rocm");
    for _ in 0..2 {
        assert_eq!(requests(&pull(&config, "rocm", "0.5", &upstream)), ["GET 0.5-rocm", "GET 0.5", "GET sha256"]);
    }
}

/// Nothing is remembered of what a client's own token was told.
#[test]
fn with_brought_tokens_every_better_tag_is_asked_for() {
    let mut document = document();
    document["registries"]["registry"]["authentication"] = json!("upstream");
    document["registries"]["registry"]["accept_jwt"] = json!(true);
    let (config, mut upstream) = (parse(&document), ollama());
    upstream.by_digest.remove("0.5-rocm");
    let headers = header_list(&[
        (":method", "GET"),
        (":path", "/v2/ollama/ollama/manifests/0.5"),
        ("authorization", &jwt(r#"{"sub":"me-rocm"}"#)),
    ]);
    let cold = send_headers(&config, &headers, &upstream);
    assert_eq!(
        (says(&cold).as_str(), requests(&cold)[..2].to_vec()),
        ("0.5 amd64", vec!["GET 0.5-rocm".to_owned(), "GET 0.5".to_owned()])
    );
    assert_eq!(requests(&send_headers(&config, &headers, &upstream)), ["GET 0.5-rocm", "HEAD 0.5"]);
}

#[test]
fn a_variant_in_which_nothing_fits_is_passed_over() {
    for (tag_ttl, seconds) in [("0s", 60), ("90s", 90)] {
        let mut document = document();
        document["cache"] = json!({ "tag_ttl": tag_ttl });
        let (config, mut upstream) = (parse(&document), ollama());
        push(&mut upstream, "0.5-rocm", &["arm64"]);
        let cold = pull(&config, "rocm", "0.5", &upstream);
        assert_eq!(says(&cold), "0.5 amd64");
        assert!(!cold.counters.contains(&"metahub_missing_variant"), "the tag is there");
        upstream.memory.now.set(1_000 + seconds - 1);
        let asked = requests(&pull(&config, "rocm", "0.5", &upstream));
        assert!(!asked.iter().any(|request| request.contains("rocm")), "{tag_ttl}: {asked:?}");
        // It is remembered for this view, and not for the tag's name.
        let named = pull(&config, "rocm", "0.5-rocm", &upstream);
        assert!(named.message().contains("nothing fits; the index offers linux/arm64"), "{}", named.message());
        push(&mut upstream, "0.5-rocm", &["amd64"]);
        upstream.memory.now.set(1_000 + seconds);
        assert_eq!(says(&pull(&config, "rocm", "0.5", &upstream)), "0.5-rocm amd64", "{tag_ttl}");
    }
}

/// The registry has said that the variant is gone, so that nothing of it stands in for the registry later on.
#[test]
fn a_variant_that_is_gone_never_stands_in_for_a_registry_that_is_down() {
    for own_head in [None, Some(503)] {
        let mut document = document();
        document["cache"] = json!({ "serve_stale_on_error": "1h" });
        let (config, mut upstream) = (parse(&document), ollama());
        assert_eq!(says(&pull(&config, "rocm", "0.5", &upstream)), "0.5-rocm amd64");
        upstream.by_digest.remove("0.5-rocm");
        upstream.refuses_own_head = own_head;
        assert_eq!(says(&pull(&config, "rocm", "0.5", &upstream)), "0.5 amd64");
        upstream.refuses_own_head = None;
        upstream.memory.now.set(1_060);
        upstream.by_digest.insert("0.5-rocm".to_owned(), Some(Response::new(503, "text/plain", "down")));
        let down = pull(&config, "rocm", "0.5", &upstream);
        assert_eq!(down.status, 503, "{own_head:?}: {}", says(&down));
    }
}
