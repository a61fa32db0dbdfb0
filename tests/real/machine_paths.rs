//! Runtimes that say in a path on what kind of machine they run (`machine_type_from.path`): the login is anybody's.

use serde_json::{Value, json};

use super::observe::assert_no_vm_died;
use metahub_testkit::bench::{REPOSITORY, line};
use metahub_testkit::client::containerd::{Containerd, Credentials};
use metahub_testkit::client::podman::Podman;
use metahub_testkit::client::skopeo::Skopeo;
use metahub_testkit::client::{Client, Login};
use metahub_testkit::config::Edit as _;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::stage::{Stage, stage};

/// The machine types of two nodes, and the features of the image that each must get.
const NODES: [(&str, &[&str]); 2] = [("type1", &["cpu:broadwell"]), ("type2", &["cpu:skylake"])];
/// Both forms of a path below a machine type, before the repository.
const FORMS: [fn(&str) -> String; 2] =
    [|machine| format!("/v2/machines/{machine}/"), |machine| format!("/machines/{machine}/v2/")];

/// A login that says nothing of a machine.
fn team() -> Login {
    Login::new("team", "qnib-type1")
}

fn say_it_in_paths(config: &mut Value) {
    config.add("machine_type_from", json!({ "path": "machines" }));
    let hash = "$2y$05$okLZ6CV1P2.NBGAgVDXdd.lVETudF8wCDJ/9igUITRMc6.Hj7ah9i";
    config.add("accounts.team", json!({ "password": hash }));
}

fn set() -> Stage {
    stage().config(say_it_in_paths).start().unwrap()
}

fn ask(stage: &Stage, method: &str, path: &str) -> Response {
    stage.send(&Request::new(method, path).login("team", "qnib-type1"))
}

/// The page's file for podman, for images of this registry, on a node of this kind.
fn registries_conf(stage: &Stage, registry: &str, machine: &str) -> String {
    let page = include_str!("../../docs/nodes.md");
    let (_, section) = page.split_once("## A machine type in the path").expect("the section of docs/nodes.md");
    let (_, rest) = section.split_once("```toml\n[[registry]]\n").expect("its registries.conf");
    let (text, _) = rest.split_once("```").expect("its end");
    assert_eq!(text.matches("metahub.example").count(), 2, "{text}");
    assert_eq!(text.matches("gpu1").count(), 1, "{text}");
    let text = text.replacen("metahub.example", registry, 1).replace("metahub.example", &stage.front());
    format!("[[registry]]\n{}insecure = true\n", text.replace("gpu1", machine))
}

/// Nodes of two kinds take turns with one login, for images of MetaHub's own name and for those that it stands for.
fn takes_turns<C: Client>(name: &str, programs: &[&str], start: impl Fn() -> C) {
    if reason_to_skip(name, programs, true).unwrap().is_some() {
        return;
    }
    let (stage, mut client) = (set(), start());
    client.keep(&stage.front(), &team()).unwrap();
    let file = client.sandbox().unwrap().directory().join("registries.conf");
    for registry in [&stage.front(), "registry.example"] {
        for (machine, features) in [NODES, NODES].concat() {
            std::fs::write(&file, registries_conf(&stage, registry, machine)).unwrap();
            let pulled = client.pull(&format!("{registry}/{REPOSITORY}:latest")).unwrap();
            assert_eq!(pulled.digest, stage.bench.digest(features), "{registry} {machine}");
            assert!(pulled.printed.is_none_or(|printed| printed == line(features)), "{registry} {machine}");
        }
        std::fs::write(&file, registries_conf(&stage, registry, "type9")).unwrap();
        let refused = client.pull(&format!("{registry}/{REPOSITORY}:latest")).unwrap_err().to_string();
        assert!(refused.contains("type9"), "{refused}");
    }
}

#[test]
fn podman_nodes_take_turns() {
    takes_turns("podman", &Podman::PROGRAMS, || Podman::new().unwrap());
}

/// skopeo inspects what it has copied, by the same name.
#[test]
fn skopeo_nodes_take_turns() {
    takes_turns("skopeo", &Skopeo::PROGRAMS, || Skopeo::new().unwrap());
}

/// A mirror of another name: the path is the mirror's.
#[test]
fn podman_pulls_from_a_mirror_below_a_machine_type() {
    if reason_to_skip("podman", &Podman::PROGRAMS, true).unwrap().is_some() {
        return;
    }
    let (stage, mut podman) = (set(), Podman::new().unwrap());
    podman.keep(&stage.front(), &team()).unwrap();
    let file = podman.sandbox().unwrap().directory().join("registries.conf");
    for (machine, features) in [NODES, NODES].concat() {
        let mirror = format!("{}/machines/{machine}", stage.front());
        let text = format!(
            "[[registry]]\nprefix = \"registry.example\"\nlocation = \"registry.example\"\nblocked = true\n\
             [[registry.mirror]]\nlocation = \"{mirror}\"\ninsecure = true\n"
        );
        std::fs::write(&file, text).unwrap();
        let pulled = podman.pull(&format!("registry.example/{REPOSITORY}:latest")).unwrap();
        assert_eq!(pulled.digest, stage.bench.digest(features), "{machine}");
    }
}

#[test]
fn containerd_nodes_take_turns() {
    if reason_to_skip("containerd", &Containerd::PROGRAMS, true).unwrap().is_some() {
        return;
    }
    let (stage, mut containerd) = (set(), Containerd::start(Credentials::HostsToml).unwrap());
    let authorization = "Authorization = \"Basic dGVhbTpxbmliLXR5cGUx\"";
    for (machine, features) in [NODES, NODES].concat() {
        for (path, overrides) in [("/v2/machines/", "override_path = true\n"), ("/machines/", "")] {
            let url = format!("http://{}{path}{machine}", stage.front());
            containerd.replace_hosts(&format!(
                "server = \"{url}\"\n{overrides}[header]\n{authorization}\n[host.\"{url}\"]\n\
                 capabilities = [\"pull\", \"resolve\"]\n{overrides}[host.\"{url}\".header]\n{authorization}\n"
            ));
            let pulled = containerd.pull(&stage.tag()).unwrap();
            assert_eq!(pulled.digest, stage.bench.digest(features), "{machine} {path}");
        }
    }
}

#[test]
fn every_kind_of_request_is_served_below_a_machine_type() {
    let stage = stage().config(say_it_in_paths).config(|config| {
        config.add("registries.registry.prefix", "hub/cache");
    });
    let stage = stage.start().unwrap();
    stage.bench.push_as(stage.registry(), &format!("hub/cache/{REPOSITORY}")).unwrap();
    for form in FORMS {
        for (machine, features) in [NODES, NODES].concat() {
            let (lead, image) = (form(machine), stage.bench.image(features));
            for method in ["HEAD", "GET"] {
                for (rest, digest) in [
                    ("manifests/latest".to_owned(), image.manifest.digest()),
                    (format!("manifests/{}", image.manifest.digest()), image.manifest.digest()),
                    (format!("blobs/{}", image.layer.digest()), image.layer.digest()),
                ] {
                    let answer = ask(&stage, method, &format!("{lead}{REPOSITORY}/{rest}"));
                    let is = answer.header("docker-content-digest");
                    assert_eq!((answer.status, is), (200, Some(&*digest)), "{method} {lead} {rest}: {}", answer.text());
                }
            }
            assert_eq!(ask(&stage, "GET", &lead).status, 200, "{lead}");
            let page = ask(&stage, "GET", &format!("{lead}{REPOSITORY}/tags/list"));
            assert_eq!(page.status, 200, "{lead}: {}", page.text());
        }
    }
    for path in ["/machines/type1/metahub/v1/token", "/v2/machines/type1/metahub/v1/explain?image=qnib/bench"] {
        assert_eq!(ask(&stage, "GET", path).status, 404, "{path}");
    }
    assert_no_vm_died(&stage.envoy);
}

/// Envoy chooses the route again once the machine type is taken out of the path. So no route may match on it: here the
/// request goes where the second route leads, with what is the first one's.
#[test]
fn envoy_chooses_the_route_again() {
    let below = |config: &mut Value| say_it_in_paths(config);
    let lead_elsewhere = |bootstrap: &mut Value| {
        let routes = "static_resources.listeners.0.filter_chains.0.filters.0.typed_config.route_config.virtual_hosts.0\
                      .routes";
        let route = json!({ "match": { "prefix": "/v2/machines/" }, "route": { "cluster": "registry" } });
        let gone = json!({ "match": { "prefix": "/" }, "direct_response": { "status": 418 } });
        *bootstrap.at_mut(routes) = json!([route, gone]);
    };
    let stage = stage().config(below).bootstrap(lead_elsewhere).start();
    let Ok(stage) = stage else { panic!("{:?}", stage.err()) };
    let path = format!("/v2/machines/type1/{REPOSITORY}/tags/list");
    assert_eq!(ask(&stage, "GET", &path).status, 418);
}
