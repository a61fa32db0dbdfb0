//! Reading and writing text: JSON, headers, words fit for logs.

pub mod headers;
pub mod json;
pub mod words;
