//! What one account may see is not another's, whatever MetaHub remembers: not of a good pull a moment ago, and not of a
//! permission that was taken away since.

use super::{REPOSITORY, Stage, blob, manifest, password, users};
use crate::real::logins::with_account;
use crate::support::client::Login;
use crate::support::envoy::{Builder, replace};
use crate::support::http::Response;
use crate::support::token_service::Mood;

/// What MetaHub may remember of answers: lines of its configuration. Each test holds for all of them.
const CACHES: [&str; 1] = [""];

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

fn cached(builder: Builder, cache: &'static str) -> Builder {
    builder.edit_config(move |config| {
        replace(&config, "          machine_types:\n", &format!("{cache}          machine_types:\n"), 1)
    })
}

/// Asks, and follows MetaHub's own redirect, as clients do.
fn ask(stage: &Stage, (method, path): &(&str, String), login: &str, password: &str) -> Response {
    let answer = stage.ask(method, path, login, password);
    match answer.header("location").filter(|location| location.contains("metahub-retry")) {
        Some(again) => stage.ask(method, again, login, password),
        None => answer,
    }
}

/// This login gets everything, twice: whatever can be remembered of it is.
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
    for cache in CACHES {
        let line = |user: &str, password: &str, fields: &str| {
            format!("{user}: {{ password: \"{}\", {fields} }}", bcrypt::hash(password, 4).unwrap())
        };
        let everything = format!("machine_types: [type1, type2], repositories: [\"{REPOSITORY}\", \"library/*\"]");
        let accounts = [line("alice", password("alice"), &everything), line("bob", password("bob"), &everything)];
        let stage = Stage::set(None, SHARED, |builder| {
            let [alice, bob] = accounts.clone();
            cached(builder, cache).edit_config(move |config| with_account(&with_account(&config, &alice), &bob))
        });
        for user in ["alice", "bob"] {
            assert_served(&stage, user, password(user));
        }
        assert_refused(&stage, "alice", "hunter2-wrong", 401);
        assert_refused(&stage, "alice", password("bob"), 401);
        assert_served(&stage, "alice", password("alice"));

        let config = stage.envoy.config();
        let [_, bob] = &accounts;
        let reload = |bob_now: &str| assert!(stage.envoy.reload(&replace(&config, bob, bob_now, 1)).unwrap());
        let narrow = "machine_types: [type1, type2], repositories: [\"library/*\"]";
        // (What bob gets now, when he comes with his old password, or with the new one.)
        let rows = [
            (line("bob", password("bob"), narrow), 403, 401, "another repository"),
            (line("bob", password("bob"), &everything.replace("type1, ", "")), 403, 401, "another machine type"),
            (line("bob", "n3w-password", &everything), 401, 200, "a new password"),
            (line("carol", password("bob"), &everything), 401, 401, "gone"),
        ];
        for (bob_now, old, new, what) in rows {
            reload(&bob_now);
            let explains = |question: &(&str, String)| question.1.contains("explain");
            if what == "another machine type" {
                // What a machine type gets may be asked by whoever may pull for another one.
                for question in questions(&stage).iter().filter(|question| !explains(question)) {
                    assert_eq!(ask(&stage, question, "bob-type1", password("bob")).status, 403, "{what} {question:?}");
                }
            } else {
                assert_refused(&stage, "bob", password("bob"), old);
            }
            match new {
                200 => assert_served(&stage, "bob", "n3w-password"),
                status => assert_refused(&stage, "bob", "n3w-password", status),
            }
            assert_served(&stage, "alice", password("alice"));
            reload(bob);
            assert_served(&stage, "bob", password("bob"));
        }
        stage.assert_discreet(&["hunter2-wrong", "n3w-password", "sh4red-of-all"]);
    }
}

/// MetaHub's own at the registry, which is alice's.
const SHARED: &str = "authentication: accounts\n              \
                      credentials: { username: alice, password: \"al:ice pässword\" }";

/// The operator of the registry changes its file.
#[test]
fn users_of_a_registry_with_passwords() {
    for cache in CACHES {
        let stage = Stage::set(None, "authentication: upstream", |builder| cached(builder, cache));
        for user in ["alice", "bob"] {
            assert_served(&stage, user, password(user));
        }
        let [alice, bob] = &users()[..] else { panic!("two users") };
        stage.guarded.replace_users(std::slice::from_ref(alice)).unwrap();
        assert_refused(&stage, "bob", &bob.password, 401);
        assert_served(&stage, "alice", &alice.password);

        stage.guarded.replace_users(&[alice.clone(), Login::new("bob", "n3w-password")]).unwrap();
        assert_refused(&stage, "bob", &bob.password, 401);
        assert_served(&stage, "bob", "n3w-password");
        assert_refused(&stage, "alice", "n3w-password", 401);
        assert_served(&stage, "alice", &alice.password);
        stage.assert_discreet(&["n3w-password"]);
    }
}

/// The operator of the token service takes a permission away: that counts when the tokens given out until then end.
#[test]
fn users_of_a_registry_with_tokens() {
    for cache in CACHES {
        let stage =
            Stage::set(Some(super::TokenService::start(&users()).unwrap()), "authentication: upstream", |builder| {
                cached(builder, cache)
            });
        stage.tokens().set(Mood::Issue(2));
        for user in ["alice", "bob"] {
            assert_served(&stage, user, password(user));
        }
        assert_refused(&stage, "alice", "hunter2-wrong", 401);
        stage.tokens().deny("bob");
        // As long as the last token of bob was said to last.
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert_refused(&stage, "bob", password("bob"), 403);
        assert_refused(&stage, "bob", password("alice"), 401);
        assert_served(&stage, "alice", password("alice"));
        stage.assert_discreet(&["hunter2-wrong"]);
    }
}
