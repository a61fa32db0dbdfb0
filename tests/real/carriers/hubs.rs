//! One MetaHub for each way in which clients are known, with the same images and machine types.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::ways::{Authentication, Way};
use crate::real::observe::assert_no_vm_died;
use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::client::Login;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::{Builder, Envoy, add_plain_cluster};
use metahub_testkit::port;
use metahub_testkit::registry::{Access, Registry};
use metahub_testkit::sandbox::RANGE;
use metahub_testkit::token_service::{SERVICE, TokenService};

/// The name under which nodes know every MetaHub.
pub(super) const HUB: &str = "hub.test";
/// Another one, at which MetaHub sees a node with the address that says what it is. At all others it sees the node with
/// an address of another machine type, which is wrong wherever something else is to count.
pub(super) const ADDRESSED: &str = "addressed.test";

const USER: &str = "pods";
const PASSWORD: &str = "the pod's s3cret: ü";

/// The host name that says this machine type.
pub(super) fn host_of(machine: &str) -> String {
    format!("{machine}.nodes.{HUB}")
}

/// One MetaHub.
pub(super) struct Hub {
    pub(super) authentication: Authentication,
    envoy: Envoy,
}

impl Hub {
    /// Where a node that says its machine type in this way reaches it.
    pub(super) fn authority(&self, way: Way, text: &str) -> String {
        let host = match way {
            Way::Host => host_of(text),
            Way::Address => ADDRESSED.to_owned(),
            Way::User | Way::Header | Way::Path => HUB.to_owned(),
        };
        format!("{host}:{}", self.envoy.port())
    }

    /// The registry that images name.
    pub(super) fn name(&self) -> String {
        format!("{HUB}:{}", self.envoy.port())
    }

    /// The image's name, which is the same on all nodes.
    pub(super) fn image(&self) -> String {
        format!("{}/{REPOSITORY}:latest", self.name())
    }

    /// The secret of all pods, with the node's machine type where that stands in the user name.
    pub(super) fn login(&self, way: Way, text: &str) -> Option<Login> {
        let user = match way {
            Way::User => format!("{USER}-{text}"),
            _ => USER.to_owned(),
        };
        (self.authentication != Authentication::Anonymous).then(|| Login::new(&user, PASSWORD))
    }
}

/// All of them, and what they stand on. Fields are dropped in their order: each Envoy before its registry.
pub(super) struct Hubs {
    pub(super) hubs: Vec<Hub>,
    pub(super) bench: Bench,
    tokens: TokenService,
    _registries: [Registry; 3],
}

impl Hubs {
    /// With nodes that have these addresses at [`ADDRESSED`], and the machine types that the addresses say.
    pub(super) fn set(addresses: &[(Ipv4Addr, &str)]) -> Self {
        let open = Registry::start().unwrap();
        let bench = Bench::build();
        bench.push(&open).unwrap();
        let users = [Login::new(USER, PASSWORD)];
        let tokens = TokenService::start(&users).unwrap();
        let basic = open.guarded(&Access::Htpasswd(&users)).unwrap();
        let token = open.guarded(&Access::Token(&tokens)).unwrap();
        let service = json!({ "cluster": "tokens", "realm": "http://tokens.test/token", "service": SERVICE });
        let upstream = json!({ "authentication": "upstream" });
        let with_tokens = json!({ "authentication": "upstream", "token_service": service });
        let hubs = [
            (Authentication::Accounts, &open, json!({ "authentication": "accounts" })),
            (Authentication::UpstreamBasic, &basic, upstream),
            (Authentication::UpstreamToken, &token, with_tokens),
            (Authentication::Anonymous, &open, json!({ "authentication": "accounts", "anonymous": "basic" })),
        ];
        let hubs = hubs.map(|(authentication, registry, fields)| {
            let envoy = start(registry.port(), tokens.port(), fields, sources(addresses));
            Hub { authentication, envoy }
        });
        Self { hubs: hubs.into(), bench, tokens, _registries: [open, basic, token] }
    }

    /// Checks that no client followed a registry's challenge, that no VM died, and that the secret stayed one.
    pub(super) fn assert_sound(&self) {
        assert!(!self.tokens.is_trapped(), "somebody followed the challenge");
        for hub in &self.hubs {
            assert_no_vm_died(&hub.envoy);
            assert!(!hub.envoy.log().contains("s3cret"), "{}: the password is in the log", hub.authentication.name());
        }
    }
}

/// All of them, with another machine type for all addresses but these.
fn sources(addresses: &[(Ipv4Addr, &str)]) -> Value {
    let mut networks = serde_json::Map::from_iter([(RANGE.to_owned(), json!("type3"))]);
    networks.extend(addresses.iter().map(|(address, machine)| (format!("{address}/32"), json!(machine))));
    let hosts = json!({ (format!("*.nodes.{HUB}")): "*" });
    json!({ "header": true, "path": "machines", "hosts": hosts, "addresses": networks })
}

fn start(registry: u16, tokens: u16, fields: Value, sources: Value) -> Envoy {
    let (front, admin) = (port::free(), port::free());
    let edit = move |config: &mut Value| {
        for (key, value) in fields.as_object().expect("fields") {
            config["registries"]["registry"][key] = value.clone();
        }
        config.add("public_url", format!("http://{HUB}:{front}"));
        config.add("machine_type_from", sources);
        config.add("described_machine_types", true);
        // A machine that only the generic image fits: no node is one.
        config.add("machine_types.basic", json!({ "architecture": "amd64" }));
        let hash = bcrypt::hash(PASSWORD, 4).unwrap();
        let types = json!(["type1", "type2", "type3", "described"]);
        config.add(&format!("accounts.{USER}"), json!({ "password": hash, "machine_types": types }));
    };
    let listen = move |bootstrap: &mut Value| {
        bootstrap.set("static_resources.listeners.0.address.socket_address.address", "0.0.0.0");
        add_plain_cluster(bootstrap, "tokens", tokens);
    };
    Builder::before(registry).ports(front, admin).config(edit).bootstrap(listen).start().unwrap()
}
