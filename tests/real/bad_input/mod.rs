//! Bad input, from clients and from upstream: a registry's error, one line for the operator, and the next request
//! works. Never a generic image by accident, never a dead VM.

mod connection;
mod documents;
mod refusals;
mod requests;
mod rows;
