//! From the bytes that Envoy hands over to a [`Config`].

use super::configuration::Config;
use super::environment::Environment;
use super::error::ConfigError;
use super::{hash, source, validate, values};

impl Config {
    /// Reads a plugin configuration: JSON text (Envoy's `StringValue`) or a binary `google.protobuf.Struct`.
    /// `environment` answers for variables that it names.
    ///
    /// ```
    /// use metahub::config::Config;
    ///
    /// let no_environment = |_: &str| None;
    /// let text = br#"{
    ///     "machine_types": { "type1": { "features": ["cpu:skylake"] } },
    ///     "registries": { "registry": { "host": "registry.example", "authentication": "none", "anonymous": "type1" } }
    /// }"#;
    /// Config::parse(text, &no_environment)?;
    ///
    /// let error = Config::parse(br#"{ "machine_types": { "type1": { "cpu": "skylake" } } }"#, &no_environment);
    /// assert!(error.is_err_and(|error| error.to_string().starts_with("machine_types.type1")));
    /// # Ok::<(), metahub::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] with the path of the first field that is wrong.
    pub fn parse(bytes: &[u8], environment: Environment<'_>) -> Result<Self, ConfigError> {
        let document = source::read(bytes)?;
        let hash = hash::of(&document);
        validate::validate(values::read(document)?, hash, environment)
    }
}
