//! Any bytes as `Authorization` headers and as forms: an accepted login is the one that was written, and an error shows
//! nothing of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use metahub::auth::credentials::{Presented, splits};
use metahub::auth::jwt;
use metahub::request::form::{self, InvalidForm};

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
    check_form(rest);
    if let Ok(token) = std::str::from_utf8(rest)
        && let Some(subject) = jwt::subject(token)
    {
        assert!(!subject.is_empty() && subject.len() <= 255);
    }
}

/// The bytes as a form, and as the login that a well-made form carries.
fn check_form(bytes: &[u8]) {
    for text in [bytes.to_vec(), [b"grant_type=password&username=", bytes].concat()] {
        match form::login(&text) {
            Ok(credentials) => {
                let user = &credentials.user;
                assert!(!user.is_empty() && user.len() <= 255 && !user.contains(':'));
                assert!(!format!("{user}{}", credentials.password.expose()).chars().any(char::is_control));
            }
            Err(error) => assert!(harmless(&error.to_string())),
        }
    }
    let (user, password) = bytes.split_at(bytes.iter().position(|byte| *byte == b':').unwrap_or_default());
    let encode = |text: &[u8]| text.iter().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let written = format!("password={}&grant_type=password&username={}", encode(password), encode(user));
    match form::login(written.as_bytes()) {
        Ok(credentials) => {
            let read = (credentials.user.as_bytes(), credentials.password.expose().as_bytes());
            assert_eq!(read, (user, password), "another login than was sent");
        }
        Err(InvalidForm::GrantType | InvalidForm::Repeated(_) | InvalidForm::Missing(_)) => {
            panic!("each field is there once")
        }
        Err(InvalidForm::User | InvalidForm::Password | InvalidForm::Malformed) => {}
    }
}
