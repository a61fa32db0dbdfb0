//! The `Authorization` that a registry gets: none, a password, or a bearer token from its token service.
//!
//! Tokens are kept in the process's memory under a keyed digest of upstream, identity, service and scope, so that one
//! client's token never serves another, nor the same account with another password.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::auth::credentials::{Credentials, Presented};
use crate::auth::secret::Secret;
use crate::oci::reference::Repository;
use crate::store::keys::{ProcessKey, digest, slot};
use crate::store::resources::Resources;
use crate::text::json::{Reader, Stop};

/// The most tokens that are kept, over all workers.
const SLOTS: u32 = 1024;
/// The largest token that is kept, in bytes: full slots take 16 MiB together.
const MAX_KEPT: usize = 16 * 1024;
/// The largest token that is used, in bytes: registries accept headers of about this size at most.
const MAX_TOKEN: usize = 64 * 1024;
/// Lifetime of a token whose answer names none, in seconds (distribution spec, token authentication).
const DEFAULT_LIFETIME: u64 = 60;
/// The longest lifetime that is believed, in seconds.
const MAX_LIFETIME: u64 = 24 * 3600;
/// A token younger than this, in seconds, has not expired: a registry that refuses a request with it objects to the
/// request. Clients keep a token at least this long (docker, containers/image).
const RECENT: u64 = 60;
/// Format of the values in shared data.
const FORMAT: u8 = 2;

/// Where a registry's bearer tokens come from (distribution spec, token authentication). The realm of a challenge is
/// never followed, only this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenService {
    /// The Envoy cluster.
    pub cluster: String,
    /// `:authority` of the exchange.
    pub host: String,
    /// Path and query, up to where `service=` and `scope=` are added.
    pub path: String,
    /// The registry's name there.
    pub service: Option<String>,
}

/// The `Authorization` that a request needs before it can go upstream.
#[derive(Debug)]
pub enum Authorization {
    /// Nothing: upstream asks for no credentials.
    Nothing,
    /// This header value.
    Header(Secret),
    /// A bearer token of an earlier request, as header value, and how to get another one.
    Kept(Secret, Box<TokenRequest>),
    /// A bearer token that must be asked for first.
    Token(Box<TokenRequest>),
}

/// A request for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// The token service that is asked.
    pub service: TokenService,
    /// `:path` of the request, with service and scope.
    pub path: String,
    /// `Authorization` of the request; `None` for an anonymous token.
    pub authorization: Option<Secret>,
    key: Option<[u8; 32]>,
}

/// Why the answer of a token service is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// Not JSON, or without a token.
    #[error("its answer is not JSON with a token")]
    Malformed,
    /// Not a header value.
    #[error("its token has characters that no header may have")]
    Unprintable,
    /// Above the limit.
    #[error("its token is larger than 64 KiB")]
    TooLong,
}

/// `Basic` with these credentials.
fn basic(credentials: &Credentials) -> Secret {
    Secret::new(format!("Basic {}", STANDARD.encode(format!("{}:{}", credentials.user, credentials.password.expose()))))
}

/// The `Authorization` of a request about `repository` (none for a ping), from the presented credentials. A token that
/// a client brought goes to the registry as it is: its issuer has said what it is good for.
pub fn authorize(
    resources: &dyn Resources,
    cluster: &str,
    service: Option<&TokenService>,
    presented: &Presented,
    repository: Option<&Repository>,
) -> Authorization {
    let (credentials, service) = match (presented, service) {
        (Presented::Token(token), _) => return Authorization::Header(bearer(token.expose())),
        (Presented::Password(credentials), None) => return Authorization::Header(basic(credentials)),
        (Presented::Nothing, None) => return Authorization::Nothing,
        (Presented::Password(credentials), Some(service)) => (Some(credentials), service),
        (Presented::Nothing, Some(service)) => (None, service),
    };
    let scope = repository.map(|repository| format!("repository:{repository}:pull")).unwrap_or_default();
    let key = ProcessKey::of(resources).map(|process_key| {
        let (user, password) = credentials.map_or(("", ""), |c| (c.user.as_str(), c.password.expose()));
        let name = service.service.as_deref().unwrap_or_default();
        let parts = [
            b"token",
            cluster.as_bytes(),
            service.host.as_bytes(),
            service.path.as_bytes(),
            name.as_bytes(),
            scope.as_bytes(),
            user.as_bytes(),
            password.as_bytes(),
        ];
        digest(&process_key, &parts)
    });
    let path = exchange_path(service, &scope);
    let request = Box::new(TokenRequest { service: service.clone(), path, authorization: credentials.map(basic), key });
    match request.kept(resources) {
        Some(token) => Authorization::Kept(token, request),
        None => Authorization::Token(request),
    }
}

fn bearer(token: &str) -> Secret {
    Secret::new(format!("Bearer {token}"))
}

/// The two slots that a token may be in. With one slot, a few dozen tokens would now and then push each other out, and
/// the next request with a lost token would pay with an exchange.
fn token_slots(key: &[u8; 32]) -> impl Iterator<Item = String> {
    let mut other = *key;
    other.reverse();
    // The second one is seldom looked at.
    [*key, other].into_iter().map(|key| slot("metahub.token.", &key, SLOTS))
}

/// The slot for a token: the one that it is in, or one that is free, or else the one whose token ends first.
fn token_slot(resources: &dyn Resources, key: &[u8; 32]) -> Option<String> {
    let now = resources.now();
    let worth = |name: &String| {
        let value = resources.get(name).unwrap_or_default();
        match Kept::read(&value) {
            // The token's own slot is taken again, so that there is never an old token beside the new one.
            Some(kept) if kept.key == key => 0,
            Some(kept) if now < kept.until => kept.until,
            _ => 1,
        }
    };
    token_slots(key).min_by_key(worth)
}

/// The service's path with `service` and `scope` added.
fn exchange_path(service: &TokenService, scope: &str) -> String {
    let mut path = service.path.clone();
    for (name, value) in [("service", service.service.as_deref().unwrap_or_default()), ("scope", scope)] {
        if !value.is_empty() {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(name);
            path.push('=');
            path.push_str(&encode(value));
        }
    }
    path
}

/// Percent-encoding of everything but unreserved characters (RFC 3986 §2.3).
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The answer of a token service, as far as it is used.
#[derive(Default)]
struct TokenAnswer<'a> {
    token: Option<Cow<'a, str>>,
    access_token: Option<Cow<'a, str>>,
    /// A number as it is written, or the text in its place; empty for anything else.
    expires_in: Option<Cow<'a, str>>,
}

impl<'a> TokenAnswer<'a> {
    /// Reads an answer; `None` if it is not JSON, or a token in it is not a string.
    fn read(body: &'a [u8]) -> Option<Self> {
        let mut answer = Self::default();
        let mut reader = Reader::new(std::str::from_utf8(body).ok()?);
        let members = reader.object(|reader, name| {
            let token = match name {
                "token" => &mut answer.token,
                "access_token" => &mut answer.access_token,
                "expires_in" => {
                    answer.expires_in = lifetime(reader)?;
                    return Ok(());
                }
                _ => return reader.skip(),
            };
            if !reader.null()? {
                *token = reader.string()?;
            }
            Ok(())
        });
        members.and_then(|()| reader.end()).ok()?;
        Some(answer)
    }
}

/// A lifetime as it is written. A lifetime of the wrong type does not make the token useless.
fn lifetime<'a>(reader: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>, Stop> {
    match reader.peek() {
        Some(b'n') => reader.null().map(|_| None),
        Some(b'"') => Ok(Some(reader.string()?.unwrap_or_default())),
        Some(b'-' | b'0'..=b'9') => Ok(Some(Cow::Borrowed(reader.number()?))),
        _ => reader.skip().map(|()| Some(Cow::Borrowed(""))),
    }
}

/// Whole seconds: `300`, `300.0` and, in a string, the same. Services written in languages without integers, or whose
/// configuration is text, answer like that, and clients in Python read it. Text that is no positive
/// number gives 0.
fn seconds(text: &str) -> u64 {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let is_number =
        [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if is_number { whole.parse().unwrap_or(MAX_LIFETIME) } else { 0 }
}

impl TokenRequest {
    /// Reads the service's answer, keeps the token for nine tenths of its lifetime, and returns the header value.
    ///
    /// # Errors
    /// [`InvalidToken`].
    pub fn redeem(&self, resources: &dyn Resources, body: &[u8]) -> Result<Secret, InvalidToken> {
        let answer = TokenAnswer::read(body).ok_or(InvalidToken::Malformed)?;
        // An empty token is treated as absent, as containerd and docker do.
        let given = [&answer.access_token, &answer.token].into_iter().flatten().find(|token| !token.is_empty());
        let token = given.ok_or(InvalidToken::Malformed)?.as_ref();
        if token.len() > MAX_TOKEN {
            return Err(InvalidToken::TooLong);
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidToken::Unprintable);
        }
        let lifetime = answer.expires_in.map_or(DEFAULT_LIFETIME, |text| seconds(&text));
        let usable = lifetime.min(MAX_LIFETIME).saturating_mul(9) / 10;
        if let Some(key) = self.key.filter(|_| token.len() <= MAX_KEPT && usable > 0)
            && let Some(slot) = token_slot(resources, &key)
        {
            resources.set(&slot, &remember(&key, resources.now(), usable, token));
        }
        Ok(bearer(token))
    }

    /// The header value of the token that is kept for this request.
    fn kept(&self, resources: &dyn Resources) -> Option<Secret> {
        self.kept_since(resources).map(|(token, _)| token)
    }

    /// The same, with the time at which it was given.
    fn kept_since(&self, resources: &dyn Resources) -> Option<(Secret, u64)> {
        let key = self.key.as_ref()?;
        token_slots(key).find_map(|slot| recall(&resources.get(&slot)?, key, resources.now()))
    }

    /// Whether a token (its header value) that is kept was given just now.
    pub fn is_recent(&self, resources: &dyn Resources, token: &Secret) -> bool {
        let recent = |since: u64| resources.now() < since.saturating_add(RECENT);
        self.kept_since(resources).is_some_and(|(kept, since)| kept == *token && recent(since))
    }

    /// Forgets a token (its header value) that the registry has refused. A token that has taken its place in the
    /// meantime stays.
    pub fn forget(&self, resources: &dyn Resources, token: &Secret) {
        let Some(key) = &self.key else { return };
        for slot in token_slots(key) {
            let kept = resources.get(&slot).and_then(|value| recall(&value, key, resources.now()));
            if kept.is_some_and(|(kept, _)| kept == *token) {
                resources.set(&slot, &[]);
            }
        }
    }
}

/// A slot's value: format, end and start of the lifetime, the complete key, the token.
fn remember(key: &[u8; 32], since: u64, seconds: u64, token: &str) -> Vec<u8> {
    let mut value = vec![FORMAT];
    value.extend_from_slice(&since.saturating_add(seconds).to_le_bytes());
    value.extend_from_slice(&since.to_le_bytes());
    value.extend_from_slice(key);
    value.extend_from_slice(token.as_bytes());
    value
}

/// A slot's value, taken apart.
struct Kept<'a> {
    until: u64,
    since: u64,
    key: &'a [u8; 32],
    token: &'a [u8],
}

impl<'a> Kept<'a> {
    fn read(value: &'a [u8]) -> Option<Self> {
        let rest = value.strip_prefix(&[FORMAT])?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let (since, rest) = rest.split_first_chunk::<8>()?;
        let (key, token) = rest.split_first_chunk::<32>()?;
        Some(Self { until: u64::from_le_bytes(*until), since: u64::from_le_bytes(*since), key, token })
    }
}

/// The token of a slot's value, as header value, and the time at which it was given.
fn recall(value: &[u8], key: &[u8; 32], now: u64) -> Option<(Secret, u64)> {
    let kept = Kept::read(value).filter(|kept| kept.key == key && now < kept.until)?;
    Some((bearer(std::str::from_utf8(kept.token).ok()?), kept.since))
}

#[cfg(test)]
mod tests;
