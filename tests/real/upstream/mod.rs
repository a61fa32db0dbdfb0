//! Registries that know their users: Envoy with the filter in front of a real registry with passwords or tokens.

mod brought;
mod faults;
mod identity;
mod kinds;
mod matrix;
mod passwords;
mod pulls;
mod secrets;
mod shared;
mod tokens;
mod two_accounts;

use std::time::Duration;

use serde_json::{Value, json};

use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::client::Login;
use metahub_testkit::config::Edit as _;
use metahub_testkit::elf::Architecture;
use metahub_testkit::envoy::Builder;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::image::{Document, Format, Image, index};
use metahub_testkit::registry::Registry;
use metahub_testkit::stage::{self, stage};
use metahub_testkit::token_service::{SERVICE, TokenService};
use metahub_testkit::wait_for;

/// The users of the registry; each of these passwords has something that breaks naive code.
pub(crate) const USERS: [(&str, &str); 2] = [("alice", "al:ice pässword"), ("bob", "b0b\"s\\pass")];
/// The repository of [`tall`].
const TALL: &str = "library/tall";

fn users() -> Vec<Login> {
    USERS.iter().map(|(user, password)| Login::new(user, password)).collect()
}

fn password(user: &str) -> &'static str {
    USERS.iter().find(|(name, _)| *name == user).expect("one of USERS").1
}

/// Envoy, the registry that asks for credentials, and the one over the same images that does not.
struct Stage {
    base: stage::Stage,
    tall: Vec<Document>,
}

stands_on_base!(Stage);

impl Stage {
    /// A registry with passwords, about which the configuration says this.
    fn with_passwords(fields: Value) -> Self {
        Self::set(None, fields, |envoy| envoy)
    }

    /// A registry with tokens, which MetaHub knows where to get.
    fn with_tokens(fields: Value) -> Self {
        Self::set(Some(TokenService::start(&users()).unwrap()), fields, |envoy| envoy)
    }

    fn set(tokens: Option<TokenService>, fields: Value, edit: impl FnOnce(Builder) -> Builder) -> Self {
        let stage = stage().config(|config| set_registry(config, fields)).envoy(edit);
        let stage = match tokens {
            Some(service) => stage.tokens(service),
            None => stage.passwords(&users()),
        };
        let base = stage.start().unwrap();
        let tall = tall(base.registry(), TALL);
        Self { base, tall }
    }

    fn tokens(&self) -> &TokenService {
        self.token_service().expect("a stage with tokens")
    }

    /// Sends a request with the user's right password and this machine type.
    fn get(&self, path: &str, user: &str, machine: &str) -> Response {
        self.ask("GET", path, &format!("{user}-{machine}"), password(user))
    }

    fn ask(&self, method: &str, path: &str, login: &str, password: &str) -> Response {
        self.envoy.send(&Request::new(method, path).login(login, password)).unwrap()
    }

    /// Waits until the registry refuses the token that was given out last, by its own clock.
    fn wait_for_end_of_tokens(&self) {
        let token = self.tokens().issued().pop().expect("a token");
        let request = || Request::get("/v2/").header("authorization", format!("Bearer {token}"));
        let refused = || request().send(self.guarded().port()).is_ok_and(|answer| answer.status == 401);
        wait_for("the registry to refuse a token", Duration::from_secs(10), || refused().then_some(())).unwrap();
    }

    /// The scopes of the calls to the token service since the last check, without the pings'.
    fn exchanges(&self) -> Vec<String> {
        self.tokens().calls().into_iter().map(|call| call.scope).filter(|scope| !scope.is_empty()).collect()
    }

    /// No secret of this test is in a log, and no client followed the registry's challenge.
    fn assert_discreet(&self, passwords: &[&str]) {
        use base64::Engine as _;
        let log = self.envoy.log();
        assert!(log.contains("GET /v2/"), "the access log is part of the log:\n{log}");
        let tokens = self.token_service().map(TokenService::issued).unwrap_or_default();
        let mut secrets: Vec<String> = passwords.iter().map(|password| (*password).to_owned()).collect();
        for (user, password) in USERS {
            secrets.push(password.to_owned());
            for login in [user.to_owned(), format!("{user}-type1"), format!("{user}-type2")] {
                let pair = format!("{login}:{password}");
                secrets.push(base64::engine::general_purpose::STANDARD.encode(pair));
            }
        }
        // The signature; the parts before it say nothing that is secret.
        secrets.extend(tokens.iter().filter_map(|token| Some(token.rsplit_once('.')?.1.to_owned())));
        for secret in secrets {
            assert!(!log.contains(&secret), "{secret} is in Envoy's log:\n{log}");
        }
        assert!(self.token_service().is_none_or(|service| !service.is_trapped()), "somebody followed the challenge");
    }
}

fn manifest(repository: &str) -> String {
    format!("/v2/{repository}/manifests/latest")
}

fn blob(repository: &str, document: &Document) -> String {
    format!("/v2/{repository}/blobs/{}", document.digest())
}

/// The code of a registry error.
fn code(response: &Response) -> String {
    response.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
}

/// Says where the registry's tokens come from: the cluster `tokens`.
fn add_token_service(registry: &mut Value) {
    let realm = "http://tokens.test/token";
    registry.add("token_service", json!({ "cluster": "tokens", "realm": realm, "service": SERVICE }));
}

/// Configures the registry with this, except for its host.
fn set_registry(config: &mut Value, mut fields: Value) {
    fields.add("host", config.at("registries.registry.host").clone());
    config.set("registries.registry", fields);
}

/// Pushes an image of ten layers behind an index; returns the layers.
fn tall(registry: &Registry, repository: &str) -> Vec<Document> {
    let layers: Vec<Image> =
        (0..10).map(|number| Image::printing(Format::Oci, Architecture::Amd64, &format!("layer {number}"))).collect();
    let config_of = |image: &Image| -> serde_json::Value { serde_json::from_slice(&image.config.bytes).unwrap() };
    let mut config = config_of(&layers[0]);
    config["rootfs"]["diff_ids"] =
        layers.iter().map(|image| config_of(image)["rootfs"]["diff_ids"][0].clone()).collect();
    config["history"] = json!([]);
    let config = Document::json(&layers[0].config.media_type, &config);
    let layers: Vec<Document> = layers.into_iter().map(|image| image.layer).collect();
    let media_type = metahub::oci::media_type::OCI_MANIFEST;
    let manifest = json!({
        "config": config.descriptor(),
        "layers": layers.iter().map(Document::descriptor).collect::<Vec<_>>(),
        "mediaType": media_type,
        "schemaVersion": 2,
    });
    let manifest = Document::json(media_type, &manifest);
    for blob in layers.iter().chain([&config]) {
        registry.push_blob(repository, blob).unwrap();
    }
    registry.push_manifest(repository, &manifest.digest(), &manifest).unwrap();
    let list = index(Format::Oci, &[manifest.entry(&json!({ "architecture": "amd64", "os": "linux" }))]);
    registry.push_manifest(repository, "latest", &list).unwrap();
    layers
}

/// The demo repository as machine types get it.
const MACHINES: [(&str, &[&str]); 2] = [("type1", &["cpu:broadwell"]), ("type2", &["cpu:skylake"])];

/// Whether this user gets two machine types' images, whole, and their blobs.
fn assert_pulls(stage: &Stage, user: &str) {
    for (machine, features) in MACHINES {
        let answer = stage.get(&manifest(REPOSITORY), user, machine);
        assert_eq!(answer.status, 200, "{user} {machine}: {}", answer.text());
        let digest = stage.bench.digest(features);
        assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{user} {machine}");
        let head = stage.ask("HEAD", &manifest(REPOSITORY), &format!("{user}-{machine}"), password(user));
        assert_eq!((head.status, head.header("docker-content-digest")), (200, Some(digest.as_str())));
        let child = stage.get(&format!("/v2/{REPOSITORY}/manifests/{digest}"), user, machine);
        assert_eq!((child.status, child.body), (200, answer.body), "the child by digest");
        let image = stage.bench.images.iter().find(|image| image.manifest.digest() == digest).unwrap();
        for document in [&image.config, &image.layer] {
            let answer = stage.get(&blob(REPOSITORY, document), user, machine);
            assert_eq!((answer.status, &answer.body), (200, &document.bytes));
        }
    }
}
