//! The lists of features of all entries, while an index is read.

use super::interner::{Interner, number};
use super::tables::{FeatureRow, Span};
use crate::hardware::feature::Feature;

/// The features that entries ask for, and the numbers of each entry's, one entry behind the other.
pub(super) struct FeatureLists {
    features: Interner<Feature>,
    numbers: Vec<u32>,
    /// How many features all lists have together, each alternative counted.
    total: usize,
}

/// The lengths of the lists before an entry.
pub(super) struct Mark {
    features: usize,
    numbers: usize,
    total: usize,
}

impl FeatureLists {
    pub(super) const fn new() -> Self {
        Self { features: Interner::new(), numbers: Vec::new(), total: 0 }
    }

    /// Adds a feature to the last list, and returns how many it counts for: each alternative is one. The error says in
    /// words why the text is no feature.
    pub(super) fn add(&mut self, text: &str) -> Result<usize, String> {
        let number = match self.features.find([text], |known| known.as_str() == text) {
            Ok(number) => number,
            Err(vacant) => vacant.insert(Feature::parse(text)?),
        };
        self.numbers.push(number);
        let count = self.features.get(number).map_or(1, Feature::count);
        self.total += count;
        Ok(count)
    }

    /// Where the list of the next entry begins.
    pub(super) const fn mark(&self) -> Mark {
        Mark { features: self.features.len(), numbers: self.numbers.len(), total: self.total }
    }

    /// The list from there on.
    pub(super) fn since(&self, mark: &Mark) -> Span {
        Span { start: number(mark.numbers), length: number(self.numbers.len() - mark.numbers) }
    }

    /// Forgets the list from there on, because its entry cannot be used.
    pub(super) fn back_to(&mut self, mark: &Mark) {
        self.features.truncate(mark.features);
        self.numbers.truncate(mark.numbers);
        self.total = mark.total;
    }

    /// How many features all lists have together, each alternative counted.
    pub(super) const fn total(&self) -> usize {
        self.total
    }

    /// The features, sorted and each once, and the lists with their numbers of now.
    pub(super) fn finish(self) -> (Vec<FeatureRow>, Vec<u32>) {
        let (features, now) = sorted(self.features.into_values());
        let mut numbers = self.numbers;
        renumber(&mut numbers, &now);
        (features, numbers)
    }
}

/// Features, sorted and each once, and for each of those given the number that it has now.
pub(super) fn sorted(features: Vec<Feature>) -> (Vec<FeatureRow>, Vec<u32>) {
    let mut order: Vec<(Feature, u32)> = features.into_iter().zip(0..).collect();
    order.sort_unstable();
    let mut now = vec![0; order.len()];
    let mut sorted: Vec<FeatureRow> = Vec::with_capacity(order.len());
    for (feature, before) in order {
        if sorted.last().is_none_or(|last| last.feature != feature) {
            sorted.push(FeatureRow::new(feature));
        }
        let now = now.get_mut(before as usize);
        debug_assert!(now.is_some(), "there were as many features before");
        if let Some(now) = now {
            *now = number(sorted.len() - 1);
        }
    }
    (sorted, now)
}

/// Puts the numbers of now in the place of those of before.
pub(super) fn renumber(numbers: &mut [u32], now: &[u32]) {
    for number in numbers {
        let known = now.get(*number as usize);
        debug_assert!(known.is_some(), "there was no feature {number}");
        *number = known.copied().unwrap_or(u32::MAX);
    }
}
