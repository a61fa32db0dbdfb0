//! Configurations that come while clients pull: good ones, broken ones, huge ones.

use std::time::Duration;

use serde_json::json;

use crate::stage::{CHANGING, Stage};
use metahub_testkit::config::Edit as _;
use metahub_testkit::{Failure, Result, wait_for};

/// Machine types of a huge configuration.
const HUGE: usize = 2_000;
/// How soon Envoy has read a configuration, a huge one on a busy machine too.
const READ: Duration = Duration::from_secs(60);

/// Each kind in turn; the last good one is in force after it.
pub(crate) fn storm(round: usize, stage: &Stage) -> Result<()> {
    let good = stage.envoy.config();
    let broken = good.changed(|config| config.rename("machine_types", "machine_typos"));
    let huge = good.changed(|config| {
        for number in 0..HUGE {
            let features = json!(["cpu:skylake", format!("k:{number}")]);
            config.add(&format!("machine_types.soak{round}-{number}"), json!({ "features": features }));
        }
    });
    let other = good.changed(|config| config.set("machine_types.type1.features.0", "cpu:skylake"));
    let [good, broken, huge, other] = [good, broken, huge, other].map(|config| stage.envoy.text_with(&config));
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
    stage.envoy.replace_text(text)?;
    let now = wait_for("Envoy to read a configuration", READ, || {
        let now = stage.envoy.updates().ok()?;
        (now != before).then_some(now)
    })?;
    if (now.accepted > before.accepted) == accepted {
        return Ok(());
    }
    Err(Failure::new(format!("a configuration that should be accepted, {accepted}, was not: {now:?}")))
}
