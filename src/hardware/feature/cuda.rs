//! CUDA toolkits and the drivers that they need (NVIDIA's release notes of CUDA 13.1, Linux).

use super::Version;

/// Toolkits, newest first, each with the least driver that runs it.
const LEAST_DRIVERS: [(&str, &str); 12] = [
    ("13.1", "590.44.01"),
    ("13.0", "580.65.06"),
    ("12.9", "575.51.03"),
    ("12.8", "570.26"),
    ("12.6", "560.28.03"),
    ("12.5", "555.42.02"),
    ("12.4", "550.54.14"),
    ("12.3", "545.23.06"),
    ("12.2", "535.54.03"),
    ("12.1", "530.30.02"),
    ("12.0", "525.60.13"),
    ("11.8", "520.61.05"),
];

/// The newest toolkit that a driver runs; `None` for drivers before the first of these.
pub(crate) fn toolkit_of_driver(driver: Version) -> Option<Version> {
    let runs = |least: &str| Version::parse(least).is_some_and(|least| driver >= least);
    LEAST_DRIVERS.iter().find(|(_, least)| runs(least)).and_then(|(toolkit, _)| Version::parse(toolkit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_can_be_read_and_newer_drivers_run_newer_toolkits() {
        let lines: Vec<(Version, Version)> = LEAST_DRIVERS
            .iter()
            .map(|(toolkit, least)| (Version::parse(toolkit).unwrap(), Version::parse(least).unwrap()))
            .collect();
        assert!(lines.is_sorted_by(|newer, older| newer.0 > older.0 && newer.1 > older.1));
        for (toolkit, least) in lines {
            assert_eq!(toolkit_of_driver(least), Some(toolkit));
        }
    }

    #[test]
    fn a_driver_between_two_runs_the_older() {
        let toolkit = |driver: &str| toolkit_of_driver(Version::parse(driver).unwrap()).map(|found| found.to_string());
        assert_eq!(toolkit("550.54.14").as_deref(), Some("12.4"));
        assert_eq!(toolkit("550.54").as_deref(), Some("12.3"));
        assert_eq!(toolkit("999").as_deref(), Some("13.1"));
        assert_eq!(toolkit("470.82"), None);
    }
}
