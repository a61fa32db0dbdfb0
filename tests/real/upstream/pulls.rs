//! Container clients in front of registries that know their users.

use std::sync::Mutex;
use std::time::Duration;

use super::{MACHINES, REPOSITORY, Stage, TALL, password};
use crate::real::clients::reason_to_skip;
use crate::support::client::containerd::{Containerd, Credentials};
use crate::support::client::docker::Docker;
use crate::support::client::podman::Podman;
use crate::support::client::skopeo::Skopeo;
use crate::support::client::{Client, Login};
use crate::support::token_service::Mood;
use crate::support::{Failure, Result};

/// The daemons start one after the other; they would only be in each other's way.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn docker() {
    exercise("docker", &Docker::PROGRAMS, Docker::start);
}

#[test]
fn containerd() {
    exercise("containerd", &Containerd::PROGRAMS, || Containerd::start(Credentials::Option));
}

#[test]
fn containerd_with_hosts_toml() {
    exercise("hosts.toml", &Containerd::PROGRAMS, || Containerd::start(Credentials::HostsToml));
}

#[test]
fn podman() {
    exercise("podman", &Podman::PROGRAMS, Podman::new);
}

#[test]
fn skopeo() {
    exercise("skopeo", &Skopeo::PROGRAMS, Skopeo::new);
}

fn exercise<C: Client>(name: &str, programs: &[&str], start: impl FnOnce() -> Result<C>) {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(reason) = reason_to_skip(programs, true) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{name}: {reason}, and with CI=true none may be skipped");
        return eprintln!("{name}: skipped: {reason}");
    }
    let mut client = start().unwrap();
    for stage in [Stage::with_passwords("authentication: upstream"), Stage::with_tokens("authentication: upstream")] {
        let kind = if stage.tokens.is_some() { "tokens" } else { "passwords" };
        wrong_password(&mut client, &stage).unwrap_or_else(|error| panic!("{name}, {kind}, wrong password: {error}"));
        pulls(&mut client, &stage).unwrap_or_else(|error| panic!("{name}, {kind}: {error}"));
        if stage.tokens.is_some() {
            ended(&mut client, &stage).unwrap_or_else(|error| panic!("{name}, token that ended: {error}"));
        }
        stage.assert_discreet(&["hunter2-wrong"]);
    }
}

fn wrong_password(client: &mut dyn Client, stage: &Stage) -> Result<()> {
    let logged_in = client.log_in(&stage.front(), &Login::new("alice-type1", "hunter2-wrong"));
    let outcome = match (client.logs_in(), logged_in) {
        (true, outcome) => outcome,
        (false, _) => client.pull(&format!("{}/{REPOSITORY}:latest", stage.front())).map(drop),
    };
    let error = outcome.err().ok_or_else(|| Failure::new("it succeeded"))?.to_string();
    if client.refused().iter().any(|word| error.contains(word)) { Ok(()) } else { Err(Failure::new(error)) }
}

fn pulls(client: &mut dyn Client, stage: &Stage) -> Result<()> {
    for (machine, features) in MACHINES {
        client.log_in(&stage.front(), &Login::new(&format!("alice-{machine}"), password("alice")))?;
        expect(client, stage, features)?;
    }
    if stage.tokens.is_some() {
        drop(stage.exchanges());
        let reference = format!("{}/{TALL}:latest", stage.front());
        client.pull(&reference)?;
        let exchanges = stage.exchanges();
        let once = exchanges == [format!("repository:{TALL}:pull")];
        return if once { Ok(()) } else { Err(Failure::new(format!("exchanges for ten layers: {exchanges:?}"))) };
    }
    Ok(())
}

/// The registry refuses the token that MetaHub keeps: the client is sent round, and notices nothing.
fn ended(client: &mut dyn Client, stage: &Stage) -> Result<()> {
    let login = Login::new("bob-type2", password("bob"));
    stage.tokens().set(Mood::Brief);
    for path in ["/v2/".to_owned(), super::manifest(REPOSITORY)] {
        let answer = stage.ask("GET", &path, &login.user, &login.password);
        if answer.status != 200 {
            return Err(Failure::new(format!("{path}: {}", answer.status)));
        }
    }
    std::thread::sleep(Duration::from_secs(5));
    stage.tokens().set(Mood::Issue(300));
    let before = stage.envoy.stat("", "metahub_token_refused")?;
    client.log_in(&stage.front(), &login)?;
    expect(client, stage, &["cpu:skylake"])?;
    let sent_round = stage.envoy.stat("", "metahub_token_refused")? - before;
    if sent_round > 0 { Ok(()) } else { Err(Failure::new("nobody was sent round")) }
}

fn expect(client: &mut dyn Client, stage: &Stage, features: &[&str]) -> Result<()> {
    let pulled = client.pull(&format!("{}/{REPOSITORY}:latest", stage.front()))?;
    let expected = stage.bench.digest(features);
    if pulled.digest == expected { Ok(()) } else { Err(Failure::new(format!("{pulled:?}, expected {expected}"))) }
}
