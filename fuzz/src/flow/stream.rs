//! One request and its state.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use metahub::host::Driver;

use super::super::input::Input;
use super::catalogue::{DOCUMENTS, MACHINES, Machine};
use super::client::{Login, Rules};
use super::registry::{REPOSITORIES, TAGS};
use super::response::HeaderList;

/// The header in which a node says what it is, which no registry may see either.
pub(super) const MACHINE_TYPE: &str = "x-metahub-machine-type";

/// A header of clients that no registry may see.
pub(super) const COOKIE: &str = "secret-cookie";

/// The request of a client; numbers are those of repositories, tags and documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Tag(usize, usize),
    Digest(usize, usize),
    Blob(usize),
    Explain(usize, usize),
    Ping,
    MachineTypes,
    Token,
}

impl Asked {
    pub(super) fn choose(input: &mut Input<'_>) -> Self {
        let repository = usize::from(input.one_in(4));
        match input.below(19) {
            0..=8 => Self::Tag(repository, usize::from(input.one_in(4))),
            9 | 10 => Self::Digest(repository, input.below(DOCUMENTS.len())),
            // Documents that earlier requests asked for.
            16 | 17 => Self::Digest(0, input.pick(&[9, 1])),
            11 | 12 => Self::Blob(repository),
            13 => Self::Explain(repository, input.below(TAGS.len())),
            14 => Self::Ping,
            15 => Self::MachineTypes,
            _ => Self::Token,
        }
    }

    pub(super) const fn repository(self) -> Option<usize> {
        match self {
            Self::Tag(repository, _) | Self::Digest(repository, _) | Self::Blob(repository) => Some(repository),
            Self::Explain(repository, _) => Some(repository),
            Self::Ping | Self::MachineTypes | Self::Token => None,
        }
    }

    fn path(self) -> String {
        match self {
            Self::Tag(repository, tag) => format!("/v2/{}/manifests/{}", REPOSITORIES[repository], TAGS[tag]),
            Self::Digest(repository, number) => {
                format!("/v2/{}/manifests/{}", REPOSITORIES[repository], DOCUMENTS[number].digest)
            }
            Self::Blob(repository) => format!("/v2/{}/blobs/{}", REPOSITORIES[repository], DOCUMENTS[0].digest),
            Self::Explain(repository, tag) => {
                format!("/metahub/v1/explain?image={}:{}", REPOSITORIES[repository], TAGS[tag])
            }
            Self::Ping => "/v2/".to_owned(),
            Self::MachineTypes => "/metahub/v1/machine-types".to_owned(),
            Self::Token => "/metahub/v1/token".to_owned(),
        }
    }
}

/// The client's own request as it has gone upstream.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) authorization: Option<Vec<u8>>,
}

/// Where a stream is.
#[derive(Debug)]
pub(super) enum Phase {
    /// For a callout; whether its own request is still here.
    Waiting { request: bool },
    /// Its own request has gone upstream.
    Upstream(Own),
    /// A large manifest passes: what is left of it, and what has passed.
    Transferring { left: Vec<u8>, passed: Vec<u8> },
    /// It had its end.
    Ended,
    /// The client has gone.
    Gone,
}

/// One request and what became of it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) asked: Asked,
    pub(super) cluster: usize,
    pub(super) login: Login,
    /// Those in force when it began.
    pub(super) rules: Rules,
    pub(super) begun: u64,
    /// The same on the clock.
    pub(super) began: u64,
    pub(super) headers: HeaderList,
    /// The login as a form instead of a header.
    pub(super) form: Option<Vec<u8>>,
    pub(super) head: bool,
    pub(super) phase: Phase,
    pub(super) driver: Driver,
    /// Upstream has failed it, so an earlier answer may be used.
    pub(super) failed: bool,
    pub(super) callouts: u32,
}

impl Stream {
    pub(super) fn new(asked: Asked, cluster: usize, login: Login, rules: Rules, (begun, began): (u64, u64)) -> Self {
        Self {
            asked,
            cluster,
            login,
            rules,
            begun,
            began,
            headers: Vec::new(),
            form: None,
            head: false,
            phase: Phase::Waiting { request: true },
            driver: Driver::default(),
            failed: false,
            callouts: 0,
        }
    }

    /// The headers of the request.
    pub(super) fn request(&mut self, input: &mut Input<'_>) -> HeaderList {
        let odd = input.byte();
        self.head = odd & 7 == 1 && matches!(self.asked, Asked::Tag(..) | Asked::Digest(..));
        let retry = if odd & 56 == 8 { "metahub-retry=1" } else { "" };
        let mut path = self.asked.path();
        if !retry.is_empty() {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(retry);
        }
        let accept = if odd & 192 == 64 { "application/json" } else { &metahub::oci::media_type::ALL.join(", ") };
        let login = self.login.authorization.as_deref();
        self.form = login.and_then(form).filter(|_| self.asked == Asked::Token && odd & 1 == 1);
        let method = match &self.form {
            Some(_) => "POST",
            None if self.head => "HEAD",
            None => "GET",
        };
        let mut headers = vec![
            (":method", method),
            (":path", &path),
            (":authority", "hub.example"),
            ("accept", accept),
            ("cookie", COOKIE),
            ("x-remote-user", COOKIE),
        ];
        match &self.form {
            Some(_) => headers.push(("content-type", "application/x-www-form-urlencoded")),
            None => headers.extend(login.map(|value| ("authorization", value))),
        }
        // A node that says what it is.
        let machine = usize::from(odd >> 3) % MACHINES.len();
        let (named, text) = if odd >= 128 { described(machine) } else { (machine, MACHINES[machine].name.to_owned()) };
        let node = (odd & 7 == 2).then(|| self.login.sight_at(named));
        headers.extend(node.map(|_| (MACHINE_TYPE, text.as_str())));
        let headers: Vec<_> =
            headers.into_iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect();
        // A ticket holds no machine type, whichever node has asked for it.
        if let Some(sight) = node.filter(|_| self.asked != Asked::Token) {
            self.login.sight = sight;
        }
        headers
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ended | Phase::Gone)
    }

    pub(super) const fn own(&self) -> Option<&Own> {
        if let Phase::Upstream(own) = &self.phase { Some(own) } else { None }
    }

    pub(super) fn disconnect(&mut self) {
        self.phase = Phase::Gone;
    }

    /// Whether the flow has decided everything.
    pub(super) fn is_decided(&self) -> bool {
        self.driver.inspect(|exchange| exchange.is_done())
    }

    pub(super) fn is_transferring(&self) -> bool {
        self.driver.inspect(|exchange| exchange.checks_body())
    }
}

/// A machine's description, and the machine by whose name it is known: the first one that offers the same.
fn described(machine: usize) -> (usize, String) {
    let Machine { architecture, features, .. } = MACHINES[machine];
    let same = |other: &Machine| (other.architecture, other.features) == (architecture, features);
    let text = format!("architecture={architecture},{}", features.join(","));
    (MACHINES.iter().position(same).unwrap_or(machine), text.trim_end_matches(',').to_owned())
}

/// The form with the login of a `Basic` header.
fn form(authorization: &str) -> Option<Vec<u8>> {
    let login = STANDARD.decode(authorization.strip_prefix("Basic ")?).ok()?;
    let (user, password) = std::str::from_utf8(&login).ok()?.split_once(':')?;
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    Some(format!("grant_type=password&username={}&password={}", encode(user), encode(password)).into_bytes())
}
