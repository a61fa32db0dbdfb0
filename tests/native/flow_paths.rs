//! Paths there and back: whatever stands between a client's name of a repository and the registry's, the registry is
//! asked by its own, and the client is led on by the one that it uses.

use metahub::config::Config;
use metahub::oci::digest::Digest;
use serde_json::json;

use super::driver::{parse, send};
use super::flow_images::{document, ollama, says};
use super::flow_prefix::asked;
use super::scripted_registry::{Response, ScriptedRegistry};

/// One way in which names differ.
#[derive(Clone, Copy, Debug)]
struct Names {
    namespace: bool,
    prefix: bool,
    mapped: bool,
    /// What stands before the repository in the client's path.
    lead: &'static str,
}

/// The usual one, and those that say a machine type.
const LEADS: [&str; 3] = ["/v2/", "/v2/machines/cpu/", "/machines/cpu/v2/"];

impl Names {
    fn all() -> impl Iterator<Item = Self> {
        let bit = |number: u32, bit: u32| number >> bit & 1 == 1;
        let of = move |lead, number| Self {
            namespace: bit(number, 0),
            prefix: bit(number, 1),
            mapped: bit(number, 2),
            lead,
        };
        LEADS.into_iter().flat_map(move |lead| (0..8).map(move |number| of(lead, number)))
    }

    fn config(self) -> Config {
        let mut document = document();
        document["machine_type_from"] = json!({ "path": "machines" });
        let registry = &mut document["registries"]["registry"];
        if self.namespace {
            registry["default_namespace"] = json!("library");
        }
        if self.prefix {
            registry["prefix"] = json!("hub/cache");
        }
        document["images"] = json!({});
        if self.mapped {
            let lines = json!([{ "repositories": [{ "repository": "other/app", "architecture": "amd64" }] }]);
            document["images"] = json!({ self.named(): lines });
        }
        parse(&document)
    }

    /// The repository as the client writes it.
    const fn written(self) -> &'static str {
        if self.namespace { "app" } else { "library/app" }
    }

    /// The same as MetaHub names it, with its namespace.
    const fn named(self) -> &'static str {
        "library/app"
    }

    /// A login, which says a machine type where the path does not.
    const fn user(self) -> &'static str {
        if self.lead.len() == "/v2/".len() { "x-cpu" } else { "x" }
    }

    fn upstream(self) -> String {
        let prefix = if self.prefix { "hub/cache/" } else { "" };
        format!("{prefix}{}", if self.mapped { "other/app" } else { self.named() })
    }
}

/// What is asked for in a repository, behind its name.
fn kinds() -> [String; 4] {
    let digest = Digest::of(b"content");
    [
        "tags/list?n=1".to_owned(),
        format!("blobs/{digest}"),
        format!("referrers/{digest}"),
        format!("manifests/{digest}"),
    ]
}

/// The registry's answers to all kinds.
fn upstream(answer: &Response) -> ScriptedRegistry {
    let mut upstream = ScriptedRegistry::default();
    for name in ["list".to_owned(), Digest::of(b"content").to_string()] {
        upstream.by_digest.insert(name, Some(answer.clone()));
    }
    upstream
}

#[test]
fn every_name_leads_there_and_back() {
    for names in Names::all() {
        let config = names.config();
        for kind in kinds() {
            let (there, sent) = (names.upstream(), format!("{}{}/{kind}", names.lead, names.written()));
            let here = |rest: &str| Some(format!("{}{}/{rest}", names.lead, names.named()));
            let rows = [
                (format!("/v2/{there}/x"), here("x")),
                (format!("https://registry.example/v2/{there}/x?a=b"), here("x?a=b")),
                (format!("http://registry.example:80/v2/{there}/x"), here("x")),
                (format!("https://storage.example/v2/{there}/x"), None),
                ("https://registry.example/storage/x".to_owned(), None),
                ("x?a=b".to_owned(), None),
            ];
            for (url, expected) in rows {
                let expected = expected.as_ref().unwrap_or(&url);
                let moved = Response::new(307, "text/plain", "").with("location", &url);
                for method in ["GET", "HEAD"] {
                    let outcome = send(&config, method, &sent, names.user(), "", &upstream(&moved));
                    assert_eq!((outcome.status, outcome.header("location")), (307, &**expected), "{names:?} {kind}");
                    let asked = asked(&outcome, &sent);
                    assert_eq!(asked, [format!("/v2/{there}/{kind}")], "{names:?} {kind}");
                }
                if !kind.starts_with("tags/") && !kind.starts_with("referrers/") {
                    continue;
                }
                let list = Response::new(200, "application/json", "{}").with("link", &format!("<{url}>; rel=\"next\""));
                let outcome = send(&config, "GET", &sent, names.user(), "", &upstream(&list));
                let expected = format!("<{expected}>; rel=\"next\"");
                assert_eq!((outcome.status, outcome.header("link")), (200, &*expected), "{names:?} {kind}");
            }
        }
    }
}

/// A pull by tag, cold, known and in explanations of it: the machine type is the path's, and so is the next round.
#[test]
fn a_tag_is_pulled_below_a_machine_type() {
    for lead in &LEADS[1..] {
        let mut document = document();
        document["machine_type_from"] = json!({ "path": "machines" });
        document["registries"]["registry"]["prefix"] = json!("cache");
        let (config, mut upstream) = (parse(&document), ollama());
        let path =
            |machine: &str| format!("{}ollama/ollama/manifests/0.5?ns=hub.example", lead.replace("cpu", machine));
        for (machine, expected) in [("cpu", "0.5 amd64"), ("rocm", "0.5-rocm amd64"), ("arm", "0.5 arm64")].repeat(2) {
            let sent = path(machine);
            let outcome = send(&config, "GET", &sent, "x", "", &upstream);
            assert_eq!(says(&outcome), expected, "{sent}");
            assert_eq!(outcome.header("x-metahub-machine-type-source"), "path");
            let asked = asked(&outcome, &sent);
            assert!(asked.iter().all(|asked| asked.starts_with("/v2/cache/ollama/ollama/manifests/")), "{asked:?}");
        }
        // The login says less than the node.
        assert_eq!(says(&send(&config, "GET", &path("rocm"), "x-arm", "", &upstream)), "0.5-rocm amd64");
        let gone = Response::new(200, "text/plain", "").with("docker-content-digest", Digest::of(b"?").as_str());
        upstream.head = Some(gone);
        upstream.by_digest.insert(Digest::of(b"?").to_string(), Some(Response::new(418, "text/plain", "")));
        let refused = send(&config, "GET", &path("cpu"), "x", "", &upstream);
        assert_eq!(refused.status, 418, "{:?}", refused.lines);
    }
}

/// Below a machine type there is what a registry has, and nothing of MetaHub's own.
#[test]
fn nothing_else_is_below_a_machine_type() {
    let mut document = document();
    let (plain, upstream) = (parse(&document), ollama());
    document["machine_type_from"] = json!({ "path": "machines" });
    let config = parse(&document);
    let status = |config: &Config, path: &str, user: &str| send(config, "GET", path, user, "", &upstream).status;
    for (path, expected) in [
        ("/v2/machines/cpu/", 200),
        ("/v2/machines/cpu", 200),
        ("/machines/cpu/v2/", 200),
        ("/machines/cpu/v2", 200),
        ("/machines/cpu/", 404),
        ("/machines/cpu", 404),
        ("/machines/", 404),
        ("/v2/machines", 404),
        ("/v2/machines/tags/list", 404),
        ("/v2/machines/cpu/manifests/0.5", 404),
        ("/machines/cpu/metahub/v1/token", 404),
        ("/machines/cpu/metahub/v1/explain?image=ollama/ollama:0.5", 404),
        ("/v2/machines/cpu/metahub/v1/explain?image=ollama/ollama:0.5", 404),
        ("/v2/machines/cpu/v2/ollama/ollama/manifests/0.5", 200),
        ("/machines/cpu/v2/ollama/Ollama/manifests/0.5", 400),
        ("/v2/machines/cpu9/ollama/ollama/manifests/0.5", 403),
        ("/v2/machines/-/ollama/ollama/manifests/0.5", 400),
        ("/machines//v2/ollama/ollama/manifests/0.5", 400),
    ] {
        assert_eq!(status(&config, path, "x"), expected, "{path}");
    }
    // Without the key a path is a repository's.
    for path in ["/v2/machines/cpu/ollama/manifests/0.5", "/v2/machines/cpu/manifests/0.5"] {
        assert_eq!(status(&plain, path, "x-cpu"), 200, "{path}");
    }
    assert_eq!(status(&plain, "/machines/cpu/v2/ollama/manifests/0.5", "x-cpu"), 404);
}

/// MetaHub's own redirects lead back below the machine type.
#[test]
fn a_second_round_is_below_the_machine_type_too() {
    let mut document = document();
    document["machine_type_from"] = json!({ "path": "machines" });
    let registry = &mut document["registries"]["registry"];
    registry["prefix"] = json!("cache");
    registry["token_service"] = json!({ "cluster": "tokens", "realm": "https://auth.example/token" });
    let config = parse(&document);
    for lead in &LEADS[1..] {
        let mut upstream = ollama();
        let token = |text: &str| Some(Response::new(200, "application/json", text));
        upstream.by_digest.insert("token".to_owned(), token(r#"{"token":"old","expires_in":300}"#));
        let path = format!("{lead}ollama/ollama/tags/list?n=1");
        upstream.by_digest.insert("list".to_owned(), Some(Response::new(200, "application/json", "{}")));
        assert_eq!(send(&config, "GET", &path, "x", "", &upstream).status, 200);
        upstream.by_digest.insert("list".to_owned(), Some(Response::new(401, "application/json", "{}")));
        let round = send(&config, "GET", &path, "x", "", &upstream);
        assert_eq!((round.status, round.header("location")), (307, &*format!("{path}&metahub-retry=1")));
    }
}

/// A registry that the client names by `ns` leads on to itself, whatever the request is for.
#[test]
fn the_registry_that_the_client_means_stays_the_same() {
    let names = Names { namespace: false, prefix: false, mapped: false, lead: LEADS[0] };
    let (config, digest) = (names.config(), Digest::of(b"content"));
    let moved = Response::new(307, "text/plain", "").with("location", "/v2/library/app/blobs/x");
    let upstream = upstream(&moved);
    for (query, expected) in [
        ("", "/v2/library/app/blobs/x"),
        ("?x=y&ns=docker.io", "/v2/library/app/blobs/x?ns=docker.io"),
        ("?ns=a>b", "/v2/library/app/blobs/x"),
    ] {
        let path = format!("/v2/library/app/blobs/{digest}{query}");
        let outcome = send(&config, "GET", &path, "x-cpu", "", &upstream);
        assert_eq!((outcome.status, outcome.header("location")), (307, expected), "{path}");
    }
}
