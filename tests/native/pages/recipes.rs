//! The pages' recipes that need no more than a shell or the core, run as they stand there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use metahub_testkit::temp::TempDir;
use serde_json::json;

use super::blocks::{configurations_of, run_by};
use crate::native::driver::{basic, parse};
use crate::native::flow_access::demo;
use crate::native::flow_sources::{Client, claim};

/// A folder with the template that the page shows, and what is in force: the file of six hours ago.
const TEMPLATE: &str = r#"credentials: { username: AWS, password: "@ECR_PASSWORD@" }
accounts: { node: { password: "$2y$05$hash" } }
"#;
const BEFORE: &str = "credentials: { username: AWS, password: earlier }\n";

/// Runs the page's script with an `aws` that does this, and says whether it succeeded and what is in force after it.
fn renew(aws: &str) -> (bool, String) {
    let blocks = run_by("native::pages::recipes::the_password_of_ecr_is_renewed");
    let [script] = blocks.as_slice() else { panic!("{} blocks say that they run here", blocks.len()) };
    let folder = TempDir::new("recipes").unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("metahub.yaml.template", TEMPLATE);
    write("metahub.yaml", BEFORE);
    write("aws", &format!("#!/bin/sh\n{aws}\n"));
    fs::set_permissions(folder.path().join("aws"), fs::Permissions::from_mode(0o755)).unwrap();
    let here = folder.path().display().to_string();
    let text = script.text.replace("/opt/metahub/envoy/private-registry", &here);
    assert!(text.contains(&here), "{}: the folder is not the one of the page's example", script.place);
    let path = format!("{here}:{}", std::env::var("PATH").unwrap());
    let status = Command::new("sh").args(["-c", &text]).env("PATH", path).status().unwrap();
    (status.success(), read(&folder.path().join("metahub.yaml")))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// ECR's passwords are Base64.
#[test]
fn the_password_of_ecr_is_renewed() {
    let asked = r#"[ "$*" = "ecr get-login-password --region eu-central-1" ] || exit 1"#;
    let renewed = renew(&format!("{asked}\necho eyJw+/Yg=="));
    assert_eq!(renewed, (true, TEMPLATE.replace("@ECR_PASSWORD@", "eyJw+/Yg==")));
    assert_eq!(renew("exit 255"), (false, BEFORE.to_owned()));
}

/// The accounts of the page's teams name no machine type. The page's request gets the image of what its header says.
#[test]
fn one_secret_serves_nodes_of_all_kinds() {
    let blocks = run_by("native::pages::recipes::one_secret_serves_nodes_of_all_kinds");
    let [request] = blocks.as_slice() else { panic!("{} blocks say that they run here", blocks.len()) };
    let path = request.text.split_once("https://metahub.example").expect("its URL").1.trim();
    let (_, login) = request.text.split_once("-u ").expect("its login");
    let (user, password) = login.split_once(' ').unwrap().0.split_once(':').unwrap();
    assert!(request.text.contains("-H 'X-MetaHub-Machine-Type: gpu1'"), "{}", request.place);

    let of_teams = |document: &serde_json::Value| document["accounts"][user].is_object();
    let mut document = configurations_of("docs/accounts.md").into_iter().find(of_teams).expect("the teams' accounts");
    document["machine_types"]["type2"] = json!({ "features": ["cpu:skylake"] });
    let config = parse(&document);
    let pull =
        |user: &str, node: &[&[u8]]| claim(&Client::new(&basic(user, password)).node(node).get(&config, path, &demo()));
    assert_eq!(pull(user, &[b"gpu1"]), "gpu1/header");
    assert_eq!(pull(user, &[b"type2"]), "type2/header");
    assert_eq!(pull(user, &[]), "403", "nothing says the machine type");
    assert_eq!(pull("team-blue", &[b"gpu1"]), "403", "it is another team's repository");
}
