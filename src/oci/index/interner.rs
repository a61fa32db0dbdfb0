//! Values that repeat themselves, kept once and known by their numbers.
//!
//! Lists of many entries repeat a few words thousands of times. A table of the words met last finds most repetitions.
//! It is no map, so that no choice of words can make it slow. A value that it misses is kept twice.

/// Values, each known by its place in the order of arrival.
pub(super) struct Interner<T> {
    values: Vec<T>,
    last_met: LastMet,
}

/// Room for a value that was not found.
pub(super) struct Vacant<'i, T> {
    values: &'i mut Vec<T>,
    cached: &'i mut u32,
}

impl<T> Interner<T> {
    pub(super) const fn new() -> Self {
        Self { values: Vec::new(), last_met: LastMet::new() }
    }

    /// The number of the value that is `wanted`, or else room for it. `words` are what the value is made of.
    pub(super) fn find<'t>(
        &mut self,
        words: impl IntoIterator<Item = &'t str>,
        wanted: impl FnOnce(&T) -> bool,
    ) -> Result<u32, Vacant<'_, T>> {
        let cached = self.last_met.place(words);
        if self.values.get(*cached as usize).is_some_and(wanted) {
            return Ok(*cached);
        }
        Err(Vacant { values: &mut self.values, cached })
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.values.get(number as usize)
    }

    /// How many values there are, those that are kept twice included.
    pub(super) const fn len(&self) -> usize {
        self.values.len()
    }

    /// Forgets all values but the first ones. The places may still name the others, so that each is checked.
    pub(super) fn truncate(&mut self, length: usize) {
        self.values.truncate(length);
    }

    /// The values, each at its number.
    pub(super) fn into_values(self) -> Vec<T> {
        self.values
    }
}

impl<T> Vacant<'_, T> {
    /// Keeps a value; its number.
    pub(super) fn insert(self, value: T) -> u32 {
        *self.cached = number(self.values.len());
        self.values.push(value);
        *self.cached
    }
}

/// A list's length as the number of what is added next; a document has fewer bytes than there are numbers.
pub(super) fn number(length: usize) -> u32 {
    let number = u32::try_from(length);
    debug_assert!(number.is_ok(), "{length} values");
    number.unwrap_or(u32::MAX)
}

/// The numbers that words were met under last; two lists of words that share a place push each other out.
struct LastMet {
    places: [u32; PLACES],
    /// A place that is never needed: each one is among these.
    other: u32,
}

const PLACES: usize = 1024;

impl LastMet {
    const fn new() -> Self {
        Self { places: [u32::MAX; PLACES], other: u32::MAX }
    }

    /// The place for these words. The number that is there may be that of other words, or of none.
    fn place<'t>(&mut self, words: impl IntoIterator<Item = &'t str>) -> &mut u32 {
        let hash = words.into_iter().fold(0, |hash: u64, word| {
            let bytes = word.as_bytes();
            let (first, last) = match (bytes.first_chunk(), bytes.last_chunk()) {
                (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
                _ => (bytes.iter().fold(0, |packed, byte| (packed << 8) | u64::from(*byte)), 0),
            };
            let mixed = hash ^ first ^ last.rotate_left(29) ^ bytes.len() as u64;
            mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
        });
        self.places.get_mut((hash % PLACES as u64) as usize).unwrap_or(&mut self.other)
    }
}

#[cfg(test)]
mod tests {
    use super::{Interner, PLACES};

    fn intern(interner: &mut Interner<String>, word: &str) -> u32 {
        interner.find([word], |known| known == word).unwrap_or_else(|vacant| vacant.insert(word.to_owned()))
    }

    #[test]
    fn equal_words_have_one_number() {
        let mut interner = Interner::new();
        let numbers = ["amd64", "arm64", "amd64", "", "arm64", ""].map(|word| intern(&mut interner, word));
        assert_eq!(numbers, [0, 1, 0, 2, 1, 2]);
        assert_eq!(interner.into_values(), ["amd64", "arm64", ""]);
    }

    #[test]
    fn words_that_push_each_other_out_keep_what_they_are() {
        let mut interner = Interner::new();
        let words: Vec<String> = (0..3 * PLACES).map(|number| format!("feature:{number}")).collect();
        for _ in 0..2 {
            for word in &words {
                let number = intern(&mut interner, word);
                assert_eq!(interner.get(number), Some(word));
            }
        }
        let kept = interner.into_values();
        assert!(kept.len() > words.len(), "some were kept twice, or this test shows nothing");
        assert!(kept.len() <= 2 * words.len());
    }

    #[test]
    fn a_forgotten_number_is_not_believed() {
        let mut interner = Interner::new();
        assert_eq!((intern(&mut interner, "kept"), intern(&mut interner, "forgotten")), (0, 1));
        interner.truncate(1);
        assert_eq!(interner.len(), 1);
        assert_eq!(intern(&mut interner, "another"), 1);
        assert_eq!(intern(&mut interner, "forgotten"), 2);
        assert_eq!(interner.into_values(), ["kept", "another", "forgotten"]);
    }

    #[test]
    fn words_in_another_order_are_other_words() {
        let mut interner: Interner<[&str; 2]> = Interner::new();
        let mut number =
            |words| interner.find(words, |known| *known == words).unwrap_or_else(|room| room.insert(words));
        assert_eq!([number(["a", "b"]), number(["b", "a"]), number(["ab", ""]), number(["a", "b"])], [0, 1, 2, 0]);
    }
}
