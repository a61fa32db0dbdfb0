//! MetaHub in front of four kinds of registries, with the same account, the same images and the same prohibitions.

use serde_json::{Value, json};

use super::{add_token_service, password, set_registry, users};
use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::certificates::{TLS_HOST, authority};
use metahub_testkit::client::Login;
use metahub_testkit::config::{self, Edit as _};
use metahub_testkit::envoy::{Builder, Envoy, add_plain_cluster, cluster, trusted_authority};
use metahub_testkit::registry::{Access, Registry};
use metahub_testkit::tls_front::TlsFront;
use metahub_testkit::token_service::TokenService;

/// The account, and a repository that exists and that it may not pull from.
const ACCOUNT: &str = "alice";
pub(super) const KEPT: &str = "qnib/kept";

/// One MetaHub, as clients see it.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Where clients reach it.
    pub(super) front: String,
    /// A login with a machine type that is forbidden to it.
    pub(super) forbidden: Login,
    envoy: Envoy,
}

/// All kinds, and what they stand on. Fields are dropped in their order: each Envoy before its registry.
pub(super) struct Kinds {
    pub(super) kinds: Vec<Kind>,
    pub(super) bench: Bench,
    tokens: TokenService,
    _front: TlsFront,
    _registries: [Registry; 4],
}

impl Kinds {
    pub(super) fn set() -> Self {
        let open = Registry::start().unwrap();
        let bench = Bench::build();
        bench.push(&open).unwrap();
        bench.push_as(&open, KEPT).unwrap();
        let users = users();
        let tokens = TokenService::start(&users).unwrap();
        tokens.deny_repository(ACCOUNT, KEPT);
        let htpasswd = open.guarded(&Access::Htpasswd(&users)).unwrap();
        let token = open.guarded(&Access::Token(&tokens)).unwrap();
        let tls = open.guarded(&Access::Tls).unwrap();
        // htpasswd has no permissions; a proxy before it has.
        let front = TlsFront::keeping(&format!("/v2/{KEPT}/"), &[htpasswd.port()]).unwrap();
        let kinds = vec![
            plain(&open),
            of_users("htpasswd", private(&front)),
            of_users("token", with_tokens(&token, &tokens)),
            behind_tls(&tls),
        ];
        Self { kinds, bench, tokens, _front: front, _registries: [open, htpasswd, token, tls] }
    }

    /// The login that may pull as `machine`.
    pub(super) fn login(machine: &str) -> Login {
        Login::new(&format!("{ACCOUNT}-{machine}"), password(ACCOUNT))
    }

    /// Checks that no client followed a challenge, and that no VM died.
    pub(super) fn assert_sound(&self) {
        assert!(!self.tokens.is_trapped(), "somebody followed the challenge");
        for kind in &self.kinds {
            crate::real::observe::assert_no_vm_died(&kind.envoy);
            assert!(!kind.envoy.log().contains(password(ACCOUNT)), "{}: the password is in the log", kind.name);
        }
    }
}

/// Passwords and permissions are MetaHub's; the registry asks for nothing.
fn plain(registry: &Registry) -> Kind {
    let envoy = Builder::before(registry.port()).config(add_account).start().unwrap();
    Kind { name: "plain", front: format!("127.0.0.1:{}", envoy.port()), forbidden: Kinds::login("type3"), envoy }
}

/// The same with TLS on both sides.
fn behind_tls(registry: &Registry) -> Kind {
    let builder = Builder::before(registry.port()).in_folder("tls-listener").config(add_account);
    let envoy = builder.bootstrap(add_tls).start().unwrap();
    Kind { name: "TLS", front: format!("{TLS_HOST}:{}", envoy.port()), forbidden: Kinds::login("type3"), envoy }
}

/// Passwords and permissions are the registry's. A machine type can only be forbidden to all.
fn of_users(name: &'static str, envoy: Envoy) -> Kind {
    Kind { name, front: format!("127.0.0.1:{}", envoy.port()), forbidden: Kinds::login("unfiltered"), envoy }
}

/// The shipped configuration for a registry with users.
fn private(front: &TlsFront) -> Envoy {
    Builder::of_folder("private-registry").stand_in("registry.example.com", front.port(0)).start().unwrap()
}

fn with_tokens(registry: &Registry, tokens: &TokenService) -> Envoy {
    let port = tokens.port();
    let mut fields = json!({ "authentication": "upstream" });
    add_token_service(&mut fields);
    let builder = Builder::before(registry.port()).config(|config| set_registry(config, fields));
    builder.bootstrap(move |bootstrap| add_plain_cluster(bootstrap, "tokens", port)).start().unwrap()
}

fn add_account(config: &mut Value) {
    let hash = bcrypt::hash(password(ACCOUNT), 4).unwrap();
    let account = json!({ "password": hash, "machine_types": ["type1", "type2"], "repositories": [REPOSITORY] });
    config.add(&format!("accounts.{ACCOUNT}"), account);
}

/// The cluster speaks TLS, as docs/getting-started.md says.
fn add_tls(bootstrap: &mut Value) {
    let page = include_str!("../../../docs/getting-started.md");
    let (_, rest) = page.split_once("TLS, add under the cluster:\n\n   ```yaml\n").expect("docs/getting-started.md");
    let (snippet, _) = rest.split_once("   ```\n").expect("the end of the snippet");
    let mut snippet = config::parse(snippet).unwrap();
    trusted_authority(&mut snippet).set("filename", authority().unwrap().display().to_string());
    let tls = snippet.at_mut("transport_socket.typed_config");
    let name = "common_tls_context.validation_context.match_typed_subject_alt_names.0.matcher.exact";
    for path in ["sni", name] {
        assert_eq!(tls.at(path), "registry.example");
        tls.set(path, TLS_HOST);
    }
    cluster(bootstrap, "registry").add("transport_socket", snippet.remove("transport_socket"));
}
