//! Medians and quantiles of what was measured.

use std::time::Duration;

/// The value in the middle; sorts on the way.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The time that this part of all did not exceed.
pub(crate) fn quantile(times: &[Duration], part: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(position(times.len(), part)).copied().unwrap_or_default()
}

/// Where in so many values in ascending order the one is that this part of all does not exceed.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the count")]
pub(crate) fn position(count: usize, part: f64) -> usize {
    (count.saturating_sub(1) as f64 * part).round() as usize
}
