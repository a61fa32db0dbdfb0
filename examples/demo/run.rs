//! `make run`: everything stays up until Ctrl-C, and envoy/metahub.yaml can be edited meanwhile.

use std::time::Duration;

use crate::stage::{LOGINS, Ports, Stage, reason_of_refusal};
use crate::support::Result;
use crate::support::bench::REPOSITORY;
use crate::support::envoy::{config_file, shipped};

/// How often we look for an edited file, a signal, and a process that has ended.
const INTERVAL: Duration = Duration::from_millis(200);

pub(crate) fn run() -> Result<()> {
    let mut stage = Stage::start(Ports::or(8080, 5000, 9901)?, true)?;
    // What is in force; the file may have been edited while everything started.
    let mut config = shipped("metahub.yaml")?;
    println!("{}", introduction(&stage.ports));

    while !stage.is_stopped() {
        stage.check()?;
        // An editor that renames leaves a moment without the file.
        if let Ok(edited) = shipped("metahub.yaml")
            && edited != config
        {
            println!("{}", reload(&stage, &edited)?);
            config = edited;
        }
        std::thread::sleep(INTERVAL);
    }
    println!("\nStopping.");
    Ok(())
}

/// Envoy watches a copy (ports and paths differ), which is replaced by a rename: so it does not matter how an editor
/// writes the file.
fn reload(stage: &Stage, edited: &str) -> Result<String> {
    let before = stage.envoy.log().len();
    let accepted = stage.envoy.reload(&config_file(edited, stage.ports.registry))?;
    Ok(if accepted {
        "envoy/metahub.yaml: accepted, in force from now on".to_owned()
    } else {
        format!("envoy/metahub.yaml: {}", reason_of_refusal(stage.envoy.log().get(before..).unwrap_or_default()))
    })
}

fn introduction(ports: &Ports) -> String {
    let Ports { clients, registry, admin } = ports;
    let image = format!("127.0.0.1:{clients}/{REPOSITORY}");
    let [(first, _), (second, _), (third, _)] = LOGINS;
    format!(
        "
MetaHub is ready on 127.0.0.1:{clients}, before a registry on 127.0.0.1:{registry}.

In another shell, log in as a machine type and run the image:

  docker login -u {first} -p {first} 127.0.0.1:{clients}
  docker run --rm --pull always {image}

Then as another machine type; the same name is now another image:

  docker login -u {second} -p {second} 127.0.0.1:{clients}
  docker run --rm --pull always {image}

There is also {third}. Without docker, see what is selected and why:

  curl -I -u {first}:{first} http://127.0.0.1:{clients}/v2/{REPOSITORY}/manifests/latest

Machine types and accounts are in envoy/metahub.yaml: edit and save it, and it is in force at once.
Envoy's admin page is http://127.0.0.1:{admin}. Its access log follows. Ctrl-C stops everything.
"
    )
}
