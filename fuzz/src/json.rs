//! Any bytes as JSON: MetaHub's reader and `serde_json` agree which text is JSON, anywhere in an index. Written JSON is
//! read as it was meant.

use metahub::oci::index::Index;
use metahub::text::json::Json;
use serde::de::IgnoredAny;
use serde_json::Value;

pub(crate) fn check(bytes: &[u8]) {
    let lossy = String::from_utf8_lossy(bytes).into_owned();
    let written = Json::Object(vec![("a", Json::List(vec![Json::Text(lossy.clone()), Json::Null]))]).to_string();
    let read: Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(read["a"][0], lossy.as_str());
    let is_json = is_json(bytes);
    assert!(is_json || Index::parse(bytes).is_err(), "an index that is no JSON");
    let index = [b"{\"manifests\":[],\"x\":", bytes, b"}"].concat();
    match Index::parse(&index) {
        Ok(_) => assert!(self::is_json(&index), "an index with a member that is no JSON"),
        // Text that is not UTF-8 is not JSON either, but `serde_json` does not check ignored text. No index has so many
        // levels.
        Err(error) => {
            let is_elsewhere_fine =
                std::str::from_utf8(bytes).is_err() || error.to_string().contains("nested too deep");
            assert!(!is_json || is_elsewhere_fine, "{error}: of JSON");
        }
    }
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}
