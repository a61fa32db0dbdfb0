//! Variables of Envoy's environment.

/// Looks up a variable of Envoy's environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The message about a variable that Envoy's environment lacks.
pub(super) fn unset(variable: &str) -> String {
    format!(
        "the environment variable {variable} is not set; start Envoy with it and list it in \
         vm_config.environment_variables.host_env_keys"
    )
}
