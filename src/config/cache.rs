//! `cache`: how much is kept, and how long it is believed.

use super::error::ConfigError;
use super::raw::{RawCache, RawSize};
use crate::store::cache::{Cache, DEFAULT_BYTES, MAX_BYTES, MIN_BYTES};

/// The longest time for which a tag may be answered without asking upstream, and while upstream is down, in seconds: a
/// week.
const MAX_SECONDS: u64 = 7 * 24 * 3600;

pub(super) fn cache(raw: Option<RawCache>) -> Result<Cache, ConfigError> {
    let Some(RawCache { bytes, tag_ttl, serve_stale_on_error }) = raw else { return Ok(Cache::default()) };
    let bytes = bytes.map_or(Ok(DEFAULT_BYTES), |value| {
        size(&value)
            .ok_or_else(|| ConfigError::new("cache.bytes", "not a size such as 64MiB, between 1MiB and 16GiB, or 0"))
    })?;
    let seconds = |name: &str, text: Option<String>| {
        text.map_or(Ok(0), |text| {
            duration(&text).ok_or_else(|| {
                ConfigError::new(format!("cache.{name}"), "not a time such as 0s, 30s, 5m or 2h, at most a week")
            })
        })
    };
    let cache = Cache {
        bytes,
        tag_ttl: seconds("tag_ttl", tag_ttl)?,
        serve_stale_on_error: seconds("serve_stale_on_error", serve_stale_on_error)?,
        described: false,
    };
    if !cache.is_on() && (cache.tag_ttl > 0 || cache.serve_stale_on_error > 0) {
        return Err(ConfigError::new(
            "cache.bytes",
            "0 leaves nothing that tag_ttl or serve_stale_on_error could serve",
        ));
    }
    Ok(cache)
}

/// Bytes: a number, or a text with `KiB`, `MiB` or `GiB`.
fn size(value: &RawSize) -> Option<u64> {
    let bytes = match value {
        RawSize::Number(bytes) => whole(*bytes)?,
        RawSize::Text(text) => {
            let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];
            let (digits, unit) = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
            number(digits)?.checked_mul(unit)?
        }
    };
    (bytes == 0 || (MIN_BYTES..=MAX_BYTES).contains(&bytes)).then_some(bytes)
}

/// Numbers are doubles; up to the largest size each whole one is exact.
fn whole(number: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within range")]
    let whole = || number as u64;
    #[expect(clippy::cast_precision_loss, reason = "exact: 16 GiB are 34 bits")]
    let range = 0.0..=MAX_BYTES as f64;
    (number.fract() == 0.0 && range.contains(&number)).then(whole)
}

/// Seconds: a number with `s`, `m` or `h`.
pub(super) fn duration(text: &str) -> Option<u64> {
    let units = [("s", 1), ("m", 60), ("h", 3600)];
    let (digits, unit) = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    number(digits)?.checked_mul(unit).filter(|seconds| *seconds <= MAX_SECONDS)
}

/// Digits only: `parse` would take a sign.
fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes() {
        let rows = [
            (RawSize::Text("64MiB".into()), Some(64 << 20)),
            (RawSize::Text("1GiB".into()), Some(1 << 30)),
            (RawSize::Text("2048KiB".into()), Some(2 << 20)),
            (RawSize::Number(4_194_304.0), Some(4 << 20)),
            (RawSize::Text("4194304".into()), Some(4 << 20)),
            (RawSize::Number(0.0), Some(0)),
            (RawSize::Text("0".into()), Some(0)),
            (RawSize::Text("1023KiB".into()), None),
            (RawSize::Text("17GiB".into()), None),
            (RawSize::Text("64MB".into()), None),
            (RawSize::Text("64 MiB".into()), None),
            (RawSize::Text("+64MiB".into()), None),
            (RawSize::Text("-1".into()), None),
            (RawSize::Number(-1.0), None),
            (RawSize::Number(1.5), None),
            (RawSize::Text("MiB".into()), None),
            (RawSize::Text("99999999999999999999GiB".into()), None),
        ];
        for (value, expected) in rows {
            assert_eq!(size(&value), expected, "{value:?}");
        }
    }

    #[test]
    fn reads_times() {
        let rows = [
            ("0s", Some(0)),
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("2h", Some(7200)),
            ("168h", Some(MAX_SECONDS)),
            ("169h", None),
            ("30", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1d", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(duration(text), expected, "{text}");
        }
    }
}
