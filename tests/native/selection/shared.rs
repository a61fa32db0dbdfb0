//! One body for all machines that wait for it: each gets its own entry.

use metahub::flow::body::Body;
use metahub::oci::media_type;
use metahub::select::OnNoMatch;
use metahub::select::{Turn, Walk};
use serde_json::json;

use super::{digest, entry, machine};

#[test]
fn machines_that_share_an_answer_share_no_selection() {
    let entries = [entry(0, "linux/amd64 cpu:skylake"), entry(1, "linux/amd64 cpu:broadwell"), entry(2, "linux/arm64")];
    let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries});
    let body = Body::from(document.to_string().into_bytes());
    let selected = |text: &str| match body.enter(Walk::begin(), &machine(text), OnNoMatch::Refuse) {
        Turn::Image { descriptor, .. } => descriptor.digest.to_string(),
        other => panic!("{text}: {other:?}"),
    };
    for _ in 0..2 {
        assert_eq!(selected("- cpu:skylake"), digest(0));
        assert_eq!(selected("- cpu:broadwell"), digest(1));
        assert_eq!(selected("-/arm64"), digest(2));
    }
    let nobody = machine("-/s390x");
    assert!(matches!(body.enter(Walk::begin(), &nobody, OnNoMatch::Refuse), Turn::DeadEnd(_)));
    assert!(matches!(body.enter(Walk::begin(), &nobody, OnNoMatch::Unfiltered), Turn::Whole(_)));
}
