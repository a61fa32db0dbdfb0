//! Reasons, offers and missing variants, in words.

use metahub::select::{Criterion, MissingVariant, Selection, missing_variants, select, unmet};

use super::{index, machine};

#[test]
fn reasons_say_what_decided() {
    for (written, entries, words) in [
        ("-/amd64", vec!["linux/amd64", "linux/arm64"], "linux/amd64; the only one that fits; 1 of 2 fit"),
        (
            "- cpu:skylake nvcap:8.6",
            vec!["linux/amd64 cpu:skylake", "linux/amd64 cpu:skylake nvcap:8.6"],
            "linux/amd64 cpu:skylake nvcap:8.6; asks for the most keys; 2 of 2 fit",
        ),
        (
            "- cpu:icelake",
            vec!["linux/amd64 cpu:haswell", "linux/amd64 cpu:skylake"],
            "linux/amd64 cpu:skylake; nearest in cpu; 2 of 2 fit",
        ),
        (
            "- cpu:skylake nvcap:8.6 >nvcap",
            vec!["linux/amd64 cpu:skylake", "linux/amd64 nvcap:8.0"],
            "linux/amd64 nvcap:8.0; best in the preferred nvcap; 2 of 2 fit",
        ),
        ("-/amd64", vec!["linux/amd64", "linux/amd64"], "linux/amd64; first of equals in the list; 2 of 2 fit"),
        ("-/amd64", vec!["- nested", "linux/amd64"], "linux/amd64; has a platform; 2 of 2 fit"),
        ("-/amd64 a", vec!["- nested", "- nested note:a"], "nested index a; has features; 2 of 2 fit"),
        ("-/amd64", vec!["linux/386", "- nested"], "nested index; not 32-bit; 2 of 2 fit"),
        ("-/amd64", vec!["linux/386"], "linux/386; 32-bit, as nothing is for this architecture; 1 of 1 fit"),
        ("-/amd64", vec!["linux/amd64 zstd-layers", "linux/amd64"], "linux/amd64; has no zstd layers; 2 of 2 fit"),
        ("-/amd64 zstd", vec!["linux/amd64 zstd-layers", "linux/amd64"], "linux/amd64; has zstd layers; 2 of 2 fit"),
        (
            "windows/amd64@10.0.20348",
            vec!["windows/amd64", "windows/amd64@10.0.20348.1"],
            "windows/amd64 10.0.20348.1; made for the os version; 2 of 2 fit",
        ),
        (
            "-/amd64 nvcap:12.0",
            vec!["linux/amd64 nvcap:7.0|8.0|9.0+ptx", "linux/amd64"],
            "linux/amd64 nvcap:9.0+ptx (of 3); asks for the most keys; 2 of 2 fit",
        ),
        (
            "-/amd64 nvcap:7.5 nvcap:8.6",
            vec!["linux/amd64 nvcap:7.0|7.5|8.0|8.9"],
            "linux/amd64 nvcap:7.5|8.0 (of 4); the only one that fits; 1 of 1 fit",
        ),
        (
            "- cpu:zen3 mpi:b",
            vec!["linux/amd64 cpu:haswell|znver2 mpi:a|b", "linux/amd64"],
            "linux/amd64 cpu:znver2 (of 2) mpi:b (of 2); asks for the most keys; 2 of 2 fit",
        ),
        ("-/amd64 gpu:a100", vec!["linux/amd64 gpu"], "linux/amd64 gpu; the only one that fits; 1 of 1 fit"),
    ] {
        let index = index(&entries);
        let Selection::Selected { reason, .. } = select(&index, &machine(written)) else { panic!("{written}") };
        assert_eq!(reason.to_string(), words, "{written}");
    }
}

#[test]
fn the_runner_up_is_the_next_best_not_the_next_in_the_list() {
    let index = index(&["linux/amd64", "linux/amd64 cpu:skylake", "linux/amd64 cpu:broadwell"]);
    let Selection::Selected { reason, .. } = select(&index, &machine("- cpu:skylake")) else { panic!() };
    assert_eq!(reason.criterion.word(), "nearest");
}

#[test]
fn the_pages_have_the_word_for_each_criterion() {
    let key = || "key".to_owned();
    let all = [
        Criterion::Only,
        Criterion::In32Bit,
        Criterion::NextBest,
        Criterion::Native,
        Criterion::Platform,
        Criterion::Features,
        Criterion::Preferred(key()),
        Criterion::MostKeys,
        Criterion::Nearest(key()),
        Criterion::OsVersion,
        Criterion::Zstd(true),
        Criterion::ListOrder,
    ];
    let read = |name: &str| std::fs::read_to_string(format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&read("explain.schema.json")).unwrap();
    let words = schema["$defs"]["outcome"]["properties"]["criterion"]["enum"].as_array().unwrap();
    let words: Vec<&str> = words.iter().filter_map(serde_json::Value::as_str).collect();
    assert_eq!(words, all.each_ref().map(Criterion::word));
    let page = read("selection.md");
    for word in words {
        assert!(page.contains(&format!("\n| `{word}` | ")), "{word}");
    }
}

/// Some tool has lost the features of such entries.
#[test]
fn entries_that_only_list_order_tells_apart_are_counted() {
    for (why, written, entries, expected) in [
        ("one entry", "-/amd64", vec!["linux/amd64"], 0),
        ("two alike", "-/amd64", vec!["linux/amd64", "linux/amd64"], 1),
        ("alike but for spelling", "- a cpu:zen4", vec!["linux/amd64 cpu:znver3 a", "linux/amd64 a cpu:zen3"], 1),
        (
            "three alike, with others between",
            "-/amd64",
            vec!["linux/amd64", "linux/arm64", "linux/amd64", "linux/amd64"],
            2,
        ),
        ("the losers are alike", "-/amd64 a", vec!["linux/amd64", "linux/amd64", "linux/amd64 a"], 0),
        ("a worse one between", "-/amd64 a", vec!["linux/amd64 a", "linux/amd64", "linux/amd64 a"], 1),
        ("nearness decides", "-/amd64 driver:550", vec!["linux/amd64 driver:470", "linux/amd64 driver:535"], 0),
        ("nested indexes for one platform", "-/amd64", vec!["linux/amd64 nested", "linux/amd64 nested"], 1),
        ("nested indexes that say nothing", "-/amd64", vec!["- nested", "- nested"], 0),
        ("zstd decides", "-/amd64", vec!["linux/amd64", "linux/amd64 zstd-layers", "linux/amd64"], 1),
        ("32-bit ones", "-/amd64", vec!["linux/386", "linux/386"], 1),
    ] {
        let index = index(&entries);
        let Selection::Selected { reason, .. } = select(&index, &machine(written)) else { panic!("{why}") };
        assert_eq!(reason.indistinguishable, expected, "{why}");
    }
    let mut twice = super::entry(0, "linux/amd64");
    twice["annotations"]["a"] = serde_json::json!("b");
    let document = serde_json::json!({ "manifests": [super::entry(0, "linux/amd64"), twice] }).to_string();
    let index = metahub::oci::index::Index::parse(document.as_bytes()).unwrap();
    let Selection::Selected { reason, .. } = select(&index, &machine("-/amd64")) else { panic!() };
    assert_eq!(reason.indistinguishable, 0, "the same image twice");
}

#[test]
fn no_match_says_what_there_is() {
    let offer = |entries: &[&str], written: &str| match select(&index(entries), &machine(written)) {
        Selection::NoMatch(offer) => offer.to_string(),
        other => panic!("{other:?}"),
    };
    let few = ["linux/amd64 cpu:skylake", "linux/amd64 cpu:skylake", "windows/amd64@10.0.1", "unknown/unknown", "-"];
    assert_eq!(offer(&few, "-/arm64"), "linux/amd64 cpu:skylake, windows/amd64 10.0.1");
    assert_eq!(offer(&["unknown/unknown"], "-/arm64"), "no image for any machine");
    let many: Vec<String> = (0..20).map(|number| format!("linux/amd64 f:{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let words = offer(&many, "-/arm64");
    assert!(words.starts_with("linux/amd64 f:0, ") && words.ends_with("f:7 and 12 more"), "{words}");
}

#[test]
fn unmet_requirements_name_both_sides() {
    for (written, entry, words) in [
        ("- cpu:skylake", "linux/amd64 cpu:icelake", vec!["needs cpu:icelake, the machine has cpu:skylake"]),
        ("-/amd64", "linux/amd64 nvcap:8.6", vec!["needs nvcap:8.6, the machine has nothing of it"]),
        (
            "-/amd64 nvcap:8.0 nvcap:7.5",
            "linux/amd64 nvcap:8.6",
            vec!["needs nvcap:8.6, the machine has nvcap:8.0, nvcap:7.5"],
        ),
        ("-/amd64/v2", "linux/amd64/v3", vec!["needs variant v3, the machine has cpu:x86_64_v2"]),
        ("-/arm/v6", "linux/arm", vec!["needs variant v7 (none given), the machine has cpu:armv6"]),
        ("-/amd64/v3", "linux/amd64/v5", vec!["needs variant v5, the machine has v3"]),
        ("windows/amd64", "windows/amd64@10.0.1", vec!["needs os.version 10.0.1, the machine has nothing of it"]),
        (
            "-/arm64",
            "windows/amd64 a",
            vec!["needs os windows, the machine has linux", "needs architecture amd64, the machine has arm64"],
        ),
        ("- cpu:skylake a", "linux/amd64 cpu:haswell a", vec![]),
        ("-/amd64 nvcap:9.0", "linux/amd64 nvcap:7.0|8.0", vec!["needs nvcap:7.0|8.0, the machine has nvcap:9.0"]),
        // Of several devices those that it does not suit.
        ("-/amd64 nvcap:7.5 nvcap:8.6", "linux/amd64 nvcap:8.0", vec!["needs nvcap:8.0, the machine has nvcap:7.5"]),
        (
            "-/amd64 nvcap:7.5 nvcap:8.6 any=nvcap",
            "linux/amd64 nvcap:9.0",
            vec!["needs nvcap:9.0, the machine has nvcap:7.5, nvcap:8.6"],
        ),
        ("- cpu:zen3", "linux/amd64 cpu:Haswell|znver5", vec!["needs cpu:haswell|zen5, the machine has cpu:zen3"]),
        (
            "- cpu:ivybridge isa:sha_ni",
            "linux/amd64 isa:avx2",
            vec!["needs isa:avx2, the machine has cpu:ivybridge, isa:sha_ni"],
        ),
        ("-/amd64 driver:570.26", "linux/amd64 cuda:13.0", vec!["needs cuda:13.0, the machine has cuda:12.8"]),
        (
            "-/amd64 gfx:gfx90a",
            "linux/amd64 gfx:gfx90a:xnack+",
            vec!["needs gfx:gfx90a:xnack+, the machine has gfx:gfx90a"],
        ),
        ("-/amd64", "linux/amd64 nvcap", vec!["needs nvcap, the machine has nothing of it"]),
    ] {
        let index = index(&[entry]);
        let unmet = unmet(&index.entries().next().unwrap(), &machine(written));
        let found: Vec<String> = unmet.iter().map(ToString::to_string).collect();
        assert!(found.starts_with(&words.iter().map(ToString::to_string).collect::<Vec<_>>()), "{entry}: {found:?}");
        assert_eq!(found.is_empty(), words.is_empty(), "{entry}: {found:?}");
    }
}

#[test]
fn matched_alternatives_are_named() {
    let matched = |written: &str, entry: &str| match select(&index(&[entry]), &machine(written)) {
        Selection::Selected { reason, .. } => reason.matched,
        other => panic!("{other:?}"),
    };
    assert_eq!(matched("-/amd64 nvcap:8.6 a", "linux/amd64 nvcap:7.0|8.0|9.0+ptx a"), ["nvcap:8.0"]);
    assert_eq!(
        matched("-/amd64 gfx:gfx942 gfx:gfx1151", "linux/amd64 gfx:gfx11-generic|gfx90a|gfx942"),
        ["gfx:gfx11-generic|gfx942"]
    );
    assert_eq!(matched("-/amd64 nvcap:8.6", "linux/amd64 nvcap:8.0"), Vec::<String>::new());
}

#[test]
fn missing_variants_of_lists_devices_and_bounds() {
    for (written, entries, missing) in [
        ("-/amd64 nvcap:8.6", vec!["linux/amd64 nvcap:7.0|8.0"], vec!["nvcap:8.6 falls back"]),
        ("-/amd64 nvcap:8.0", vec!["linux/amd64 nvcap:7.0|8.0"], vec![]),
        ("-/amd64 nvcap:9.0", vec!["linux/amd64 nvcap:9.0ptx"], vec!["nvcap:9.0 falls back"]),
        ("-/amd64 nvcap:9.0", vec!["linux/amd64 nvcap:9.0+ptx"], vec![]),
        // A bare key or a flag is no variant.
        ("-/amd64 nvcap:8.6", vec!["linux/amd64 nvcap"], vec!["nvcap:8.6"]),
        ("-/amd64 gpu", vec!["linux/amd64 gpu"], vec![]),
        ("- cpu:haswell", vec!["linux/amd64 isa:avx2"], vec!["cpu:haswell"]),
        ("- cpu:haswell", vec!["linux/amd64 cpu:haswell|zen2"], vec![]),
        ("-/amd64 gfx:gfx1100", vec!["linux/amd64 gfx:gfx11-generic"], vec!["gfx:gfx1100 falls back"]),
        ("-/amd64 gfx:gfx90a:xnack+", vec!["linux/amd64 gfx:gfx90a"], vec![]),
        ("-/amd64 nvcap:7.5 nvcap:8.6", vec!["linux/amd64 nvcap:7.5|8.6"], vec![]),
        ("-/amd64 nvcap:7.5 nvcap:8.6", vec!["linux/amd64 nvcap:7.5|8.0"], vec!["nvcap:7.5,nvcap:8.6 falls back"]),
        // A newer driver, or a newer toolkit, makes no better image.
        ("-/amd64 driver:570.26", vec!["linux/amd64 driver:535 cuda:12.4"], vec![]),
        ("-/arm64 l4t:36.4", vec!["linux/arm64 l4t:36"], vec![]),
    ] {
        assert_eq!(missing_words(&entries, written), missing, "{written} {entries:?}");
    }
}

fn missing_words(entries: &[&str], written: &str) -> Vec<String> {
    let words = |missing: MissingVariant| {
        format!("{}{}", missing.features.join(","), if missing.falls_back { " falls back" } else { "" })
    };
    missing_variants(&index(entries), &machine(written)).into_iter().map(words).collect()
}

#[test]
fn missing_variants_are_worth_building() {
    let demo = ["linux/amd64", "linux/amd64 cpu:skylake", "linux/amd64 cpu:broadwell nvcap:5.2", "linux/arm64 a"];
    for (written, missing) in [
        ("- cpu:skylake", vec![]),
        ("- cpu:icelake", vec!["cpu:icelake falls back"]),
        ("- cpu:haswell", vec!["cpu:haswell"]),
        ("- cpu:broadwell nvcap:5.2", vec![]),
        ("- cpu:broadwell", vec!["cpu:broadwell"]),
        // Tegra does not run the image for 5.2.
        ("- cpu:skylake nvcap:5.3", vec!["nvcap:5.3"]),
        ("- cpu:skylake nvcap:8.6", vec!["nvcap:8.6"]),
        ("- a cpu:skylake", vec!["a"]),
        ("-/amd64", vec![]),
        ("-/amd64/v3", vec!["cpu:x86_64_v3"]),
        ("-/s390x b", vec![]),
        ("- cpu:skylake zstd", vec![]),
    ] {
        assert_eq!(missing_words(&demo, written), missing, "{written}");
    }
}
