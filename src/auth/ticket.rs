//! MetaHub's tickets, which are its own bearer tokens: sealed, short-lived, and kept by nobody but the client.
//!
//! `mh1.` and then base64url of a nonce and of what XChaCha20-Poly1305 makes of the login. Only holders of the key can
//! read or make one, so a replica with the same key accepts a ticket that another one made. A ticket is bound to a
//! place (the registry that it is for), and carries no permission: the permissions of its login are looked up at every
//! request.

use std::fmt;
use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};

use crate::auth::secret::Secret;
use crate::store::keys::mac;

/// The beginning of every ticket. A token that begins like this never goes to a registry.
pub const PREFIX: &str = "mh1.";
/// How long a client is told that it may use a ticket where the configuration does not say, in seconds. BuildKit goes
/// on with a ticket after another login for nine tenths of this time, and a lost ticket does harm for as long.
pub const LIFETIME: u64 = 60;
/// The lifetimes that a configuration may choose, in seconds.
pub const LIFETIMES: RangeInclusive<u64> = 30..=3600;
/// How much longer a ticket is honoured than its client is told, in seconds: clients use a token for 60 s at least,
/// whatever they are told, and a request may be under way when the time is over.
pub const GRACE: u64 = 30;
/// The length of a nonce, in bytes: so long that random ones never meet, even where replicas share the key.
const NONCE: usize = 24;

/// The key that tickets are sealed with.
#[derive(Clone)]
pub struct TicketKey([u8; 32]);

/// A digest of an account's name and hash lines: each account has its own, and it changes with the passwords.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Binding([u8; 32]);

impl Binding {
    /// Wraps a keyed digest.
    #[must_use]
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The binding of a login without an account.
    pub const NONE: Self = Self([0; 32]);
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The contents of a ticket, which stand for a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The login name, 255 bytes at most; empty for a client without one.
    pub user: String,
    /// The password, where a registry must be shown it.
    pub password: Option<Secret>,
    /// The binding, which must still be the same when the ticket is used.
    pub binding: Binding,
}

/// Why a ticket is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTicket {
    /// Damaged, made with another key, or made for another registry. The three cannot be told apart.
    #[error("the token is damaged, of another MetaHub, or for another registry")]
    Foreign,
    /// The ticket was good, but has expired.
    #[error("the token has expired")]
    Expired,
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl TicketKey {
    /// The key that is made of a secret of any length, which must be hard to guess.
    #[must_use]
    pub fn derive(secret: &[u8]) -> Self {
        Self(mac(secret, &[b"metahub token key"]))
    }

    /// A digest that only this key makes.
    #[must_use]
    pub fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.0, parts)
    }

    /// Makes a ticket that is good until `until` (seconds since the Unix epoch) at `place`. `nonce` must not be used
    /// twice. `None` for a login name that is too long.
    #[must_use]
    pub fn seal(&self, place: &[u8], ticket: &Ticket, until: u64, nonce: [u8; NONCE]) -> Option<Secret> {
        let mut plain = until.to_le_bytes().to_vec();
        plain.extend_from_slice(&ticket.binding.0);
        plain.push(u8::try_from(ticket.user.len()).ok()?);
        plain.extend_from_slice(ticket.user.as_bytes());
        if let Some(password) = &ticket.password {
            // The colon tells an empty password from no password.
            plain.push(b':');
            plain.extend_from_slice(password.expose().as_bytes());
        }
        let payload = Payload { msg: &plain, aad: place };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).ok()?;
        Some(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))))
    }

    /// Reads a ticket.
    ///
    /// # Errors
    /// [`InvalidTicket`].
    pub fn open(&self, place: &[u8], token: &str, now: u64) -> Result<Ticket, InvalidTicket> {
        let (until, ticket) = self.read(place, token).ok_or(InvalidTicket::Foreign)?;
        if now < until { Ok(ticket) } else { Err(InvalidTicket::Expired) }
    }

    fn read(&self, place: &[u8], token: &str) -> Option<(u64, Ticket)> {
        let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: place }).ok()?;
        let (until, rest) = plain.split_first_chunk::<8>()?;
        let (binding, rest) = rest.split_first_chunk::<32>()?;
        let (length, rest) = rest.split_first()?;
        let (user, rest) = rest.split_at_checked(usize::from(*length))?;
        let password = match rest.split_first() {
            None => None,
            Some((_, password)) => Some(Secret::new(String::from_utf8(password.to_vec()).ok()?)),
        };
        let ticket = Ticket { user: String::from_utf8(user.to_vec()).ok()?, password, binding: Binding(*binding) };
        Some((u64::from_le_bytes(*until), ticket))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(user: &str, password: Option<&str>) -> Ticket {
        Ticket { user: user.into(), password: password.map(|text| Secret::new(text.into())), binding: Binding([9; 32]) }
    }

    fn key() -> TicketKey {
        TicketKey::derive(b"a secret of thirty-two characters")
    }

    #[test]
    fn what_was_sealed_is_read_until_it_expires() {
        for ticket in [ticket("", None), ticket("me-type1", Some("p:w ü")), ticket("me", Some("")), ticket("x", None)]
        {
            let token = key().seal(b"hub", &ticket, 1000, [1; NONCE]).unwrap();
            assert_eq!(key().open(b"hub", token.expose(), 999), Ok(ticket));
            assert_eq!(key().open(b"hub", token.expose(), 1000), Err(InvalidTicket::Expired));
        }
    }

    /// The login alone is sealed: what a client may do, and as which machine, is found out for each request.
    #[test]
    fn a_ticket_holds_the_login_and_nothing_else() {
        for (user, password, login) in
            [("me-type1", Some("p:w"), &b"\x08me-type1:p:w"[..]), ("me", None, b"\x02me"), ("", None, b"\x00")]
        {
            let token = key().seal(b"hub", &ticket(user, password), 1000, [1; NONCE]).unwrap();
            let bytes = URL_SAFE_NO_PAD.decode(token.expose().strip_prefix(PREFIX).unwrap()).unwrap();
            let payload = Payload { msg: &bytes[NONCE..], aad: b"hub" };
            let plain = key().cipher().decrypt(&XNonce::from([1; NONCE]), payload).unwrap();
            assert_eq!(plain, [&1000_u64.to_le_bytes()[..], &[9; 32], login].concat(), "{user}");
        }
    }

    #[test]
    fn a_token_shows_nothing_and_is_a_header_value() {
        let token = key().seal(b"hub", &ticket("hunter", Some("hunter2")), 1000, [1; NONCE]).unwrap();
        let text = token.expose();
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX).unwrap()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"hunter"));
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')), "{text}");
        let other = key().seal(b"hub", &ticket("hunter", Some("hunter2")), 1000, [2; NONCE]).unwrap();
        assert_ne!(text.get(40..), other.expose().get(40..), "another nonce, another token");
        assert_eq!(format!("{:?} {token:?} {:?}", key(), Binding([9; 32])), "[redacted] [redacted] [redacted]");
    }

    #[test]
    fn only_the_key_and_the_place_open_it() {
        let token = key().seal(b"hub", &ticket("me", Some("pw")), 1000, [1; NONCE]).unwrap();
        let token = token.expose();
        let again = TicketKey::derive(b"a secret of thirty-two characters");
        assert!(again.open(b"hub", token, 900).is_ok(), "a replica");
        let other = TicketKey::derive(b"a secret of thirty-two characterz");
        assert_eq!(other.open(b"hub", token, 900), Err(InvalidTicket::Foreign));
        assert_eq!(key().open(b"other", token, 900), Err(InvalidTicket::Foreign));
        // Every single changed character, and every cut.
        for position in 0..token.len() {
            let changed: String = token
                .char_indices()
                .map(|(at, c)| if at == position { if c == 'A' { 'B' } else { 'A' } } else { c })
                .collect();
            assert_eq!(key().open(b"hub", &changed, 900), Err(InvalidTicket::Foreign), "{position}");
            let cut: String = token.chars().take(position).collect();
            assert_eq!(key().open(b"hub", &cut, 900), Err(InvalidTicket::Foreign), "{position}");
        }
        for text in ["", "mh1.", "mh1", "mh1.ä", "mh2.AAAA", "eyJ.eyJ.sig"] {
            assert_eq!(key().open(b"hub", text, 900), Err(InvalidTicket::Foreign), "{text}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_not_sealed() {
        assert!(key().seal(b"hub", &ticket(&"a".repeat(255), None), 1000, [1; NONCE]).is_some());
        assert_eq!(key().seal(b"hub", &ticket(&"a".repeat(256), None), 1000, [1; NONCE]), None);
    }
}
