//! The configuration of the model, and its clients: the documents that each may get, and the owner that a registry must
//! see.

use metahub::config::Config;
use serde_json::{Value, json};

use super::super::input::Input;
use super::catalogue::MACHINES;
use super::registry::{CLUSTERS, HUB, Owner, USERS, WITH_TOKENS, basic};

/// The settings that can have more than one value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// In bytes.
    pub(super) cache: u64,
    /// In seconds, as the next.
    pub(super) ttl: u64,
    pub(super) stale: u64,
    pub(super) on_no_match: &'static str,
    pub(super) index_by_digest: &'static str,
    /// `mode` of all registries.
    pub(super) mode: &'static str,
    /// Which of its two passwords the account `plain` has.
    pub(super) rotated: bool,
}

impl Rules {
    pub(super) fn choose(input: &mut Input<'_>) -> Self {
        let cache = input.pick(&[64 << 20, 64 << 20, 1 << 20, 0]);
        let ttl = input.pick(&[10, 0, 60, 10]);
        let stale = input.pick(&[0, 30]);
        let (ttl, stale) = if cache == 0 { (0, 0) } else { (ttl, stale) };
        let on_no_match = input.pick(&["refuse", "deny", "unfiltered"]);
        let index_by_digest = if on_no_match == "unfiltered" { "pass" } else { input.pick(&["pass", "refuse"]) };
        let mode = input.pick(&["select", "select", "select", "observe"]);
        Self { cache, ttl, stale, on_no_match, index_by_digest, mode, rotated: input.one_in(2) }
    }

    /// The simplest rules.
    pub(super) const fn without_cache(rotated: bool) -> Self {
        let (on_no_match, index_by_digest, mode) = ("refuse", "pass", "select");
        Self { cache: 0, ttl: 0, stale: 0, on_no_match, index_by_digest, mode, rotated }
    }

    /// All clients may see an index in which nothing fits.
    pub(super) fn is_lax(self) -> bool {
        self.on_no_match == "unfiltered"
    }

    /// All clients see whole indexes.
    pub(super) fn observes(self) -> bool {
        self.mode == "observe"
    }

    /// Machine types get no index of images by its digest.
    pub(super) fn refuses_indexes(self) -> bool {
        self.index_by_digest == "refuse" && !self.observes()
    }

    pub(super) fn config(self) -> Config {
        let machines = MACHINES.iter().map(|machine| {
            let description = json!({ "architecture": machine.architecture, "features": machine.features });
            (machine.name.to_owned(), description)
        });
        let registries = CLUSTERS.iter().map(|cluster| {
            let mut registry = registry(cluster);
            registry["mode"] = json!(self.mode);
            ((*cluster).to_owned(), registry)
        });
        let document = json!({
            "machine_types": machines.collect::<serde_json::Map<_, _>>(),
            "registries": registries.collect::<serde_json::Map<_, _>>(),
            "accounts": {
                "plain": { "password": PLAIN[usize::from(self.rotated)].1, "machine_type": "plain" },
                "team": { "password": TEAM.1, "machine_types": ["mpi", "arm"], "repositories": ["team/**"] },
                "all": { "password": ALL.1, "machine_type": "unfiltered" },
            },
            "machine_type_from": { "header": true },
            "described_machine_types": true,
            "on_no_match": self.on_no_match,
            "index_by_digest": self.index_by_digest,
            "cache": {
                "bytes": self.cache, "tag_ttl": format!("{}s", self.ttl),
                "serve_stale_on_error": format!("{}s", self.stale),
            },
        });
        Config::parse(document.to_string().as_bytes(), &|_| None).expect("a configuration")
    }
}

fn registry(cluster: &str) -> Value {
    let authentication = match cluster {
        "accounts" | "shared" => "accounts",
        "open" => "none",
        _ => "upstream",
    };
    let mut registry = json!({ "host": format!("{cluster}.example"), "authentication": authentication });
    if cluster != "accounts" && cluster != "open" {
        registry["anonymous"] = json!("plain");
    }
    if cluster == "shared" {
        registry["credentials"] = json!({ "username": HUB.0, "password": HUB.1, "public": true });
    }
    if WITH_TOKENS.contains(&cluster) {
        registry["token_service"] =
            json!({ "cluster": "auth", "realm": "https://auth.example/token", "service": "hub" });
    }
    registry
}

/// Passwords and their bcrypt lines.
const PLAIN: [(&str, &str); 2] = [
    ("secret-of-plain-1", "$2y$04$abcdefghijklmnopqrstuuasFmSxdYyO4M1.nWxysbE0w6DcIPK7a"),
    ("secret-of-plain-2", "$2y$04$abcdefghijklmnopqrstuunrljCt5WTtZcsTdo2SwtE3qidq4jRQi"),
];
const TEAM: (&str, &str) = ("secret-of-team", "$2y$04$abcdefghijklmnopqrstuu0X0.n4HHWo/PbLvaa6ztF61dOMb0336");
const ALL: (&str, &str) = ("secret-of-all", "$2y$04$abcdefghijklmnopqrstuuWz22qEGuk4mnaUhFeF683rjuYWN0mDq");

/// All passwords of accounts.
pub(super) const PASSWORDS: [&str; 4] = [PLAIN[0].0, PLAIN[1].0, TEAM.0, ALL.0];

/// The part of an index that a client may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Nothing of a tag, and nothing at all where MetaHub checks the password.
    Nothing,
    /// The entry for this machine type.
    Machine(usize),
    /// All of it.
    Whole,
}

/// A client's login.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) authorization: Option<String>,
    /// The owner that the registry must see.
    pub(super) owner: Owner,
    pub(super) sight: Sight,
    /// May pull from `team/` only.
    pub(super) limited: bool,
    /// The complete credential: only for the same one may an earlier answer of the registry be used again.
    pub(super) identity: String,
    /// MetaHub does not accept it.
    pub(super) wrong: bool,
    /// It is the account `plain`, with this of its two passwords.
    plain: Option<bool>,
}

impl Login {
    fn new(user: &str, password: &str, owner: Owner, sight: Sight) -> Self {
        let authorization = basic((user, password));
        let identity = authorization.clone();
        Self { authorization: Some(authorization), owner, sight, limited: false, identity, wrong: false, plain: None }
    }

    /// `Authorization` with each password of an account.
    pub(super) fn all_accounts() -> impl Iterator<Item = String> {
        let team = ["mpi", "arm"].map(|name| (format!("team-{name}"), TEAM.0));
        let others = [("plain", PLAIN[0].0), ("plain", PLAIN[1].0), ("all", ALL.0)];
        let others = others.map(|(user, password)| (user.to_owned(), password));
        team.into_iter().chain(others).map(|(user, password)| basic((&user, password)))
    }

    /// No login.
    pub(super) fn none() -> Self {
        let identity = "anonymous".to_owned();
        Self {
            authorization: None,
            owner: Owner::Stranger,
            sight: Sight::Nothing,
            limited: false,
            identity,
            wrong: true,
            plain: None,
        }
    }

    /// A login for this cluster.
    pub(super) fn choose(input: &mut Input<'_>, cluster: usize) -> Self {
        let machine = input.below(MACHINES.len());
        let name = MACHINES[machine].name;
        match CLUSTERS[cluster] {
            "open" => Self::new(&format!("x-{name}"), "", Owner::Nobody, Sight::Machine(machine)),
            "upstream" | "tokens" => {
                let number = input.below(USERS.len());
                let (user, password) = USERS[number];
                // Without a machine type the whole login is the account's name.
                if input.one_in(8) {
                    return Self::new(&format!("{user}-nothing"), password, Owner::Stranger, Sight::Nothing);
                }
                Self::new(&format!("{user}-{name}"), password, Owner::User(number), Sight::Machine(machine))
            }
            cluster => {
                let owner = if cluster == "shared" { Owner::Hub } else { Owner::Nobody };
                Self::account(input, machine, owner)
            }
        }
    }

    fn account(input: &mut Input<'_>, machine: usize, owner: Owner) -> Self {
        match input.below(5) {
            which @ (0 | 1) => {
                Self { plain: Some(which == 1), ..Self::new("plain", PLAIN[which].0, owner, Sight::Machine(0)) }
            }
            2 => Self::new("all", ALL.0, owner, Sight::Whole),
            _ => {
                let name = MACHINES[machine].name;
                let sight = if matches!(name, "mpi" | "arm") { Sight::Machine(machine) } else { Sight::Nothing };
                Self { limited: true, ..Self::new(&format!("team-{name}"), TEAM.0, owner, sight) }
            }
        }
    }

    /// The same with a ticket.
    pub(super) fn with_token(&self, token: &str, cluster: usize) -> Self {
        let authorization = Some(format!("Bearer {token}"));
        if self.authorization.is_none() {
            let owner = if CLUSTERS[cluster] == "shared" { Owner::Hub } else { Owner::Nobody };
            return Self { authorization, owner, sight: Sight::Machine(0), wrong: false, ..Self::none() };
        }
        // A registry that knows passwords is shown this one's.
        let is_bearer = !matches!(self.owner, Owner::User(_));
        let identity = if is_bearer { format!("Bearer {token}") } else { self.identity.clone() };
        Self { authorization, identity, ..self.clone() }
    }

    /// The part of an index that it may see from a node that says what machine it is.
    pub(super) fn sight_at(&self, machine: usize) -> Sight {
        let is_bound_elsewhere = self.plain.is_some() && machine != 0 || self.sight == Sight::Whole;
        let is_not_granted = self.limited && !matches!(MACHINES[machine].name, "mpi" | "arm");
        if self.wrong || is_bound_elsewhere || is_not_granted { Sight::Nothing } else { Sight::Machine(machine) }
    }

    /// The same under the rules that are in force by now.
    pub(super) fn under(&self, rules: Rules) -> Self {
        Self { wrong: self.wrong || self.plain.is_some_and(|which| which != rules.rotated), ..self.clone() }
    }

    /// A login that does not belong to this cluster.
    pub(super) fn stranger(self) -> Self {
        Self { owner: Owner::Stranger, sight: Sight::Nothing, wrong: true, ..self }
    }
}
