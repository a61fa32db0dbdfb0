//! Tests with real processes. They are skipped by `make check`, which must need nothing installed.

/// Lets a test's own stage, with the field `base`, be used as the one that it stands on.
macro_rules! stands_on_base {
    ($stage:ty) => {
        impl std::ops::Deref for $stage {
            type Target = metahub_testkit::stage::Stage;

            fn deref(&self) -> &Self::Target {
                &self.base
            }
        }
    };
}

mod anonymous;
mod bad_input;
mod cache;
mod carriers;
mod clients;
mod configurations;
mod crash;
mod credential_helper;
mod described_flood;
mod disconnects;
mod docker_hub;
mod envoys_own_errors;
mod events;
mod faults;
mod fleet;
mod front_ends;
mod guessing;
mod harness;
mod header_lists;
mod herd;
mod hosts;
mod hosts_toml;
mod images;
mod kept_connections;
mod listener_of_the_page;
mod logins;
mod machine_paths;
mod machine_type_sources;
mod observe;
mod overflow;
mod pages;
mod prefix;
mod protocol;
mod publishing;
mod registries_conf;
mod registry_headers;
mod reload;
mod reload_storm;
mod request_bodies;
mod selection_sample;
mod several_registries;
mod slow_readers;
mod systemd_unit;
mod tls;
mod token_forms;
mod transfers;
mod upstream;
mod whole_indexes;
