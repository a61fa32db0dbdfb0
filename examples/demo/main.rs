//! `make run` and `make demo`: a registry with one name and four images, and Envoy with MetaHub before it.
//!
//! It stands on the support for tests, so what an operator tries is what the tests prove.

mod client;
mod run;
mod show;
mod stage;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["run"] => run::run(),
        ["show"] => show::show(),
        _ => Err(metahub_testkit::Failure::new("usage: demo run | demo show (better: make run, make demo)")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\n{failure}");
            ExitCode::FAILURE
        }
    }
}
