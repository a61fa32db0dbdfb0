//! `make run`: everything stays up until Ctrl-C, and envoy/metahub.yaml can be edited meanwhile.

use std::time::Duration;

use crate::stage::{Folder, LOGINS, Ports, Stage, reason_of_refusal};
use metahub_testkit::Result;
use metahub_testkit::bench::REPOSITORY;

/// How often we look for an edited file, a signal, and a process that has ended.
const INTERVAL: Duration = Duration::from_millis(200);

pub(crate) fn run() -> Result<()> {
    let folder = Folder::of_environment()?;
    let mut stage = Stage::start(Ports::or(8080, 5000, 9901)?, &folder, true)?;
    // The text that is in force; the file may have been edited while everything started.
    let mut text = folder.text()?;
    println!("{}", introduction(&stage.ports, &folder));

    while !stage.is_stopped() {
        stage.check()?;
        // While an editor renames its file there is none for a moment.
        if let Ok(edited) = folder.text()
            && edited != text
        {
            let outcome = match folder.read(&edited, &stage.ports) {
                Ok(config) => reload(&stage, &config.to_string())?,
                Err(failure) => format!("this is not YAML: {failure}"),
            };
            println!("envoy/{}: {outcome}", folder.file());
            text = edited;
        }
        std::thread::sleep(INTERVAL);
    }
    println!("\nStopping.");
    Ok(())
}

/// Envoy watches a copy (ports and paths differ), which is replaced by a rename, so it does not matter how an editor
/// writes the file.
fn reload(stage: &Stage, edited: &str) -> Result<String> {
    let before = stage.envoy.log().len();
    let accepted = stage.envoy.reload_text(edited)?;
    Ok(if accepted {
        "accepted, in force from now on".to_owned()
    } else {
        reason_of_refusal(stage.envoy.log().get(before..).unwrap_or_default())
    })
}

fn introduction(ports: &Ports, folder: &Folder) -> String {
    let Ports { clients, registry, admin } = ports;
    let what = match folder.has_demo_registry() {
        true => format!(", before a registry on 127.0.0.1:{registry}.{}", how_to_pull(*clients, folder.speaks_tls())),
        false => format!(" with the registries of envoy/{}, which also says how to log in.", folder.file()),
    };
    format!(
        "
MetaHub is ready on 127.0.0.1:{clients}{what}

Machine types and accounts are in envoy/{}: edit and save it, and it is in force at once.
Envoy's admin page is http://127.0.0.1:{admin}. Its access log follows. Ctrl-C stops everything.
",
        folder.file()
    )
}

fn how_to_pull(clients: u16, speaks_tls: bool) -> String {
    let image = format!("127.0.0.1:{clients}/{REPOSITORY}");
    let [(first, _), (second, _), (third, _)] = LOGINS;
    let curl = if speaks_tls { "curl --cacert certs/ca.crt" } else { "curl" };
    let scheme = if speaks_tls { "https" } else { "http" };
    format!(
        "

In another shell, log in as a machine type and run the image:

  docker login -u {first} -p {first} 127.0.0.1:{clients}
  docker run --rm --pull always {image}

Then as another machine type; the same name is now another image:

  docker login -u {second} -p {second} 127.0.0.1:{clients}
  docker run --rm --pull always {image}

There is also {third}. Without docker, see what is selected and why:

  {curl} -I -u {first}:{first} {scheme}://127.0.0.1:{clients}/v2/{REPOSITORY}/manifests/latest"
    )
}
