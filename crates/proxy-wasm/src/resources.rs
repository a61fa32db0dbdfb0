//! Envoy's shared data as the store that all workers share, its clock, and the VM's randomness.

use std::time::UNIX_EPOCH;

use proxy_wasm::hostcalls;

use metahub::store::resources::{Clock, Random, Store};

/// Shared by all workers; survives reloads and VM restarts.
pub(crate) struct SharedData;

impl Store for SharedData {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        hostcalls::get_shared_data(key).ok()?.0
    }

    fn set(&self, key: &str, value: &[u8]) {
        // Without a compare-and-swap number the last writer wins; every worker writes the same value.
        let _ = hostcalls::set_shared_data(key, Some(value), None);
    }

    fn set_once(&self, key: &str, value: &[u8]) -> Option<Vec<u8>> {
        // Two workers that start at the same instant may both write. The later one's value stays, and both find it
        // at their next look.
        self.get(key).or_else(|| {
            self.set(key, value);
            self.get(key)
        })
    }

    fn get_versioned(&self, key: &str) -> Option<(Vec<u8>, Option<u32>)> {
        let (value, version) = hostcalls::get_shared_data(key).ok()?;
        Some((value?, version))
    }

    fn set_if_unchanged(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        hostcalls::set_shared_data(key, Some(value), version).is_ok()
    }
}

impl Clock for SharedData {
    fn now(&self) -> u64 {
        let now = hostcalls::get_current_time().ok();
        now.and_then(|now| now.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs())
    }
}

impl Random for SharedData {
    fn random(&self) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).ok()?;
        Some(bytes)
    }
}
