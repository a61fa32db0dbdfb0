//! `docs/publishing.md`: its commands make lists from which each machine type gets its own image, and its table says
//! what tools keep of features.

use metahub::oci::media_type;
use serde_json::{Value, json};

use super::pages::assert_prints_what_it_shows;
use crate::native::pages::blocks::run_by;
use metahub_testkit::client::podman::Podman;
use metahub_testkit::client::skopeo::Skopeo;
use metahub_testkit::command::run;
use metahub_testkit::elf::Architecture;
use metahub_testkit::http::Request;
use metahub_testkit::image::{Document, Format, Image, index};
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::stage::{Stage, stage};

/// The repository that the page publishes.
const REPOSITORY: &str = "qnib/solver";

/// Its images: the tag of each, and the machine types of the shipped configuration that get it.
const IMAGES: [(&str, &[&str]); 4] =
    [("generic", &["type1"]), ("skylake", &["type2"]), ("gpu", &["type3"]), ("a100", &[])];

/// The features that the table's rows are tried with.
const FEATURES: [&str; 2] = ["cpu:skylake", "nvcap:8.0|9.0+ptx"];
/// The columns of the table: where a list has features.
const PLACES: [&str; 3] = ["features", "os.features", "annotation"];
/// The last cell of the rows that are tried here, where the row's version of the tool is installed.
const TRIED_HERE: &str = "the tests";

fn image(tag: &str) -> Image {
    Image::printing(Format::Docker, Architecture::Amd64, tag)
}

fn programs(program: &'static str) -> Vec<&'static str> {
    [&Podman::PROGRAMS[..], &Skopeo::PROGRAMS, &["curl", "jq", program]].concat()
}

/// MetaHub before a registry in which the page's images are, and a shell to publish from.
struct Publisher {
    base: Stage,
    podman: Podman,
}

stands_on_base!(Publisher);

impl Publisher {
    /// `None` where these programs are missing.
    fn set(what: &str, program: &'static str) -> Option<Self> {
        if reason_to_skip(what, &programs(program), true).unwrap().is_some() {
            return None;
        }
        let base = stage().start().unwrap();
        for (tag, _) in IMAGES {
            base.registry().push_image(REPOSITORY, &image(tag)).unwrap();
            base.registry().push_manifest(REPOSITORY, tag, &image(tag).manifest).unwrap();
        }
        Some(Self { base, podman: Podman::new().unwrap() })
    }

    /// The output of the commands, with the addresses that the page shows.
    fn shell(&self, commands: &str) -> String {
        let registry = format!("127.0.0.1:{}", self.registry().port());
        let commands = commands.replace("127.0.0.1:5000", &registry).replace("127.0.0.1:8080", &self.front());
        run(&mut self.podman.shell(&commands)).unwrap()
    }

    /// Every machine type gets its image of this repository, and nothing else.
    fn assert_pulls(&self, repository: &str, place: &str) {
        for (tag, machine_types) in IMAGES {
            for machine_type in machine_types {
                let login = format!("qnib-{machine_type}");
                let request = Request::get(&format!("/v2/{repository}/manifests/latest")).login(&login, &login);
                let answer = self.send(&request);
                assert_eq!(answer.status, 200, "{place}: {machine_type}: {}", answer.text());
                assert_eq!(
                    Document::new("", answer.body).digest(),
                    image(tag).manifest.digest(),
                    "{place}: {machine_type}"
                );
            }
        }
    }
}

/// Runs the blocks that name this test, each on its own, and pulls.
fn publish(test: &str, program: &'static str) {
    let Some(publisher) = Publisher::set(test, program) else { return };
    let blocks = run_by(&format!("real::publishing::{test}"));
    assert!(!blocks.is_empty(), "no block says that {test} runs it");
    // A list that a block leaves as it is must not pass for one that it made.
    let generic = image("generic").manifest.entry(&json!({ "architecture": "amd64", "os": "linux" }));
    let before = index(Format::Docker, &[generic]);
    for block in blocks {
        publisher.registry().push_manifest(REPOSITORY, "latest", &before).unwrap();
        publisher.shell(&block.text);
        publisher.assert_pulls(REPOSITORY, &block.place);
    }
}

#[test]
fn podman() {
    publish("podman", "podman");
}

#[test]
fn buildah() {
    publish("buildah", "buildah");
}

#[test]
fn docker() {
    publish("docker", "docker");
}

#[test]
fn curl() {
    publish("curl", "curl");
}

/// The page copies a list to another repository, features included.
#[test]
fn skopeo() {
    let Some(publisher) = Publisher::set("skopeo", "skopeo") else { return };
    publisher.shell(&run_by("real::publishing::curl").first().expect("a block that makes the list").text);
    let blocks = run_by("real::publishing::skopeo");
    assert!(!blocks.is_empty());
    for block in blocks {
        publisher.shell(&block.text);
        publisher.assert_pulls("qnib/solver-copy", &block.place);
    }
}

/// The page's ways to look at a list, after it was made as the page says.
#[test]
fn a_list_reads_back_as_the_page_shows() {
    let Some(publisher) = Publisher::set("reading a list back", "curl") else { return };
    let making = run_by("real::publishing::curl");
    publisher.shell(&making.first().expect("a block that makes the list").text);
    let blocks = run_by("real::publishing::a_list_reads_back_as_the_page_shows");
    assert!(!blocks.is_empty());
    for block in blocks {
        assert_prints_what_it_shows(&block, &|command| publisher.shell(command));
    }
}

/// A row of the table: tool, version, command, and of each place whether features in it are kept; `None` where the
/// tool cannot write them.
struct Row {
    tool: String,
    version: String,
    command: String,
    kept: [Option<bool>; 3],
}

/// The rows of the table that say that they are tried here.
fn rows() -> Vec<Row> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/publishing.md")).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", tool, command, cells @ .., TRIED_HERE, ""] = cells.as_slice() else { return None };
        let (tool, version) = tool.split_once(' ').unwrap();
        let kept: Vec<Option<bool>> = cells
            .iter()
            .map(|cell| match *cell {
                "kept" => Some(true),
                "lost" => Some(false),
                "–" => None,
                other => panic!("{line}: {other}"),
            })
            .collect();
        Some(Row {
            tool: tool.to_owned(),
            version: version.to_owned(),
            command: command.trim_matches('`').to_owned(),
            kept: kept.try_into().unwrap(),
        })
    };
    page.lines().filter_map(row).collect()
}

impl Publisher {
    /// The entry of the list that a row's command pushes, when one of its entries has features in this place.
    fn pushed(&self, row: &Row, place: &str) -> Value {
        let tag = format!("{}-{place}", row.tool);
        let skylake = image("skylake").manifest;
        let (image, list) = (format!("127.0.0.1:5000/{REPOSITORY}"), format!("127.0.0.1:5000/{REPOSITORY}:{tag}"));
        let (tool, command, features) = (&row.tool, &row.command, FEATURES.join(","));
        let commands = match (tool.as_str(), place) {
            ("skopeo", _) => {
                // A conversion is tried with a list of the other kind.
                let format = if command.ends_with(" oci") { Format::Docker } else { Format::Oci };
                self.registry().push_manifest(REPOSITORY, "made", &index(format, &[entry(&skylake, place)])).unwrap();
                let tls = "--src-tls-verify=false --dest-tls-verify=false";
                format!("skopeo {command} {tls} docker://{image}:made docker://{list}")
            }
            ("docker", _) => format!(
                "docker manifest create --insecure {list} {image}:skylake
                 docker manifest annotate --os-features '{features}' {list} {image}:skylake
                 docker {command} --insecure --purge {list}"
            ),
            (_, "os.features") => format!(
                "{tool} manifest create {tag}
                 {tool} manifest add --tls-verify=false {tag} docker://{image}:skylake
                 {tool} manifest annotate --os-features '{features}' {tag} {digest}
                 {tool} {command} --tls-verify=false --all {tag} docker://{list}",
                digest = skylake.digest(),
            ),
            (_, place) => {
                let option = match place {
                    "annotation" => format!("--annotation '\"org.metahub.features={features}\"'"),
                    _ => format!("--features '{features}'"),
                };
                format!(
                    "{tool} manifest create {tag}
                     {tool} manifest add --tls-verify=false {option} {tag} docker://{image}:skylake
                     {tool} {command} --tls-verify=false --all {tag} docker://{list}"
                )
            }
        };
        self.shell(&format!("{commands}\n{}", forget(tool, &tag)));
        let accept = format!("{}, {}", media_type::OCI_INDEX, media_type::DOCKER_LIST);
        let path = format!("/v2/{REPOSITORY}/manifests/{tag}");
        let answer = Request::get(&path).header("accept", accept).send(self.registry().port()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["manifests"][0].clone()
    }
}

/// Removes a local list, so that the next one may have its name.
fn forget(tool: &str, list: &str) -> String {
    match tool {
        "podman" | "buildah" => format!("{tool} manifest rm {list}"),
        _ => String::new(),
    }
}

/// An entry with features in one place.
fn entry(target: &Document, place: &str) -> Value {
    let mut entry = target.entry(&json!({ "architecture": "amd64", "os": "linux" }));
    match place {
        "annotation" => entry["annotations"] = json!({ "org.metahub.features": FEATURES.join(",") }),
        place => entry["platform"][place] = json!(FEATURES),
    }
    entry
}

/// Whether this entry has its features in this place; `Err` with it if it has others.
fn keeps(entry: &Value, place: &str) -> Result<bool, String> {
    let (found, whole) = match place {
        "annotation" => (&entry["annotations"]["org.metahub.features"], json!(FEATURES.join(","))),
        place => (&entry["platform"][place], json!(FEATURES)),
    };
    if found.is_null() {
        Ok(false)
    } else if *found == whole {
        Ok(true)
    } else {
        Err(entry.to_string())
    }
}

#[test]
fn tools_keep_what_the_table_says() {
    let Some(publisher) = Publisher::set("what tools keep", "buildah") else { return };
    let rows = rows();
    assert!(rows.len() >= 10, "only {} rows are tried", rows.len());
    let mut problems = Vec::new();
    for row in rows {
        let installed = publisher.shell(&format!("{} --version", row.tool));
        if !installed.split(|letter: char| " +,-\n".contains(letter)).any(|word| word == row.version) {
            eprintln!("{} {} is not tried; installed is {installed}", row.tool, row.version);
            continue;
        }
        for (place, kept) in PLACES.into_iter().zip(row.kept) {
            let Some(kept) = kept else { continue };
            let found = keeps(&publisher.pushed(&row, place), place);
            if found != Ok(kept) {
                problems.push(format!("{} {} {}: {place}: {found:?}", row.tool, row.version, row.command));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
