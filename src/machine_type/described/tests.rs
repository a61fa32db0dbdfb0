//! Every bound and refusal, the canonical form, and that the notations agree.

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::*;
use crate::hardware::feature::FeatureRules;

fn described(text: &str, notation: Notation) -> Result<MachineType, InvalidDescription> {
    MachineType::described(text, notation, &FeatureRules::default())
}

fn plain(text: &str) -> MachineType {
    described(text, Notation::Plain).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The canonical form of a description.
fn canonical(text: &str) -> String {
    plain(text).name().to_owned()
}

/// The description in the notation of paths, where it can be.
fn in_path(text: &str) -> Option<String> {
    let path = text.replace(['=', ':'], "__").replace(',', "--");
    (!text.contains("--") && described(&path, Notation::Path).is_ok()).then_some(path)
}

#[test]
fn canonical_forms() {
    let rows = [
        ("cpu=icelake,nvcap=8.6,ib", "cpu=icelake,ib,nvcap=8.6"),
        ("ib,nvcap:8.6,cpu:icelake", "cpu=icelake,ib,nvcap=8.6"),
        ("nvcap=9.0, nvcap=8.6, cpu=icelake", "cpu=icelake,nvcap=8.6,nvcap=9.0"),
        ("CPU=IceLake,Architecture=x86_64,OS=Linux", "cpu=icelake"),
        ("cpu=skylake-avx512,ib,ib", "cpu=skylake_avx512,ib"),
        ("cpu=znver4,isa=AVX512F,isa=sse4.1", "cpu=zen4"),
        ("cpu=haswell,isa=AVX512F", "cpu=haswell,isa=avx512f"),
        ("architecture=amd64", "cpu=x86_64"),
        ("architecture=amd64,variant=3", "cpu=x86_64_v3"),
        ("variant=v3", "cpu=x86_64_v3"),
        ("architecture=armhf", "cpu=armv7"),
        ("architecture=aarch64,variant=v8.0", "cpu=aarch64"),
        ("architecture=arm64,variant=v8,cpu=neoverse_n1", "cpu=neoverse_n1"),
        ("architecture=s390x,ib", "cpu=s390x,ib"),
        ("architecture=mips64le,variant=softfloat", "architecture=mips64le,variant=softfloat"),
        ("os=macos,cpu=m1", "cpu=m1,os=darwin"),
        ("os=windows,os_version=10.0.20348,cpu=zen4", "cpu=zen4,os=windows,os_version=10.0.20348"),
        ("cpu=icelake,driver=550.54.14", "cpu=icelake,driver=550.54.14"),
        ("cpu=icelake,driver=550.54.14,cuda=12.4.0", "cpu=icelake,driver=550.54.14"),
        ("cpu=icelake,driver=550.54.14,cuda=12.2", "cpu=icelake,cuda=12.2,driver=550.54.14"),
        ("cpu=zen3,gfx=gfx90a=xnack+=sramecc-", "cpu=zen3,gfx=gfx90a=sramecc-=xnack+"),
        ("cpu=zen3,fabric=EDR", "cpu=zen3,fabric=EDR"),
    ];
    assert_eq!(rows.map(|(text, _)| (text, canonical(text))), rows.map(|(text, form)| (text, form.to_owned())));
    for (text, expected) in rows {
        assert_eq!(plain(expected).fingerprint(), plain(text).fingerprint(), "{text}");
    }
}

#[test]
fn a_path_has_its_own_notation() {
    let rows = [
        ("cpu__icelake--nvcap__8.6--ib", "cpu=icelake,ib,nvcap=8.6"),
        ("cpu__x86_64_v3", "cpu=x86_64_v3"),
        ("architecture__amd64--variant__v2", "cpu=x86_64_v2"),
        ("os__windows--os_version__10.0.20348--cpu__zen4", "cpu=zen4,os=windows,os_version=10.0.20348"),
        ("cpu__skylake-avx512--a-b__c_d", "cpu=skylake_avx512,a-b=c_d"),
        ("cpu__zen3--gfx__gfx90a", "cpu=zen3,gfx=gfx90a"),
    ];
    for (text, expected) in rows {
        assert_eq!(described(text, Notation::Path).unwrap().name(), expected, "{text}");
    }
    for text in
        ["cpu__zen3--gfx__gfx90a__xnack+", "cpu__zen3--gfx__gfx90a__xnack---ib", "cpu__Zen3", "cpu=zen3", "cpu___x"]
    {
        assert_eq!(described(text, Notation::Path).unwrap_err(), InvalidDescription::Path, "{text}");
    }
}

#[test]
fn refusals() {
    let features = |count: usize| {
        let features: Vec<String> = (0..count).map(|number| format!("f{number}")).collect();
        format!("cpu=icelake,{}", features.join(","))
    };
    assert!(described(&features(MAX_FEATURES), Notation::Plain).is_ok());
    assert!(described(&format!("cpu=icelake,{}={}", "k".repeat(64), "v".repeat(64)), Notation::Plain).is_ok());
    let long = format!("cpu=icelake,{}", "a,".repeat(MAX_LENGTH));
    let rows = [
        (features(MAX_FEATURES + 1), InvalidDescription::TooMany),
        (features(100), InvalidDescription::TooMany),
        (long, InvalidDescription::TooLong),
        (format!("cpu=icelake,{}", "k".repeat(65)), InvalidDescription::Word),
        (format!("cpu=icelake,k={}", "v".repeat(65)), InvalidDescription::Word),
        ("cpu=icelake,".into(), InvalidDescription::Word),
        ("=icelake".into(), InvalidDescription::Word),
        ("cpu=".into(), InvalidDescription::Word),
        ("cpu=ice lake".into(), InvalidDescription::Word),
        ("cpu".into(), InvalidDescription::NoValue("cpu")),
        ("cpu=icelake,os".into(), InvalidDescription::NoValue("os")),
        ("cpu=icelake,isa".into(), InvalidDescription::NoValue("isa")),
        ("cpu=icelake,cpu=zen3".into(), InvalidDescription::Twice("cpu")),
        ("cpu=icelake,CPU=icelake".into(), InvalidDescription::Twice("cpu")),
        ("os=linux,os=linux,cpu=zen3".into(), InvalidDescription::Twice("os")),
        ("architecture=amd64,architecture=arm64".into(), InvalidDescription::Twice("architecture")),
        ("variant=v3,variant=v4".into(), InvalidDescription::Twice("variant")),
        ("cpu=lakelake".into(), InvalidDescription::Unknown("cpu:lakelake".into())),
        ("cpu=icelake,isa=avx3".into(), InvalidDescription::Unknown("isa:avx3".into())),
        ("cpu=icelake\n".into(), InvalidDescription::Character),
        ("cpu=icelake,\u{7f}".into(), InvalidDescription::Character),
        ("cpu=ic\u{e9}lake".into(), InvalidDescription::Character),
        ("cpu=icelake,nvcap=8.0|9.0".into(), InvalidDescription::Character),
        ("cpu=icelake,\tib".into(), InvalidDescription::Character),
    ];
    for (text, expected) in rows {
        assert_eq!(described(&text, Notation::Plain).unwrap_err(), expected, "{text:?}");
    }
    for (text, reason) in [
        ("nvcap=8.6", "architecture: required"),
        ("cpu=icelake,architecture=arm64", "contradicts"),
        ("variant=v8", "architecture: required, because arm and arm64 have a variant v8"),
        ("cpu=icelake,nvcap=x", "compute capability"),
        ("cpu=icelake,nvcap=8.0+ptx", "a machine's feature has no '|', and no '+'"),
        ("architecture=pdp11", "not an architecture that OCI names"),
        ("cpu=zen4,os=plan10", "not an operating system that OCI names"),
        ("cpu=zen4,os=windows", "without os_version none of them matches"),
        (
            "cpu=zen4,nvcap=5.0,nvcap=6.0,nvcap=6.1,nvcap=7.0,nvcap=7.5,nvcap=8.0,nvcap=8.6,nvcap=8.9,nvcap=9.0",
            "more than 8",
        ),
    ] {
        let error = described(text, Notation::Plain).unwrap_err().to_string();
        assert!(error.starts_with("describes no machine: ") && error.contains(reason), "{text}: {error}");
    }
}

/// Canonical forms may be longer than what was written, and they have the same bound.
#[test]
fn the_canonical_form_has_the_same_bound() {
    let rest: String = (0..15).map(|number| format!(",{number:02}{}", "x".repeat(62))).collect();
    let text = |length: usize| format!("architecture=arm,variant=v7{rest},{}", "y".repeat(length));
    let longest = MAX_LENGTH - text(0).len();
    assert_eq!(described(&text(longest + 1), Notation::Plain).unwrap_err(), InvalidDescription::TooLong);
    assert_eq!(
        plain(&text(longest)).name().len(),
        MAX_LENGTH - "architecture=arm,variant=v7".len() + "cpu=armv7".len()
    );
    let text = |length: usize| format!("variant=v4{rest},{}", "y".repeat(length));
    let longest = MAX_LENGTH - text(0).len();
    assert_eq!(described(&text(longest), Notation::Plain).unwrap_err(), InvalidDescription::TooLong);
}

/// Each microarchitecture with each level that it may stand beside.
#[test]
fn every_machine_has_a_canonical_form() {
    let variants = [
        "",
        ",variant=v1",
        ",variant=v7",
        ",variant=v8",
        ",variant=v8.5",
        ",variant=power9",
        ",variant=rva22u64",
        ",variant=x",
    ];
    let mut count = 0;
    for cpu in Microarchitecture::all() {
        for variant in variants {
            let text = format!("cpu={}{variant},ib", cpu.name());
            let Ok(machine) = described(&text, Notation::Plain) else { continue };
            count += 1;
            let again = plain(machine.name());
            assert_eq!((again.name(), again.fingerprint()), (machine.name(), machine.fingerprint()), "{text}");
            assert_eq!(again.architecture(), machine.architecture(), "{text}");
        }
    }
    assert!(count > 150, "{count}");
    for architecture in
        ["amd64", "arm", "arm64", "386", "ppc64le", "ppc64", "riscv64", "s390x", "loong64", "mips", "wasm"]
    {
        let machine = plain(&format!("architecture={architecture}"));
        let again = plain(machine.name());
        assert_eq!((again.name(), again.fingerprint()), (machine.name(), machine.fingerprint()), "{architecture}");
    }
}

#[test]
fn a_login_is_split_at_the_first_separator_before_a_first_key() {
    let rows = [
        ("me-cpu=icelake", "-", Some(("me", "cpu=icelake"))),
        ("a-b-os=linux,cpu=skylake-avx512", "-", Some(("a-b", "os=linux,cpu=skylake-avx512"))),
        ("a-cpu=x-cpu=y", "-", Some(("a", "cpu=x-cpu=y"))),
        ("-cpu=x", "-", Some(("", "cpu=x"))),
        ("me-nvcap=8.6", "-", None),
        ("cpu=x", "-", None),
        ("me-cpu", "-", None),
        ("me--variant=v3", "--", Some(("me", "variant=v3"))),
        ("m\u{e9}-architecture=arm64", "-", Some(("m\u{e9}", "architecture=arm64"))),
    ];
    for (user, separator, expected) in rows {
        assert_eq!(in_login(user, separator), expected, "{user}");
    }
}

#[test]
fn descriptions_are_told_from_names() {
    for (text, plain, path) in [
        ("gpu1", false, false),
        ("cpu=x", true, false),
        ("cpu:x", true, false),
        ("cpu__x", false, true),
        ("big-gpu_1.0", false, false),
    ] {
        assert_eq!(
            (Notation::Plain.is_description(text), Notation::Path.is_description(text)),
            (plain, path),
            "{text}"
        );
    }
}

/// Parts that may stand together in any order.
fn parts() -> Vec<&'static str> {
    vec![
        "nvcap=8.6",
        "nvcap=90_real",
        "ib",
        "fabric=a-b_c.d",
        "os=linux",
        "isa=avx512f",
        "isa=AMX_TILE",
        "driver=570.26",
        "cuda=12.8",
        "mpi=openmpi",
        "mpi=mpich",
        "gfx=gfx1100",
        "gfx=gfx90a=xnack-",
        "Fabric=X+",
        "zstd",
        "glibc=2.39.0",
    ]
}

proptest! {
    #[test]
    fn reading_the_canonical_form_gives_the_same(
        cpu in select(vec!["cpu=icelake", "architecture=x86_64,cpu=zen4", "variant=v3", "cpu=Skylake-AVX512"]),
        parts in subsequence(parts(), 0..=16),
        turn in any::<Index>(),
    ) {
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.contains("X+")).collect();
        let mut all: Vec<&str> = cpu.split(',').chain(parts).collect();
        let machine = plain(&all.join(","));
        let again = plain(machine.name());
        prop_assert_eq!(again.name(), machine.name());
        prop_assert_eq!(again.fingerprint(), machine.fingerprint());
        // The order does not matter, and neither does the notation.
        let turn = turn.index(all.len());
        all.rotate_left(turn);
        let turned = all.join(",");
        prop_assert_eq!(&canonical(&turned), machine.name());
        prop_assert_eq!(&canonical(&turned.replace('=', ":")), machine.name());
        if let Some(path) = in_path(&turned) {
            let carried = described(&path, Notation::Path).unwrap();
            prop_assert_eq!(carried.name(), machine.name());
        }
    }

    #[test]
    fn any_text_is_read_or_refused_in_printable_words(
        text in ".{0,40}|(cpu|os|nvcap|isa|,|=|:|--|__|icelake|8|\\.|-| ){0,12}",
    ) {
        for notation in [Notation::Plain, Notation::Path] {
            match described(&text, notation) {
                Ok(machine) => {
                    let again = plain(machine.name());
                    prop_assert_eq!((again.name(), again.fingerprint()), (machine.name(), machine.fingerprint()));
                    prop_assert!(Notation::Plain.is_description(machine.name()));
                }
                Err(error) => prop_assert!(error.to_string().bytes().all(|byte| matches!(byte, b' '..=b'~'))),
            }
        }
    }
}
