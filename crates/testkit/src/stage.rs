//! Everything that a test runs against, with one call: `stage().config(…).start()`.
//!
//! A stage is Envoy with the shipped configuration, two workers and MetaHub's filter, and something behind it: unless
//! told, a real registry with the demo repository. Everything is ready when [`Builder::start`] returns, and ends with
//! the [`Stage`], Envoy first; after a panic each process shows the end of its log.

use serde_json::{Value, json};

use super::bench::{Bench, REPOSITORY};
use super::client::Login;
use super::envoy::{self, Envoy, Speaks, add_plain_cluster};
use super::http::{Request, Response};
use super::registry::{Access, Registry};
use super::server::{Act, Received, Server, http2};
use super::tls_front::TlsFront;
use super::token_service::{SERVICE, TokenService};
use super::{Result, config::Edit as _, port};

/// A stage with a real registry and the demo repository, unless something else is put behind Envoy.
pub fn stage() -> Builder {
    Builder { envoy: envoy::Builder::alone(), behind: Behind::Registry, stand_ins: Vec::new() }
}

/// A stage under construction.
pub struct Builder {
    envoy: envoy::Builder,
    behind: Behind,
    stand_ins: Vec<(&'static str, Handler)>,
}

type Handler = Box<dyn Fn(&Received) -> Vec<Act> + Send + Sync>;
type Http2Handler = Box<dyn Fn(&Received, u32) -> Vec<Act> + Send + Sync>;

/// The upstream behind Envoy.
enum Behind {
    Registry,
    Passwords(Vec<Login>),
    Tokens(TokenService),
    Server(Handler),
    Http2(Http2Handler),
    Port(u16),
}

/// Everything, running. Fields are dropped in their order: Envoy before what is behind it.
pub struct Stage {
    pub envoy: Envoy,
    pub bench: Bench,
    behind: Parts,
}

/// The processes that run behind Envoy.
#[derive(Default)]
struct Parts {
    front: Option<TlsFront>,
    /// With the hosts that they stand for.
    servers: Vec<(&'static str, Server)>,
    guarded: Option<Registry>,
    registry: Option<Registry>,
    tokens: Option<TokenService>,
}

/// The name of the server that does not stand for another host.
const UPSTREAM: &str = "";

impl Builder {
    /// Behind Envoy is a registry that asks for the passwords of these users, with the same images as the open one.
    pub fn passwords(self, users: &[Login]) -> Self {
        Self { behind: Behind::Passwords(users.to_vec()), ..self }
    }

    /// Behind Envoy is a registry that wants this service's tokens, with the same images as the open one. MetaHub knows
    /// where they come from, by Envoy's cluster `tokens`.
    pub fn tokens(self, service: TokenService) -> Self {
        Self { behind: Behind::Tokens(service), ..self }
    }

    /// Behind Envoy is a server that does what the handler says.
    pub fn server(self, handler: impl Fn(&Received) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self { behind: Behind::Server(Box::new(handler)), ..self }
    }

    /// The same over HTTP/2: the handler gets the stream too, see [`http2::start`].
    pub fn http2_server(self, handler: impl Fn(&Received, u32) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let builder = self.envoy(|envoy| envoy.bootstrap(|bootstrap| envoy::speak(bootstrap, "registry", Speaks::H2c)));
        Self { behind: Behind::Http2(Box::new(handler)), ..builder }
    }

    /// Envoy leads to this port, where a server of the test's own listens, or none.
    pub fn port(self, port: u16) -> Self {
        Self { behind: Behind::Port(port), ..self }
    }

    /// Nothing is behind Envoy.
    pub fn nothing(self) -> Self {
        self.port(port::free())
    }

    /// With the configuration of a folder below `envoy/` that leads to the demo's registry.
    pub fn folder(self, folder: &str) -> Self {
        self.envoy(|envoy| envoy.in_folder(folder))
    }

    /// A server that does what the handler says stands for this host, port 443, where the configuration leads to it.
    pub fn stand_in(
        mut self,
        host: &'static str,
        handler: impl Fn(&Received) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        self.stand_ins.push((host, Box::new(handler)));
        self
    }

    /// MetaHub's own configuration in the place of the shipped one. A registry without `host` is the one behind Envoy;
    /// clients reach those that are not called `registry` by the host `<name>.test`.
    pub fn configuration(self, configuration: Value) -> Self {
        self.envoy(|envoy| envoy.configuration(configuration))
    }

    /// Adds a cluster that leads to what is behind Envoy too.
    pub fn cluster(self, name: &'static str) -> Self {
        self.envoy(|envoy| envoy.cluster(name))
    }

    /// Changes MetaHub's own configuration.
    pub fn config(self, change: impl FnOnce(&mut Value) + 'static) -> Self {
        self.envoy(|envoy| envoy.config(change))
    }

    /// Changes envoy.yaml.
    pub fn bootstrap(self, change: impl FnOnce(&mut Value) + 'static) -> Self {
        self.envoy(|envoy| envoy.bootstrap(change))
    }

    /// The number of worker threads; each has its own instance of the filter.
    pub fn concurrency(self, threads: u16) -> Self {
        self.envoy(|envoy| envoy.concurrency(threads))
    }

    /// All other settings of an Envoy.
    pub fn envoy(self, change: impl FnOnce(envoy::Builder) -> envoy::Builder) -> Self {
        Self { envoy: change(self.envoy), ..self }
    }

    /// Starts everything and waits until it answers.
    pub fn start(self) -> Result<Stage> {
        let (bench, mut envoy) = (Bench::build(), self.envoy);
        if !self.stand_ins.is_empty() {
            let behind = Parts::standing_in(self.stand_ins)?;
            envoy = behind.stand_ins().into_iter().fold(envoy, |envoy, (host, port)| envoy.stand_in(host, port));
            return Ok(Stage { envoy: envoy.start()?, bench, behind });
        }
        let (port, behind) = match self.behind {
            Behind::Port(port) => (port, Parts::default()),
            Behind::Server(handler) => Parts::of_server(Server::start(handler)?),
            Behind::Http2(handler) => Parts::of_server(http2::start(handler)?),
            Behind::Registry => Parts::of_registry(&bench, None)?,
            Behind::Passwords(users) => Parts::of_registry(&bench, Some(&Access::Htpasswd(&users)))?,
            Behind::Tokens(service) => {
                envoy = with_tokens(envoy, service.port());
                let (port, parts) = Parts::of_registry(&bench, Some(&Access::Token(&service)))?;
                (port, Parts { tokens: Some(service), ..parts })
            }
        };
        Ok(Stage { envoy: envoy.upstream(port).start()?, bench, behind })
    }
}

impl Parts {
    /// An open registry with the demo repository, and perhaps one over the same images that is not open; the port of
    /// the last one.
    fn of_registry(bench: &Bench, access: Option<&Access<'_>>) -> Result<(u16, Self)> {
        let registry = Registry::start()?;
        bench.push(&registry)?;
        let guarded = access.map(|access| registry.guarded(access)).transpose()?;
        let port = guarded.as_ref().unwrap_or(&registry).port();
        Ok((port, Self { guarded, registry: Some(registry), ..Self::default() }))
    }

    fn of_server(server: Server) -> (u16, Self) {
        (server.port(), Self { servers: vec![(UPSTREAM, server)], ..Self::default() })
    }

    /// Servers in the place of hosts elsewhere, behind TLS.
    fn standing_in(handlers: Vec<(&'static str, Handler)>) -> Result<Self> {
        let servers = handlers.into_iter().map(|(host, handler)| Ok((host, Server::start(handler)?)));
        let servers: Vec<(&str, Server)> = servers.collect::<Result<_>>()?;
        let ports: Vec<u16> = servers.iter().map(|(_, server)| server.port()).collect();
        Ok(Self { front: Some(TlsFront::before(&ports)?), servers, ..Self::default() })
    }

    /// Each host, and the port with TLS that stands for it.
    fn stand_ins(&self) -> Vec<(&'static str, u16)> {
        let front = self.front.iter().flat_map(|front| (0..).map(|number| front.port(number)));
        self.servers.iter().map(|(host, _)| *host).zip(front).collect()
    }
}

/// Says where the registry's tokens come from.
fn with_tokens(envoy: envoy::Builder, port: u16) -> envoy::Builder {
    let add_service = |config: &mut Value| {
        let service = json!({ "cluster": "tokens", "realm": "http://tokens.test/token", "service": SERVICE });
        config.at_mut("registries.registry").add("token_service", service);
    };
    envoy.config(add_service).bootstrap(move |bootstrap| add_plain_cluster(bootstrap, "tokens", port))
}

impl Stage {
    /// The open registry, to which images are pushed.
    pub fn registry(&self) -> &Registry {
        self.behind.registry.as_ref().expect("a stage with a registry")
    }

    /// The open registry, to be stopped and started.
    pub fn registry_mut(&mut self) -> &mut Registry {
        self.behind.registry.as_mut().expect("a stage with a registry")
    }

    /// The registry behind Envoy that asks for passwords or tokens.
    pub fn guarded(&self) -> &Registry {
        self.behind.guarded.as_ref().expect("a stage with a registry that asks for credentials")
    }

    /// The token service, of stages that have one.
    pub fn token_service(&self) -> Option<&TokenService> {
        self.behind.tokens.as_ref()
    }

    /// The server behind Envoy.
    pub fn server(&self) -> &Server {
        self.stand_in(UPSTREAM)
    }

    /// The server that stands for this host.
    pub fn stand_in(&self, host: &str) -> &Server {
        let found = self.behind.servers.iter().find(|(name, _)| *name == host);
        &found.unwrap_or_else(|| panic!("a stage with a server for {host:?}")).1
    }

    /// Sends a request through Envoy.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        self.envoy.send(request).unwrap()
    }

    /// Where clients reach MetaHub.
    pub fn front(&self) -> String {
        format!("127.0.0.1:{}", self.envoy.port())
    }

    /// The demo repository's tag, through MetaHub.
    pub fn tag(&self) -> String {
        format!("{}/{REPOSITORY}:latest", self.front())
    }

    /// A manifest of the demo repository by digest, through MetaHub.
    pub fn by_digest(&self, digest: &str) -> String {
        format!("{}/{REPOSITORY}@{digest}", self.front())
    }

    /// The same at the registry itself, which asks for no credentials.
    pub fn directly(&self, digest: &str) -> String {
        format!("127.0.0.1:{}/{REPOSITORY}@{digest}", self.registry().port())
    }
}
