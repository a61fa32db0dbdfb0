//! Bounds: versions that a machine must reach.

use metahub::hardware::feature::FeatureRules;
use metahub::machine_type::MachineType;

use super::{NONE, Row, check, description, index, outcome};

const BUILT_IN: &[Row] = &[
    ("cuda", "-/amd64 cuda:12.8", &["linux/amd64 cuda:12.4"], 0),
    ("cuda, newer", "-/amd64 cuda:12.4", &["linux/amd64 cuda:12.8"], NONE),
    ("kernel", "-/amd64 kernel:6.8", &["linux/amd64 kernel:5.15"], 0),
    ("kernel, newer", "-/amd64 kernel:5.15", &["linux/amd64 kernel:6.8"], NONE),
    ("glibc", "-/amd64 glibc:2.36", &["linux/amd64 glibc:2.31"], 0),
    ("driver", "-/amd64 driver:570.26", &["linux/amd64 driver:550"], 0),
    ("l4t within a major number", "linux/arm64 l4t:36.4", &["linux/arm64 l4t:36"], 0),
    ("l4t of another", "linux/arm64 l4t:36.4", &["linux/arm64 l4t:35.3"], NONE),
    ("l4t, newer", "linux/arm64 l4t:36.2", &["linux/arm64 l4t:36.4"], NONE),
    ("l4t, either of two", "linux/arm64 l4t:36.4", &["linux/arm64 l4t:35|36"], 0),
    ("l4t, the higher", "linux/arm64 l4t:36.4", &["linux/arm64 l4t:36", "linux/arm64 l4t:36.3"], 1),
];

const TOOLKITS: &[Row] = &[
    ("a driver offers its toolkit", "-/amd64 driver:570.26", &["linux/amd64 cuda:12.8"], 0),
    ("and older ones", "-/amd64 driver:570.26", &["linux/amd64 cuda:11.8"], 0),
    ("no newer one", "-/amd64 driver:570.26", &["linux/amd64 cuda:12.9"], NONE),
    ("just below", "-/amd64 driver:550.54.13", &["linux/amd64 cuda:12.4"], NONE),
    ("a driver newer than all", "-/amd64 driver:610", &["linux/amd64 cuda:13.1"], 0),
    ("a driver older than all", "-/amd64 driver:470.82", &["linux/amd64 cuda:11.4"], NONE),
    ("what the machine says itself counts", "-/amd64 driver:580.65.06 cuda:12.6", &["linux/amd64 cuda:13.0"], NONE),
    ("without a driver", "-/amd64 nvcap:8.6", &["linux/amd64 cuda:12.4"], NONE),
    ("PTX and a toolkit", "-/amd64 nvcap:12.0 driver:570.26", &["linux/amd64 nvcap:9.0+ptx cuda:12.4"], 0),
    ("PTX of a newer toolkit", "-/amd64 nvcap:12.0 driver:570.26", &["linux/amd64 nvcap:9.0+ptx cuda:12.9"], NONE),
];

const NO_KEYS: &[Row] = &[
    (
        "a bound is no specialisation",
        "-/amd64 nvcap:9.0 cuda:12.8 glibc:2.36",
        &["linux/amd64 cuda:12.4 glibc:2.31", "linux/amd64 nvcap:9.0"],
        1,
    ),
    (
        "as many keys without the bounds: nearness decides",
        "-/amd64 nvcap:9.0 cuda:12.8",
        &["linux/amd64 nvcap:8.0ptx cuda:12.4", "linux/amd64 nvcap:9.0"],
        1,
    ),
    ("a bound before nothing", "-/amd64 cuda:12.8", &["linux/amd64", "linux/amd64 cuda:12.4"], 1),
    ("the higher bound", "-/amd64 cuda:12.8", &["linux/amd64 cuda:12.6", "linux/amd64 cuda:12.4"], 0),
    ("likewise by a driver", "-/amd64 driver:570.26", &["linux/amd64 cuda:12.4", "linux/amd64 cuda:12.6"], 1),
    ("l4t neither", "linux/arm64 l4t:36.4 a", &["linux/arm64 l4t:36.4", "linux/arm64 a"], 1),
    ("a preferred bound counts first", "-/amd64 a cuda:12.8 >cuda", &["linux/amd64 a", "linux/amd64 cuda:12.4"], 1),
    (
        "bounds beside keys",
        "- cpu:skylake nvcap:9.0 driver:580.65.06",
        &["linux/amd64 cpu:skylake driver:550 cuda:12.0", "linux/amd64 cpu:haswell nvcap:9.0"],
        1,
    ),
];

#[test]
fn built_in_bounds() {
    check(BUILT_IN);
}

#[test]
fn a_drivers_toolkit() {
    check(TOOLKITS);
}

#[test]
fn bounds_do_not_count_as_keys() {
    check(NO_KEYS);
}

#[test]
fn the_configuration_takes_a_bound_back() {
    let exact = |key: &str| FeatureRules::new(&[(key.to_owned(), "exact".to_owned())].into()).unwrap();
    let from = |rules: &FeatureRules, written: &str, entry: &str| {
        let machine = MachineType::new("m", &description(written), rules).unwrap();
        outcome(&index(&[entry]), &machine)
    };
    assert_eq!(from(&exact("kernel"), "-/amd64 kernel:rt", "linux/amd64 kernel:rt"), 0);
    assert_eq!(from(&exact("kernel"), "-/amd64 kernel:6.8", "linux/amd64 kernel:5.15"), NONE);
    assert_eq!(from(&exact("l4t"), "-/arm64 l4t:36.4", "linux/arm64 l4t:36"), NONE);
    for key in ["driver", "cuda"] {
        assert_eq!(from(&exact(key), "-/amd64 driver:570.26", "linux/amd64 cuda:12.4"), NONE, "{key}");
    }
    let default = FeatureRules::default();
    let error = MachineType::new("m", &description("-/amd64 kernel:rt"), &default).unwrap_err();
    assert!(error.field == "features[0]" && error.message.contains("feature_rules: { kernel: exact }"), "{error}");
}
