//! A token service (distribution spec, token authentication) that can be told to misbehave, and that remembers its
//! requests.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::client::Login;
use super::key::Key;
use super::server::{Act, Answer, Received, Server};
use super::{Result, port};

/// The registry's name at the service.
pub const SERVICE: &str = "registry.test";
/// The service's name in its tokens.
pub const ISSUER: &str = "issuer.test";

/// For so many seconds after its end docker-registry takes a token for good.
const LEEWAY: i64 = 60;

/// No registry trusts it. One for all services, because a key takes half a second; those that are trusted differ, or a
/// token that went to another registry would be good there.
static UNTRUSTED: LazyLock<Result<Key>> = LazyLock::new(Key::generate);

/// How the service answers.
#[derive(Clone, Debug)]
pub enum Mood {
    /// With good tokens that promise this `expires_in`, in seconds.
    Issue(u64),
    /// With good tokens of which it does not say how long they last.
    NoExpiry,
    /// With good tokens, after this long.
    Late(Duration),
    /// The next one with a token that promises an hour and ends after a second or two; then with good ones.
    LieOnce,
    /// With tokens that have ended, and the promise of a minute.
    Ended,
    /// With tokens of a key that the registry does not trust, and the promise of an hour: a revoked token is like that.
    Revoked,
    /// With good tokens that promise an hour and end after 4 s.
    Brief,
    /// With this status, these header lines and this body, for every caller.
    Say(u16, &'static str, String),
    /// Not at all.
    Silent,
    /// By closing the connection.
    HangUp,
}

/// A request to the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub user: Option<String>,
    pub service: String,
    pub scope: String,
}

/// A running service; it ends with this value.
pub struct TokenService {
    server: Server,
    /// The address that the registry's challenge names. Nothing must ever connect to it.
    trap: TcpListener,
    shared: Arc<Shared>,
}

struct Shared {
    trusted: Key,
    untrusted: Key,
    users: Vec<Login>,
    state: Mutex<State>,
}

struct State {
    mood: Mood,
    /// Pairs of a user and a repository that the user may not pull from, in any scope; an empty repository stands for
    /// all.
    denied: Vec<(String, String)>,
    calls: Vec<Call>,
    issued: Vec<String>,
}

impl TokenService {
    /// Starts a service that knows these users; a client without credentials gets an anonymous token.
    pub fn start(users: &[Login]) -> Result<Self> {
        let state = State { mood: Mood::Issue(300), denied: Vec::new(), calls: Vec::new(), issued: Vec::new() };
        let shared = Arc::new(Shared {
            trusted: Key::generate()?,
            untrusted: UNTRUSTED.clone()?,
            users: users.to_vec(),
            state: Mutex::new(state),
        });
        let trap = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port::free()))?;
        trap.set_nonblocking(true)?;
        let theirs = Arc::clone(&shared);
        let server = Server::start(move |request| theirs.serve(request))?;
        Ok(Self { server, trap, shared })
    }

    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The realm that the registry shall name in its challenges.
    pub fn realm(&self) -> Result<String> {
        Ok(format!("http://{}/stolen", self.trap.local_addr()?))
    }

    /// Whether a client followed the challenge.
    pub fn is_trapped(&self) -> bool {
        self.trap.accept().is_ok()
    }

    /// The certificate that a registry must trust, as PEM.
    pub fn certificate(&self) -> &str {
        self.shared.trusted.certificate()
    }

    pub fn set(&self, mood: Mood) {
        self.shared.state().mood = mood;
    }

    /// From now on this user's tokens allow nothing.
    pub fn deny(&self, user: &str) {
        self.deny_repository(user, "");
    }

    /// From now on this user's tokens do not allow this repository.
    pub fn deny_repository(&self, user: &str, repository: &str) {
        self.shared.state().denied.push((user.to_owned(), repository.to_owned()));
    }

    /// Nothing is denied any more.
    pub fn allow_all(&self) {
        self.shared.state().denied.clear();
    }

    /// The calls since this was last asked.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.shared.state().calls)
    }

    /// Every token that was ever issued.
    pub fn issued(&self) -> Vec<String> {
        self.shared.state().issued.clone()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, request: &Received) -> Vec<Act> {
        let (user, password) = credentials(request.header("authorization").unwrap_or_default());
        let query = |name| query(&request.path, name);
        let call = Call { user: user.clone(), service: query("service"), scope: query("scope") };
        let scope = call.scope.clone();
        let mood = {
            let mut state = self.state();
            state.calls.push(call);
            state.mood.clone()
        };
        let known = user.is_none()
            || self.users.iter().any(|login| Some(&login.user) == user.as_ref() && login.password == password);
        let token = |lifetime| self.token(&self.trusted, user.as_deref(), &scope, lifetime);
        let promising =
            |token: String, seconds: u64| answer(200, "", json!({ "token": token, "expires_in": seconds }).to_string());
        match mood {
            Mood::Silent => vec![Act::Hang],
            Mood::HangUp => vec![Act::Close],
            Mood::Say(status, headers, body) => answer(status, headers, body),
            _ if !known => answer(401, "", "{}".to_owned()),
            Mood::NoExpiry => answer(200, "", json!({ "token": token(300) }).to_string()),
            Mood::Late(pause) => [vec![Act::Pause(pause)], promising(token(300), 300)].concat(),
            Mood::Issue(lifetime) => promising(token(300), lifetime),
            Mood::Brief => promising(token(4 - LEEWAY), 3600),
            Mood::Ended => promising(token(-2 * LEEWAY), 60),
            Mood::LieOnce if !scope.is_empty() => {
                self.state().mood = Mood::Issue(300);
                promising(token(1 - LEEWAY), 3600)
            }
            Mood::LieOnce => promising(token(300), 300),
            Mood::Revoked => promising(self.token(&self.untrusted, user.as_deref(), &scope, 300), 3600),
        }
    }

    /// A token that ends after `lifetime` seconds, which may be past.
    fn token(&self, key: &Key, user: Option<&str>, scope: &str, lifetime: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let denies =
            |who: &str, what: &str| Some(who) == user && (what.is_empty() || scope.split(':').nth(1) == Some(what));
        let denied = self.state().denied.iter().any(|(who, what)| denies(who, what));
        let access: Vec<_> = match scope.split(':').collect::<Vec<_>>().as_slice() {
            [kind, name, actions] if !denied => {
                vec![json!({ "type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>() })]
            }
            _ => Vec::new(),
        };
        let claims = json!({
            "iss": ISSUER, "sub": user.unwrap_or_default(), "aud": SERVICE, "jti": format!("{:?}", SystemTime::now()),
            "iat": now - 120, "nbf": now - 120, "exp": now.saturating_add_signed(lifetime), "access": access,
        });
        let token = key.token(&claims).expect("openssl signs");
        self.state().issued.push(token.clone());
        token
    }
}

fn credentials(authorization: &str) -> (Option<String>, String) {
    let decoded = authorization.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    match text.split_once(':') {
        Some((user, password)) => (Some(user.to_owned()), password.to_owned()),
        None => (None, String::new()),
    }
}

/// A parameter of the path's query, decoded.
fn query(path: &str, name: &str) -> String {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_default().replace("%3A", ":").replace("%2F", "/")
}

/// An answer with these header lines, after which the connection ends.
fn answer(status: u16, headers: &str, body: String) -> Vec<Act> {
    let lines = headers.lines().filter_map(|line| line.split_once(": "));
    let answer = Answer::new(status).header("content-type", "application/json").header("connection", "close");
    let mut acts = lines.fold(answer, |answer, (name, value)| answer.header(name, value)).body(body).acts();
    acts.push(Act::Close);
    acts
}
