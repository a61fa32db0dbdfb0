//! Any bytes as a ticket: only a ticket that was sealed is opened, and only where and as long as it is valid.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use metahub::auth::secret::Secret;
use metahub::auth::ticket::{Binding, InvalidTicket, PREFIX, Ticket, TicketKey};

use super::input::Input;

pub(crate) fn check(bytes: &[u8]) {
    let key = TicketKey::derive(b"a secret of thirty-two characters");
    let text = String::from_utf8_lossy(bytes);
    for token in [text.clone().into_owned(), format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))] {
        assert_eq!(key.open(b"hub", &token, 0), Err(InvalidTicket::Foreign), "nobody has sealed it");
    }
    let mut input = Input::new(bytes);
    let (until, nonce, position, change) =
        (u64::from(input.byte()), [input.byte(); 24], usize::from(input.byte()), input.byte());
    let (user, password) = text.split_once(':').map_or((&*text, None), |(user, password)| (user, Some(password)));
    let password = password.map(|password| Secret::new(password.to_owned()));
    let ticket = Ticket { user: user.to_owned(), password, binding: Binding::new([change; 32]) };
    let Some(token) = key.seal(b"hub", &ticket, until, nonce) else { return assert!(user.len() > 255) };
    let token = token.expose();
    for now in [0, until.saturating_sub(1), until, until + 1] {
        let expected = if now < until { Ok(ticket.clone()) } else { Err(InvalidTicket::Expired) };
        assert_eq!(key.open(b"hub", token, now), expected);
    }
    assert_eq!(key.open(b"other", token, 0), Err(InvalidTicket::Foreign));
    let mut changed = token.as_bytes().to_vec();
    let position = position % changed.len();
    changed[position] ^= 1 << (change % 7);
    if let Ok(changed) = String::from_utf8(changed) {
        assert_eq!(key.open(b"hub", &changed, 0), Err(InvalidTicket::Foreign), "one bit was changed");
    }
}
