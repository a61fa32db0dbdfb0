//! Authentication of clients at MetaHub, and of MetaHub at registries: credentials, accounts, passwords, tokens.

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
