//! Any bytes as JSON, through the two public readers that stand on ours: what is JSON is what `serde_json` says. And
//! what we write is read as it was meant.

use metahub::config::Config;
use metahub::oci::index::Index;
use metahub::text::json::Json;
use serde::de::IgnoredAny;
use serde_json::Value;

pub(crate) fn check(bytes: &[u8]) {
    let lossy = String::from_utf8_lossy(bytes).into_owned();
    let written = Json::Object(vec![("a", Json::List(vec![Json::Text(lossy.clone()), Json::Null]))]).to_string();
    let read: Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(read["a"][0], lossy.as_str());
    let is_json = serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
    assert!(is_json || Index::parse(bytes).is_err(), "an index that is no JSON");
    // A Struct may begin with a line's end and a bracket.
    if bytes.trim_ascii_start().first() != Some(&b'{') || bytes.starts_with(b"\n{") {
        return;
    }
    let refused = Config::parse(bytes, &|_| None).err().map(|error| error.to_string()).unwrap_or_default();
    let refused_as_json = refused.starts_with("not JSON");
    assert!(is_json || refused_as_json, "{refused:?} of what is no JSON");
    // The tree decodes strings and numbers, as the configuration does.
    let has_tree = serde_json::from_slice::<Value>(bytes).is_ok();
    // No configuration has fractions, nor so many levels.
    let is_elsewhere_fine = refused.contains("a whole number") || refused.contains("nested too deep");
    assert!(!has_tree || !refused_as_json || is_elsewhere_fine, "{refused:?} of JSON");
}
