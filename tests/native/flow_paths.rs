//! Paths there and back: whatever stands between a client's name of a repository and the registry's, the registry is
//! asked by its own, and the client is led on by the one that it uses.

use metahub::config::Config;
use metahub::oci::digest::Digest;
use serde_json::json;

use super::driver::{parse, send};
use super::flow_images::document;
use super::flow_prefix::asked;
use super::scripted_registry::{Response, ScriptedRegistry};

/// One way in which names differ.
#[derive(Clone, Copy, Debug)]
struct Names {
    namespace: bool,
    prefix: bool,
    mapped: bool,
}

impl Names {
    fn all() -> impl Iterator<Item = Self> {
        let bit = |number: u32, bit: u32| number >> bit & 1 == 1;
        (0..8).map(move |number| Self { namespace: bit(number, 0), prefix: bit(number, 1), mapped: bit(number, 2) })
    }

    fn config(self) -> Config {
        let mut document = document();
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
            let (there, sent) = (names.upstream(), format!("/v2/{}/{kind}", names.written()));
            let rows = [
                (format!("/v2/{there}/x"), Some(format!("/v2/{}/x", names.named()))),
                (format!("https://registry.example/v2/{there}/x?a=b"), Some(format!("/v2/{}/x?a=b", names.named()))),
                (format!("http://registry.example:80/v2/{there}/x"), Some(format!("/v2/{}/x", names.named()))),
                (format!("https://storage.example/v2/{there}/x"), None),
                ("https://registry.example/storage/x".to_owned(), None),
                ("x?a=b".to_owned(), None),
            ];
            for (url, expected) in rows {
                let expected = expected.as_ref().unwrap_or(&url);
                let moved = Response::new(307, "text/plain", "").with("location", &url);
                for method in ["GET", "HEAD"] {
                    let outcome = send(&config, method, &sent, "x-cpu", "", &upstream(&moved));
                    assert_eq!((outcome.status, outcome.header("location")), (307, &**expected), "{names:?} {kind}");
                    let asked = asked(&outcome, &sent);
                    assert_eq!(asked, [format!("/v2/{there}/{kind}")], "{names:?} {kind}");
                }
                if !kind.starts_with("tags/") && !kind.starts_with("referrers/") {
                    continue;
                }
                let list = Response::new(200, "application/json", "{}").with("link", &format!("<{url}>; rel=\"next\""));
                let outcome = send(&config, "GET", &sent, "x-cpu", "", &upstream(&list));
                let expected = format!("<{expected}>; rel=\"next\"");
                assert_eq!((outcome.status, outcome.header("link")), (200, &*expected), "{names:?} {kind}");
            }
        }
    }
}
