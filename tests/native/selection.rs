//! Selection of an entry for a machine type.

use metahub::feature::FeatureRules;
use metahub::index::Index;
use metahub::machine_type::{Description, MachineType};
use metahub::select::{Selection, select};

fn machine(features: &[&str]) -> MachineType {
    let features = features.iter().map(ToString::to_string).collect();
    MachineType::new("m", &Description { features, ..Description::default() }, &FeatureRules::default()).unwrap()
}

#[test]
fn the_demo() {
    let entry = |digit: &str, features: &str| {
        format!(
            r#"{{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":1,"digest":"sha256:{}",
            "platform":{{"os":"linux","architecture":"amd64"{features}}}}}"#,
            digit.repeat(64)
        )
    };
    let list = format!(
        r#"{{"schemaVersion":2,"manifests":[{},{},{},{}]}}"#,
        entry("0", ""),
        entry("1", r#","features":["cpu:skylake"]"#),
        entry("2", r#","features":["cpu:broadwell"]"#),
        entry("3", r#","features":["cpu:broadwell","nvcap:5.2"]"#)
    );
    let index = Index::parse(list.as_bytes()).unwrap();
    for (features, position) in [
        (vec!["cpu:x86_64"], 0),
        (vec!["cpu:skylake"], 1),
        (vec!["cpu:broadwell"], 2),
        (vec!["cpu:broadwell", "nvcap:5.2"], 3),
    ] {
        let Selection::Selected { entry, reason } = select(&index, &machine(&features)) else { panic!("{features:?}") };
        assert_eq!(entry.position(), position, "{features:?}: {reason}");
        println!("{features:?}: {reason}");
    }
}
