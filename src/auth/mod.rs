//! Who asks, and as what the registry is asked: credentials, accounts, passwords, tokens.

pub mod access;
pub mod account;
pub mod credentials;
pub mod jwt;
pub mod password;
pub mod pattern;
pub mod realm;
pub mod registry_token;
pub mod secret;
pub mod ticket;
