//! Any bytes as `Authorization` headers: an accepted login is the one that was written, and an error shows nothing of
//! it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use metahub::auth::credentials::{Presented, splits};
use metahub::auth::jwt;

use super::input::Input;
use super::log_text::harmless;

pub(crate) fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.byte();
    let rest = bytes.get(1..).unwrap_or_default();
    let encoded = format!("Basic {}", STANDARD.encode(rest)).into_bytes();
    let values: Vec<&[u8]> = match kind % 5 {
        0 => vec![],
        1 => vec![rest],
        2 => rest.split(|byte| *byte == b'\n').collect(),
        _ => vec![encoded.as_slice()],
    };
    match Presented::decode(values.iter().copied()) {
        Ok(Presented::Nothing) => assert!(values.is_empty() || kind % 5 < 3 || rest == b":"),
        Ok(Presented::Password(credentials)) => {
            let user = &credentials.user;
            assert!(values.len() == 1 && !user.is_empty() && user.len() <= 255 && !user.contains(':'));
            let written = format!("{user}:{}", credentials.password.expose());
            assert!(!written.chars().any(char::is_control));
            assert!(kind % 5 < 3 || written.as_bytes() == rest, "another login than was sent");
            for (account, machine_type) in splits(user, "-") {
                assert_eq!(format!("{account}-{machine_type}"), *user);
            }
        }
        Ok(Presented::Token(token)) => {
            assert!(values.len() == 1 && token.expose().bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(values[0].trim_ascii_end().ends_with(token.expose().as_bytes()));
            let _ = jwt::subject(token.expose());
        }
        Err(error) => assert!(harmless(&error.to_string())),
    }
    if let Ok(token) = std::str::from_utf8(rest)
        && let Some(subject) = jwt::subject(token)
    {
        assert!(!subject.is_empty() && subject.len() <= 255);
    }
}
