//! Places that say a machine type beside the login: what Envoy makes of host names and addresses before MetaHub sees
//! them. Passwords play no part here, so nobody checks them.

mod addresses;
mod forwarded;
mod hosts;

use serde_json::Value;

use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::config::{self, Edit as _};
use metahub_testkit::http::{Request, Response};
use metahub_testkit::stage::{Builder, stage};

/// A stage whose clients may log in as anybody, with this `machine_type_from`.
fn stage_with(from: Value) -> Builder {
    stage().config(|config| {
        config.set("registries.registry.authentication", "none");
        config.remove("accounts");
        config.add("machine_type_from", from);
    })
}

/// A request for a tag by a login that names no machine type.
fn manifest() -> Request {
    manifest_as("app")
}

fn manifest_as(user: &str) -> Request {
    Request::get(&format!("/v2/{REPOSITORY}/manifests/latest")).login(user, "any")
}

/// The machine type whose image the answer is, and the place that said it; else its status.
#[track_caller]
fn got(bench: &Bench, answer: &Response) -> String {
    if answer.status != 200 {
        return answer.status.to_string();
    }
    let [machine_type, source] =
        ["x-metahub-machine-type", "x-metahub-machine-type-source"].map(|name| answer.header(name).unwrap_or("-"));
    let features: &[&str] = match machine_type {
        "type1" => &["cpu:broadwell"],
        "type2" => &["cpu:skylake"],
        "type3" => &["cpu:broadwell", "nvcap:5.2"],
        other => panic!("an answer for the machine type {other:?}"),
    };
    assert_eq!(answer.body, bench.image(features).manifest.bytes, "another machine's image for {machine_type}");
    format!("{machine_type} {source}")
}

/// The block of docs/accounts.md that begins with this line, for Envoy's configuration.
fn of_the_page(first: &str) -> Value {
    let page = include_str!("../../../docs/accounts.md");
    let (_, rest) = page.split_once(&format!("```yaml\n{first}\n")).expect("the block in docs/accounts.md");
    let (block, _) = rest.split_once("```").expect("its end");
    config::parse(&format!("{first}\n{block}")).unwrap()
}
