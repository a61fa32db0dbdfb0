//! The processes that both commands start: the registry with the demo repository, and Envoy before it.

use std::env::{VarError, var};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use metahub_testkit::bench::Bench;
use metahub_testkit::config;
use metahub_testkit::envoy::{Builder, Envoy, in_folder};
use metahub_testkit::registry::Registry;
use metahub_testkit::root;
use metahub_testkit::{Failure, Result, port, wait_for};

/// The logins of the shipped metahub.yaml, each its own password, and the features of the image that each must get.
pub(crate) const LOGINS: [(&str, &[&str]); 3] = [
    ("qnib-type1", &["cpu:broadwell"]),
    ("qnib-type2", &["cpu:skylake"]),
    ("qnib-type3", &["cpu:broadwell", "nvcap:5.2"]),
];

/// The ports, each with the environment variable that sets it.
pub(crate) struct Ports {
    pub(crate) clients: u16,
    pub(crate) registry: u16,
    pub(crate) admin: u16,
}

impl Ports {
    /// The ports of the environment, or else the given ones; fails when one is in use, naming its variable.
    pub(crate) fn or(clients: u16, registry: u16, admin: u16) -> Result<Self> {
        Ok(Self {
            clients: chosen("METAHUB_PORT", clients)?,
            registry: chosen("METAHUB_REGISTRY_PORT", registry)?,
            admin: chosen("METAHUB_ADMIN_PORT", admin)?,
        })
    }
}

fn chosen(variable: &str, otherwise: u16) -> Result<u16> {
    let port = match var(variable) {
        Err(VarError::NotPresent) => otherwise,
        // `make` exports the variable even if it is not set.
        Ok(text) if text.is_empty() => otherwise,
        Ok(text) => match text.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err(Failure::new(format!("{variable} is not a port number: {text:?}"))),
        },
        Err(VarError::NotUnicode(_)) => return Err(Failure::new(format!("{variable} is not a port number"))),
    };
    if port::is_free(port) {
        return Ok(port);
    }
    let other = port.checked_add(1).unwrap_or(port - 1);
    Err(Failure::new(format!(
        "Port {port} is in use. Stop what listens there, or choose another one: {variable}={other} make …"
    )))
}

/// The folder below `envoy/` with the configuration to start (`UPSTREAM`); none is the demo's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folder(String);

impl Folder {
    /// The folder of the environment; fails when there is none of that name.
    pub(crate) fn of_environment() -> Result<Self> {
        let name = var("UPSTREAM").unwrap_or_default();
        if name.contains(['/', '.']) || config::shipped_text(&in_folder(&name, "envoy.yaml")).is_err() {
            return Err(Failure::new(format!("UPSTREAM is not the name of a folder below envoy/: {name:?}")));
        }
        Ok(Self(name))
    }

    /// Whether the configuration leads to the demo's registry.
    pub(crate) fn has_demo_registry(&self) -> bool {
        self.0.is_empty() || self.speaks_tls()
    }

    /// Whether clients must connect with TLS.
    pub(crate) fn speaks_tls(&self) -> bool {
        self.0 == "tls-listener"
    }

    /// The file with the machine types.
    pub(crate) fn file(&self) -> String {
        in_folder(&self.0, "metahub.yaml")
    }

    /// The text of that file, as it is now.
    pub(crate) fn text(&self) -> Result<String> {
        config::shipped_text(&self.file())
    }

    /// The text that Envoy reads: for these ports, and with Docker Hub's credentials if the environment has them.
    pub(crate) fn read(&self, text: &str, ports: &Ports) -> Result<Value> {
        const CREDENTIALS: &str = "credentials: { username_env: DOCKER_HUB_USER";
        let set = |name| var(name).is_ok_and(|value| !value.is_empty());
        let known = set("DOCKER_HUB_USER") && set("DOCKER_HUB_PASSWORD");
        let text = if known { text.replace(&format!("# {CREDENTIALS}"), CREDENTIALS) } else { text.to_owned() };
        let mut file = config::parse(&text)?;
        let module = root().join("dist/metahub.wasm").display().to_string();
        let registry = format!("127.0.0.1:{}", ports.registry);
        // Values that an operator has changed stay as they are.
        for (place, shipped, here) in [
            ("vm_config/code/local/filename", "dist/metahub.wasm", module),
            ("configuration/value/registries/registry/host", "127.0.0.1:5000", registry),
        ] {
            let place = file.pointer_mut(&format!("/resources/0/typed_config/config/{place}"));
            if let Some(place) = place.filter(|place| **place == shipped) {
                *place = here.into();
            }
        }
        Ok(file)
    }
}

/// Everything, running. Dropped in the order of the fields: Envoy ends before the registry behind it.
pub(crate) struct Stage {
    pub(crate) envoy: Envoy,
    registry: Option<Registry>,
    pub(crate) bench: Bench,
    pub(crate) ports: Ports,
    stop: Arc<AtomicBool>,
}

impl Stage {
    /// Starts everything and waits until it answers.
    pub(crate) fn start(ports: Ports, folder: &Folder, show_access_log: bool) -> Result<Self> {
        // From here on a signal must not end this process before the processes that it starts.
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }

        let bench = Bench::build();
        let mut registry = None;
        let mut envoy = Builder::of_folder(&folder.0);
        if folder.has_demo_registry() {
            envoy = Builder::before(ports.registry).in_folder(&folder.0).certificates(&root().join("certs"));
            bench.push(registry.insert(Registry::start_on(ports.registry)?))?;
        }
        let config = folder.read(&folder.text()?, &ports)?;
        envoy = envoy.ports(ports.clients, ports.admin).file(|file| *file = config);
        if show_access_log {
            envoy = envoy.show_access_log();
        }
        let envoy = envoy.start()?;
        // Envoy calls itself ready even if it has refused the filter's configuration; then every request fails.
        let accepted = || envoy.updates().ok().filter(|updates| updates.accepted > 0);
        if wait_for("MetaHub's configuration", Duration::from_secs(10), accepted).is_err() {
            let text = format!("MetaHub does not answer; {}", reason_of_refusal(&envoy.log()));
            return Err(Failure::new(text));
        }
        Ok(Self { envoy, registry, bench, ports, stop })
    }

    /// Whether a signal has asked this process to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Fails when the registry or Envoy has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        if self.envoy.has_ended() {
            return Err(Failure::new(format!("Envoy has ended; its log:\n{}", self.envoy.log())));
        }
        if let Some(registry) = &mut self.registry
            && registry.has_ended()
        {
            return Err(Failure::new(format!("the registry has ended; its log:\n{}", registry.log())));
        }
        Ok(())
    }
}

/// The line of Envoy's log that says what is wrong with a configuration.
pub(crate) fn reason_of_refusal(log: &str) -> String {
    const OURS: &str = "configuration refused";
    let ours = log.lines().rev().find_map(|line| line.find(OURS).and_then(|start| line.get(start..)));
    let envoys = || log.lines().rev().find(|line| line.contains("config update")).map(str::trim);
    ours.or_else(envoys).unwrap_or("Envoy's log does not say why").to_owned()
}
