//! The cost of tokens for container clients: how many exchanges, and which of them they notice. The matrix runs these
//! columns.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{REPOSITORY, Stage, TALL, manifest, tall};
use metahub_testkit::client::{Client, Login};
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::manager;
use metahub_testkit::token_service::{Mood, TokenService};
use metahub_testkit::{Failure, Result};

/// The image of ten layers, where each blob takes a while.
const SLOW: &str = "library/slow";
const PASSWORD: &str = "layers-pw";

/// A column of the matrix.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) check: fn(&mut dyn Client, &Layers) -> Result<()>,
    /// Whether it takes many seconds.
    pub(super) slow: bool,
}

pub(super) const COLUMNS: [Column; 4] = [
    Column { name: "ten layers", check: ten_layers, slow: false },
    Column { name: "ended", check: ended, slow: false },
    Column { name: "expiring", check: expiring, slow: true },
    Column { name: "lying", check: lying, slow: true },
];

/// A registry with tokens, and users enough that each check has one of its own.
pub(super) struct Layers {
    stage: Stage,
    /// Users of whom MetaHub keeps nothing.
    newcomers: Logins,
    /// Users of whom it keeps tokens that have ended.
    guests: Logins,
}

struct Logins {
    logins: Vec<Login>,
    next: AtomicUsize,
}

impl Logins {
    fn new(kind: &str) -> Self {
        let logins = (0..20).map(|number| Login::new(&format!("{kind}{number}"), PASSWORD)).collect();
        Self { logins, next: AtomicUsize::new(0) }
    }

    /// Another one than before, as this machine type; the client has it from now on.
    fn next(&self, client: &mut dyn Client, stage: &Stage, machine: &str) -> Result<Login> {
        let user = &self.logins[self.next.fetch_add(1, Ordering::Relaxed)];
        let login = Login::new(&format!("{}-{machine}", user.user), &user.password);
        client.keep(&stage.front(), &login)?;
        drop(stage.exchanges());
        Ok(login)
    }
}

impl Layers {
    pub(super) fn set() -> Self {
        let (newcomers, guests) = (Logins::new("newcomer"), Logins::new("guest"));
        let users = [newcomers.logins.clone(), guests.logins.clone()].concat();
        let tokens = TokenService::start(&users).unwrap();
        let stage =
            Stage::set(Some(tokens), json!({ "authentication": "upstream" }), |envoy| envoy.bootstrap(add_delay));
        tall(stage.registry(), SLOW);
        stage.tokens().set(Mood::Brief);
        for guest in guests.logins.iter().take(5) {
            for path in ["/v2/".to_owned(), manifest(REPOSITORY)] {
                let answer = stage.ask("GET", &path, &format!("{}-type2", guest.user), &guest.password);
                assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            }
        }
        stage.wait_for_end_of_tokens();
        stage.tokens().set(Mood::Issue(300));
        Self { stage, newcomers, guests }
    }

    fn newcomer(&self, client: &mut dyn Client, machine: &str) -> Result<Login> {
        self.newcomers.next(client, &self.stage, machine)
    }

    fn guest(&self, client: &mut dyn Client, machine: &str) -> Result<Login> {
        self.guests.next(client, &self.stage, machine)
    }

    /// Pulls the slow image: how long that took, how many tokens it cost, and how often a client was redirected.
    fn pull_slowly(&self, client: &mut dyn Client, mood: Mood) -> Result<(Duration, u64, u64)> {
        self.newcomer(client, "type1")?;
        self.stage.tokens().set(mood);
        let rounds = || self.stage.envoy.stat("", "metahub_token_refused");
        let (before, started) = (rounds()?, Instant::now());
        let logged = self.stage.envoy.log().len();
        let outcome = client.pull(&format!("{}/{SLOW}:latest", self.stage.front()));
        let took = started.elapsed();
        self.stage.tokens().set(Mood::Issue(300));
        outcome?;
        // The access log may be a moment late, which does not matter: a failed request would have failed the client.
        let log = self.stage.envoy.log().split_off(logged);
        let failed = log.lines().find(|line| line.contains(&format!("GET /v2/{SLOW}/blobs/")) && line.contains(" 40"));
        match failed {
            Some(line) => Err(Failure::new(format!("a failed request: {line}"))),
            None => Ok((took, self.stage.exchanges().len() as u64, rounds()? - before)),
        }
    }
}

/// Blobs of [`SLOW`] wait for 0.6 s between MetaHub and the registry, with the token that MetaHub gave them.
fn add_delay(bootstrap: &mut Value) {
    let fault = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        "delay": { "fixed_delay": "0.6s", "percentage": { "numerator": 100 } },
        "headers": [{ "name": ":path", "string_match": { "contains": format!("{SLOW}/blobs/") } }],
    });
    let filters = manager(bootstrap).at_mut("http_filters").as_array_mut().unwrap();
    // Before the router, which is the last.
    filters.insert(filters.len() - 1, json!({ "name": "envoy.filters.http.fault", "typed_config": fault }));
}

fn ten_layers(client: &mut dyn Client, layers: &Layers) -> Result<()> {
    layers.newcomer(client, "type1")?;
    client.pull(&format!("{}/{TALL}:latest", layers.stage.front()))?;
    let exchanges = layers.stage.exchanges();
    let once = exchanges == [format!("repository:{TALL}:pull")];
    if once { Ok(()) } else { Err(Failure::new(format!("exchanges for ten layers: {exchanges:?}"))) }
}

/// Tokens that end while layers are fetched, as the service says.
fn expiring(client: &mut dyn Client, layers: &Layers) -> Result<()> {
    let (took, exchanges, _) = layers.pull_slowly(client, Mood::Issue(2))?;
    // MetaHub uses a token for a second.
    let renewed = took < Duration::from_secs(3) || exchanges > 1;
    let bounded = exchanges <= 2 * took.as_secs() + 3;
    if renewed && bounded { Ok(()) } else { Err(Failure::new(format!("{exchanges} exchanges in {took:?}"))) }
}

/// A token that ends while layers are fetched, although the service promised an hour. Several requests have it by then,
/// and each of them is redirected.
fn lying(client: &mut dyn Client, layers: &Layers) -> Result<()> {
    let (took, exchanges, rounds) = layers.pull_slowly(client, Mood::LieOnce)?;
    let noticed = took < Duration::from_secs(3) || (rounds > 0 && (2..=rounds + 1).contains(&exchanges));
    if noticed { Ok(()) } else { Err(Failure::new(format!("{exchanges} exchanges, {rounds} rounds in {took:?}"))) }
}

/// The registry refuses the token that MetaHub keeps, before its promised end: the client is redirected, and notices
/// nothing.
fn ended(client: &mut dyn Client, layers: &Layers) -> Result<()> {
    let stage = &layers.stage;
    let login = layers.guest(client, "type2")?;
    let rounds = || stage.envoy.stat("", "metahub_token_refused");
    let before = rounds()?;
    client.log_in(&stage.front(), &login)?;
    let pulled = client.pull(&format!("{}/{REPOSITORY}:latest", stage.front()))?;
    let expected = stage.bench.digest(&["cpu:skylake"]);
    match (pulled.digest == expected, rounds()? > before) {
        (true, true) => Ok(()),
        (false, _) => Err(Failure::new(format!("{pulled:?}, expected {expected}"))),
        (true, false) => Err(Failure::new("nobody was sent round")),
    }
}
