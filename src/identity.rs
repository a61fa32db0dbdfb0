//! `Authorization` bytes → credentials → account and machine type (RFC 7617; login names).

use std::fmt;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::secret::Secret;

/// Longest `Authorization` value that is looked at, in bytes. Passwords are tens of bytes; ECR's, the longest
/// known, about 2 KiB.
const MAX_AUTHORIZATION: usize = 16 * 1024;

/// Longest login name, in bytes: it is searched for machine types and stands in log lines.
const MAX_USER: usize = 255;

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

/// Why an `Authorization` header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidAuthorization {
    /// More than one header: which one counts would depend on who reads it.
    Duplicate,
    /// Above the limit.
    TooLong,
    /// A scheme other than Basic.
    Scheme,
    /// Not base64.
    Base64,
    /// No colon between user and password.
    NoColon,
    /// Not UTF-8.
    NotUtf8,
    /// A control character (RFC 7617 §2 forbids them).
    ControlCharacter,
    /// A password without a user.
    EmptyUser,
    /// A user above 255 bytes.
    LongUser,
}

impl fmt::Display for InvalidAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duplicate => "more than one Authorization header",
            Self::TooLong => "Authorization header above 16 KiB",
            Self::Scheme => "Authorization scheme is not Basic",
            Self::Base64 => "Authorization header is not base64",
            Self::NoColon => "Authorization header has no colon between user and password",
            Self::NotUtf8 => "Authorization header is not UTF-8",
            Self::ControlCharacter => "Authorization header has a control character",
            Self::LongUser => "Authorization header has a user of more than 255 bytes",
            Self::EmptyUser => "Authorization header has an empty user",
        })
    }
}

impl std::error::Error for InvalidAuthorization {}

impl Credentials {
    /// Reads all `Authorization` values of a request. No header, and an empty user with an empty password (what
    /// podman and skopeo send without a login), are `None`.
    ///
    /// # Errors
    /// [`InvalidAuthorization`], never quoting the header.
    pub fn decode<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<Option<Self>, InvalidAuthorization> {
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(InvalidAuthorization::Duplicate);
        }
        if value.len() > MAX_AUTHORIZATION {
            return Err(InvalidAuthorization::TooLong);
        }
        let encoded = strip_basic(value).ok_or(InvalidAuthorization::Scheme)?;
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
            (user, password) => Ok(Some(Self { user: user.to_owned(), password: Secret::new(password.to_owned()) })),
        }
    }
}

/// What follows `Basic `, in any letter case, surrounding blanks removed.
fn strip_basic(value: &[u8]) -> Option<&[u8]> {
    let (scheme, encoded) = value.trim_ascii().split_at_checked(6)?;
    scheme.eq_ignore_ascii_case(b"basic ").then(|| encoded.trim_ascii())
}

/// Ways to read `user` as `<account><separator><machine type>`, the longest machine type first. Both parts may
/// contain the separator; neither is empty.
pub fn splits<'a>(user: &'a str, separator: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
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
        let credentials = Credentials::decode(std::iter::once(value))?;
        Ok(credentials.map(|credentials| (credentials.user, credentials.password.expose().to_owned())))
    }

    #[test]
    fn reads_credentials() {
        let rows: [Row<'_>; 6] = [
            (&basic(b"qnib-type1:secret"), Some(("qnib-type1", "secret"))),
            (&basic(b"user:pass:word:"), Some(("user", "pass:word:"))),
            (&basic("ünï:pässwörd €".as_bytes()), Some(("ünï", "pässwörd €"))),
            (&basic(b"user:"), Some(("user", ""))),
            (b"bAsIc   dXNlcjpwYXNz  ", Some(("user", "pass"))),
            (b"Basic Og==", None),
        ];
        for (value, expected) in rows {
            let expected = expected.map(|(user, password)| (user.to_owned(), password.to_owned()));
            assert_eq!(decode(value), Ok(expected), "{}", String::from_utf8_lossy(value));
        }
        assert_eq!(decode(b"Basic dXNlcjpwYXNzMQ"), Ok(Some(("user".into(), "pass1".into()))), "no padding");
        assert_eq!(Credentials::decode(std::iter::empty()), Ok(None));
    }

    #[test]
    fn refuses_malformed_headers() {
        use InvalidAuthorization as E;
        let long = basic(&[b'a'; 64 * 1024]);
        let rows: [(&[u8], E); 15] = [
            (b"", E::Scheme),
            (b"Basic", E::Scheme),
            (b"Bearer abc", E::Scheme),
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
            (&long, E::TooLong),
            (&basic(&[&[b'a'; 256][..], b":x"].concat()), E::LongUser),
        ];
        for (value, error) in rows {
            assert_eq!(decode(value), Err(error), "{}", String::from_utf8_lossy(value));
        }
        let twice = [&basic(b"a:b")[..], &basic(b"a:b")[..]].map(<[u8]>::to_vec);
        assert_eq!(Credentials::decode(twice.iter().map(Vec::as_slice)), Err(E::Duplicate));
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
