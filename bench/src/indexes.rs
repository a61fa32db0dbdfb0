//! Indexes and machine types that both benchmarks use.

use std::fmt::Write as _;

use metahub::machine_type::Description;

/// A machine of this many features; an [`index`] of as many fits it.
pub fn description(features: usize) -> Description {
    let mut words = vec!["cpu:icelake".to_owned(), "nvcap:8.6".to_owned()];
    words.extend((3..=features).map(|number| format!("feature{number}:value{number}")));
    Description { features: words, ..Description::default() }
}

/// An index all of whose entries fit the larger machine, so that nothing is cut short. All point to `target`, given as
/// digest and size.
pub fn index(entries: usize, features: usize, target: (&str, usize)) -> String {
    let mut text = String::from(r#"{"schemaVersion":2,"manifests":["#);
    let cpus = ["cpu:nehalem", "cpu:haswell", "cpu:skylake", "cpu:x86_64_v3"];
    let (digest, size) = target;
    for number in 0..entries {
        let cpu = cpus.get(number % cpus.len()).copied().unwrap_or_default();
        let comma = if number == 0 { "" } else { "," };
        let mut list = format!(r#""{cpu}","nvcap:8.{}""#, number % 7);
        for feature in 3..features.max(3) + 1 {
            let _ = write!(list, r#","feature{feature}:value{feature}""#);
        }
        let _ = write!(
            text,
            r#"{comma}{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}",
            "size":{size},"platform":{{"architecture":"amd64","os":"linux","features":[{list}]}}}}"#
        );
    }
    text.push_str("]}");
    text
}

/// An index each of whose entries lists this many alternatives, none like another's. The last one fits.
pub fn lists(entries: usize, alternatives: usize, (digest, size): (&str, usize)) -> String {
    let entry = |number: usize| {
        let others: String = (1..alternatives).map(|place| format!("{place}.{number}|")).collect();
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{size},
            "platform":{{"architecture":"amd64","os":"linux",
            "features":["nvcap:{others}8.0","feature3:{number}|value3"]}}}}"#
        )
    };
    let entries: Vec<String> = (100..100 + entries).map(entry).collect();
    format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","))
}

/// The index with annotations up to this many bytes.
pub fn padded(mut text: String, bytes: usize) -> String {
    text.pop();
    let tail = r#"","b":1}}"#;
    text.push_str(r#","annotations":{"a":""#);
    text.extend(std::iter::repeat_n('x', bytes.saturating_sub(text.len() + tail.len())));
    text.push_str(tail);
    text
}
