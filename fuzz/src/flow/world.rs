//! The model's state: registries, clients, the memory, and earlier confirmations and refusals.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::LazyLock;

use metahub::config::Config;
use metahub::flow::{Arrival, Callout, WorkerState, begin};
use metahub::host::flights::Flights;
use metahub::store::in_memory::Map;
use metahub::text::headers::Headers;

use super::super::input::Input;
use super::client::{Login, Rules};
use super::registry::{CLUSTERS, Registries};
use super::stream::Stream;

/// Everything there is.
pub(super) struct World {
    pub(super) memory: Map,
    pub(super) rules: Rules,
    pub(super) config: Config,
    pub(super) worker: WorkerState,
    pub(super) flights: RefCell<Flights<usize, u32>>,
    /// Callouts that a registry has not answered yet.
    pub(super) under_way: BTreeMap<u32, Rc<Callout>>,
    pub(super) registries: Registries,
    pub(super) streams: Vec<Stream>,
    /// The most frequent clients, and their clusters.
    pub(super) regulars: Vec<(usize, Login)>,
    /// The tickets that MetaHub has issued: the token, the cluster, and the login.
    pub(super) tokens: Vec<(String, usize, Login)>,
    pub(super) words: Vec<Word>,
    pub(super) refusals: Vec<Refusal>,
    /// Writes may be lost for good, so that a refusal need not be remembered.
    pub(super) lossy: bool,
    /// Rises with each thing that happens.
    pub(super) moment: u64,
    pub(super) next_token: u32,
}

/// A registry has told a login where a tag points to.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) identity: String,
    pub(super) cluster: usize,
    pub(super) repository: usize,
    pub(super) tag: usize,
    pub(super) top: String,
    /// On the clock.
    pub(super) now: u64,
    pub(super) moment: u64,
}

/// A registry has refused a login something in a repository.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) identity: String,
    pub(super) cluster: usize,
    pub(super) repository: usize,
    pub(super) moment: u64,
}

impl World {
    pub(super) fn new(input: &mut Input<'_>) -> Self {
        let rules = Rules::choose(input);
        // A list for all machine types, one with large images, nested ones, and an image alone.
        let tags = [input.pick(&[9, 9, 10, 12, 13]), input.pick(&[0, 1, 9])];
        let registries = Registries::new(input.pick(&[403, 401, 404]), input.pick(&[300, 10, 3600]), tags);
        let memory = Map::default();
        memory.values.borrow_mut().extend(ACCEPTED.iter().cloned());
        memory.now.set(1_000_000);
        Self {
            memory,
            rules,
            config: rules.config(),
            worker: WorkerState::default(),
            flights: RefCell::default(),
            under_way: BTreeMap::new(),
            registries,
            streams: Vec::new(),
            regulars: (0..3).map(|_| regular(input)).collect(),
            tokens: Vec::new(),
            words: Vec::new(),
            refusals: Vec::new(),
            lossy: input.one_in(4),
            moment: 0,
            next_token: 0,
        }
    }
}

fn regular(input: &mut Input<'_>) -> (usize, Login) {
    let cluster = input.below(CLUSTERS.len());
    (cluster, Login::choose(input, cluster))
}

/// The records of accepted passwords, so that not each history has to check them again.
static ACCEPTED: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let memory = Map::default();
    for rotated in [false, true] {
        let config = Rules::without_cache(rotated).config();
        for login in Login::all_accounts() {
            let headers = [(":method", "GET"), (":path", "/v2/"), ("authorization", &login)];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
            let arrival = Arrival { cluster: Some("accounts"), headers: Headers(&headers), address: &|| None };
            let _ = begin(&config, &memory, &WorkerState::default(), arrival);
        }
    }
    let values = memory.values.into_inner().into_iter();
    values.filter(|(name, _)| name.starts_with("metahub.login.")).collect()
});
