//! Configurations that come while clients pull: good ones, broken ones, huge ones.

use std::time::Duration;

use crate::stage::{CHANGING, Stage};
use metahub_testkit::envoy::replace;
use metahub_testkit::{Failure, Result, wait_for};

/// Machine types of a huge configuration.
const HUGE: usize = 2_000;
/// How soon Envoy has read a configuration, a huge one on a busy machine too.
const READ: Duration = Duration::from_secs(60);

/// Each kind in turn; the last good one is in force after it.
pub(crate) fn storm(round: usize, stage: &Stage) -> Result<()> {
    let good = stage.envoy.config();
    let broken = replace(&good, "machine_types:\n", "machine_typos:\n", 1);
    let types: String = (0..HUGE)
        .map(|number| format!("            soak{round}-{number}: {{ features: [\"cpu:skylake\", \"k:{number}\"] }}\n"))
        .collect();
    let huge = replace(&good, "machine_types:\n", &format!("machine_types:\n{types}"), 1);
    let other = replace(&good, "type1: { features: [\"cpu:broadwell\"] }", "type1: { features: [\"cpu:skylake\"] }", 1);
    reload(stage, &huge, true)?;
    stage.pull(CHANGING, "latest")?;
    reload(stage, &broken, false)?;
    stage.pull(1, "latest")?;
    reload(stage, "no YAML: [", false)?;
    reload(stage, &other, true)?;
    // The same login is another machine now.
    if stage.pull(CHANGING, "latest").is_ok() {
        return Err(Failure::new("a changed machine type is not in force"));
    }
    reload(stage, &good, true)?;
    stage.pull(CHANGING, "latest")
}

fn reload(stage: &Stage, text: &str, accepted: bool) -> Result<()> {
    let before = stage.envoy.updates()?;
    stage.envoy.replace_config(text)?;
    let now = wait_for("Envoy to read a configuration", READ, || {
        let now = stage.envoy.updates().ok()?;
        (now != before).then_some(now)
    })?;
    if (now.accepted > before.accepted) == accepted {
        return Ok(());
    }
    Err(Failure::new(format!("a configuration that should be accepted, {accepted}, was not: {now:?}")))
}
