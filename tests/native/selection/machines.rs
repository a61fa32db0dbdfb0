//! Machine types: the platform that follows, the refusals and the warnings.

use metahub::hardware::feature::FeatureRules;
use metahub::machine_type::{Description, MachineType};

use super::{description, machine, rules};

#[test]
fn platform_follows() {
    for (written, platform) in [
        ("- cpu:skylake", "linux/amd64/v3"),
        ("- cpu:icelake", "linux/amd64/v4"),
        ("- cpu:nocona", "linux/amd64/v1"),
        ("- cpu:m1", "linux/arm64/v8.4"),
        ("- cpu:neoverse-v2", "linux/arm64/v9"),
        ("- cpu:pentium4", "linux/386"),
        ("- cpu:power9le", "linux/ppc64le/power9"),
        ("- cpu:u74mc", "linux/riscv64"),
        ("-/amd64", "linux/amd64/v1"),
        ("-/arm64", "linux/arm64/v8"),
        ("-/arm", "linux/arm/v7"),
        ("-/armel", "linux/arm/v6"),
        ("-/arm64/v8 cpu:neoverse_n1", "linux/arm64/v8.2"),
        ("-//v3", "linux/amd64/v3"),
        ("-//v6", "linux/arm/v6"),
        ("-//v9", "linux/arm64/v9"),
        ("-/s390x", "linux/s390x"),
        ("-/riscv64/rva23u64", "linux/riscv64/rva23u64"),
        ("windows/amd64@10.0.20348", "windows/amd64/v1"),
        ("- cpu:zen2 cpu:icelake", "linux/amd64/v4"),
    ] {
        let machine = machine(written);
        let variant = machine.variant().map(|variant| format!("/{variant}")).unwrap_or_default();
        assert_eq!(format!("{}/{}{variant}", machine.os(), machine.architecture()), platform, "{written}");
    }
}

#[test]
fn what_cannot_be_is_refused_by_field() {
    for (written, field, part) in [
        ("-", "architecture", "required"),
        ("- a", "architecture", "required"),
        ("- cpu:granite", "architecture", "archspec does not know cpu:granite"),
        ("-//v8", "architecture", "arm and arm64 have a variant v8"),
        ("-//fast", "architecture", "does not follow from variant fast"),
        ("-/arm64 cpu:skylake", "architecture", "arm64 contradicts cpu:skylake, which is amd64"),
        ("-/ppc64le cpu:power9", "architecture", "which is ppc64"),
        ("- a cpu:skylake cpu:m1", "features[2]", "cpu:m1 is arm64, but cpu:skylake is amd64"),
        ("-/amd64/v5", "variant", "v1 to v4"),
        ("-/arm64/v10", "variant", "v9 to v9.5"),
        ("-/amd64/v4 cpu:skylake", "variant", "from which v3 follows"),
        ("-/amd64/v2 cpu:skylake", "variant", "leave variant out"),
        ("-/riscv64/rva21u64", "variant", "rva20u64, rva22u64 and rva23u64"),
        ("-/ppc64le/power7", "variant", "power8 to power11"),
        ("-/ppc64le/power8 cpu:power9le", "variant", "from which power9 follows"),
        ("-/armhf/v6", "variant", "v6 contradicts the architecture, which is v7"),
        ("linux;rm/amd64", "os", "letters"),
        ("windows/amd64@10.0", "os_version", "10.0.20348"),
        ("-/amd64 cpu", "features[0]", "cpu needs a value"),
        ("-/amd64 a cpu:", "features[1]", "no value after the ':'"),
        ("-/amd64 :a", "features[0]", "without a key"),
        ("-/amd64 a,b", "features[0]", "commas"),
        ("-/amd64 nvcap:abc", "features[0]", "compute capability such as 8.6"),
        ("-/amd64 nvcap", "features[0]", "compute capability such as 8.6"),
        ("-/amd64 nvcap:9.0a", "features[0]", "plain"),
        ("-/amd64 nvcap:compute_90", "features[0]", "plain"),
        ("-/amd64 nvcap:9.0+ptx", "features[0]", "no '+'"),
        ("-/amd64 nvcap:8.0|9.0", "features[0]", "no '|'"),
        ("-/amd64 a mpi:a|b", "features[1]", "no '|'"),
        ("-/amd64 mpi:a+b", "features[0]", "no '+'"),
        ("-/amd64 a|b", "features[0]", "no '|'"),
        ("-/amd64 cpu:haswell|zen2", "features[0]", "no '|'"),
        ("-/amd64 gfx:gfx90a:xnack+|gfx942", "features[0]", "no '|'"),
        ("-/amd64 gfx:gfx90a:xnack++", "features[0]", "no '+'"),
        ("-/amd64 gfx:mi300", "features[0]", "gfx942 or gfx90a:xnack+"),
        ("-/amd64 gfx", "features[0]", "gfx942 or gfx90a:xnack+"),
        ("-/amd64 gfx:gfx11-generic", "features[0]", "covers gfx11-generic"),
        ("-/amd64 gfx:amdgcnspirv", "features[0]", "covers gfx11-generic and amdgcnspirv"),
        ("-/amd64 cuda:new", "features[0]", "feature_rules: { cuda: exact } compares text"),
        ("-/amd64 l4t:r36", "features[0]", "same_major compares numbers"),
        ("-/amd64 isa", "features[0]", "isa needs a value, such as isa:avx2"),
        ("-/amd64 a any=a", "devices.a", "rule compute_capability or amd_gpu"),
        ("-/amd64 any=cpu", "devices.cpu", "rule compute_capability or amd_gpu"),
        (
            "-/amd64 nvcap:1.0 nvcap:2.0 nvcap:3.0 nvcap:5.0 nvcap:6.0 nvcap:7.0 nvcap:8.0 nvcap:9.0 nvcap:10.0",
            "features",
            "devices: { nvcap: any }",
        ),
        ("-/amd64 driver:new", "features[0]", "version such as"),
        ("-/amd64 driver:550 driver:x", "features[1]", "version such as"),
        ("-/amd64 a >a >a", "prefer[1]", "twice"),
        ("-/amd64 a:1 >a:1", "prefer[0]", "write a"),
        ("-/amd64 >variant", "prefer[0]", "write cpu"),
        ("-/amd64 isa:avx2 >isa", "prefer[0]", "write cpu"),
    ] {
        let error = MachineType::new("m", &description(written), &rules()).unwrap_err();
        assert!(error.field == field && error.message.contains(part), "{written}: {error}");
    }
    let long = Description { features: vec!["a".repeat(257)], ..description("-/amd64") };
    assert_eq!(MachineType::new("m", &long, &rules()).unwrap_err().field, "features[0]");
    let blank = Description { features: vec![String::new()], ..description("-/amd64") };
    assert_eq!(MachineType::new("m", &blank, &rules()).unwrap_err().field, "features[0]");
    let control = Description { features: vec!["a\u{1b}[31m".to_owned()], ..description("-/amd64") };
    assert_eq!(MachineType::new("m", &control, &rules()).unwrap_err().field, "features[0]");
}

#[test]
fn names_fit_into_logins() {
    let description = description("-/amd64");
    let long = "a".repeat(129);
    for bad in ["", "-a", ".a", "A", "a b", "ä", "a:b", "a/b", "refuse", "unfiltered", "none", &long] {
        let error = MachineType::new(bad, &description, &rules()).unwrap_err();
        assert_eq!(error.field, "", "{bad}: {error}");
    }
    for good in ["a", "1", "type1", "gpu-a100.v2_x", "none2"] {
        assert_eq!(MachineType::new(good, &description, &rules()).unwrap().name(), good);
    }
}

#[test]
fn warns_of_what_looks_like_a_mistake() {
    for (written, field) in [
        ("-/amd64 cpu:sky-lake", "features[0]"),
        ("-/amd46", "architecture"),
        ("linus/amd64", "os"),
        ("windows/amd64", "os_version"),
        ("-/amd64 a >b", "prefer[0]"),
        ("-/amd64 a isa:avx10", "features[1]"),
        ("-/amd64 a any=nvcap", "devices.nvcap"),
    ] {
        let machine = machine(written);
        let fields: Vec<&str> = machine.warnings().iter().map(|warning| warning.field.as_str()).collect();
        assert_eq!(fields, [field], "{written}");
    }
    assert!(machine("- cpu:skylake nvcap:8.6 infiniband >nvcap").warnings().is_empty());
    assert!(machine("- cpu:skylake nvcap:8.6 gfx:gfx90a:xnack+ isa:sse3 any=nvcap").warnings().is_empty());
}

#[test]
fn rules_are_checked() {
    let new = |key: &str, rule: &str| FeatureRules::new(&[(key.to_owned(), rule.to_owned())].into());
    for (key, rule) in [
        ("driver", "at_least"),
        ("nvcap", "exact"),
        ("nvcap", "at_least"),
        ("sm", "compute_capability"),
        ("bsp", "same_major"),
        ("rocm", "amd_gpu"),
    ] {
        assert!(new(key, rule).is_ok(), "{key}: {rule}");
    }
    for (key, rule) in
        [("driver", "atleast"), ("driver", ""), ("cpu", "exact"), ("cpu", "at_least"), ("isa", "exact"), ("", "exact")]
    {
        assert_eq!(new(key, rule).unwrap_err().field, key, "{rule}");
    }
    for key in ["a:b", "a b", "a,b", "\u{7}"] {
        assert_eq!(new(key, "exact").unwrap_err().field, key);
    }
}

#[test]
fn fingerprints_tell_what_matters() {
    let print = |written: &str| machine(written).fingerprint();
    for (one, same) in [
        ("- cpu:skylake", "linux/amd64/v3 cpu:skylake"),
        ("- cpu:skylake", "- cpu:Skylake"),
        ("-/amd64", "-/x86_64/v1"),
        ("- cpu:skylake cpu:broadwell", "- cpu:skylake"),
        ("-/amd64 driver:550 driver:560", "-/amd64 driver:560.0 driver:550"),
        ("-/amd64 a >b", "-/amd64 a"),
        ("-/amd64 nvcap:9.0", "-/amd64 nvcap:sm_90"),
        ("-/amd64 nvcap:8.6 any=nvcap", "-/amd64 nvcap:8.6"),
        ("-/amd64 nvcap:8.6 nvcap:9.0 any=nvcap", "-/amd64 nvcap:9.0 nvcap:8.6 any=nvcap"),
        ("-/amd64 gfx:gfx90a:xnack+:sramecc-", "-/amd64 gfx:gfx90a:sramecc-:xnack+"),
        ("- cpu:haswell isa:avx2", "- cpu:haswell"),
        ("-/amd64 isa:avx isa:avx2", "-/amd64 isa:avx2 isa:avx"),
        ("-/amd64 driver:570.26", "-/amd64 driver:570.26 cuda:12.8"),
    ] {
        assert_eq!(print(one), print(same), "{one} and {same}");
    }
    for (one, other) in [
        ("- cpu:skylake", "- cpu:broadwell"),
        ("-/amd64", "-/arm64"),
        ("-/amd64", "windows/amd64"),
        ("windows/amd64@10.0.1", "windows/amd64@10.0.2"),
        ("-/amd64 a b", "-/amd64 b a"),
        ("-/amd64 a b", "-/amd64 a b >b"),
        ("-/amd64 a:b", "-/amd64 a b"),
        ("-/riscv64", "-/riscv64/rva23u64"),
        ("-/amd64 nvcap:8.6 nvcap:9.0", "-/amd64 nvcap:8.6 nvcap:9.0 any=nvcap"),
        ("-/amd64 nvcap:8.6 nvcap:9.0", "-/amd64 nvcap:9.0 nvcap:8.6"),
        ("-/amd64 gfx:gfx90a", "-/amd64 gfx:gfx90a:xnack-"),
        ("-/amd64", "-/amd64 isa:avx"),
        ("-/amd64 l4t:36", "-/amd64 l4t:36.1"),
    ] {
        assert_ne!(print(one), print(other), "{one} and {other}");
    }
    let one = MachineType::new("one", &description("-/amd64 v:1"), &rules()).unwrap();
    let renamed = MachineType::new("two", &description("-/amd64 v:1"), &rules()).unwrap();
    let at_least = FeatureRules::new(&[("v".to_owned(), "at_least".to_owned())].into()).unwrap();
    let ruled = MachineType::new("one", &description("-/amd64 v:1"), &at_least).unwrap();
    assert_eq!(one.fingerprint(), renamed.fingerprint());
    assert_ne!(one.fingerprint(), ruled.fingerprint());
    assert_eq!(one.fingerprint().to_string().len(), 32);
}
