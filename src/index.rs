//! stub
#![allow(missing_docs)]
use crate::digest::Digest;
#[derive(Debug, Clone)]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
}
pub struct Entry {
    d: Descriptor,
    pub features: Vec<String>,
}
impl Entry {
    pub fn descriptor(&self) -> &Descriptor {
        &self.d
    }
    pub fn is_nested_index(&self) -> bool {
        false
    }
}
pub struct Index {
    pub entries: Vec<Entry>,
}
impl Index {
    pub fn parse(b: &[u8]) -> Result<Self, String> {
        let v: serde_json::Value = serde_json::from_slice(b).map_err(|e| e.to_string())?;
        let mut entries = vec![];
        for m in v.get("manifests").and_then(|m| m.as_array()).into_iter().flatten() {
            let s = |k: &str| m.get(k).and_then(|x| x.as_str()).unwrap_or_default().to_owned();
            entries.push(Entry {
                d: Descriptor {
                    media_type: s("mediaType"),
                    digest: Digest::parse(&s("digest")).map_err(|e| e.to_string())?,
                    size: m.get("size").and_then(|x| x.as_u64()).unwrap_or(0),
                },
                features: m
                    .pointer("/platform/features")
                    .and_then(|f| f.as_array())
                    .into_iter()
                    .flatten()
                    .filter_map(|f| f.as_str().map(str::to_owned))
                    .collect(),
            });
        }
        if entries.is_empty() {
            return Err("it has no entries".into());
        }
        Ok(Self { entries })
    }
    pub fn is_index(b: &[u8]) -> bool {
        serde_json::from_slice::<serde_json::Value>(b).is_ok_and(|v| v.get("manifests").is_some())
    }
}
pub fn is_artifact_tag(_: &str) -> bool {
    false
}
