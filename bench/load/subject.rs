//! The Envoys under measurement: one worker each, from the shipped configuration, with and without the filter.
//!
//! Two things differ from what is shipped, for all of them alike: the access log is off (a line for each request would
//! be a cost that both sides share, which flatters the ratio), and MetaHub's own configuration is one of [`Setup`].

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::floor::{Floor, FloorFilter};
use crate::machine::{self, Cores};
use metahub_bench::indexes::description;
use metahub_testkit::envoy::{Builder, Envoy, replace};
use metahub_testkit::http::Request;
use metahub_testkit::{Failure, Result, port};

/// The login of all requests: account and machine type, with a password equal to the account.
pub(crate) const LOGIN: (&str, &str) = ("bench-first", "bench");
/// How many machine types a fleet has besides `first`: `node0`, `node1`, … each with the feature `node:<number>`.
pub(crate) const NODES: usize = 20;

/// Who checks passwords.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Authentication {
    /// MetaHub, with bcrypt.
    Accounts,
    /// The registry.
    Upstream,
    /// Nobody.
    None,
    /// MetaHub, and the registry wants a bearer token from the service on this port.
    Token(u16),
}

/// The filter's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    /// As it is where the configuration says nothing of it.
    Shipped,
    Off,
    /// With `tag_ttl` and `serve_stale_on_error` in seconds.
    On {
        tag_ttl: u32,
        stale: u32,
    },
}

impl Cache {
    /// Every tag is revalidated.
    pub(crate) const REVALIDATED: Self = Self::On { tag_ttl: 0, stale: 0 };

    /// The line of the configuration.
    fn line(self) -> String {
        match self {
            Self::Shipped => String::new(),
            Self::Off => "          cache: { bytes: 0 }\n".to_owned(),
            Self::On { tag_ttl, stale } => {
                format!("          cache: {{ bytes: 64MiB, tag_ttl: {tag_ttl}s, serve_stale_on_error: {stale}s }}\n")
            }
        }
    }
}

/// A configuration of MetaHub.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// Machine types besides those that are always there.
    pub(crate) machine_types: usize,
    /// Machine types of 20 features, no two alike, that find something in every index: `m0`, `m1`, … And `foreign`,
    /// which finds nothing in any.
    pub(crate) distinct: usize,
    pub(crate) authentication: Authentication,
    pub(crate) cache: Cache,
    /// The name of one machine type ends with it: the sign by which a reload is seen.
    pub(crate) generation: usize,
}

impl Setup {
    /// Passwords by accounts, which is what is shipped.
    pub(crate) const fn new(cache: Cache) -> Self {
        Self { machine_types: 0, distinct: 0, authentication: Authentication::Accounts, cache, generation: 0 }
    }

    /// What stands under `configuration.value`.
    pub(crate) fn text(&self, upstream: u16) -> String {
        let mut text = String::from("          machine_types:\n");
        let features = serde_json::json!(description(4).features);
        let generation = self.generation;
        for name in ["first".to_owned(), format!("gen{generation}")] {
            let _ = writeln!(text, "            {name}: {{ features: {features} }}");
        }
        for number in 0..NODES {
            let _ = writeln!(text, "            node{number}: {{ features: [\"cpu:icelake\", \"node:{number}\"] }}");
        }
        for number in 0..self.machine_types {
            let (capability, rack) = (number % 10, number % 100);
            let _ = writeln!(
                text,
                "            t{number}: {{ features: [\"cpu:skylake\", \"nvcap:8.{capability}\", \"rack:{rack}\"] }}"
            );
        }
        if self.distinct > 0 {
            text.push_str("            foreign: { architecture: s390x }\n");
        }
        let common = serde_json::json!(description(19).features).to_string();
        let common = common.trim_end_matches(']');
        for number in 0..self.distinct {
            let _ = writeln!(text, "            m{number}: {{ features: {common},\"rack:{number}\"] }}");
        }
        let authentication = match self.authentication {
            Authentication::Accounts => "authentication: accounts".to_owned(),
            Authentication::Upstream => "authentication: upstream".to_owned(),
            Authentication::None => "authentication: none".to_owned(),
            Authentication::Token(port) => format!(
                "authentication: accounts, credentials: {{ username: metahub, password: secret }}, \
                 token_service: {{ cluster: tokens, realm: \"http://127.0.0.1:{port}/token\", service: bench }}"
            ),
        };
        let _ = writeln!(
            text,
            "          registries: {{ registry: {{ host: \"127.0.0.1:{upstream}\", {authentication} }} }}"
        );
        let hash = bcrypt::hash_with_salt("bench", 5, *b"not very secret!").map(|hash| hash.to_string());
        let _ = writeln!(text, "          accounts: {{ bench: {{ password: \"{}\" }} }}", hash.unwrap_or_default());
        text + &self.cache.line()
    }

    /// A configuration file with the same machine types, for everybody and without accounts, as JSON in one string:
    /// Envoy passes it on without reading it.
    pub(crate) fn as_one_string(&self, file: &str, upstream: u16) -> String {
        let mut types = serde_json::Map::new();
        for name in ["first".to_owned(), format!("gen{}", self.generation)] {
            types.insert(name, serde_json::json!({ "features": description(4).features }));
        }
        for number in 0..self.machine_types {
            let (capability, rack) = (number % 10, number % 100);
            let features = ["cpu:skylake".to_owned(), format!("nvcap:8.{capability}"), format!("rack:{rack}")];
            types.insert(format!("t{number}"), serde_json::json!({ "features": features }));
        }
        let registry = serde_json::json!({ "host": format!("127.0.0.1:{upstream}"), "authentication": "none" });
        let document = serde_json::json!({ "machine_types": types, "registries": { "registry": registry } });
        let end = file.find("      configuration:\n").unwrap_or(file.len());
        format!(
            "{}      configuration:\n        \"@type\": type.googleapis.com/google.protobuf.StringValue\n        \
             value: '{document}'\n",
            &file[..end]
        )
    }

    /// A configuration file with this configuration of MetaHub.
    pub(crate) fn applied(&self, file: &str, upstream: u16) -> String {
        let end =
            file.find("          # What a kind of machine can run").or_else(|| file.find("          machine_types:"));
        format!("{}{}", &file[..end.unwrap_or(file.len())], self.text(upstream))
    }
}

/// A running Envoy.
pub(crate) struct Subject {
    pub(crate) envoy: Envoy,
    /// The port of its upstream.
    pub(crate) upstream: u16,
    /// The configuration of its filter, if that is MetaHub's.
    setup: Option<Setup>,
}

impl Subject {
    /// Envoy without the filter, on its core.
    pub(crate) fn bare(upstream: u16, cores: &Cores) -> Result<Self> {
        let builder = Envoy::before(upstream).without_filter();
        Self::start(builder.edit_bootstrap(|bootstrap| without_access_log(&bootstrap)), upstream, cores)
    }

    /// Envoy without the filter, on its core, which answers `/file` with this file by itself.
    pub(crate) fn sending(file: &Path, cores: &Cores) -> Result<Self> {
        let length = fs::metadata(file)?.len();
        let body = format!("{{ filename: {} }}", file.display());
        let edit = move |bootstrap: String| {
            let name = "            name: registries\n";
            let most = format!("{name}            max_direct_response_body_size_bytes: {length}\n");
            let routes = "              routes:\n";
            let route = format!(
                "{routes}              - match: {{ path: /file }}\n                \
                 direct_response: {{ status: 200, body: {body} }}\n"
            );
            replace(&replace(&without_access_log(&bootstrap), name, &most, 1), routes, &route, 1)
        };
        // Nothing is there that it could ask.
        let upstream = port::free();
        Self::start(Envoy::before(upstream).without_filter().edit_bootstrap(edit), upstream, cores)
    }

    /// Envoy with the filter, on its core.
    pub(crate) fn metahub(upstream: u16, setup: Setup, cores: &Cores) -> Result<Self> {
        let subject = Self::anywhere(upstream, setup)?;
        machine::pin(subject.envoy.id(), cores.envoy)?;
        Ok(subject)
    }

    /// Envoy with a filter that only makes host calls, on its core.
    pub(crate) fn floor(upstream: u16, floor: &Floor, cores: &Cores) -> Result<Self> {
        // Envoy has read it when it is ready.
        let filter = FloorFilter::assemble(floor)?;
        let path = filter.path();
        let edit = move |file: String| {
            let (start, end) = (file.find("filename: ").expect("the filter"), file.find(" } }\n").expect("its end"));
            let file = format!("{}filename: {}{}", &file[..start], path.display(), &file[end..]);
            let end = file.find("      # MetaHub's own configuration").expect("the configuration");
            file[..end].to_owned()
        };
        let builder = Envoy::before(upstream).edit_config(edit);
        Self::start(builder.edit_bootstrap(|bootstrap| without_access_log(&bootstrap)), upstream, cores)
    }

    /// The same with another build of the filter.
    pub(crate) fn with_filter(&self, filter: &str, cores: &Cores) -> Result<Option<Self>> {
        let (Some(setup), upstream) = (self.setup, self.upstream) else { return Ok(None) };
        let filter = filter.to_owned();
        let edit = move |file: String| {
            let (start, end) = (file.find("filename: ").expect("the filter"), file.find(" } }\n").expect("its end"));
            format!("{}filename: {filter}{}", &file[..start], &file[end..])
        };
        let subject = Self::start(before(upstream, setup).edit_config(edit), upstream, cores)?;
        Ok(Some(Self { setup: Some(setup), ..subject }))
    }

    /// One worker, on its core.
    fn start(builder: Builder, upstream: u16, cores: &Cores) -> Result<Self> {
        let envoy = builder.concurrency(1).start()?;
        machine::pin(envoy.id(), cores.envoy)?;
        Ok(Self { envoy, upstream, setup: None })
    }

    /// Envoy with the filter, on any core.
    pub(crate) fn anywhere(upstream: u16, setup: Setup) -> Result<Self> {
        let envoy = before(upstream, setup).concurrency(1).start()?;
        let answer = envoy.send(&Request::get("/metahub/v1/health"))?;
        if answer.status == 200 {
            Ok(Self { envoy, upstream, setup: Some(setup) })
        } else {
            Err(Failure::new(envoy.log()))
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.envoy.port()
    }

    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        machine::cpu_time(self.envoy.id())
    }

    /// CPU time of the one worker alone: without the main thread, which reads configurations, and V8's compiler threads.
    pub(crate) fn worker_time(&self) -> Result<Duration> {
        machine::cpu_time_of(self.envoy.id(), "wrk:worker_0")
    }

    pub(crate) fn resident(&self) -> Result<u64> {
        machine::resident(self.envoy.id())
    }
}

/// Envoy with the filter and this configuration, to be started.
pub(crate) fn before(upstream: u16, setup: Setup) -> Builder {
    let builder = Envoy::before(upstream)
        .edit_config(move |file| setup.applied(&file, upstream))
        .edit_bootstrap(|bootstrap| without_access_log(&bootstrap));
    match setup.authentication {
        Authentication::Token(port) => builder.edit_bootstrap(move |bootstrap| with_token_cluster(&bootstrap, port)),
        _ => builder,
    }
}

fn without_access_log(bootstrap: &str) -> String {
    let start = bootstrap.find("          # Never add %REQ(AUTHORIZATION)%").expect("the access log");
    let end = bootstrap.find("\n  clusters:\n").expect("the clusters");
    format!("{}{}", &bootstrap[..start], &bootstrap[end..])
}

fn with_token_cluster(bootstrap: &str, port: u16) -> String {
    let endpoint = format!("{{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}");
    let cluster = format!(
        "  clusters:\n  - name: tokens\n    type: STATIC\n    connect_timeout: 2s\n    load_assignment:\n      \
         cluster_name: tokens\n      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {endpoint} }} }}] }}]\n"
    );
    replace(bootstrap, "  clusters:\n", &cluster, 1)
}
