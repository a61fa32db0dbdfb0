//! `Authorization` bytes → credentials → account and machine type (RFC 7617; login names).

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::auth::secret::Secret;

/// The longest `Basic` value that is read, in bytes. Passwords have tens of bytes; ECR's, the longest known, have about
/// 2 KiB.
const MAX_AUTHORIZATION: usize = 16 * 1024;

/// The longest `Bearer` value that is read, in bytes: a ticket may carry the longest password.
const MAX_BEARER: usize = 32 * 1024;

/// The longest login name, in bytes: it is searched for machine types and stands in log lines.
pub(crate) const MAX_USER: usize = 255;

/// RFC 4648 with or without padding: some clients leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A login name and its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The login name, not empty, without control characters.
    pub user: String,
    /// The password; may be empty and may contain colons.
    pub password: Secret,
}

/// The credentials that a client presents to MetaHub, or MetaHub to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented {
    /// Nothing.
    Nothing,
    /// A login name and a password.
    Password(Credentials),
    /// A bearer token, printable and not empty.
    Token(Secret),
}

/// Why an `Authorization` header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthorization {
    /// More than one header: each reader might take another one.
    #[error("more than one Authorization header")]
    Duplicate,
    /// Above the limit.
    #[error("Authorization header above 16 KiB (a bearer token: 32 KiB)")]
    TooLong,
    /// A scheme that is neither Basic nor Bearer.
    #[error("Authorization scheme is not Basic")]
    Scheme,
    /// No bearer token: the text is empty, or has characters that no bearer token has (RFC 6750 §2.1).
    #[error("Authorization header without a bearer token")]
    Token,
    /// Not base64.
    #[error("Authorization header is not base64")]
    Base64,
    /// No colon between user and password.
    #[error("Authorization header has no colon between user and password")]
    NoColon,
    /// Not UTF-8.
    #[error("Authorization header is not UTF-8")]
    NotUtf8,
    /// A control character (RFC 7617 §2 forbids them).
    #[error("Authorization header has a control character")]
    ControlCharacter,
    /// A password without a user.
    #[error("Authorization header has an empty user")]
    EmptyUser,
    /// A user above 255 bytes.
    #[error("Authorization header has a user of more than 255 bytes")]
    LongUser,
}

impl Presented {
    /// Reads all `Authorization` values of a request. No header, and an empty user with an empty password (what
    /// podman and skopeo send without a login), are [`Presented::Nothing`].
    ///
    /// # Errors
    /// [`InvalidAuthorization`], never quoting the header.
    pub fn decode<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<Self, InvalidAuthorization> {
        let Some(value) = values.next() else { return Ok(Self::Nothing) };
        if values.next().is_some() {
            return Err(InvalidAuthorization::Duplicate);
        }
        if let Some(token) = strip_scheme(value, b"bearer ") {
            return bearer(token).map(Self::Token);
        }
        if value.len() > MAX_AUTHORIZATION {
            return Err(InvalidAuthorization::TooLong);
        }
        let encoded = strip_scheme(value, b"basic ").ok_or(InvalidAuthorization::Scheme)?;
        Ok(basic(encoded)?.map_or(Self::Nothing, Self::Password))
    }
}

/// Reads the rest of a header after `Basic `; `None` for an empty user with an empty password.
fn basic(encoded: &[u8]) -> Result<Option<Credentials>, InvalidAuthorization> {
    // Envoy joins the values of repeated headers with a comma, which is in no scheme's alphabet.
    if encoded.contains(&b',') {
        return Err(InvalidAuthorization::Duplicate);
    }
    let decoded = BASE64.decode(encoded).map_err(|_| InvalidAuthorization::Base64)?;
    let text = String::from_utf8(decoded).map_err(|_| InvalidAuthorization::NotUtf8)?;
    if text.chars().any(char::is_control) {
        return Err(InvalidAuthorization::ControlCharacter);
    }
    match text.split_once(':').ok_or(InvalidAuthorization::NoColon)? {
        ("", "") => Ok(None),
        ("", _) => Err(InvalidAuthorization::EmptyUser),
        (user, _) if user.len() > MAX_USER => Err(InvalidAuthorization::LongUser),
        (user, password) => Ok(Some(Credentials { user: user.to_owned(), password: Secret::new(password.to_owned()) })),
    }
}

/// Reads the rest of a header after `Bearer `.
fn bearer(token: &[u8]) -> Result<Secret, InvalidAuthorization> {
    if token.len() > MAX_BEARER {
        return Err(InvalidAuthorization::TooLong);
    }
    if token.contains(&b',') {
        return Err(InvalidAuthorization::Duplicate);
    }
    let text = std::str::from_utf8(token).map_err(|_| InvalidAuthorization::Token)?;
    let valid = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if valid { Ok(Secret::new(text.to_owned())) } else { Err(InvalidAuthorization::Token) }
}

/// The rest of a header after a scheme (with its blank) in any letter case, surrounding blanks removed.
fn strip_scheme<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = value.trim_ascii_start().split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then(|| rest.trim_ascii())
}

/// Ways to read `user` as `<account><separator><machine type>`, the longest machine type first. Both parts may
/// contain the separator; neither is empty.
pub fn splits<'u>(user: &'u str, separator: &str) -> impl Iterator<Item = (&'u str, &'u str)> {
    user.match_indices(separator).filter_map(move |(position, _)| {
        let account = user.get(..position)?;
        let machine_type = user.get(position + separator.len()..)?;
        (!account.is_empty() && !machine_type.is_empty()).then_some((account, machine_type))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user_password: &[u8]) -> Vec<u8> {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user_password)).into_bytes()
    }

    type Row<'a> = (&'a [u8], Option<(&'a str, &'a str)>);

    fn decode(value: &[u8]) -> Result<Option<(String, String)>, InvalidAuthorization> {
        Ok(match Presented::decode(std::iter::once(value))? {
            Presented::Nothing => None,
            Presented::Password(credentials) => Some((credentials.user, credentials.password.expose().to_owned())),
            Presented::Token(token) => Some(("bearer".to_owned(), token.expose().to_owned())),
        })
    }

    #[test]
    fn reads_credentials() {
        let rows: [Row<'_>; 8] = [
            (&basic(b"qnib-type1:secret"), Some(("qnib-type1", "secret"))),
            (&basic(b"user:pass:word:"), Some(("user", "pass:word:"))),
            (&basic("ünï:pässwörd €".as_bytes()), Some(("ünï", "pässwörd €"))),
            (&basic(b"user:"), Some(("user", ""))),
            (b"bAsIc   dXNlcjpwYXNz  ", Some(("user", "pass"))),
            (b"Basic Og==", None),
            (b"Bearer mh1.x_-y", Some(("bearer", "mh1.x_-y"))),
            (b"bEARER  a.b.c ", Some(("bearer", "a.b.c"))),
        ];
        for (value, expected) in rows {
            let expected = expected.map(|(user, password)| (user.to_owned(), password.to_owned()));
            assert_eq!(decode(value), Ok(expected), "{}", String::from_utf8_lossy(value));
        }
        assert_eq!(decode(b"Basic dXNlcjpwYXNzMQ"), Ok(Some(("user".into(), "pass1".into()))), "no padding");
        assert_eq!(Presented::decode(std::iter::empty()), Ok(Presented::Nothing));
    }

    #[test]
    fn refuses_malformed_headers() {
        use InvalidAuthorization as E;
        // 16 KiB are read, and found to be no Base64; one byte more is not read.
        let longest = [b"Basic ".as_slice(), &[b'a'; 16 * 1024 - 6]].concat();
        let long = [longest.as_slice(), b"a"].concat();
        let long_token = [b"Bearer ".as_slice(), &[b'a'; MAX_BEARER + 1]].concat();
        let rows: [(&[u8], E); 22] = [
            (b"", E::Scheme),
            (b"Basic", E::Scheme),
            (b"Digest abc", E::Scheme),
            (b"Bearer", E::Scheme),
            (b"Bearer ", E::Token),
            (b"Bearer a b", E::Token),
            (b"Bearer \xff", E::Token),
            (b"Bearer a,Bearer b", E::Duplicate),
            (&long_token, E::TooLong),
            (b"Basic\tdXNlcjpwYXNz", E::Scheme),
            (b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8", E::Scheme),
            (b"Basic dXNlcjpwYXNz,Basic dXNlcjpwYXNz", E::Duplicate),
            (b"Basic \xff\xfe", E::Base64),
            (b"Basic !!!", E::Base64),
            (b"Basic dXNl cjpwYXNz", E::Base64),
            (&basic(b"nocolon"), E::NoColon),
            (&basic(b"user:\xff\xfe"), E::NotUtf8),
            (&basic(b"user\n:pass"), E::ControlCharacter),
            (&basic(b":password"), E::EmptyUser),
            (&longest, E::Base64),
            (&long, E::TooLong),
            (&basic(&[&[b'a'; 256][..], b":x"].concat()), E::LongUser),
        ];
        for (value, error) in rows {
            assert_eq!(decode(value), Err(error), "{}", String::from_utf8_lossy(value));
        }
        let twice = [&basic(b"a:b")[..], &basic(b"a:b")[..]].map(<[u8]>::to_vec);
        assert_eq!(Presented::decode(twice.iter().map(Vec::as_slice)), Err(E::Duplicate));
    }

    #[test]
    fn splits_longest_machine_type_first() {
        let all = |user, separator| splits(user, separator).collect::<Vec<_>>();
        assert_eq!(all("a-b-c", "-"), [("a", "b-c"), ("a-b", "c")]);
        assert_eq!(all("qnib", "-"), []);
        assert_eq!(all("-type1", "-"), [], "an empty account is none");
        assert_eq!(all("qnib-", "-"), []);
        assert_eq!(all("é++t", "++"), [("é", "t")]);
    }
}
