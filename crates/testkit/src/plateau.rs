//! Whether a value that was sampled repeatedly has reached a plateau.

/// The verdict on a series of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// The median of the last third is higher than that of the middle third by this much. The first third is warm-up.
    By(u64),
    /// There are fewer than two samples in each third.
    TooFew,
}

/// Compares the last third of the samples with the middle one.
pub fn growth(samples: &[u64]) -> Growth {
    let third = samples.len() / 3;
    if third < 2 {
        return Growth::TooFew;
    }
    let (rest, last) = samples.split_at(samples.len() - third);
    let (_, middle) = rest.split_at(rest.len() - third);
    Growth::By(median(last).saturating_sub(median(middle)))
}

/// The lower one of two in the middle.
fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) / 2]
}
