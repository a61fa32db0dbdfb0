//! A map as a sorted list.
//!
//! Each map of the standard library is compiled for each type it holds, with all that splits and joins its nodes; nine
//! of them were almost a tenth of the filter. A list finds what it holds as fast. It is for maps that are filled in
//! order, as those of a sorted configuration are, or stay small: an item that goes before others moves them.

use std::borrow::Borrow;

/// A map as a list, sorted by key.
#[derive(Clone, Debug)]
pub struct Sorted<K, V>(Vec<(K, V)>);

impl<K: Ord, V> Sorted<K, V> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(known, _)| known.borrow().cmp(key))
    }

    /// What `key` stands for.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(self.place(key).ok()?).map(|(_, value)| value)
    }

    /// Whether `key` stands for something.
    #[must_use]
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place(key).is_ok()
    }

    /// Lets `key` stand for `value`, whatever it stood for before.
    pub fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(place) => {
                if let Some((_, old)) = self.0.get_mut(place) {
                    *old = value;
                }
            }
            Err(place) => self.0.insert(place, (key, value)),
        }
    }

    /// How many keys there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All keys with what they stand for, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// All keys, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// What the keys stand for, in the order of the keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Sorted<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(items: I) -> Self {
        // Not one insertion after the other: a long list in another order would move all that is there each time.
        let mut items: Vec<(K, V)> = items.into_iter().collect();
        items.sort_by(|(one, _), (other, _)| one.cmp(other));
        items.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Self(items)
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for Sorted<K, V> {
    fn from(items: [(K, V); N]) -> Self {
        items.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::Sorted;

    proptest! {
        #[test]
        fn it_is_a_map(items: Vec<(u8, u16)>, asked: u8) {
            let map: Sorted<u8, u16> = items.iter().copied().collect();
            let model: BTreeMap<u8, u16> = items.into_iter().collect();
            prop_assert!(map.iter().eq(model.iter()));
            prop_assert!(map.keys().eq(model.keys()) && map.values().eq(model.values()));
            prop_assert_eq!(map.get(&asked), model.get(&asked));
            prop_assert_eq!(map.contains_key(&asked), model.contains_key(&asked));
            prop_assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
        }
    }

    /// An account's machine types stand in any order, and there may be thousands for each of many accounts.
    #[test]
    fn a_list_in_the_wrong_order_is_no_work() {
        let began = Instant::now();
        let map: Sorted<u64, [u64; 3]> = (0..300_000).rev().map(|key| (key, [key; 3])).collect();
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!((map.len(), map.keys().next()), (300_000, Some(&0)));
    }
}
