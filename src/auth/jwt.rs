//! The name in a JSON Web Token that a client brought (RFC 7519, in the compact form of RFC 7515 §7.1).
//!
//! MetaHub has no key to check a signature with and does not try: the name chooses the machine type and stands in log
//! lines, and the registry, which gets the token untouched, says whether it is good for anything.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::credentials::MAX_USER;
use crate::text::json::Reader;

/// The token's `sub`: not empty, 255 bytes at most, without control characters. `None` if the text is no signed token
/// or has no such name.
#[must_use]
pub fn subject(token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || [header, payload, signature].iter().any(|part| part.is_empty()) {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let mut reader = Reader::new(std::str::from_utf8(&payload).ok()?);
    let mut sub = None;
    let members = reader.object(|reader, name| match name {
        "sub" if sub.is_some() => Err(reader.stop("sub is there twice")),
        "sub" => {
            sub = Some(reader.string()?);
            Ok(())
        }
        _ => reader.skip(),
    });
    members.and_then(|()| reader.end()).ok()?;
    let sub = sub??.into_owned();
    (!sub.is_empty() && sub.len() <= MAX_USER && !sub.chars().any(char::is_control)).then_some(sub)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("eyJhbGciOiJub25lIn0.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn reads_the_subject() {
        let long = format!(r#"{{"sub":"{}"}}"#, "a".repeat(256));
        let deep = format!(r#"{{"sub":"me","x":{}}}"#, "[".repeat(100_000));
        let rows = [
            (r#"{"sub":"me-type1","iss":"x","aud":["a"],"exp":1}"#, Some("me-type1")),
            (r#"{"iss":{"sub":"inner"},"sub":"repo:org/name"}"#, Some("repo:org/name")),
            (r#"{"sub":"ünï"}"#, Some("ünï")),
            (r#"{"sub":""}"#, None),
            (r#"{"sub":7}"#, None),
            (r#"{"sub":null}"#, None),
            (r#"{"sub":"a","sub":"b"}"#, None),
            (r#"{"sub":"a\u0000"}"#, None),
            (r#"{"sub":"a\nb"}"#, None),
            (r#"{"user":"me"}"#, None),
            (r#"["me"]"#, None),
            ("", None),
            ("\"me\"", None),
            (long.as_str(), None),
            (deep.as_str(), None),
        ];
        for (payload, expected) in rows {
            assert_eq!(subject(&token(payload)).as_deref(), expected, "{payload:.60}");
        }
    }

    #[test]
    fn what_is_no_signed_token_has_none() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"sub":"me"}"#);
        for text in [
            String::new(),
            payload.clone(),
            format!("h.{payload}"),
            format!("h.{payload}."),
            format!(".{payload}.s"),
            format!("h.{payload}.s.t"),
            "h..s".to_owned(),
            "h.!!!.s".to_owned(),
            "....".to_owned(),
        ] {
            assert_eq!(subject(&text), None, "{text}");
        }
        assert_eq!(subject(&format!("h.{payload}.s")).as_deref(), Some("me"));
    }
}
