//! Reading and writing text: JSON, headers, text fit for logs.

pub mod field;
pub mod headers;
pub mod json;
pub mod printable;
