//! A program on the node that says the login, for docker and for podman: it knows what the node is.

use metahub_testkit::client::Client;
use metahub_testkit::client::docker::Docker;
use metahub_testkit::client::podman::Podman;
use metahub_testkit::sandbox::Sandbox;
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::stage::stage;

/// The login is the word in the file `login`; the password of each is its name. The program notes its verbs.
const HELPER: &str = r#"
echo "$1" >> "$HOME/verbs"
read -r registry
login=$(cat "$HOME/login")
printf '{"ServerURL":"%s","Username":"%s","Secret":"%s"}' "$registry" "$login" "$login""#;

/// Pulls in turns with the logins of two machine types, which no file of the client has.
fn exercise<C: Client>(
    name: &str,
    programs: &[&str],
    start: impl FnOnce() -> C,
    configure: impl FnOnce(&Sandbox, &str),
) {
    if reason_to_skip(name, programs, true).unwrap().is_some() {
        return;
    }
    let (stage, mut client) = (stage().start().unwrap(), start());
    let sandbox = client.sandbox().unwrap();
    let directory = sandbox.directory().to_owned();
    sandbox.add_program("docker-credential-metahub", HELPER).unwrap();
    configure(sandbox, &stage.front());
    for (login, features) in
        [("qnib-type1", "cpu:broadwell"), ("qnib-type2", "cpu:skylake"), ("qnib-type1", "cpu:broadwell")]
    {
        std::fs::write(directory.join("login"), login).unwrap();
        assert_eq!(client.fetch(&stage.tag()).unwrap(), stage.bench.digest(&[features]), "{login}");
    }
    let verbs = std::fs::read_to_string(directory.join("verbs")).unwrap();
    assert!(verbs.lines().count() >= 3 && verbs.lines().all(|verb| verb == "get"), "{verbs}");
}

#[test]
fn docker() {
    exercise(
        "docker",
        &Docker::PROGRAMS,
        || Docker::start().unwrap(),
        |sandbox, _| {
            let directory = sandbox.directory().join("docker-config");
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join("config.json"), r#"{ "credsStore": "metahub" }"#).unwrap();
        },
    );
}

#[test]
fn podman() {
    exercise(
        "podman",
        &Podman::PROGRAMS,
        || Podman::new().unwrap(),
        |sandbox, front| {
            let text = format!(r#"{{ "credHelpers": {{ "{front}": "metahub" }} }}"#);
            std::fs::write(sandbox.directory().join("auth.json"), text).unwrap();
        },
    );
}
