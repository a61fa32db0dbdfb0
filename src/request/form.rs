//! The form by which a client asks for a token (OAuth 2.0, RFC 6749 §4.3.2; distribution spec, token authentication).

use super::query::decode;
use crate::auth::credentials::{Credentials, MAX_USER};
use crate::auth::secret::Secret;

/// The longest form that is read, in bytes: as much as a login in `Authorization` may have.
pub const MAX_FORM: usize = 16 * 1024;

/// Why a form gives no login. No text quotes the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidForm {
    /// Another grant type, or none: there are no refresh tokens and no authorization codes.
    #[error("MetaHub gives tokens for grant_type=password only, and no refresh tokens")]
    GrantType,
    /// Not `application/x-www-form-urlencoded`, or not UTF-8.
    #[error("the form cannot be read: it must be URL-encoded UTF-8")]
    Malformed,
    /// A field is there twice: each reader might take another one.
    #[error("the form has {0} more than once")]
    Repeated(&'static str),
    /// A field is missing.
    #[error("the form has no {0}; a client without a login asks with GET")]
    Missing(&'static str),
    /// A user that no login can have.
    #[error("username is empty, above 255 bytes, or has a colon or a control character")]
    User,
    /// A password that no login can have.
    #[error("password has a control character")]
    Password,
}

/// Reads the login in a form. Service, scope and all other fields are not looked at.
///
/// An empty user is refused, also with an empty password: whoever sends a form means to log in, and must not become
/// anonymous because a variable was empty.
///
/// # Errors
/// [`InvalidForm`].
pub fn login(form: &[u8]) -> Result<Credentials, InvalidForm> {
    let form = std::str::from_utf8(form).map_err(|_| InvalidForm::Malformed)?;
    if field(form, "grant_type")?.as_deref() != Some("password") {
        return Err(InvalidForm::GrantType);
    }
    let user = field(form, "username")?.ok_or(InvalidForm::Missing("username"))?;
    let password = field(form, "password")?.ok_or(InvalidForm::Missing("password"))?;
    // The registry may be shown both in one text, with a colon between them.
    if user.is_empty() || user.len() > MAX_USER || user.chars().any(|char| char == ':' || char.is_control()) {
        return Err(InvalidForm::User);
    }
    if password.chars().any(char::is_control) {
        return Err(InvalidForm::Password);
    }
    Ok(Credentials { user, password: Secret::new(password) })
}

/// The decoded value of a field; `None` if it is not there.
fn field(form: &str, name: &'static str) -> Result<Option<String>, InvalidForm> {
    let mut found = None;
    for pair in form.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let is_it = if key.contains('%') { decode(key).ok_or(InvalidForm::Malformed)? == name } else { key == name };
        if is_it && found.replace(value).is_some() {
            return Err(InvalidForm::Repeated(name));
        }
    }
    // A plus stands for a blank (WHATWG URL, application/x-www-form-urlencoded).
    found.map(|value| decode(&value.replace('+', " ")).ok_or(InvalidForm::Malformed)).transpose()
}

#[cfg(test)]
mod tests {
    use super::InvalidForm as E;
    use super::*;

    fn read(form: &[u8]) -> Result<(String, String), InvalidForm> {
        login(form).map(|Credentials { user, password }| (user, password.expose().to_owned()))
    }

    #[test]
    fn reads_the_login() {
        let rows = [
            ("grant_type=password&username=qnib-type1&password=secret", "qnib-type1", "secret"),
            (
                "password=p&service=s&client_id=c&scope=a&scope=b&access_type=offline&username=u&grant_type=password",
                "u",
                "p",
            ),
            ("grant_type=password&username=u&password=", "u", ""),
            ("grant_type=password&username=u&password", "u", ""),
            ("grant_type=password&username=u&password=a%3Ab%26c%3dd%2B+e=f", "u", "a:b&c=d+ e=f"),
            ("grant_type=password&username=%C3%BCn%c3%af&password=p%E2%82%AC", "ünï", "p€"),
            ("grant_type=password&username=ü&password=€", "ü", "€"),
            ("%67rant%5Ftype=p%61ssword&user%6eame=u&%70assword=p", "u", "p"),
            ("&&grant_type=password&&username=u&password=p&scope=%zz&=&", "u", "p"),
            ("grant_type=password&username=u&password=p&Username=v&user+name=w&user_name=x", "u", "p"),
        ];
        for (form, user, password) in rows {
            assert_eq!(read(form.as_bytes()), Ok((user.to_owned(), password.to_owned())), "{form}");
        }
        let user = "u".repeat(MAX_USER);
        let form = format!("grant_type=password&username={user}&password=p");
        assert_eq!(read(form.as_bytes()), Ok((user, "p".to_owned())));
    }

    #[test]
    fn refuses_what_is_no_login() {
        let long = format!("grant_type=password&username={}&password=p", "u".repeat(MAX_USER + 1));
        let rows: [(&[u8], E); 29] = [
            (b"", E::GrantType),
            (b"username=u&password=p", E::GrantType),
            (b"grant_type=&username=u&password=p", E::GrantType),
            (b"grant_type=Password&username=u&password=p", E::GrantType),
            (b"grant_type=refresh_token&refresh_token=t", E::GrantType),
            (b"grant_type=authorization_code&code=c", E::GrantType),
            (b"{\"grant_type\":\"password\"}", E::GrantType),
            (b"grant_type=password&grant_type=password&username=u&password=p", E::Repeated("grant_type")),
            (b"grant_type=password&grant_type=refresh_token", E::Repeated("grant_type")),
            (b"grant_type=password&grant%5ftype=password", E::Repeated("grant_type")),
            (b"grant_type=password&username=u&username=u&password=p", E::Repeated("username")),
            (b"grant_type=password&username=u&user%6eame=v&password=p", E::Repeated("username")),
            (b"grant_type=password&username=u&password=p&password", E::Repeated("password")),
            (b"grant_type=password", E::Missing("username")),
            (b"grant_type=password&password=p", E::Missing("username")),
            (b"grant_type=password&username=u", E::Missing("password")),
            (b"grant_type=password&username=&password=", E::User),
            (b"grant_type=password&username=&password=p", E::User),
            (b"grant_type=password&username=a%3Ab&password=p", E::User),
            (b"grant_type=password&username=a:b&password=p", E::User),
            (b"grant_type=password&username=a%0a&password=p", E::User),
            (b"grant_type=password&username=a%00&password=p", E::User),
            (long.as_bytes(), E::User),
            (b"grant_type=password&username=u&password=p%0D%0Ax", E::Password),
            (b"grant_type=password&username=u&password=p\n", E::Password),
            (b"grant_type=password&username=u%2&password=p", E::Malformed),
            (b"grant_type=password&username=u&password=%+1", E::Malformed),
            (b"grant_type=password&username=%ff&password=p", E::Malformed),
            (b"grant_type=password&username=u&password=p&%zz=", E::Malformed),
        ];
        for (form, error) in rows {
            assert_eq!(read(form), Err(error), "{}", String::from_utf8_lossy(form));
        }
        assert_eq!(read(b"grant_type=password&username=u&password=\xff"), Err(E::Malformed));
        // OAuth allows these characters in a description (RFC 6749 §5.2).
        for error in [E::GrantType, E::Malformed, E::Repeated("username"), E::Missing("password"), E::User, E::Password]
        {
            let text = error.to_string();
            assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'), "{text}");
        }
    }
}
