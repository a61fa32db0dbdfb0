//! Properties that hold for every index and machine.

use metahub::machine_type::MachineType;
use metahub::oci::index::{Entry, Index};
use metahub::select::{Selection, rank, select, unmet};
use proptest::prelude::*;
use proptest::sample::{select as any_of, subsequence};

use super::{consistent, index, machine, outcome};

const PLATFORMS: [&str; 16] = [
    "linux/amd64",
    "linux/amd64",
    "linux/amd64",
    "linux/amd64/v1",
    "linux/amd64/v2",
    "linux/amd64/v3",
    "linux/amd64/v4",
    "linux/arm64",
    "linux/arm64/v8.2",
    "linux/arm/v6",
    "linux/arm/v7",
    "linux/386",
    "linux/386",
    "windows/amd64@10.0.20348.1",
    "unknown/unknown",
    "-",
];
const FEATURES: [&str; 35] = [
    "cpu:x86_64",
    "cpu:nehalem",
    "cpu:haswell",
    "cpu:broadwell",
    "cpu:skylake",
    "cpu:icelake",
    "cpu:zen3",
    "cpu:neoverse_n1",
    "cpu:granite",
    "nvcap:8.0",
    "nvcap:8.6",
    "nvcap:9.0",
    "nvcap:9.0a",
    "driver:470",
    "driver:550.5",
    "mpi:a",
    "mpi:b",
    "flag",
    "cpu:haswell|zen2|neoverse_n1",
    "cpu",
    "isa:avx2",
    "isa:sve|avx512f",
    "nvcap",
    "nvcap:7.0|8.0+ptx",
    "nvcap:8.0|8.6|9.0a",
    "nvcap:8.7ptx|8.0",
    "nvcap:7.5ptx",
    "gfx",
    "gfx:gfx11-generic|amdgcnspirv",
    "gfx:gfx90a:xnack-|gfx1100",
    "cuda:12.0",
    "cuda:12.4|13.0",
    "l4t:36",
    "mpi:b|c",
    "zstd",
];
const MACHINES: [&str; 24] = [
    "-/amd64",
    "-/amd64/v3",
    "- cpu:skylake",
    "- cpu:icelake nvcap:8.6",
    "- nvcap:9.0 cpu:icelake driver:550.5",
    "- cpu:zen4 mpi:a flag",
    "-/amd64 cpu:granite flag",
    "- cpu:broadwell cpu:zen3 mpi:a mpi:b",
    "- cpu:icelake nvcap:8.6 driver:560 mpi:b flag >driver >cpu",
    "- cpu:skylake flag mpi:a >mpi",
    "-/arm64",
    "- cpu:neoverse_v1 flag",
    "windows/amd64@10.0.20348 flag",
    "-/arm64/v9 nvcap:8.7",
    "-/arm64/v8.2 nvcap:8.7 l4t:36.4",
    "- cpu:icelake nvcap:8.6 nvcap:12.0",
    "-/amd64 nvcap:9.0 nvcap:8.0 driver:570.26 flag",
    "- cpu:zen4 nvcap:8.6 nvcap:9.0 any=nvcap >nvcap",
    "- cpu:zen3 gfx:gfx90a gfx:gfx1100 mpi:b",
    "-/amd64 gfx:gfx90a:xnack+ isa:avx2 cuda:12.6",
    "- cpu:skylake nvcap:8.0 gfx:gfx1101 >gfx",
    "-/amd64/v2 zstd flag",
    "-/amd64 !32 flag",
    "- cpu:m2 zstd",
];

fn entry() -> impl Strategy<Value = String> {
    let kinds = prop_oneof![
        9 => Just(""),
        2 => Just(" zstd-layers"),
        1 => Just(" nested"),
        1 => Just(" attestation"),
        1 => Just(" artifact=text/spdx"),
        1 => Just(" type=text/plain"),
    ];
    (any_of(PLATFORMS.to_vec()), subsequence(FEATURES.to_vec(), 0..4), kinds)
        .prop_map(|(platform, features, kind)| format!("{platform} {}{kind}", features.join(" ")))
}

fn entries() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(entry(), 1..12)
}

fn a_machine() -> impl Strategy<Value = MachineType> {
    any_of(MACHINES.to_vec()).prop_map(machine)
}

fn index_of(entries: &[String]) -> Index {
    index(&entries.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The text of the selected entry; `None` when there is none.
fn chosen<'e>(entries: &'e [String], machine: &MachineType) -> Option<&'e String> {
    usize::try_from(outcome(&index_of(entries), machine)).ok().map(|position| &entries[position])
}

/// Whether only list order decides between two eligible entries: the first wins, whichever it is.
fn equal(one: &String, other: &String, machine: &MachineType) -> bool {
    let first = |a: &String, b: &String| outcome(&index_of(&[a.clone(), b.clone()]), machine) == 0;
    first(one, other) && first(other, one)
}

/// Whether `more` is the entry that a machine's 32-bit mode depends on: one for its own architecture, where the index
/// has none. It need not fit to change what the machine gets.
fn ends_32_bit(entries: &[String], more: &String, machine: &MachineType) -> bool {
    let offers = |entry: Entry<'_>| {
        let architecture = entry.platform().map(|platform| platform.architecture.as_ref());
        entry.exclusion().is_none() && architecture == Some(machine.architecture())
    };
    !index_of(entries).entries().any(offers) && index_of(std::slice::from_ref(more)).entries().any(offers)
}

fn eligible(entry: &Entry<'_>, machine: &MachineType) -> bool {
    entry.exclusion().is_none() && unmet(entry, machine).is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_selected_violates_a_requirement(entries in entries(), machine in a_machine()) {
        let index = index_of(&entries);
        consistent(&index, &machine);
        if let Selection::Selected { entry, .. } = select(&index, &machine) {
            prop_assert!(eligible(&entry, &machine));
            prop_assert!(!entries[entry.position()].contains("attestation"));
            prop_assert!(!entries[entry.position()].contains("artifact"));
            let own = entry.platform().is_none_or(|platform| platform.architecture == machine.architecture());
            let offered = index.entries().any(|other| {
                other.exclusion().is_none()
                    && other.platform().is_some_and(|platform| platform.architecture == machine.architecture())
            });
            prop_assert!(own || !offered, "a 32-bit image beside one for the machine's own architecture");
            prop_assert!(!entries[entry.position()].starts_with("unknown"));
        }
    }

    #[test]
    fn irrelevant_entries_do_not_matter(entries in entries(), machine in a_machine()) {
        let whole = index_of(&entries);
        prop_assume!(whole.is_image_index());
        let relevant: Vec<String> = whole.entries().filter(|entry| eligible(entry, &machine))
            .map(|entry| entries[entry.position()].clone()).collect();
        if relevant.is_empty() {
            prop_assert_eq!(chosen(&entries, &machine), None);
        } else {
            prop_assert_eq!(chosen(&entries, &machine), chosen(&relevant, &machine));
        }
    }

    #[test]
    fn another_entry_wins_or_changes_nothing(
        entries in entries(), more in entry(), at in any::<prop::sample::Index>(), machine in a_machine()
    ) {
        prop_assume!(index_of(&entries).is_image_index() && !ends_32_bit(&entries, &more, &machine));
        let before = chosen(&entries, &machine);
        let mut longer = entries.clone();
        longer.insert(at.index(entries.len() + 1), more.clone());
        let after = chosen(&longer, &machine);
        prop_assert!(after == before || after == Some(&more), "{:?} then {:?}", before, after);
        // An entry that wins is at least as specific by the documented measure: it would win over the old one alone.
        if let (Some(before), Some(after)) = (before, after) && before != after {
            prop_assert_eq!(chosen(&[before.clone(), after.clone()], &machine).is_some_and(|best| best == after)
                || equal(before, after, &machine), true);
        }
    }

    #[test]
    fn asking_for_more_that_the_machine_has_never_loses(
        entries in entries(), feature in any_of(FEATURES.to_vec()), machine in a_machine()
    ) {
        let Some(selected) = chosen(&entries, &machine) else { return Ok(()) };
        let mut more = selected.clone();
        let insert_at = more.find(' ').unwrap_or(more.len());
        more.insert_str(insert_at, &format!(" {feature}"));
        // The copy with one more feature stands last, so that list order cannot help it.
        let mut longer = entries.clone();
        longer.push(more.clone());
        let index = index_of(&longer);
        let added = index.entries().nth(longer.len() - 1).unwrap();
        prop_assume!(eligible(&added, &machine));
        let after = chosen(&longer, &machine).cloned();
        prop_assert!(after == Some(more.clone()) || equal(selected, &more, &machine), "{} then {:?}", more, after);
    }

    #[test]
    fn another_alternative_never_loses(
        entries in entries(), feature in any_of(FEATURES.to_vec()), machine in a_machine()
    ) {
        let Some((key, value)) = feature.split_once(':') else { return Ok(()) };
        let Some(selected) = chosen(&entries, &machine) else { return Ok(()) };
        let start = format!("{key}:");
        let Some(present) = selected.split_whitespace().find(|word| word.starts_with(&start)) else { return Ok(()) };
        // Whole words: one feature may be the beginning of another, as nvcap:9.0 is of nvcap:9.0a.
        let alternative = |word: &str| if word == present { format!("{word}|{value}") } else { word.to_owned() };
        let more = selected.split(' ').map(alternative).collect::<Vec<_>>().join(" ");
        let mut longer = entries.clone();
        longer.push(more.clone());
        let after = chosen(&longer, &machine).cloned();
        prop_assert!(after == Some(more.clone()) || equal(selected, &more, &machine), "{} then {:?}", more, after);
    }

    #[test]
    fn permuting_changes_the_choice_among_equals_only(
        entries in entries(),
        shuffled in Just(()).prop_perturb(|(), mut random| random.next_u64()),
        machine in a_machine()
    ) {
        let mut permuted = entries.clone();
        let mut state = shuffled | 1;
        for position in (1..permuted.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            permuted.swap(position, usize::try_from(state >> 33).unwrap() % (position + 1));
        }
        match (chosen(&entries, &machine), chosen(&permuted, &machine)) {
            (Some(one), Some(other)) => prop_assert!(one == other || equal(one, other, &machine), "{one} and {other}"),
            (one, other) => prop_assert_eq!(one, other),
        }
    }

    #[test]
    fn ranking_is_a_total_order(entries in entries(), machine in a_machine()) {
        let index = index_of(&entries);
        let ranked = rank(&index, &machine);
        for (place, better) in ranked.iter().enumerate() {
            for worse in &ranked[place + 1..] {
                let pair = [entries[better.position()].clone(), entries[worse.position()].clone()];
                let swapped = [pair[1].clone(), pair[0].clone()];
                prop_assert_eq!(outcome(&index_of(&pair), &machine), 0);
                prop_assert!(outcome(&index_of(&swapped), &machine) == 1 || better.position() < worse.position());
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), machine in a_machine()) {
        if let Ok(index) = Index::parse(&bytes) {
            consistent(&index, &machine);
        }
    }

    #[test]
    fn any_words_are_survived(
        platform in "\\PC{0,12}", features in prop::collection::vec("\\PC{0,20}", 0..4), machine in a_machine()
    ) {
        let mut entry = super::entry(0, "linux/amd64");
        entry["platform"]["variant"] = serde_json::json!(platform);
        entry["platform"]["features"] = serde_json::json!(features);
        let document = serde_json::json!({"manifests": [entry]}).to_string();
        consistent(&Index::parse(document.as_bytes()).unwrap(), &machine);
    }

    #[test]
    fn any_description_is_survived(
        os in "\\PC{0,8}", architecture in "\\PC{0,8}", features in prop::collection::vec("\\PC{0,12}", 0..4)
    ) {
        let description = metahub::machine_type::Description {
            os: Some(os), architecture: Some(architecture), prefer: features.clone(), features,
            ..metahub::machine_type::Description::default()
        };
        if let Ok(machine) = MachineType::new("m", &description, &super::rules()) {
            let _ = (machine.fingerprint(), machine.features());
        }
    }
}
