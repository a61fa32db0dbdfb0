//! A registry whose repositories are below a path, as in Harbor's proxy projects, and clients that do not know of it.

use serde_json::Value;

use metahub_testkit::bench::Bench;
use metahub_testkit::client::containerd::{Containerd, Credentials};
use metahub_testkit::client::docker::Docker;
use metahub_testkit::client::podman::Podman;
use metahub_testkit::client::skopeo::Skopeo;
use metahub_testkit::client::{Client, Login};
use metahub_testkit::command::run;
use metahub_testkit::config::Edit as _;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::server::{Act, Answer, Received};
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::stage::{Stage, stage};
use metahub_testkit::token_service::TokenService;

const PREFIX: &str = "hub/cache";
/// A repository that the registry has below the prefix, and nowhere else.
const CACHED: &str = "library/cached";

/// The demo's images below the prefix, perhaps in a registry that wants tokens.
fn cache(wants_tokens: bool) -> Stage {
    let add_prefix = |config: &mut Value| {
        config.add("registries.registry.prefix", PREFIX);
        config.add("registries.registry.default_namespace", "library");
    };
    let builder = stage().config(add_prefix);
    let builder = if wants_tokens { builder.tokens(TokenService::start(&[]).unwrap()) } else { builder };
    let stage = builder.start().unwrap();
    stage.bench.push_as(stage.registry(), &format!("{PREFIX}/{CACHED}")).unwrap();
    stage
}

fn ask(stage: &Stage, method: &str, path: &str) -> Response {
    stage.send(&Request::new(method, path).login("qnib-type2", "qnib-type2"))
}

/// The client pulls a tag, cold and from what is known, by both of its names.
fn exercise<C: Client>(name: &str, programs: &[&str], start: impl Fn() -> C) {
    if reason_to_skip(name, programs, true).unwrap().is_some() {
        return;
    }
    for wants_tokens in [false, true] {
        let (stage, mut client) = (cache(wants_tokens), start());
        client.log_in(&stage.front(), &Login::new("qnib-type2", "qnib-type2")).unwrap();
        for repository in [CACHED, CACHED, "cached"] {
            let pulled = client.pull(&format!("{}/{repository}:latest", stage.front())).unwrap();
            assert_eq!(pulled.digest, stage.bench.digest(&["cpu:skylake"]), "{repository}");
        }
        if let Some(tokens) = stage.token_service() {
            let scopes: Vec<String> = tokens.calls().into_iter().map(|call| call.scope).collect();
            let scope = format!("repository:{PREFIX}/{CACHED}:pull");
            assert!(scopes.contains(&scope), "{scopes:?}");
            assert!(scopes.iter().all(|asked| asked.is_empty() || *asked == scope), "{scopes:?}");
        }
    }
}

#[test]
fn docker_pulls_through_it() {
    exercise("docker", &Docker::PROGRAMS, || Docker::start().unwrap());
}

#[test]
fn containerd_pulls_through_it() {
    exercise("ctr", &Containerd::PROGRAMS, || Containerd::start(Credentials::HostsToml).unwrap());
}

#[test]
fn podman_pulls_through_it() {
    exercise("podman", &Podman::PROGRAMS, || Podman::new().unwrap());
}

#[test]
fn skopeo_pulls_through_it() {
    exercise("skopeo", &Skopeo::PROGRAMS, || Skopeo::new().unwrap());
}

#[test]
fn every_kind_of_request_finds_it() {
    for wants_tokens in [false, true] {
        let stage = cache(wants_tokens);
        let image = stage.bench.image(&["cpu:skylake"]);
        stage.registry().push_manifest(&format!("{PREFIX}/{CACHED}"), "other", &stage.bench.list).unwrap();
        for method in ["GET", "HEAD"] {
            for path in [
                format!("/v2/{CACHED}/manifests/latest"),
                format!("/v2/{CACHED}/manifests/{}", image.manifest.digest()),
                format!("/v2/{CACHED}/manifests/{}", stage.bench.list.digest()),
                format!("/v2/cached/blobs/{}", image.layer.digest()),
            ] {
                let answer = ask(&stage, method, &path);
                assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
            }
        }
        let explained = ask(&stage, "GET", "/metahub/v1/explain?image=cached");
        assert_eq!((explained.status, &explained.json()["image"]), (200, &format!("{CACHED}:latest").into()));
        assert!(!explained.text().contains(PREFIX), "{}", explained.text());
        let tags = ask(&stage, "GET", "/v2/cached/tags/list").json()["tags"].clone();
        assert!(["latest", "other"].iter().all(|tag| tags.as_array().unwrap().contains(&(*tag).into())), "{tags}");
        // A repository that is not below the prefix is not there.
        assert_eq!(ask(&stage, "GET", "/v2/qnib/bench/manifests/latest").status, 404);
    }
}

/// A list of tags in two pages; the first leads on by a URL of the registry's host.
fn pages(request: &Received) -> Vec<Act> {
    let repository = format!("/v2/{PREFIX}/{CACHED}");
    match request.path.strip_prefix(&*repository) {
        Some("/tags/list") => {
            let host = request.header("host").unwrap_or_default();
            let link = format!("<http://{host}{repository}/tags/list?last=one>; rel=\"next\"");
            Answer::document("application/json", r#"{"name":"x","tags":["one"]}"#).header("link", &link).to(request)
        }
        Some("/tags/list?last=one") => {
            Answer::document("application/json", r#"{"name":"x","tags":["two"]}"#).to(request)
        }
        Some(blob) if blob.starts_with("/blobs/") => {
            let host = request.header("host").unwrap_or_default();
            Answer::new(307).header("location", &format!("http://{host}{repository}/tags/list")).to(request)
        }
        _ => Answer::new(404).to(request),
    }
}

/// A registry that names itself by its host must not lead clients past MetaHub.
#[test]
fn a_client_follows_absolute_links_to_metahub() {
    let add_prefix = |config: &mut Value| {
        config.add("registries.registry.prefix", PREFIX);
        config.add("machine_type_from", serde_json::json!({ "path": "machines" }));
    };
    let stage = stage().server(pages).config(add_prefix).start().unwrap();
    for lead in ["/v2/", "/v2/machines/type2/", "/machines/type2/v2/"] {
        let first = ask(&stage, "GET", &format!("{lead}{CACHED}/tags/list"));
        let expected = format!("<{lead}{CACHED}/tags/list?last=one>; rel=\"next\"");
        assert_eq!((first.status, first.header("link")), (200, Some(&*expected)));
        let blob = format!("{lead}{CACHED}/blobs/{}", Bench::build().images[0].layer.digest());
        let moved = ask(&stage, "GET", &blob);
        assert_eq!((moved.status, moved.header("location")), (307, Some(&*format!("{lead}{CACHED}/tags/list"))));
    }
    if reason_to_skip("skopeo list-tags", &Skopeo::PROGRAMS, true).unwrap().is_some() {
        return;
    }
    let mut skopeo = Skopeo::new().unwrap();
    skopeo.keep(&stage.front(), &Login::new("qnib-type2", "qnib-type2")).unwrap();
    let mut command = skopeo.command();
    command.args(["list-tags", "--tls-verify=false", &format!("docker://{}/{CACHED}", stage.front())]);
    let listed: Value = serde_json::from_str(&run(&mut command).unwrap()).unwrap();
    assert_eq!(listed["Tags"], serde_json::json!(["one", "two"]));
}
