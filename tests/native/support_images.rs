//! The images that everything else is tested with: real programs, the same bytes every time.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use metahub_testkit::bench::{Bench, FEATURES, line};
use metahub_testkit::elf::{Architecture, program};
use metahub_testkit::image::{Format, Image};
use metahub_testkit::tar::{archive, gzip};
use metahub_testkit::temp::TempDir;

/// A digest that changes would change for every operator and in every document that shows one.
#[test]
fn the_demo_repository_never_changes() {
    let bench = Bench::build();
    let digests: Vec<String> = FEATURES.iter().map(|features| bench.digest(features)).collect();
    assert_eq!(bench.list.digest(), "sha256:8c820d02b0130974460bdbb62ee2398e874aea01e19a4fd366846a2df3a51b9d");
    assert_eq!(
        digests,
        [
            "sha256:aa9fa590b384e31dd44778dd12ceac1601361c1e2661f7152281d29a4f110ac9",
            "sha256:95a4419df1e7e5b8f50f18d9cff96efb1dd61ba00ae08b02a5fc640b6d0e3fb5",
            "sha256:9330d0936dd8b790e7c37d4440c5348f4064066abe1079ba1e2cf1442fb9f73b",
            "sha256:9096d981e84df1be5e832fc413086399902326441e55540ff7fbe076cd06cf7a",
        ]
    );
}

#[test]
fn a_program_prints_its_line_and_succeeds() {
    let directory = TempDir::new("elf").unwrap();
    let path = directory.join("say");
    std::fs::write(&path, program(Architecture::host(), &format!("{}\n", line(&["cpu:skylake"])))).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(&path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), ">> This container is optimised for: cpu:skylake\n");
}

/// The tools that everyone has read what we write; content above 64 KiB needs a second block in the gzip frame.
#[test]
fn tar_and_gzip_read_our_layers() {
    let content = vec![b'x'; 100_000];
    let directory = TempDir::new("tar").unwrap();
    std::fs::write(directory.join("layer.tar.gz"), gzip(&archive("big", &content))).unwrap();
    let status =
        Command::new("tar").args(["-xzf", "layer.tar.gz"]).current_dir(directory.path()).status().expect("tar runs");
    assert!(status.success());
    assert_eq!(std::fs::read(directory.join("big")).unwrap(), content);
}

#[test]
fn formats_differ_in_media_types_only() {
    let [docker, oci] = [Format::Docker, Format::Oci].map(|f| Image::printing(f, Architecture::Arm64, "x"));
    assert_eq!(docker.layer.digest(), oci.layer.digest());
    assert_ne!(docker.manifest.digest(), oci.manifest.digest());
}
