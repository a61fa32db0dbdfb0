//! Tags and what they stand for: rows of a rule, a tag, a machine, and the tags that are asked for.

use super::*;
use crate::hardware::feature::FeatureRules;
use crate::machine_type::{Description, MachineType};
use crate::oci::index::AssumedLevels;
use crate::oci::reference::Tag;

/// A machine type of `architecture feature …`.
fn machine(words: &str) -> MachineType {
    let mut words = words.split(' ');
    let architecture = words.next();
    let description = Description { architecture, features: words.collect(), ..Description::default() };
    MachineType::new("machine", &description, &FeatureRules::default()).unwrap()
}

/// A line of `architecture[/variant]`, or `-` for any, and features.
fn line(words: &str) -> Line {
    let mut words = words.split(' ');
    let platform = words.next().filter(|word| !matches!(*word, "-" | ""));
    let mut platform = platform.into_iter().flat_map(|platform| platform.split('/')).map(str::to_owned);
    Line {
        os: None,
        architecture: platform.next(),
        variant: platform.next(),
        features: words.map(str::to_owned).collect(),
    }
}

fn rule(patterns: &[&str], lines: &[(&str, &str)]) -> TagRule {
    let patterns: Vec<Form> = patterns.iter().map(|text| pattern(text).unwrap()).collect();
    let lines = lines.iter().map(|(text, words)| (template(text, &patterns).unwrap(), line(words))).collect();
    TagRule::new(patterns, lines, AssumedLevels::default(), &[])
}

/// The tags that a machine asks for, in one line.
fn planned(rule: &TagRule, tag: &str, words: &str) -> String {
    match rule.plan(&Tag::parse(tag).unwrap(), &machine(words)) {
        Plan::AsItIs => "as it is".to_owned(),
        Plan::NothingFits(message) => message,
        Plan::Search(mut search) => {
            let tags = std::iter::from_fn(|| search.next(|_| None));
            tags.map(|tag| tag.as_str().to_owned()).collect::<Vec<_>>().join(" ")
        }
    }
}

const OLLAMA: &[(&str, &str)] = &[("{tag}", "- nvcap:8.0"), ("{tag}-rocm", "amd64 gfx:gfx942"), ("{tag}", "-")];

#[test]
fn machines_go_to_the_lines_that_fit() {
    let ollama = rule(&["*"], OLLAMA);
    let strict = rule(&["*"], &[("{tag}", "amd64 nvcap:8.0"), ("{tag}-rocm", "amd64 rocm"), ("{tag}-cpu", "amd64/v2")]);
    let pytorch = rule(
        &["{version}-{kind}"],
        &[
            ("{version}-cuda12.8-{kind}", "- nvcap:8.0 cuda:12.8"),
            ("{version}-cuda12.6-{kind}", "- nvcap:7.0 cuda:12.6"),
        ],
    );
    let same = rule(&["*"], &[("{tag}-b", "- x"), ("{tag}-a", "- x"), ("{tag}-c", "- x y")]);
    let rows = [
        (&ollama, "0.5", "amd64", "0.5"),
        (&ollama, "0.5", "amd64 nvcap:8.6", "0.5"),
        (&ollama, "0.5", "amd64 gfx:gfx942", "0.5-rocm 0.5"),
        (&ollama, "0.5", "arm64 gfx:gfx942", "0.5"),
        (&ollama, "0.5", "arm64 nvcap:8.7", "0.5"),
        (&ollama, "0.5-rocm", "amd64", "as it is"),
        (&ollama, "rocm", "amd64 gfx:gfx942", "rocm-rocm rocm"),
        (&strict, "1", "amd64 rocm", "1-rocm"),
        (
            &strict,
            "1",
            "amd64",
            "nothing fits; the variants are for linux/amd64 nvcap:8.0, linux/amd64 rocm, linux/amd64/v2",
        ),
        (&strict, "1", "amd64 cpu:zen4", "1-cpu"),
        (&strict, "1", "amd64 rocm nvcap:8.9 cpu:zen4", "1-rocm 1 1-cpu"),
        (&pytorch, "2.9-runtime", "amd64", "2.9-runtime"),
        (&pytorch, "2.9-runtime", "amd64 nvcap:7.5 cuda:12.6", "2.9-cuda12.6-runtime 2.9-runtime"),
        (&pytorch, "2.9-runtime", "amd64 nvcap:8.6 cuda:12.8", "2.9-cuda12.8-runtime 2.9-runtime"),
        (&pytorch, "2.9-cuda12.6-runtime", "amd64 nvcap:8.6 cuda:12.8", "as it is"),
        (&same, "1", "amd64 x", "1-b 1-a 1"),
        (&same, "1", "amd64 x y", "1-c 1-b 1-a 1"),
        (&same, "1", "arm", "1"),
    ];
    for (rule, tag, words, expected) in rows {
        assert_eq!(planned(rule, tag, words), expected, "{tag} {words}");
    }
}

/// A line that leaves the architecture open is for every machine, also for the lowest level of arm.
#[test]
fn a_line_without_architecture_is_for_every_machine() {
    let any = rule(&["*"], &[("{tag}-x", "- x")]);
    for architecture in ["amd64", "arm", "arm64", "386", "ppc64le", "riscv64", "s390x"] {
        assert_eq!(planned(&any, "1", &format!("{architecture} x")), "1-x 1", "{architecture}");
    }
    let v5 =
        Description { architecture: Some("arm"), variant: Some("v5"), features: vec!["x"], ..Description::default() };
    let v5 = MachineType::new("machine", &v5, &FeatureRules::default()).unwrap();
    let Plan::Search(mut search) = any.plan(&Tag::parse("1").unwrap(), &v5) else { panic!("nothing fits") };
    assert_eq!(search.next(|_| None).unwrap().as_str(), "1-x");
}

#[test]
fn a_variant_is_asked_for_by_its_name() {
    let only = rule(&["*-cpu"], &[("gpu-{tag}", "- x"), ("{tag}", "-")]);
    // `gpu-{tag}` makes nothing of a tag that the rule does not match.
    assert_eq!(planned(&only, "gpu-1-cpu", "amd64 x"), "as it is");
    assert_eq!(planned(&only, "gpu-cpu", "amd64 x"), "gpu-gpu-cpu gpu-cpu");
}

#[test]
fn a_tag_that_is_too_long_is_absent() {
    let ollama = rule(&["*"], OLLAMA);
    let tag = "t".repeat(124);
    assert_eq!(planned(&ollama, &tag, "amd64 gfx:gfx942"), tag);
    let short = "t".repeat(123);
    assert_eq!(planned(&ollama, &short, "amd64 gfx:gfx942"), format!("{short}-rocm {short}"));
    let lines = ollama.lines(&Tag::parse(&tag).unwrap());
    assert!(lines[1].tag.is_none() && lines[0].tag.is_some());
}

#[test]
fn the_first_rule_counts_and_an_exact_name_goes_first() {
    let rules = |names: &[&str]| ImageRules {
        tags: names.iter().map(|name| std::sync::Arc::new(rule(&[name], &[]))).collect(),
        ..ImageRules::default()
    };
    let images = Images {
        exact: [("a/b".to_owned(), rules(&["*-x", "1*"]))].into(),
        patterns: vec![(Pattern::parse("a/*").unwrap(), rules(&["*"]))],
    };
    let found = |name: &str, tag: &str| {
        let rules = images.of(&Repository::parse(name).unwrap())?;
        let tag = Tag::parse(tag).unwrap();
        rules.tags.iter().position(|rule| rules.rule(&tag).is_some_and(|found| std::sync::Arc::ptr_eq(found, rule)))
    };
    assert_eq!(found("a/b", "1-x"), Some(0));
    assert_eq!(found("a/b", "12"), Some(1));
    assert_eq!(found("a/b", "2"), None, "the pattern's rules do not count for an exact name");
    assert_eq!(found("a/c", "2"), Some(0));
    assert_eq!(found("b/c", "2"), None);
}

#[test]
fn machines_are_sent_to_repositories() {
    let repository = |name: &str| Repository::parse(name).unwrap();
    let sent_to = |repositories| ImageRules::default().sent_to(repositories, &[]);
    let rules = sent_to(vec![
        (repository("a/rocm"), line("amd64 rocm")),
        (repository("a/cpu"), line("-")),
        (repository("a/fast"), line("amd64/v3")),
    ]);
    for (words, expected) in [("amd64 rocm", "a/rocm"), ("arm64 rocm", "a/cpu"), ("amd64 cpu:zen4", "a/fast")] {
        assert_eq!(rules.repository(&machine(words)), Some(&repository(expected)), "{words}");
    }
    let strict = sent_to(vec![(repository("a/rocm"), line("amd64 rocm"))]);
    assert_eq!(strict.repository(&machine("amd64")), None, "the image's own");
}

/// An image's own repository is for every machine, so that no machine is sent to 32-bit images instead.
#[test]
fn no_machine_is_sent_to_a_repository_of_32_bit_images() {
    let repository = |name: &str| Repository::parse(name).unwrap();
    let rules = |words: &str| ImageRules::default().sent_to(vec![(repository("a/other"), line(words))], &[]);
    let rows = [
        ("arm/v7", "arm64", None),
        ("arm/v7", "arm cpu:armv7a", Some("a/other")),
        ("386", "amd64", None),
        ("386", "386", Some("a/other")),
        ("amd64 gfx:gfx942", "amd64 gfx:gfx942", Some("a/other")),
        ("amd64 gfx:gfx942", "amd64", None),
        ("-", "amd64", Some("a/other")),
    ];
    for (line, words, expected) in rows {
        assert_eq!(rules(line).repository(&machine(words)).map(Repository::as_str), expected, "{line} {words}");
    }
}

/// Indexes of lines are made beforehand for some platforms; machines of all platforms get the same plans.
#[test]
fn lines_rank_alike_with_and_without_an_index_made_beforehand() {
    let platforms: Vec<MachinePlatform> =
        ["amd64", "arm"].map(|architecture| ("linux".to_owned(), architecture.to_owned())).into();
    let lines = || vec![line("- nvcap:8.0"), line("amd64 gfx:gfx942"), line("arm"), line("-")];
    let (fast, slow) = (lines::Lines::new(lines(), &platforms), lines::Lines::new(lines(), &[]));
    for words in ["amd64", "amd64 nvcap:8.6", "amd64 gfx:gfx942", "arm cpu:armv6", "arm cpu:armv7a", "arm64 nvcap:8.0"]
    {
        let machine = machine(words);
        assert_eq!(fast.ranked(&machine), slow.ranked(&machine), "{words}");
        assert_eq!(fast.summary(&machine).to_string(), slow.summary(&machine).to_string(), "{words}");
    }
}
