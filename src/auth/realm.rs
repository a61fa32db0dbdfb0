//! The URL of MetaHub's token endpoint, as its challenges name it (RFC 6750 §3; distribution spec, token
//! authentication).

use std::net::IpAddr;

use crate::text::headers::Headers;

/// The endpoint.
pub const PATH: &str = "/metahub/v1/token";
/// The longest host, and the longest `ns`, that a challenge repeats, in bytes.
const MAX_LENGTH: usize = 255;

/// The endpoint's URL for the client behind these request headers: under `public_url`, or else under the host that it
/// asked for. `None` for a host that cannot stand in a URL.
///
/// The scheme is `https` off loopback, even where Envoy saw `http`: TLS may end before it, and clients that follow an
/// `http` realm send passwords in clear.
#[must_use]
pub fn realm(public_url: Option<&str>, headers: Headers<'_>) -> Option<String> {
    let base = match public_url {
        Some(url) => url.to_owned(),
        None => {
            let host = headers.text(":authority").filter(|host| is_plain(host))?;
            let plain = is_loopback(host) && headers.first(":scheme") != Some(b"https");
            format!("{}://{host}", if plain { "http" } else { "https" })
        }
    };
    // The token request must repeat `ns`, because Envoy's routes may choose the registry by it.
    let ns = headers.text(":path").and_then(namespace).map(|ns| format!("?ns={ns}")).unwrap_or_default();
    Some(format!("{base}{PATH}{ns}"))
}

/// containerd's `ns` in a path's query, as it was written.
fn namespace(path: &str) -> Option<&str> {
    let (_, query) = path.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("ns=")).filter(|ns| is_plain(ns))
}

/// Whether a text can stand in a URL and in a quoted string as it is.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]%".contains(&byte);
    !text.is_empty() && text.len() <= MAX_LENGTH && text.bytes().all(plain)
}

/// Whether a host, with or without a port, is this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(public_url: Option<&str>, authority: &str, scheme: &str, path: &str) -> Option<String> {
        let headers = [(":authority", authority), (":scheme", scheme), (":path", path)]
            .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        realm(public_url, Headers(&headers))
    }

    #[test]
    fn is_https_off_loopback() {
        let rows = [
            ("hub.example", "http", "https://hub.example"),
            ("hub.example:8443", "https", "https://hub.example:8443"),
            ("10.0.0.7:8080", "http", "https://10.0.0.7:8080"),
            ("127.0.0.1:8080", "http", "http://127.0.0.1:8080"),
            ("127.9.9.9", "http", "http://127.9.9.9"),
            ("localhost:80", "http", "http://localhost:80"),
            ("LocalHost", "", "http://LocalHost"),
            ("[::1]:8080", "http", "http://[::1]:8080"),
            ("localhost", "https", "https://localhost"),
            ("localhost.example", "http", "https://localhost.example"),
            ("127.0.0.1.example", "http", "https://127.0.0.1.example"),
            ("127.0.0", "http", "https://127.0.0"),
            ("127.0.0.256", "http", "https://127.0.0.256"),
            ("127.0.0.01", "http", "https://127.0.0.01"),
            ("128.0.0.1", "http", "https://128.0.0.1"),
            ("[2001:db8::1]", "http", "https://[2001:db8::1]"),
        ];
        for (authority, scheme, base) in rows {
            assert_eq!(of(None, authority, scheme, "/v2/"), Some(format!("{base}{PATH}")), "{authority} {scheme}");
        }
        assert_eq!(of(Some("http://out:81"), "in", "https", "/v2/").as_deref(), Some("http://out:81/metahub/v1/token"));
    }

    #[test]
    fn a_host_that_breaks_out_of_the_challenge_is_in_none() {
        for authority in ["", "a\"b", "a b", "a/b", "a@b", "a,b", "ä", &"a".repeat(256)] {
            assert_eq!(of(None, authority, "http", "/v2/"), None, "{authority}");
        }
        assert_eq!(realm(None, Headers(&[(":authority".to_owned(), b"\xff".to_vec())])), None);
    }

    #[test]
    fn keeps_what_routes_choose_by() {
        let rows = [
            ("/v2/?ns=docker.io", "?ns=docker.io"),
            ("/v2/a/manifests/b?x=y&ns=ghcr.io%3A443", "?ns=ghcr.io%3A443"),
            ("/v2/?ns=a\"b", ""),
            ("/v2/?ns=", ""),
            ("/v2/?nsx=y", ""),
        ];
        for (path, query) in rows {
            assert_eq!(of(None, "h", "", path), Some(format!("https://h{PATH}{query}")), "{path}");
        }
    }
}
