//! An account's view is not another's, although MetaHub remembers it: not after a good pull a moment ago, and not after
//! a permission was taken away.

use std::time::Duration;

use serde_json::{Value, json};

use super::{REPOSITORY, Stage, blob, manifest, password, users};
use metahub_testkit::client::Login;
use metahub_testkit::config::Edit as _;
use metahub_testkit::http::Response;
use metahub_testkit::token_service::Mood;
use metahub_testkit::wait_for;

/// The cache settings; each test holds for all of them. An operator who lets MetaHub believe a confirmation for some
/// time sets that time himself.
fn caches() -> [Value; 3] {
    [json!({ "bytes": "64MiB" }), json!({ "bytes": 0 }), json!({ "tag_ttl": "2s", "serve_stale_on_error": "2s" })]
}

/// No confirmation is believed, and no token used, for longer than this. It passes by the clocks of Envoy, the registry
/// and its tokens.
const FORGOTTEN: Duration = Duration::from_millis(2100);

/// Everything that there is to ask about the demo repository, with each answer that an allowed login gets.
fn questions(stage: &Stage) -> Vec<(&'static str, String)> {
    let image = stage.bench.image(&["cpu:broadwell"]);
    let child = format!("/v2/{REPOSITORY}/manifests/{}", image.manifest.digest());
    let list = format!("/v2/{REPOSITORY}/manifests/{}", stage.bench.list.digest());
    let (config, layer) = (blob(REPOSITORY, &image.config), blob(REPOSITORY, &image.layer));
    let both = [manifest(REPOSITORY), child, list, config, layer];
    let get = [format!("/v2/{REPOSITORY}/tags/list"), format!("/metahub/v1/explain?image={REPOSITORY}")];
    let both = both.into_iter().flat_map(|path| [("HEAD", path.clone()), ("GET", path)]);
    both.chain(get.map(|path| ("GET", path))).collect()
}

/// Puts another cache in force; `config` is the configuration without one.
fn put_in_force(stage: &Stage, config: &Value, cache: &Value) {
    let config = config.changed(|config| config.add("cache", cache.clone()));
    assert!(stage.envoy.reload(&config).unwrap(), "{cache}");
}

/// Asks, and follows MetaHub's own redirect, as clients do.
fn ask(stage: &Stage, (method, path): &(&str, String), login: &str, password: &str) -> Response {
    let answer = stage.ask(method, path, login, password);
    match answer.header("location").filter(|location| location.contains("metahub-retry")) {
        Some(again) => stage.ask(method, again, login, password),
        None => answer,
    }
}

/// This login gets everything, twice, so that MetaHub remembers all that it can.
fn assert_served(stage: &Stage, user: &str, password: &str) {
    for question in questions(stage).iter().cycle().take(2 * questions(stage).len()) {
        let answer = ask(stage, question, &format!("{user}-type1"), password);
        assert_eq!(answer.status, 200, "{user} {question:?}: {}", answer.text());
    }
}

/// This login gets nothing of it, on either worker, and the answers to it say nothing of the images.
fn assert_refused(stage: &Stage, user: &str, password: &str, status: u16) {
    for question in questions(stage).iter().cycle().take(2 * questions(stage).len()) {
        let answer = ask(stage, question, &format!("{user}-type1"), password);
        let text = answer.text();
        assert_eq!(answer.status, status, "{user} {question:?}: {text}");
        assert_eq!(answer.header("docker-content-digest"), None, "{user} {question:?}");
        assert_eq!(answer.header("x-metahub-selected"), None, "{user} {question:?}");
        assert!(!text.contains("sha256:"), "{user} {question:?}: {text}");
    }
}

#[test]
fn permissions_and_passwords_of_metahubs_own_accounts() {
    let account = |password: &str, repositories: &[&str]| {
        let hash = bcrypt::hash(password, 4).unwrap();
        json!({ "password": hash, "machine_types": ["type1", "type2"], "repositories": repositories })
    };
    let everything = [REPOSITORY, "library/*"];
    let stage = Stage::with_passwords(shared());
    let config = stage.envoy.config().changed(|config| {
        for user in ["alice", "bob"] {
            config.add(&format!("accounts.{user}"), account(password(user), &everything));
        }
    });
    // (bob's state now, and his results with the old password and with the new one.)
    let rows = [
        ("bob", account(password("bob"), &["library/*"]), 403, 401, "another repository"),
        ("bob", account("n3w-password", &everything), 401, 200, "a new password"),
        ("carol", account(password("bob"), &everything), 401, 401, "gone"),
    ];
    for cache in &caches() {
        put_in_force(&stage, &config, cache);
        for user in ["alice", "bob"] {
            assert_served(&stage, user, password(user));
        }
        assert_refused(&stage, "alice", "hunter2-wrong", 401);
        assert_refused(&stage, "alice", password("bob"), 401);
        for (name, now, old, new, what) in &rows {
            let changed = config.changed(|config| {
                config.remove("accounts.bob");
                config.add(&format!("accounts.{name}"), now.clone());
            });
            put_in_force(&stage, &changed, cache);
            assert_refused(&stage, "bob", password("bob"), *old);
            match new {
                200 => assert_served(&stage, "bob", "n3w-password"),
                status => assert_refused(&stage, "bob", "n3w-password", *status),
            }
            assert_served(&stage, "alice", password("alice"));
            put_in_force(&stage, &config, cache);
            assert_eq!(stage.get(&manifest(REPOSITORY), "bob", "type1").status, 200, "{what}: and back");
        }
    }
    stage.assert_discreet(&["hunter2-wrong", "n3w-password"]);
}

/// A machine type taken away from an account: what it pulled as that type a moment ago is not for it any more.
#[test]
fn machine_types_of_metahubs_own_accounts() {
    let stage = Stage::with_passwords(shared());
    let hash = bcrypt::hash(password("bob"), 4).unwrap();
    let bob = json!({ "password": hash, "machine_types": ["type1", "type2"] });
    let config = stage.envoy.config().changed(|config| config.add("accounts.bob", bob));
    let fewer = config.changed(|config| drop(config.remove("accounts.bob.machine_types.0")));
    for cache in &caches() {
        put_in_force(&stage, &config, cache);
        assert_served(&stage, "bob", password("bob"));
        put_in_force(&stage, &fewer, cache);
        for question in questions(&stage) {
            // bob may still ask `explain` about the other machine type.
            if !question.1.contains("explain") {
                assert_eq!(ask(&stage, &question, "bob-type1", password("bob")).status, 403, "{question:?}");
            }
        }
        assert_eq!(stage.get(&manifest(REPOSITORY), "bob", "type2").status, 200);
    }
}

/// MetaHub's own at the registry, which is alice's.
fn shared() -> Value {
    let credentials = json!({ "username": "alice", "password": password("alice") });
    json!({ "authentication": "accounts", "credentials": credentials })
}

/// The operator of the registry changes its file.
#[test]
fn users_of_a_registry_with_passwords() {
    let stage = Stage::with_passwords(json!({ "authentication": "upstream" }));
    let config = stage.envoy.config();
    let all = users();
    let [alice, bob] = &all[..] else { panic!("two users") };
    for cache in &caches() {
        put_in_force(&stage, &config, cache);
        for user in [alice, bob] {
            assert_served(&stage, &user.user, &user.password);
        }
        // The remembered login is for its own password only.
        assert_refused(&stage, "alice", "hunter2-wrong", 401);
        assert_refused(&stage, "alice", &bob.password, 401);
        stage.guarded().replace_users(std::slice::from_ref(alice)).unwrap();
        if cache.get("tag_ttl").is_some() {
            wait_while_remembered(&stage, "bob", 401);
        }
        assert_refused(&stage, "bob", &bob.password, 401);
        assert_served(&stage, "alice", &alice.password);

        stage.guarded().replace_users(&[alice.clone(), Login::new("bob", "n3w-password")]).unwrap();
        assert_refused(&stage, "bob", &bob.password, 401);
        assert_served(&stage, "bob", "n3w-password");
        assert_refused(&stage, "alice", "n3w-password", 401);
        assert_served(&stage, "alice", &alice.password);
        stage.guarded().replace_users(&all).unwrap();
    }
    stage.assert_discreet(&["n3w-password", "hunter2-wrong"]);
}

/// The operator of the token service takes a permission away: that counts when the tokens given out until then end.
#[test]
fn users_of_a_registry_with_tokens() {
    let stage = Stage::with_tokens(json!({ "authentication": "upstream" }));
    stage.tokens().set(Mood::Issue(2));
    let config = stage.envoy.config();
    for cache in &caches() {
        put_in_force(&stage, &config, cache);
        stage.tokens().allow_all();
        wait_while_remembered(&stage, "bob", 200);
        for user in ["alice", "bob"] {
            assert_served(&stage, user, password(user));
        }
        assert_refused(&stage, "alice", "hunter2-wrong", 401);
        stage.tokens().deny("bob");
        wait_while_remembered(&stage, "bob", 403);
        assert_refused(&stage, "bob", password("bob"), 403);
        assert_refused(&stage, "bob", password("alice"), 401);
        assert_served(&stage, "alice", password("alice"));
    }
    stage.assert_discreet(&["hunter2-wrong"]);
}

/// Waits until all answers to this user have this status, or earlier confirmations may not be believed any more: the
/// caller asks once more.
fn wait_while_remembered(stage: &Stage, user: &str, status: u16) {
    let (login, questions) = (format!("{user}-type1"), questions(stage));
    let all = || questions.iter().all(|question| ask(stage, question, &login, password(user)).status == status);
    let _ = wait_for("what was remembered to end", FORGOTTEN, || all().then_some(()));
}
