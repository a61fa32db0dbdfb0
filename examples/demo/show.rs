//! `make demo`: one name, pulled as each machine type, and a table of what came.

use crate::client::{Client, Pulled};
use crate::stage::{Folder, LOGINS, Ports, Stage};
use metahub_testkit::bench::{FEATURES, REPOSITORY, line};
use metahub_testkit::{Failure, Result, port};

pub(crate) fn show() -> Result<()> {
    let client = Client::find()?;
    // Free ports: the demo may be shown while `make run` holds the usual ones.
    let ports = Ports::or(port::free(), port::free(), port::free())?;
    let mut stage = Stage::start(ports, &Folder::default(), false)?;
    let server = format!("127.0.0.1:{}", stage.ports.clients);

    println!("\n{server}/{REPOSITORY}:latest, pulled with {}:\n", client.name());
    row(["login", "selected image", "its features", "its container prints"]);
    let mut wrong = Vec::new();
    for (login, features) in LOGINS {
        stage.check()?;
        if stage.is_stopped() {
            return Err(Failure::new("stopped"));
        }
        let Pulled { digest, printed } = client.pull(login, &server, REPOSITORY)?;
        let got = FEATURES.iter().find(|features| stage.bench.digest(features) == digest);
        let shown = match got {
            Some([]) => "none".to_owned(),
            Some(features) => features.join(", "),
            None => "not an entry of the list".to_owned(),
        };
        row([login, digest.get(..19).unwrap_or(&digest), &shown, &printed]);
        if digest != stage.bench.digest(features) || printed != line(features) {
            wrong.push(format!("{login} must get {} and see {:?}", stage.bench.digest(features), line(features)));
        }
    }
    println!();
    if wrong.is_empty() { Ok(()) } else { Err(Failure::new(wrong.join("\n"))) }
}

fn row(cells: [&str; 4]) {
    let [login, digest, features, printed] = cells;
    println!("  {login:<12}{digest:<21}{features:<26}{printed}");
}
