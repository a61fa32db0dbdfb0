//! Reading and writing text: JSON, headers, words fit for logs.

pub mod field;
pub mod headers;
pub mod json;
pub mod words;
