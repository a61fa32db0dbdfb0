//! The one form of machines that offer the same: their keys in one order, and their description in one spelling.

use super::super::{Key, MachineType};
use crate::hardware::feature::{Rule, toolkit_of_driver};
use std::sync::OnceLock;

impl MachineType {
    /// The same machine with its keys in one order, `cpu` first and the others by name, with its values in one order,
    /// and without preferences.
    #[must_use]
    pub(crate) fn in_canonical_order(mut self) -> Self {
        self.order = vec![Key::Cpu];
        for (position, offer) in self.offers.iter_mut().enumerate() {
            offer.values.sort();
            offer.place = position + 1;
            self.order.push(Key::Offered(position));
        }
        self.prefer.clear();
        self.cpu_place = 0;
        self.fingerprint = OnceLock::new();
        self
    }

    /// The description of a machine in canonical order: `cpu` (or `architecture`, if no microarchitecture is known) and
    /// then everything that does not follow, sorted. A header and a login take it.
    pub(crate) fn canonical_text(&self) -> String {
        let (level, mut parts) = self.cpus.described();
        let mut others: Vec<String> = self.features().into_iter().filter(|word| !word.starts_with("cpu:")).collect();
        if self.toolkit_follows() {
            others.retain(|word| !word.starts_with("cuda:"));
        }
        if parts.is_empty() {
            parts.push(["architecture:", &self.architecture].concat());
        }
        let os = Some(&*self.os).filter(|os| *os != "linux");
        for (key, value) in [("os", os), ("os_version", self.os_version()), ("variant", level)] {
            others.extend(value.map(|value| [key, ":", value].concat()));
        }
        others.sort_unstable();
        parts.extend(others);
        parts.join(",").replace(':', "=")
    }

    /// Whether the toolkits that the machine offers are those of its drivers, so that naming them says nothing more.
    fn toolkit_follows(&self) -> bool {
        let (Some(driver), Some(cuda)) = (self.offer("driver"), self.offer("cuda")) else { return false };
        let by_version = |rule: Rule| rule == Rule::AtLeast;
        let of_drivers = || driver.values.versions().filter_map(toolkit_of_driver);
        by_version(driver.values.rule())
            && by_version(cuda.values.rule())
            && cuda.values.versions().all(|own| of_drivers().any(|toolkit| toolkit == own))
            && of_drivers().all(|toolkit| cuda.values.versions().any(|own| own == toolkit))
    }
}
