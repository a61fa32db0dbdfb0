//! What only curl can see: headers, and answers to `HEAD` beside those to `GET`.

use super::stage::{MACHINES, Stage, login, unfiltered};
use crate::support::client::Client as _;
use crate::support::client::curl::{Curl, Version};

const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

#[test]
fn answers_by_tag_say_what_was_selected() {
    let stage = Stage::set().unwrap();
    for version in VERSIONS {
        for (machine, features) in MACHINES {
            let mut curl = Curl::new(version);
            curl.log_in(&stage.front(), &login(machine)).unwrap();
            let answer = curl.manifest(&stage.tag()).unwrap();
            assert_eq!(answer.header("x-metahub-machine-type").unwrap(), machine);
            let selected = answer.header("x-metahub-selected").unwrap();
            assert!(features.iter().all(|feature| selected.contains(feature)), "{version:?} {machine}: {selected}");
            assert_eq!(answer.header("content-type").unwrap(), stage.bench.images[0].manifest.media_type);
        }
    }
}

#[test]
fn unfiltered_logins_get_the_index_byte_for_byte() {
    let stage = Stage::set().unwrap();
    for version in VERSIONS {
        let mut curl = Curl::new(version);
        curl.log_in(&stage.front(), &unfiltered()).unwrap();
        let answer = curl.manifest(&stage.tag()).unwrap();
        assert_eq!(answer.body, stage.bench.list.bytes, "{version:?}");
        assert_eq!(answer.header("content-type").unwrap(), stage.bench.list.media_type);
        assert_eq!(answer.header("docker-content-digest").unwrap(), stage.bench.list.digest());
    }
}

#[test]
fn a_401_challenges_with_basic() {
    let stage = Stage::set().unwrap();
    for version in VERSIONS {
        for url in [format!("http://{}/v2/", stage.front()), format!("http://{}/v2/a/manifests/b", stage.front())] {
            for method in ["GET", "HEAD"] {
                let answer = Curl::new(version).ask(method, &url, &[]).unwrap();
                assert_eq!(answer.status, 401, "{version:?} {method} {url}");
                assert_eq!(answer.header("www-authenticate").unwrap(), "Basic realm=\"MetaHub\"");
            }
        }
    }
}
