//! The cases that every client goes through. Expected digests come from the builder of the images, never from MetaHub.

use super::stage::{MACHINES, login, unfiltered};
use metahub_testkit::bench::line;
use metahub_testkit::client::{Client, Login, Pulled};
use metahub_testkit::stage::Stage;
use metahub_testkit::{Failure, Result};

/// One row of the table.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) check: fn(&mut dyn Client, &Stage) -> Result<()>,
}

/// In the order in which they run: the first needs a client that has never logged in.
pub(crate) const CASES: [Case; 10] = [
    Case { name: "no login", check: without_login },
    Case { name: "type1", check: |client, stage| by_tag(client, stage, 0) },
    Case { name: "type2", check: |client, stage| by_tag(client, stage, 1) },
    Case { name: "type3", check: |client, stage| by_tag(client, stage, 2) },
    Case { name: "digest", check: by_digest },
    Case { name: "direct", check: directly },
    Case { name: "password", check: wrong_password },
    Case { name: "account", check: unknown_account },
    Case { name: "no match", check: no_match },
    Case { name: "unfiltered", check: all_entries },
];

fn without_login(client: &mut dyn Client, stage: &Stage) -> Result<()> {
    refused(client.pull(&stage.tag()), client.refused())
}

/// A login and a pull by tag give the machine's own image.
fn by_tag(client: &mut dyn Client, stage: &Stage, machine: usize) -> Result<()> {
    let (name, features) = MACHINES[machine];
    client.log_in(&stage.front(), &login(name))?;
    expect(&client.pull(&stage.tag())?, stage, features)
}

/// A digest that one machine type got is every machine type's: nothing is selected, and nothing refused.
fn by_digest(client: &mut dyn Client, stage: &Stage) -> Result<()> {
    for (name, features) in MACHINES {
        client.log_in(&stage.front(), &login("type1"))?;
        let reference = stage.by_digest(&stage.bench.digest(features));
        expect(&client.pull(&reference)?, stage, features).map_err(|error| Failure::new(format!("{name}: {error}")))?;
    }
    Ok(())
}

/// The registry knows that digest too: MetaHub did not make up the manifest.
fn directly(client: &mut dyn Client, stage: &Stage) -> Result<()> {
    for (_, features) in MACHINES {
        expect(&client.pull(&stage.directly(&stage.bench.digest(features)))?, stage, features)?;
    }
    Ok(())
}

fn wrong_password(client: &mut dyn Client, stage: &Stage) -> Result<()> {
    refuses_login(client, stage, &Login::new("qnib-type1", "qnib-type2"))
}

/// A machine type that does not exist makes a login that does not exist.
fn unknown_account(client: &mut dyn Client, stage: &Stage) -> Result<()> {
    refuses_login(client, stage, &Login::new("qnib-type9", "qnib-type9"))
}

/// No image is better than a wrong one, and the answer says why.
fn no_match(client: &mut dyn Client, stage: &Stage) -> Result<()> {
    client.log_in(&stage.front(), &login("arm1"))?;
    let error = failure(client.pull(&stage.tag()))?;
    let words: &[&str] = match client.shows_messages() {
        true => &["qnib/bench:latest", "arm1", "linux/amd64", "cpu:skylake", "nvcap:5.2"],
        false => &["not found"],
    };
    match words.iter().find(|word| !error.contains(**word)) {
        None => Ok(()),
        Some(word) => Err(Failure::new(format!("the error does not say {word:?}: {error}"))),
    }
}

/// The login without a machine type gets the index itself; a runtime then takes the first entry for its platform.
fn all_entries(client: &mut dyn Client, stage: &Stage) -> Result<()> {
    client.log_in(&stage.front(), &unfiltered())?;
    let pulled = client.pull(&stage.tag())?;
    same("digest", &pulled.digest, &stage.bench.list.digest())?;
    pulled.printed.map_or(Ok(()), |printed| same("output", &printed, &line(&[])))
}

/// Clients with a login command must fail there, the others at the pull.
fn refuses_login(client: &mut dyn Client, stage: &Stage, login: &Login) -> Result<()> {
    let outcome = match (client.log_in(&stage.front(), login), client.logs_in()) {
        (Ok(()), true) => return Err(Failure::new("the login succeeded")),
        (Err(error), true) => Err(error),
        (_, false) => client.pull(&stage.tag()),
    };
    refused(outcome, client.refused())
}

fn expect(pulled: &Pulled, stage: &Stage, features: &[&str]) -> Result<()> {
    same("digest", &pulled.digest, &stage.bench.digest(features))?;
    pulled.printed.as_ref().map_or(Ok(()), |printed| same("output", printed, &line(features)))
}

fn same(what: &str, actual: &str, expected: &str) -> Result<()> {
    if actual == expected { Ok(()) } else { Err(Failure::new(format!("{what} {actual}, expected {expected}"))) }
}

fn refused(outcome: Result<Pulled>, words: &[&str]) -> Result<()> {
    let error = failure(outcome)?;
    if words.iter().any(|word| error.contains(word)) {
        return Ok(());
    }
    Err(Failure::new(format!("the error has none of {words:?}: {error}")))
}

fn failure(outcome: Result<Pulled>) -> Result<String> {
    match outcome {
        Ok(pulled) => Err(Failure::new(format!("the pull succeeded: {pulled:?}"))),
        Err(error) => Ok(error.to_string()),
    }
}
