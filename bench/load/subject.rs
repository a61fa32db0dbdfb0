//! The Envoys under measurement: one worker each, from the shipped configuration, with and without the filter.
//!
//! Two things differ from the shipped files, for all of them alike: the access log is off (a line for each request
//! would be a cost that both sides share, which flatters the ratio), and MetaHub's own configuration is one of
//! [`Setup`].

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::floor::{Floor, FloorFilter};
use crate::machine::{self, Cores};
use metahub_bench::indexes::description;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::{Builder, Envoy, add_plain_cluster, manager, set_module};
use metahub_testkit::http::Request;
use metahub_testkit::{Failure, Result, port};

/// The login of all requests: account and machine type, with a password equal to the account.
pub(crate) const LOGIN: (&str, &str) = ("bench-first", "bench");
/// How many machine types a fleet has besides `first`: `node0`, `node1`, … each with the feature `node:<number>`.
pub(crate) const NODES: usize = 20;

/// The place where passwords are checked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Authentication {
    /// MetaHub, with bcrypt.
    Accounts,
    /// The registry.
    Upstream,
    /// Nowhere.
    None,
    /// MetaHub, and the registry wants a bearer token from the service on this port.
    Token(u16),
}

/// The filter's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    /// The default, without a value in the configuration.
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

    /// The configuration's value for the cache, if it has one.
    fn value(self) -> Option<Value> {
        match self {
            Self::Shipped => None,
            Self::Off => Some(json!({ "bytes": 0 })),
            Self::On { tag_ttl, stale } => Some(json!({
                "bytes": "64MiB", "tag_ttl": format!("{tag_ttl}s"), "serve_stale_on_error": format!("{stale}s"),
            })),
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
    /// Whether a header may name the machine type.
    pub(crate) header: bool,
    /// The name of one machine type ends with it: the sign by which a reload is seen.
    pub(crate) generation: usize,
}

impl Setup {
    /// Passwords by accounts, which is what is shipped.
    pub(crate) const fn new(cache: Cache) -> Self {
        Self {
            machine_types: 0,
            distinct: 0,
            authentication: Authentication::Accounts,
            cache,
            header: false,
            generation: 0,
        }
    }

    /// MetaHub's own configuration.
    pub(crate) fn config(&self, upstream: u16) -> Value {
        let hash = bcrypt::hash_with_salt("bench", 5, *b"not very secret!").map(|hash| hash.to_string());
        let mut config = json!({
            "machine_types": self.machine_types(),
            "registries": { "registry": self.registry(upstream) },
            "accounts": { "bench": { "password": hash.unwrap_or_default() } },
        });
        if self.header {
            config["machine_type_from"] = json!({ "header": true });
        }
        if let Some(cache) = self.cache.value() {
            config["cache"] = cache;
        }
        config
    }

    fn machine_types(&self) -> Map<String, Value> {
        let mut types = self.growing_types();
        for number in 0..NODES {
            types.insert(format!("node{number}"), json!({ "features": ["cpu:icelake", format!("node:{number}")] }));
        }
        if self.distinct > 0 {
            types.insert("foreign".to_owned(), json!({ "architecture": "s390x" }));
        }
        for number in 0..self.distinct {
            let mut features = description(19).features;
            features.push(format!("rack:{number}"));
            types.insert(format!("m{number}"), json!({ "features": features }));
        }
        types
    }

    /// Those of which a reload brings more.
    fn growing_types(&self) -> Map<String, Value> {
        let mut types = Map::new();
        for name in ["first".to_owned(), format!("gen{}", self.generation)] {
            types.insert(name, json!({ "features": description(4).features }));
        }
        for number in 0..self.machine_types {
            let (capability, rack) = (number % 10, number % 100);
            let features = ["cpu:skylake".to_owned(), format!("nvcap:8.{capability}"), format!("rack:{rack}")];
            types.insert(format!("t{number}"), json!({ "features": features }));
        }
        types
    }

    fn registry(&self, upstream: u16) -> Value {
        let host = format!("127.0.0.1:{upstream}");
        let checked_by = |who: &str| json!({ "host": host, "authentication": who });
        match self.authentication {
            Authentication::Accounts => checked_by("accounts"),
            Authentication::Upstream => checked_by("upstream"),
            Authentication::None => checked_by("none"),
            Authentication::Token(port) => {
                let realm = format!("http://127.0.0.1:{port}/token");
                json!({
                    "host": host, "authentication": "accounts",
                    "credentials": { "username": "metahub", "password": "secret" },
                    "token_service": { "cluster": "tokens", "realm": realm, "service": "bench" },
                })
            }
        }
    }

    /// The text of the configuration file of this Envoy with this configuration.
    pub(crate) fn text(&self, envoy: &Envoy, upstream: u16) -> String {
        envoy.text_with(&self.config(upstream))
    }

    /// A configuration file with the same machine types, for every client and without accounts, as JSON in one string:
    /// Envoy passes it on without reading it.
    pub(crate) fn as_one_string(&self, envoy: &Envoy, upstream: u16) -> String {
        let registry = json!({ "host": format!("127.0.0.1:{upstream}"), "authentication": "none" });
        let document = json!({ "machine_types": self.growing_types(), "registries": { "registry": registry } });
        let mut file = envoy.file().clone();
        file.set(
            "resources.0.typed_config.config.configuration",
            json!({
                "@type": "type.googleapis.com/google.protobuf.StringValue", "value": document.to_string(),
            }),
        );
        file.to_string()
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
        let builder = Builder::before(upstream).without_filter();
        Self::start(builder.bootstrap(remove_access_log), upstream, cores)
    }

    /// Envoy without the filter, on its core, which answers `/file` with this file by itself.
    pub(crate) fn sending(file: &Path, cores: &Cores) -> Result<Self> {
        let length = fs::metadata(file)?.len();
        let route = json!({
            "match": { "path": "/file" },
            "direct_response": { "status": 200, "body": { "filename": file } },
        });
        let change = move |bootstrap: &mut Value| {
            remove_access_log(bootstrap);
            let routes = manager(bootstrap).at_mut("route_config");
            routes.add("max_direct_response_body_size_bytes", length);
            routes.at_mut("virtual_hosts.0.routes").as_array_mut().expect("routes").insert(0, route);
        };
        // There is no upstream that it could ask.
        let upstream = port::free();
        Self::start(Builder::before(upstream).without_filter().bootstrap(change), upstream, cores)
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
        let change = move |file: &mut Value| {
            set_module(file, &path);
            file.remove("resources.0.typed_config.config.configuration");
        };
        let builder = Builder::before(upstream).file(change);
        Self::start(builder.bootstrap(remove_access_log), upstream, cores)
    }

    /// The same with another build of the filter.
    pub(crate) fn with_filter(&self, filter: &str, cores: &Cores) -> Result<Option<Self>> {
        let (Some(setup), upstream) = (self.setup, self.upstream) else { return Ok(None) };
        let filter = PathBuf::from(filter);
        let builder = before(upstream, setup).file(move |file| set_module(file, &filter));
        let subject = Self::start(builder, upstream, cores)?;
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

    /// CPU time of the one worker alone: without the main thread, which reads configurations, and V8's compiler
    /// threads.
    pub(crate) fn worker_time(&self) -> Result<Duration> {
        machine::cpu_time_of(self.envoy.id(), "wrk:worker_0")
    }

    pub(crate) fn resident(&self) -> Result<u64> {
        self.envoy.resident()
    }
}

/// Envoy with the filter and this configuration, to be started.
pub(crate) fn before(upstream: u16, setup: Setup) -> Builder {
    let builder =
        Builder::before(upstream).config(move |config| *config = setup.config(upstream)).bootstrap(remove_access_log);
    match setup.authentication {
        Authentication::Token(port) => builder.bootstrap(move |bootstrap| add_plain_cluster(bootstrap, "tokens", port)),
        _ => builder,
    }
}

fn remove_access_log(bootstrap: &mut Value) {
    manager(bootstrap).remove("access_log");
}
