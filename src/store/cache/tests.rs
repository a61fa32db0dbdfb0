use super::*;
use crate::oci::digest::Digest;
use crate::oci::index::Descriptor;
use crate::oci::reference::Repository;
use crate::store::in_memory::Map;

fn repository(name: &str) -> Repository {
    Repository::parse(name).unwrap()
}

fn cache(bytes: u64) -> Cache {
    Cache { bytes, ..Cache::default() }
}

/// The size of the memory, keys aside.
fn taken(memory: &Map) -> u64 {
    memory.values.borrow().values().map(|value| value.len() as u64).sum()
}

fn resolution(top: &str) -> Resolution {
    Resolution {
        top: Digest::of(top.as_bytes()),
        served: Descriptor { media_type: "a/b".into(), digest: Digest::of(b"x"), size: 7 },
        reason: "only one fits".into(),
        missing: "cpu:icelake".into(),
        indistinguishable: 2,
        observed: Some(Observed::Nested),
        location: None,
    }
}

#[test]
fn keeps_documents_of_all_sizes() {
    let (memory, cache, name) = (Map::default(), cache(64 << 20), repository("a/b"));
    let scope = CacheScope { cluster: "c", prefix: None, repository: &name };
    for size in [0, 1, 3_000, 30_000, 300_000] {
        let body = vec![b'x'; size];
        let digest = Digest::of(&body).to_string();
        let (location, growth) = cache.keep_document(&memory, scope, &digest, "a/b", &body);
        assert!(growth.bytes > size as i64 && growth.evicted == 0, "{growth:?}");
        let document = cache.document(&memory, scope, &digest, location.unwrap()).unwrap();
        assert_eq!((document.media_type.as_str(), &document.body), ("a/b", &body));
        assert_eq!(cache.find(&memory, scope, &digest), Some(document));
    }
    let large = vec![b'x'; 600_000];
    let digest = Digest::of(&large);
    let (location, growth) = cache.keep_document(&memory, scope, digest.as_str(), "a/b", &large);
    assert!(growth.bytes < 200 && location.is_some_and(Location::is_large), "that it was seen: {growth:?}");
    assert_eq!(cache.locate(&memory, scope, digest.as_str()), location);
    assert_eq!(cache.find(&memory, scope, digest.as_str()), None);
}

#[test]
fn what_is_kept_is_known_in_its_repository_and_cluster_only() {
    let (memory, cache) = (Map::default(), cache(1 << 20));
    let (one, other) = (repository("a"), repository("b"));
    let tag = Tag::parse("latest").unwrap();
    let scope = CacheScope { cluster: "c", prefix: None, repository: &one };
    let _ = cache.keep_document(&memory, scope, "d", "a/b", b"x");
    let _ = cache.keep_tag(&memory, scope, &tag);
    let _ = cache.keep_resolution(&memory, scope, &tag, b"view", &resolution("1"));
    let _ = cache.keep_confirmed(&memory, scope, &tag, b"view", &Identity::for_tests(1), resolution("1"));
    for (elsewhere, known) in [
        (scope, true),
        (CacheScope { cluster: "c", prefix: None, repository: &other }, false),
        (CacheScope { cluster: "e", prefix: None, repository: &one }, false),
    ] {
        assert_eq!(cache.find(&memory, elsewhere, "d").is_some(), known);
        assert_eq!(cache.knows_tag(&memory, elsewhere, &tag), known);
        assert_eq!(cache.resolution(&memory, elsewhere, &tag, b"view").is_some(), known);
        assert_eq!(cache.confirmed(&memory, elsewhere, &tag, b"view", &Identity::for_tests(1)).is_some(), known);
    }
    assert_eq!(cache.resolution(&memory, scope, &tag, b"other"), None);
    assert_eq!(cache.confirmed(&memory, scope, &tag, b"view", &Identity::for_tests(2)), None, "another identity");
}

#[test]
fn a_location_that_was_taken_over_is_a_miss() {
    let (memory, cache, name) = (Map::default(), cache(1 << 20), repository("a"));
    let scope = CacheScope { cluster: "c", prefix: None, repository: &name };
    let (first, _) = cache.keep_document(&memory, scope, "first", "a/b", b"first");
    let mut evicted = 0;
    for number in 0..64 {
        evicted += cache.keep_document(&memory, scope, &format!("other {number}"), "a/b", b"other").1.evicted;
    }
    assert_eq!(cache.document(&memory, scope, "first", first.unwrap()), None);
    assert_eq!(evicted, 1, "64 slots for 65 documents");
    assert!(cache.find(&memory, scope, "other 0").is_some());
}

#[test]
fn a_document_takes_one_slot_however_many_bring_it() {
    let (memory, cache, name) = (Map::default(), cache(1 << 20), repository("a"));
    let scope = CacheScope { cluster: "c", prefix: None, repository: &name };
    let _ = cache.keep_document(&memory, scope, "first", "a/b", b"first");
    let (location, _) = cache.keep_document(&memory, scope, "second", "a/b", b"second");
    for _ in 0..200 {
        let again = cache.keep_document(&memory, scope, "second", "a/b", b"second");
        assert_eq!(again, (location, CacheGrowth::default()));
    }
    assert!(cache.find(&memory, scope, "first").is_some(), "not pushed out by copies");
    let _ = cache.keep_document(&memory, scope, "second", "c/d", b"second");
    assert_eq!(cache.find(&memory, scope, "second").unwrap().media_type, "c/d", "upstream's last word on it");
}

#[test]
fn never_takes_more_than_configured() {
    for bytes in [1 << 20, 3 << 20] {
        let (memory, cache, name) = (Map::default(), cache(bytes), repository("a"));
        let scope = CacheScope { cluster: "c", prefix: None, repository: &name };
        let mut grown = 0;
        for number in 0..3_000_usize {
            let tag = Tag::parse(&format!("t{number}")).unwrap();
            let body = vec![b'x'; (number * 37) % 40_000];
            let (_, growth) = cache.keep_document(&memory, scope, &format!("{number}"), "a/b", &body);
            let growth = growth.and(cache.keep_tag(&memory, scope, &tag)).and(cache.keep_resolution(
                &memory,
                scope,
                &tag,
                b"view",
                &resolution("1"),
            ));
            grown += growth.bytes;
        }
        let heads = 3 * 4;
        assert!(taken(&memory) <= bytes + heads, "{} > {bytes}", taken(&memory));
        assert!(taken(&memory) > bytes / 4, "{} of {bytes} used", taken(&memory));
        let heads: usize =
            memory.values.borrow().iter().filter(|(key, _)| key.contains("ring")).map(|(_, v)| v.len()).sum();
        assert_eq!(grown as u64 + heads as u64, taken(&memory), "accounted for");
    }
}

#[test]
fn who_is_slower_than_another_worker_looks_again() {
    let (memory, cache, name) = (Map::default(), cache(1 << 20), repository("a"));
    let (scope, tag) = (CacheScope { cluster: "c", prefix: None, repository: &name }, Tag::parse("latest").unwrap());
    let keep = |top: &str| cache.keep_resolution(&memory, scope, &tag, b"view", &resolution(top));
    let known = || cache.resolution(&memory, scope, &tag, b"view").map(|resolution| resolution.top);
    let _ = keep("1");
    for (lost, top, kept) in [(2, "2", "2"), (3, "3", "2")] {
        memory.lost.set(lost);
        let _ = keep(top);
        assert_eq!((known(), memory.lost.get()), (Some(Digest::of(kept.as_bytes())), 0), "{lost} times");
    }
}

#[test]
fn what_others_keep_between_a_look_and_its_record_stays() {
    let (memory, cache) = (Map::default(), cache(1 << 20));
    let bucket = facts::bucket(&cache, &memory, b"late").unwrap();
    // Enough to be in every bucket, and too little for any to forget.
    let others: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    for other in &others {
        let _ = facts::keep(&cache, &memory, other.as_bytes(), b"x");
    }
    let _ = bucket.refreshed(&memory).keep(&memory, b"late", b"y");
    let recall = |key: &[u8]| facts::recall(&cache, &memory, key, |record| Some(record.to_vec()));
    assert_eq!(recall(b"late").as_deref(), Some(&b"y"[..]));
    assert!(others.iter().all(|other| recall(other.as_bytes()).is_some()));
}

#[test]
fn what_is_taken_is_known_through_lost_races_and_other_sizes() {
    let (memory, name) = (Map::default(), repository("a"));
    let scope = CacheScope { cluster: "c", prefix: None, repository: &name };
    let mut grown = 0;
    for (round, bytes) in [(0, 1 << 20), (1, 4 << 20), (2, 2 << 20), (3, 8 << 20)] {
        let cache = cache(bytes);
        grown += cache.resize(&memory).bytes;
        for number in 0..500_usize {
            memory.lost.set(if number % 7 == 0 { 3 } else { 0 });
            let body = vec![b'x'; (number * 37) % 6_000];
            let (_, growth) = cache.keep_document(&memory, scope, &format!("{round} {number}"), "a/b", &body);
            grown += growth.bytes;
        }
        let of_its_own = |key: &&String| !key.contains("ring") && !key.contains("cache.bytes");
        let values = memory.values.borrow();
        let taken: usize = values.keys().filter(of_its_own).map(|key| values[key].len()).sum();
        assert_eq!(grown, taken as i64, "with {bytes} bytes");
    }
}

#[test]
fn resizing_empties_what_is_beyond() {
    let (memory, name) = (Map::default(), repository("a"));
    let scope = CacheScope { cluster: "c", prefix: None, repository: &name };
    let large = cache(8 << 20);
    assert_eq!(large.resize(&memory), CacheGrowth::default());
    for number in 0..2_000 {
        let _ = large.keep_document(&memory, scope, &format!("{number}"), "a/b", &vec![b'x'; 3_000]);
    }
    let before = taken(&memory);
    let small = cache(1 << 20);
    let growth = small.resize(&memory);
    assert_eq!(before as i64 + growth.bytes, taken(&memory) as i64);
    assert!(taken(&memory) <= (1 << 20) + 64, "{}", taken(&memory));
    assert!(growth.evicted > 0);
    assert_eq!(small.resize(&memory), CacheGrowth::default(), "once");
    let off = cache(0);
    let _ = off.resize(&memory);
    assert!(taken(&memory) < 64, "{}", taken(&memory));
    assert_eq!(off.keep_document(&memory, scope, "d", "a/b", b"x"), (None, CacheGrowth::default()));
    assert_eq!(off.find(&memory, scope, "d"), None);
}

#[test]
fn damaged_memory_is_as_good_as_none() {
    let (memory, cache, name) = (Map::default(), cache(1 << 20), repository("a"));
    let scope = CacheScope { cluster: "c", prefix: None, repository: &name };
    let tag = Tag::parse("latest").unwrap();
    let (location, _) = cache.keep_document(&memory, scope, "d", "a/b", b"body");
    let _ = cache.keep_resolution(&memory, scope, &tag, b"view", &resolution("1"));
    for length in [20, 3, 1, 0] {
        memory.values.borrow_mut().values_mut().for_each(|value| value.truncate(length));
        assert_eq!(cache.find(&memory, scope, "d"), None);
        assert_eq!(cache.resolution(&memory, scope, &tag, b"view"), None);
        assert_eq!(cache.document(&memory, scope, "d", location.unwrap()), None);
    }
}

#[test]
fn records_are_what_was_put_in() {
    for location in [None, Some(Location::default())] {
        let resolution = Resolution { location, ..resolution("1") };
        assert_eq!(Resolution::decode(&resolution.encode()), Some(resolution.clone()));
        let confirmed = Confirmed { at: 12, refusal: 11, resolution };
        assert_eq!(Confirmed::decode(&confirmed.encode()), Some(confirmed));
    }
    assert_eq!(Resolution::decode(&[]), None);
    assert_eq!(Resolution::decode(&[9, 1, 2]), None);
}

/// A clock that was ahead is set back, and what was confirmed under it lies in the future.
#[test]
fn a_refusal_ends_what_was_confirmed_before_it_whatever_the_clock_says() {
    let (memory, cache, name, tag) = (Map::default(), cache(64 << 20), repository("a/b"), Tag::parse("t").unwrap());
    let scope = CacheScope { cluster: "c", prefix: None, repository: &name };
    let confirmed = || cache.confirmed(&memory, scope, &tag, b"view", &Identity::for_tests(1)).is_some();
    let confirm = || cache.keep_confirmed(&memory, scope, &tag, b"view", &Identity::for_tests(1), resolution("1"));
    for (at, refused) in [(1000, 500), (1000, 1000), (500, 1000), (2000, 700)] {
        memory.now.set(at);
        let _ = confirm();
        memory.now.set(refused);
        let _ = cache.keep_refused(&memory, scope, &Identity::for_tests(1));
        memory.now.set(at + 1);
        assert!(!confirmed(), "{at} {refused}");
        let _ = confirm();
        assert!(confirmed(), "believed again");
    }
}

/// A view of a described machine.
fn described(number: u32) -> Vec<u8> {
    [&[DESCRIBED][..], &number.to_le_bytes()].concat()
}

#[test]
fn made_up_machines_push_out_no_facts_of_others() {
    let (memory, name) = (Map::default(), repository("a/b"));
    let cache = Cache { described: true, ..cache(1 << 20) };
    let scope = CacheScope { cluster: "c", prefix: None, repository: &name };
    let tags: Vec<Tag> = (0..20).map(|number| Tag::parse(&format!("t{number}")).unwrap()).collect();
    let identity = Identity::for_tests(1);
    let mut size = CacheGrowth::default();
    let mut grow = |growth: CacheGrowth| size = size.and(growth);
    for tag in &tags {
        grow(cache.keep_tag(&memory, scope, tag));
        grow(cache.keep_resolution(&memory, scope, tag, b"view", &resolution("1")));
        grow(cache.keep_confirmed(&memory, scope, tag, b"view", &identity, resolution("1")));
        grow(cache.keep_unfit(&memory, scope, tag, b"view", &identity));
    }
    let mut full = 0;
    for number in 0..10_000 {
        let (tag, view) = (&tags[0], described(number));
        grow(cache.keep_resolution(&memory, scope, tag, &view, &resolution("2")));
        assert_eq!(cache.resolution(&memory, scope, tag, &view), Some(resolution("2")));
        grow(cache.keep_confirmed(&memory, scope, tag, &view, &identity, resolution("2")));
        assert!(cache.confirmed(&memory, scope, tag, &view, &identity).is_some());
        grow(cache.keep_unfit(&memory, scope, tag, &view, &identity));
        assert!(cache.is_unfit(&memory, scope, tag, &view, &identity));
        if number == 1_000 {
            full = taken(&memory);
        }
    }
    for tag in &tags {
        assert!(cache.knows_tag(&memory, scope, tag));
        assert_eq!(cache.resolution(&memory, scope, tag, b"view"), Some(resolution("1")));
        assert!(cache.confirmed(&memory, scope, tag, b"view", &identity).is_some());
        assert!(cache.is_unfit(&memory, scope, tag, b"view", &identity));
    }
    assert_eq!(taken(&memory), u64::try_from(size.bytes).unwrap(), "all that is stored is accounted for");
    // 8 of 64 buckets of 4 KiB, and what the others have.
    assert!(taken(&memory).abs_diff(full) < 8 * 300 && taken(&memory) < 80 * 1024, "{full} {}", taken(&memory));
}

#[test]
fn facts_of_described_machines_have_no_place_where_none_may_be_described() {
    let (memory, name, tag) = (Map::default(), repository("a/b"), Tag::parse("latest").unwrap());
    let scope = CacheScope { cluster: "c", prefix: None, repository: &name };
    let growth = cache(1 << 20).keep_resolution(&memory, scope, &tag, &described(1), &resolution("1"));
    assert_eq!((growth, memory.len()), (CacheGrowth::default(), 0));
    // A smaller cache has smaller shares, and gives the rest back.
    let (large, small) = (Cache { described: true, ..cache(4 << 20) }, Cache { described: true, ..cache(1 << 20) });
    let mut size = large.resize(&memory);
    for number in 0..1_000 {
        size = size.and(large.keep_resolution(&memory, scope, &tag, &described(number), &resolution("1")));
    }
    size = size.and(small.resize(&memory));
    assert!(small.resolution(&memory, scope, &tag, &described(999)).is_none());
    let facts = taken(&memory) - 8;
    assert_eq!((facts, u64::try_from(size.bytes)), (0, Ok(0)), "all of it lay beyond");
}
