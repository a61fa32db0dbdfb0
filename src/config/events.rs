//! `events`: the receiver of events.

use super::environment::{Environment, unset};
use super::error::ConfigError;
use super::raw::RawEvents;
use super::registry::is_host;
use crate::auth::secret::Secret;
use crate::events::Receiver;

/// Headers that are Envoy's or MetaHub's own.
const RESERVED: [&str; 9] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

pub(super) fn receiver(raw: RawEvents, environment: Environment<'_>) -> Result<Receiver, ConfigError> {
    let RawEvents { cluster, host, path, header_env } = raw;
    if cluster.is_empty() {
        return Err(ConfigError::new("events.cluster", "must be the name of an Envoy cluster"));
    }
    if !is_host(&host) {
        return Err(ConfigError::new("events.host", "must be a host with an optional port; no scheme, no path"));
    }
    let path = path.unwrap_or_else(|| "/".to_owned());
    if !path.starts_with('/') || path.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'#') {
        return Err(ConfigError::new(
            "events.path",
            "must begin with / and have printable ASCII characters only, no #",
        ));
    }
    let header = header_env.map(|variable| header(&variable, environment)).transpose()?;
    Ok(Receiver { cluster, host, path, header })
}

/// The header in an environment variable. No refusal quotes it.
fn header(variable: &str, environment: Environment<'_>) -> Result<(String, Secret), ConfigError> {
    let refuse = |message: String| ConfigError::new("events.header_env", message);
    let line = environment(variable).ok_or_else(|| refuse(unset(variable)))?;
    read(&line).ok_or_else(|| {
        refuse(format!(
            "the environment variable {variable} must have the name of a header, a colon and a value, as in \
             Authorization: Bearer …; not one of {}",
            RESERVED.join(", ")
        ))
    })
}

fn read(line: &str) -> Option<(String, Secret)> {
    let (name, value) = line.split_once(':')?;
    let (name, value) = (name.to_ascii_lowercase(), value.trim());
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_name = !name.is_empty() && name.bytes().all(is_word) && !name.starts_with("x-envoy-");
    let is_value = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    (is_name && is_value && !RESERVED.contains(&name.as_str())).then(|| (name, Secret::new(value.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_header() {
        let rows = [
            ("Authorization: Bearer abc", Some(("authorization", "Bearer abc"))),
            ("X-Gitlab-Token:a:b\n", Some(("x-gitlab-token", "a:b"))),
            ("Bearer abc", None),
            ("Bearer a:b", None),
            (": abc", None),
            (":path: /", None),
            ("Authorization:", None),
            ("Authorization: a\r\nx: y", None),
            ("Authorization: é", None),
            ("Host: elsewhere", None),
            ("x-envoy-retry-on: 5xx", None),
        ];
        for (line, expected) in rows {
            let read = read(line);
            let read = read.as_ref().map(|(name, value)| (name.as_str(), value.expose()));
            assert_eq!(read, expected, "{line}");
        }
    }
}
