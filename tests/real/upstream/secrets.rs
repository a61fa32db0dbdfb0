//! No secret gets out: not into Envoy's log, not into MetaHub's most verbose log, not into the admin port's view of
//! MetaHub, and not into an answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use serde_json::{Value, json};

use super::{REPOSITORY, Stage, TALL, blob, manifest, password, users};
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::Builder;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::token_service::{Mood, TokenService};

/// A wrong password, and a text in the place of a hash.
const WRONG: &str = "hunter2-wr0ng";
const NO_HASH: &str = "pl4intext-by-mistake";
/// The hash of an account's password; the account and the password are called `bound`.
const HASH: &str = "$2y$05$okLZ6CV1P2.NBGAgVDXdd.lVETudF8wCDJ/9igUITRMc6.Hj7ah9i";
const BOUND: (&str, &str) = ("qnib-type1", "qnib-type1");

/// MetaHub's own credentials at the registry are alice's: inline, and from the environment.
fn inline() -> Value {
    json!({ "username": "alice", "password": password("alice") })
}

fn from_environment() -> Value {
    json!({ "username_env": "HUB_USER", "password_env": "HUB_PASSWORD", "public": true })
}

#[test]
fn every_mode_keeps_its_secrets() {
    // (The configuration, whether there is a token service, the right login.)
    let rows = [
        (json!({ "authentication": "accounts", "credentials": inline() }), false, BOUND),
        (json!({ "authentication": "accounts", "credentials": inline() }), true, BOUND),
        (json!({ "authentication": "upstream" }), false, ("alice-type1", password("alice"))),
        (json!({ "authentication": "upstream" }), true, ("alice-type1", password("alice"))),
        (
            json!({ "authentication": "none", "credentials": from_environment() }),
            true,
            ("anybody-type1", "some-passw0rd"),
        ),
        // With MetaHub's tickets, which carry credentials where the registry checks them.
        (json!({ "authentication": "accounts", "anonymous": "type2", "credentials": from_environment() }), true, BOUND),
        (json!({ "authentication": "upstream", "anonymous": "type2" }), true, ("alice-type1", password("alice"))),
    ];
    for (fields, tokens, login) in rows {
        let tokens = tokens.then(|| TokenService::start(&users()).unwrap());
        let stage = Stage::set(tokens, fields.clone(), talkative);
        let own = tickets(&stage, login);
        assert_eq!(own.is_empty(), fields.get("anonymous").is_none(), "{fields}");
        let mut shown = use_it(&stage, login);
        shown.extend(use_own(&stage, &own));
        shown.push(("the log", stage.envoy.log()));
        let admin = |path: &str| Request::get(path).send(stage.envoy.admin_port()).unwrap().text();
        shown.push(("/stats", admin("/stats")));
        shown.push(("/stats/prometheus", admin("/stats/prometheus")));
        let (_, log) = shown.iter().find(|(what, _)| *what == "the log").unwrap();
        assert!(log.contains("GET /v2/") && log.contains("wasm log metahub"), "both logs are in the log:\n{log}");
        for secret in secrets(&stage, login).iter().chain(&own) {
            for (what, text) in &shown {
                assert!(!text.contains(secret.as_str()), "{fields}: {secret} is in {what}:\n{text}");
            }
        }
        // Envoy holds the filter's configuration, and the one that was refused last, and shows both on its admin port,
        // hashes and all. It holds no more.
        let dump = admin("/config_dump");
        assert!(dump.contains("machine_types"), "{dump}");
        for secret in secrets(&stage, login).iter().chain(&own) {
            let inline = fields.get("credentials") == Some(&inline()) && secret == password("alice");
            let configured = secret.contains("$2y$") || *secret == NO_HASH || inline;
            assert!(configured || !dump.contains(secret.as_str()), "{fields}: {secret} is in /config_dump");
        }
    }
}

/// Our log at its most talkative; an environment with credentials.
fn talkative(builder: Builder) -> Builder {
    builder
        .component_log_level("wasm:debug")
        .filter_environment("HUB_USER", "alice")
        .filter_environment("HUB_PASSWORD", password("alice"))
}

/// Makes every kind of request with right and wrong logins, and causes every fault behind MetaHub; returns every
/// answer.
fn use_it(stage: &Stage, (user, password): (&str, &str)) -> Vec<(&'static str, String)> {
    let mut answers: Vec<Response> = Vec::new();
    let mut ask = |path: &str, user: &str, password: &str| {
        for method in ["GET", "HEAD"] {
            answers.push(stage.ask(method, path, user, password));
        }
    };
    let image = stage.bench.image(&["cpu:broadwell"]);
    let missing = blob(REPOSITORY, &metahub_testkit::image::Document::new("text/plain", "missing"));
    let paths = [
        "/v2/".to_owned(),
        manifest(REPOSITORY),
        manifest("qnib/missing"),
        format!("/v2/{REPOSITORY}/manifests/{}", image.manifest.digest()),
        blob(REPOSITORY, &image.layer),
        missing,
        format!("/v2/{REPOSITORY}/tags/list"),
        format!("/metahub/v1/explain?image={REPOSITORY}"),
        "/metahub/v1/machine-types".to_owned(),
        "/metahub/v1/health".to_owned(),
        format!("/v2/{REPOSITORY}/manifests/UPPER/CASE"),
    ];
    for path in &paths {
        ask(path, user, password);
        ask(path, user, WRONG);
        ask(path, &user.replace("type1", "type9"), password);
        ask(path, "alice-unfiltered", super::password("alice"));
    }
    if let Some(tokens) = stage.token_service() {
        let moods = [
            Mood::Say(403, "", "{}".to_owned()),
            Mood::Say(429, "", "{}".to_owned()),
            Mood::Say(500, "", "{}".to_owned()),
            Mood::Say(200, "", "{\"token\":".to_owned()),
            Mood::Revoked,
        ];
        for (mood, path) in moods.into_iter().zip([manifest(TALL), "/v2/x/tags/list".to_owned()].iter().cycle()) {
            tokens.set(mood);
            ask(path, user, password);
        }
        ask(&manifest(TALL), user, password);
        tokens.set(Mood::Issue(300));
        ask(&manifest(TALL), user, password);
    }
    // Headers that cannot be read are not repeated.
    let pair = STANDARD.encode(format!("{user}:{password}"));
    let basic = |request: Request| request.header("authorization", format!("Basic {pair}"));
    let malformed = [
        Request::get("/v2/").header("authorization", format!("Basic {pair}!!")),
        Request::get("/v2/").header("authorization", format!("Bearer {pair}")),
        basic(basic(Request::get("/v2/"))),
    ];
    answers.extend(malformed.iter().map(|request| stage.envoy.send(request).unwrap()));
    // The refusal of a configuration says why, and does not show the value.
    let config = stage.envoy.config();
    let wrong = [
        config.changed(|config| config.add("accounts.eve", json!({ "password": NO_HASH }))),
        config.changed(|config| config.add("accounts.eve", json!({ "passwort": NO_HASH }))),
        config.changed(|config| config.add("accounts.eve", json!({ "password": [HASH] }))),
        config.changed(|config| config.add("registries.registry.password", NO_HASH)),
    ];
    for config in wrong {
        assert!(!stage.envoy.reload(&config).unwrap(), "{config}");
    }
    let text = |answer: Response| {
        let headers =
            answer.headers.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value)));
        ("an answer", headers.collect::<String>() + &answer.text())
    };
    answers.into_iter().map(text).collect()
}

/// MetaHub's tickets, of this login and of none, where it issues any.
fn tickets(stage: &Stage, (user, password): (&str, &str)) -> Vec<String> {
    let request = || Request::get("/metahub/v1/token?service=metahub");
    let answers = [request().login(user, password), request()].map(|request| stage.envoy.send(&request).unwrap());
    answers.iter().filter_map(|answer| Some(answer.json()["token"].as_str()?.to_owned())).collect()
}

/// The answers to such tickets, unchanged and with one character changed.
fn use_own(stage: &Stage, own: &[String]) -> Vec<(&'static str, String)> {
    let ask = |token: &str, path: &str| {
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        stage.envoy.send(&request).unwrap()
    };
    let mut texts = Vec::new();
    for token in own {
        for path in [manifest(REPOSITORY), manifest("qnib/missing"), "/v2/".to_owned()] {
            let (good, forged) = (ask(token, &path), ask(&format!("{token}A"), &path));
            assert_eq!(forged.status, 401, "{path}");
            texts.extend([("an answer to a token", good.text()), ("an answer to a forged token", forged.text())]);
        }
    }
    texts
}

fn secrets(stage: &Stage, login: (&str, &str)) -> Vec<String> {
    let mut secrets = vec![WRONG.to_owned(), NO_HASH.to_owned(), HASH.to_owned(), HASH.replace('/', "\\/")];
    let mut pairs =
        vec![login, (login.0, WRONG), ("alice", password("alice")), ("alice-unfiltered", password("alice"))];
    pairs.push(("alice", WRONG));
    // A demo's password is its login's name, which the log may say.
    secrets.extend(pairs.iter().filter(|pair| pair.0 != pair.1).map(|pair| pair.1.to_owned()));
    secrets.extend(pairs.iter().map(|(user, password)| STANDARD.encode(format!("{user}:{password}"))));
    let issued = stage.token_service().map(TokenService::issued).unwrap_or_default();
    // Whole, and the signature: what comes before it says nothing that is secret.
    secrets.extend(issued.iter().filter_map(|token| Some(token.rsplit_once('.')?.1.to_owned())));
    secrets.extend(issued);
    secrets
}
