//! PTX, Tegra and the spellings of CUDA code.

use super::{NONE, Row, check};

const PTX: &[Row] = &[
    ("another major number by PTX", "-/amd64 nvcap:12.0", &["linux/amd64 nvcap:9.0+ptx"], 0),
    ("the same one by the binary", "-/amd64 nvcap:9.0", &["linux/amd64 nvcap:9.0+ptx"], 0),
    ("not downwards", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap:9.0+ptx"], NONE),
    ("binary alone does not", "-/amd64 nvcap:12.0", &["linux/amd64 nvcap:9.0"], NONE),
    ("PTX alone on its own capability", "-/amd64 nvcap:9.0", &["linux/amd64 nvcap:9.0ptx"], 0),
    ("PTX alone upwards", "-/amd64 nvcap:12.1", &["linux/amd64 nvcap:9.0ptx"], 0),
    ("PTX of a higher minor number", "-/amd64 nvcap:8.0", &["linux/amd64 nvcap:8.6+ptx"], NONE),
    ("a with PTX is a", "-/amd64 nvcap:10.0", &["linux/amd64 nvcap:9.0a+ptx"], NONE),
    ("a with PTX on its own", "-/amd64 nvcap:9.0", &["linux/amd64 nvcap:9.0a+ptx"], 0),
    ("f with PTX is f", "-/amd64 nvcap:12.0", &["linux/amd64 nvcap:10.0f+ptx"], NONE),
    ("a fat binary", "-/amd64 nvcap:12.0", &["linux/amd64 nvcap:7.0|8.0|9.0+ptx"], 0),
    ("a fat binary, too old", "-/amd64 nvcap:6.1", &["linux/amd64 nvcap:7.0|8.0|9.0+ptx"], NONE),
    ("PTX twice cannot be read", "-/amd64 nvcap:9.0", &["linux/amd64 nvcap:9.0+ptx+ptx"], NONE),
    ("binary before PTX", "-/amd64 nvcap:8.9", &["linux/amd64 nvcap:8.6ptx", "linux/amd64 nvcap:8.0"], 1),
    ("of PTX the higher", "-/amd64 nvcap:12.0", &["linux/amd64 nvcap:8.0+ptx", "linux/amd64 nvcap:9.0+ptx"], 1),
    (
        "binary beside PTX of the same",
        "-/amd64 nvcap:9.0",
        &["linux/amd64 nvcap:9.0ptx", "linux/amd64 nvcap:9.0+ptx"],
        1,
    ),
    (
        "an alternative in binary before one in PTX",
        "-/amd64 nvcap:9.0",
        &["linux/amd64 nvcap:7.0|8.6+ptx", "linux/amd64 nvcap:7.0+ptx|9.0"],
        1,
    ),
    ("PTX before an image without the key", "-/amd64 nvcap:12.0", &["linux/amd64", "linux/amd64 nvcap:9.0+ptx"], 1),
];

const SPELLINGS: &[Row] = &[
    ("sm_90", "-/amd64 nvcap:9.0", &["linux/amd64 nvcap:sm_90"], 0),
    ("sm_86 is binary", "-/amd64 nvcap:9.0", &["linux/amd64 nvcap:sm_86"], NONE),
    ("90_real", "-/amd64 nvcap:9.0", &["linux/amd64 nvcap:90_real"], 0),
    ("90_real is binary", "-/amd64 nvcap:10.0", &["linux/amd64 nvcap:90_real"], NONE),
    ("compute_90 is PTX", "-/amd64 nvcap:12.0", &["linux/amd64 nvcap:compute_90"], 0),
    ("90_virtual is PTX", "-/amd64 nvcap:12.0", &["linux/amd64 nvcap:90_virtual"], 0),
    ("PTX loses to binary", "-/amd64 nvcap:9.0", &["linux/amd64 nvcap:compute_90", "linux/amd64 nvcap:sm_90"], 1),
    ("a tool's list", "-/amd64 nvcap:12.0", &["linux/amd64 nvcap:80_real|90_real|90_virtual"], 0),
    ("three digits", "-/amd64 nvcap:12.1", &["linux/amd64 nvcap:sm_120"], 0),
    ("sm_90a", "-/amd64 nvcap:9.0", &["linux/amd64 nvcap:9.0", "linux/amd64 nvcap:sm_90a"], 1),
    ("a list as PyTorch writes it", "-/amd64 nvcap:12.0", &["linux/amd64 nvcap:8.0|9.0+PTX"], 0),
    ("a machine's", "-/amd64 nvcap:sm_90", &["linux/amd64 nvcap:9.0"], 0),
    ("digits alone say neither", "-/amd64 nvcap:9.0", &["linux/amd64 nvcap:90"], NONE),
];

const TEGRA: &[Row] = &[
    ("its own", "linux/arm64 nvcap:8.7", &["linux/arm64 nvcap:8.7"], 0),
    ("no desktop code", "linux/arm64 nvcap:8.7", &["linux/arm64 nvcap:8.6"], NONE),
    ("nor that of the first of its major number", "linux/arm64 nvcap:8.7", &["linux/arm64 nvcap:8.0"], NONE),
    ("desktops do not run Tegra's", "-/amd64 nvcap:8.9", &["linux/amd64 nvcap:8.7"], NONE),
    ("desktop PTX runs", "linux/arm64 nvcap:8.7", &["linux/arm64 nvcap:8.0+ptx"], 0),
    ("Tegra's PTX runs on desktops", "-/amd64 nvcap:8.9", &["linux/amd64 nvcap:8.7+ptx"], 0),
    (
        "own code before desktop PTX",
        "linux/arm64 nvcap:8.7",
        &["linux/arm64 nvcap:8.6+ptx", "linux/arm64 nvcap:8.7"],
        1,
    ),
    ("Xavier", "linux/arm64 nvcap:7.2", &["linux/arm64 nvcap:7.0"], NONE),
    ("Xavier's on a later desktop", "-/amd64 nvcap:7.5", &["linux/amd64 nvcap:7.2"], NONE),
    ("TX2", "linux/arm64 nvcap:6.2", &["linux/arm64 nvcap:6.1", "linux/arm64 nvcap:6.2"], 1),
    ("Nano", "linux/arm64 nvcap:5.3", &["linux/arm64 nvcap:5.2", "linux/arm64 nvcap:5.3"], 1),
    ("Thor", "linux/arm64 nvcap:11.0", &["linux/arm64 nvcap:10.0+ptx", "linux/arm64 nvcap:11.0"], 1),
    ("a fat binary with Orin in it", "linux/arm64 nvcap:8.7", &["linux/arm64 nvcap:7.2|8.7"], 0),
];

#[test]
fn ptx() {
    check(PTX);
}

#[test]
fn other_tools_spellings() {
    check(SPELLINGS);
}

#[test]
fn tegra() {
    check(TEGRA);
}
