//! Whether what was sampled again and again has come to a plateau.

/// What a series of samples says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// By so much the last third lies above the middle one, each by its median. The first third is warming up.
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
