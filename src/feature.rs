//! stub
#![allow(missing_docs)]
use crate::machine_type::FieldError;
use std::collections::BTreeMap;
#[derive(Default)]
pub struct FeatureRules;
impl FeatureRules {
    pub fn new(_: &BTreeMap<String, String>) -> Result<Self, FieldError> {
        Ok(Self)
    }
}
