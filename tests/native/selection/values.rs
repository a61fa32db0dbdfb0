//! Features other than `cpu`.

use super::{NONE, Row, check};

const NVCAP: &[Row] = &[
    ("equal", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap:8.6"], 0),
    ("a lower minor number runs", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap:8.0"], 0),
    ("a higher one does not", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap:8.9"], NONE),
    ("a lower major number does not", "-/amd64 nvcap:9.0", &["linux/amd64 nvcap:8.6"], NONE),
    ("without a GPU", "-/amd64", &["linux/amd64 nvcap:8.6"], NONE),
    (
        "the highest that runs",
        "-/amd64 nvcap:8.9",
        &["linux/amd64 nvcap:8.0", "linux/amd64 nvcap:8.6", "linux/amd64 nvcap:9.0"],
        1,
    ),
    ("numbers, not text", "-/amd64 nvcap:10.3", &["linux/amd64 nvcap:10.0", "linux/amd64 nvcap:10.3"], 1),
    ("10 is more than 9", "-/amd64 nvcap:8.10", &["linux/amd64 nvcap:8.9", "linux/amd64 nvcap:8.10"], 1),
    ("a: exactly this device", "-/amd64 nvcap:9.0", &["linux/amd64 nvcap:9.0a"], 0),
    ("a: no other", "-/amd64 nvcap:10.3", &["linux/amd64 nvcap:10.0a"], NONE),
    ("a before plain", "-/amd64 nvcap:9.0", &["linux/amd64 nvcap:9.0", "linux/amd64 nvcap:9.0a"], 1),
    ("a before f", "-/amd64 nvcap:10.0", &["linux/amd64 nvcap:10.0f", "linux/amd64 nvcap:10.0a"], 1),
    ("f: the family", "-/amd64 nvcap:10.3", &["linux/amd64 nvcap:10.0f"], 0),
    ("f: not downwards", "-/amd64 nvcap:10.0", &["linux/amd64 nvcap:10.3f"], NONE),
    ("f before plain", "-/amd64 nvcap:10.3", &["linux/amd64 nvcap:10.0", "linux/amd64 nvcap:10.0f"], 1),
    (
        "but a higher plain one before f",
        "-/amd64 nvcap:10.3",
        &["linux/amd64 nvcap:10.0f", "linux/amd64 nvcap:10.3"],
        1,
    ),
    ("abc", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap:abc"], NONE),
    ("no minor number", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap:8"], NONE),
    ("an empty value", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap:"], NONE),
    ("two GPUs, any may do: either", "-/amd64 nvcap:7.5 nvcap:8.6 any=nvcap", &["linux/amd64 nvcap:7.0"], 0),
    (
        "two GPUs, any may do: the higher image",
        "-/amd64 nvcap:7.5 nvcap:8.6 any=nvcap",
        &["linux/amd64 nvcap:7.5", "linux/amd64 nvcap:8.0"],
        1,
    ),
    (
        "two GPUs, any may do: each requirement by any",
        "-/amd64 nvcap:7.5 nvcap:8.6 any=nvcap",
        &["linux/amd64 nvcap:7.5 nvcap:8.0"],
        0,
    ),
    ("another key with the same rule", "-/amd64 sm:8.6", &["linux/amd64 sm:8.0"], 0),
    ("jetson", "linux/arm64/v8 nvcap:8.7", &["linux/arm64/v8 nvcap:8.6", "linux/arm64 nvcap:8.7"], 1),
];

const AT_LEAST: &[Row] = &[
    ("equal", "-/amd64 driver:550.54", &["linux/amd64 driver:550.54"], 0),
    ("older is enough", "-/amd64 driver:550.54.14", &["linux/amd64 driver:535"], 0),
    ("newer is not", "-/amd64 driver:550.54", &["linux/amd64 driver:550.90"], NONE),
    ("numbers, not text", "-/amd64 driver:1000", &["linux/amd64 driver:999"], 0),
    ("missing numbers are 0", "-/amd64 driver:550", &["linux/amd64 driver:550.0.0"], 0),
    (
        "the highest that is met",
        "-/amd64 driver:550",
        &["linux/amd64 driver:470", "linux/amd64 driver:545.23", "linux/amd64 driver:545.3"],
        1,
    ),
    ("not a version", "-/amd64 driver:550", &["linux/amd64 driver:new"], NONE),
    ("a sign", "-/amd64 driver:550", &["linux/amd64 driver:+5"], NONE),
    ("an empty value", "-/amd64 driver:550", &["linux/amd64 driver:"], NONE),
    ("five numbers", "-/amd64 driver:550", &["linux/amd64 driver:1.2.3.4.5"], NONE),
    ("not offered", "-/amd64", &["linux/amd64 driver:1"], NONE),
    ("several on the machine: any", "-/amd64 glibc:2.31 glibc:2.36", &["linux/amd64 glibc:2.35"], 0),
    ("a key without a rule is exact", "-/amd64 toolkit:12.4", &["linux/amd64 toolkit:12.3"], NONE),
];

const EXACT: &[Row] = &[
    ("equal", "-/amd64 mpi:openmpi", &["linux/amd64 mpi:openmpi"], 0),
    ("not equal", "-/amd64 mpi:openmpi", &["linux/amd64 mpi:mpich"], NONE),
    ("letter case counts", "-/amd64 mpi:openmpi", &["linux/amd64 mpi:OpenMPI"], NONE),
    ("- is not _", "-/amd64 fabric:roce-v2", &["linux/amd64 fabric:roce_v2"], NONE),
    ("several values: any", "-/amd64 mpi:openmpi mpi:mpich", &["linux/amd64 mpi:mpich"], 0),
    ("several values: both asked for", "-/amd64 mpi:openmpi mpi:mpich", &["linux/amd64 mpi:mpich mpi:openmpi"], 0),
    ("one of both missing", "-/amd64 mpi:mpich", &["linux/amd64 mpi:mpich mpi:openmpi"], NONE),
    ("a value with a colon", "-/amd64 a:b:c", &["linux/amd64 a:b:c"], 0),
    ("part of it", "-/amd64 a:b:c", &["linux/amd64 a:b"], NONE),
    ("a flag", "-/amd64 infiniband", &["linux/amd64 infiniband"], 0),
    ("a flag that is missing", "-/amd64", &["linux/amd64 infiniband"], NONE),
    ("a flag is no value", "-/amd64 gpu", &["linux/amd64 gpu:a100"], NONE),
    ("flag and value side by side", "-/amd64 gpu gpu:a100", &["linux/amd64 gpu gpu:a100"], 0),
    ("an empty value", "-/amd64 gpu", &["linux/amd64 gpu:"], NONE),
    ("all features are needed", "-/amd64 a b", &["linux/amd64 a b c", "linux/amd64 a b"], 1),
    ("from os.features too", "-/amd64 a", &["linux/amd64 os:a os:b"], NONE),
    ("from os.features, met", "-/amd64 a b", &["linux/amd64 os:a os:b"], 0),
    ("from the annotation", "- cpu:skylake", &["linux/amd64 note:cpu:zen"], NONE),
    ("from the annotation, met", "- cpu:skylake", &["linux/amd64", "linux/amd64 note:cpu:haswell"], 1),
    ("from all three", "- cpu:skylake a b", &["linux/amd64 cpu:haswell os:a note:b"], 0),
    ("one of the three missing", "- cpu:skylake a", &["linux/amd64 cpu:haswell os:a note:b"], NONE),
    (
        "the same in two places is one",
        "- a cpu:skylake",
        &["linux/amd64 a", "linux/amd64 cpu:haswell note:cpu:haswell os:cpu:haswell"],
        0,
    ),
];

#[test]
fn compute_capabilities() {
    check(NVCAP);
}

#[test]
fn versions() {
    check(AT_LEAST);
}

#[test]
fn exact_values_and_flags() {
    check(EXACT);
}
