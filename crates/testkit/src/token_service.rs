//! A token service (distribution spec, token authentication) that can be told to misbehave, and that remembers what
//! it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::client::Login;
use super::key::Key;
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
    /// With good tokens, after so long.
    Late(Duration),
    /// The next one with a token that promises an hour and ends after a second or two; then with good ones.
    LieOnce,
    /// With tokens that have ended, and the promise of a minute.
    Ended,
    /// With tokens of a key that the registry does not trust, and the promise of an hour: what a token is that was
    /// revoked.
    Revoked,
    /// With good tokens that promise an hour and end after 4 s.
    Brief,
    /// With this status, these header lines and this body, whoever asks.
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

/// A running service; it ends with the test process.
pub struct TokenService {
    port: u16,
    /// What the registry's challenge names. Nobody must ever connect to it.
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
    /// Who may not pull from which repository, whatever is asked for; an empty one stands for all.
    denied: Vec<(String, String)>,
    calls: Vec<Call>,
    issued: Vec<String>,
}

impl TokenService {
    /// Starts a service that knows these users; whoever comes without credentials gets an anonymous token.
    pub fn start(users: &[Login]) -> Result<Self> {
        let port = port::free();
        let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
        let state = State { mood: Mood::Issue(300), denied: Vec::new(), calls: Vec::new(), issued: Vec::new() };
        let shared = Arc::new(Shared {
            trusted: Key::generate()?,
            untrusted: UNTRUSTED.clone()?,
            users: users.to_vec(),
            state: Mutex::new(state),
        });
        let trap = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port::free()))?;
        trap.set_nonblocking(true)?;
        let service = Self { port, trap, shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Ok(service)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The realm that the registry shall name in its challenges.
    pub fn realm(&self) -> Result<String> {
        Ok(format!("http://{}/stolen", self.trap.local_addr()?))
    }

    /// Whether somebody followed the challenge.
    pub fn is_trapped(&self) -> bool {
        self.trap.accept().is_ok()
    }

    /// What a registry must trust, as PEM.
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

    /// The calls since the last look.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.shared.state().calls)
    }

    /// Every token that was ever given out.
    pub fn issued(&self) -> Vec<String> {
        self.shared.state().issued.clone()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let Some((path, authorization)) = read(&mut reader) else { return };
        let (user, password) = credentials(&authorization);
        let call = Call { user: user.clone(), service: query(&path, "service"), scope: query(&path, "scope") };
        let scope = call.scope.clone();
        let mood = {
            let mut state = self.state();
            state.calls.push(call);
            state.mood.clone()
        };
        let known = user.is_none()
            || self.users.iter().any(|login| Some(&login.user) == user.as_ref() && login.password == password);
        let good = || self.token(&self.trusted, user.as_deref(), &scope, 300);
        let answer = match mood {
            Mood::Silent => {
                // Until the other side gives up.
                let _ = reader.get_ref().set_read_timeout(Some(Duration::from_secs(60)));
                let _ = reader.read(&mut [0]);
                return;
            }
            Mood::HangUp => return,
            Mood::Say(status, headers, body) => answer(status, headers, &body),
            _ if !known => answer(401, "", "{}"),
            Mood::NoExpiry => answer(200, "", &json!({ "token": good() }).to_string()),
            Mood::Late(pause) => {
                std::thread::sleep(pause);
                answer(200, "", &json!({ "token": good(), "expires_in": 300 }).to_string())
            }
            Mood::Issue(lifetime) => answer(200, "", &json!({ "token": good(), "expires_in": lifetime }).to_string()),
            Mood::Brief => {
                let token = self.token(&self.trusted, user.as_deref(), &scope, 4 - LEEWAY);
                answer(200, "", &json!({ "token": token, "expires_in": 3600 }).to_string())
            }
            Mood::Ended => {
                let token = self.token(&self.trusted, user.as_deref(), &scope, -2 * LEEWAY);
                answer(200, "", &json!({ "token": token, "expires_in": 60 }).to_string())
            }
            Mood::LieOnce if !scope.is_empty() => {
                self.state().mood = Mood::Issue(300);
                let token = self.token(&self.trusted, user.as_deref(), &scope, 1 - LEEWAY);
                answer(200, "", &json!({ "token": token, "expires_in": 3600 }).to_string())
            }
            Mood::LieOnce => answer(200, "", &json!({ "token": good(), "expires_in": 300 }).to_string()),
            Mood::Revoked => {
                let token = self.token(&self.untrusted, user.as_deref(), &scope, 300);
                answer(200, "", &json!({ "token": token, "expires_in": 3600 }).to_string())
            }
        };
        let _ = reader.get_mut().write_all(answer.as_bytes());
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

/// The path and the `Authorization` of a request.
fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut authorization = String::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        match header.trim_end().split_once(": ") {
            None => return Some((path, authorization)),
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => value.clone_into(&mut authorization),
            Some(_) => {}
        }
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

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}
