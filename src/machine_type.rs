//! stub
#![allow(missing_docs)]
use crate::feature::FeatureRules;
#[derive(Default)]
pub struct Description {
    pub os: Option<String>,
    pub os_version: Option<String>,
    pub architecture: Option<String>,
    pub variant: Option<String>,
    pub features: Vec<String>,
    pub prefer: Vec<String>,
}
#[derive(Debug)]
pub struct FieldError {
    pub field: String,
    pub message: String,
}
#[derive(Debug)]
pub struct MachineType {
    name: String,
    pub features: Vec<String>,
}
impl MachineType {
    pub fn new(name: &str, d: &Description, _: &FeatureRules) -> Result<Self, FieldError> {
        Ok(Self { name: name.into(), features: d.features.clone() })
    }
    pub fn name(&self) -> &str {
        &self.name
    }
    pub fn warnings(&self) -> &[String] {
        &[]
    }
}
