//! One event an hour for each key, over all workers of the process; what is seen in between is counted.

use super::build_event::{BuildEvent, Sightings};
use crate::store::keys::slot;
use crate::store::resources::Resources;

/// The time for which one event of a key is enough, in seconds.
const QUIET_SECONDS: u64 = 3600;
/// Buckets of records in the store.
const BUCKETS: u32 = 512;
/// Records in one bucket: 4,096 keys in all, if they spread evenly.
const RECORDS: usize = 8;
/// How often a worker tries to write while others write to the same bucket.
const TRIES: usize = 8;

/// The result of a sighting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// The event is to be posted now; the hour begins.
    Due(Sightings),
    /// It was posted within the hour, and this sighting was counted.
    Quiet,
    /// It cannot be remembered, because too many others were posted within the hour; so it must not be posted either.
    NoRoom,
}

/// The facts about one key.
#[derive(Clone, Copy)]
struct Record {
    key: [u8; 32],
    /// Seconds since the Unix epoch, as in [`Sightings`].
    first_seen: u64,
    /// When it was posted last.
    posted: u64,
    count: u64,
}

/// The length of a record in the store, in bytes.
const RECORD: usize = 56;

impl Record {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (key, rest) = bytes.split_first_chunk::<32>()?;
        let ([first_seen, posted, count], []) = rest.as_chunks::<8>().0.split_first_chunk::<3>()? else { return None };
        let [first_seen, posted, count] = [first_seen, posted, count].map(|bytes| u64::from_le_bytes(*bytes));
        Some(Self { key: *key, first_seen, posted, count })
    }

    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.key);
        [self.first_seen, self.posted, self.count].iter().for_each(|number| into.extend(number.to_le_bytes()));
    }

    /// Whether an event may be posted again. A clock that was set back ends the hour.
    const fn is_due(&self, now: u64) -> bool {
        match now.checked_sub(self.posted) {
            Some(since) => since >= QUIET_SECONDS,
            None => true,
        }
    }
}

/// Notes that a request has seen this event.
pub fn note(resources: &dyn Resources, event: &BuildEvent) -> Noted {
    let (key, now) = (event.key(), resources.now());
    let slot = slot("metahub.events.", &key, BUCKETS);
    for _ in 0..TRIES {
        // Without a version nothing would be compared, and Envoy takes an empty value for none.
        resources.set_once(&slot, &[0]);
        let Some((bucket, version)) = resources.get_versioned(&slot) else { return Noted::NoRoom };
        let mut records: Vec<Record> =
            bucket.as_chunks::<RECORD>().0.iter().filter_map(|r| Record::decode(r)).collect();
        let noted = note_in(&mut records, key, now);
        let mut bucket = Vec::with_capacity(records.len() * RECORD);
        records.iter().for_each(|record| record.encode(&mut bucket));
        if noted == Noted::NoRoom || resources.set_if_unchanged(&slot, &bucket, version) {
            return noted;
        }
    }
    // Others write all the time. The next sighting tries again.
    Noted::Quiet
}

fn note_in(records: &mut Vec<Record>, key: [u8; 32], now: u64) -> Noted {
    if let Some(record) = records.iter_mut().find(|record| record.key == key) {
        record.count = record.count.saturating_add(1);
        if !record.is_due(now) {
            return Noted::Quiet;
        }
        record.posted = now;
        return Noted::Due(Sightings { first_seen: record.first_seen, count: record.count });
    }
    let new = Record { key, first_seen: now, posted: now, count: 1 };
    if records.len() < RECORDS {
        records.push(new);
    } else if let Some(oldest) = records.iter_mut().min_by_key(|record| record.posted)
        && oldest.is_due(now)
    {
        *oldest = new;
    } else {
        return Noted::NoRoom;
    }
    Noted::Due(Sightings { first_seen: now, count: 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::in_memory::Map;

    const KEY: [u8; 32] = [1; 32];

    fn seen(records: &mut Vec<Record>, key: [u8; 32], now: u64) -> Option<(u64, u64)> {
        match note_in(records, key, now) {
            Noted::Due(Sightings { first_seen, count }) => Some((first_seen, count)),
            Noted::Quiet | Noted::NoRoom => None,
        }
    }

    #[test]
    fn a_key_is_due_once_an_hour_and_counts_what_is_between() {
        let mut records = Vec::new();
        assert_eq!(seen(&mut records, KEY, 5000), Some((5000, 1)));
        assert_eq!(seen(&mut records, KEY, 5000), None);
        assert_eq!(seen(&mut records, [2; 32], 5001), Some((5001, 1)), "another key");
        assert_eq!(seen(&mut records, KEY, 5000 + QUIET_SECONDS - 1), None);
        assert_eq!(seen(&mut records, KEY, 5000 + QUIET_SECONDS), Some((5000, 4)));
        assert_eq!(seen(&mut records, KEY, 5000 + QUIET_SECONDS + 1), None);
        assert_eq!(seen(&mut records, KEY, 100), Some((5000, 6)), "the clock was set back");
    }

    /// Of what was posted within the hour nothing is forgotten: it would be posted again.
    #[test]
    fn a_full_bucket_forgets_what_is_older_than_an_hour_only() {
        let mut records = Vec::new();
        for number in 0..RECORDS {
            assert!(seen(&mut records, [number as u8; 32], 1000 + number as u64).is_some());
        }
        assert_eq!(note_in(&mut records, [99; 32], 1500), Noted::NoRoom);
        assert_eq!(seen(&mut records, [99; 32], 1000 + QUIET_SECONDS), Some((1000 + QUIET_SECONDS, 1)));
        assert_eq!(records.len(), RECORDS);
        assert!(!records.iter().any(|record| record.key == [0; 32]), "the oldest made room");
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut bytes = Vec::new();
        Record { key: KEY, first_seen: 2, posted: 3, count: 4 }.encode(&mut bytes);
        assert_eq!(bytes.len(), RECORD);
        let record = Record::decode(&bytes).unwrap();
        assert_eq!((record.key, record.first_seen, record.posted, record.count), (KEY, 2, 3, 4));
        assert!(Record::decode(&bytes[..RECORD - 1]).is_none());
    }

    #[test]
    fn another_worker_that_is_faster_is_read_again() {
        let memory = Map::default();
        let event = super::super::build_event::tests::event("latest");
        memory.lost.set(3);
        assert_eq!(note(&memory, &event), Noted::Due(Sightings { first_seen: 0, count: 1 }));
        memory.lost.set(TRIES as u32);
        assert_eq!(note(&memory, &event), Noted::Quiet);
        assert_eq!(note(&memory, &event), Noted::Quiet);
        memory.now.set(QUIET_SECONDS);
        assert_eq!(note(&memory, &event), Noted::Due(Sightings { first_seen: 0, count: 3 }), "one was not counted");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let memory = Map::default();
        for number in 0..20_000 {
            note(&memory, &super::super::build_event::tests::event(&number.to_string()));
        }
        let values = memory.values.borrow();
        assert!(values.len() <= BUCKETS as usize);
        assert!(values.values().all(|bucket| bucket.len() <= RECORDS * RECORD));
    }
}
