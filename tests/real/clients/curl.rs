//! Checks that only curl can make: headers, and answers to `HEAD` beside those to `GET`.

use metahub::oci::digest::Digest;

use super::stage::{MACHINES, another_envoy, login, start, unfiltered};
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::client::Client as _;
use metahub_testkit::client::curl::{Curl, Version, accept};

const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

#[test]
fn answers_by_tag_say_what_was_selected() {
    let stage = start();
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
    let stage = start();
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
    let stage = start();
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

/// Replicas share nothing: one replica serves the manifest that another named to HEAD, as behind a load balancer.
#[test]
fn head_from_one_envoy_and_get_by_digest_from_another() {
    let stage = start();
    let other = another_envoy(&stage);
    let path = format!("v2/{REPOSITORY}/manifests");
    for version in VERSIONS {
        for (machine, features) in MACHINES {
            let mut first = Curl::new(version);
            first.log_in(&stage.front(), &login(machine)).unwrap();
            let head = first.ask("HEAD", &format!("http://{}/{path}/latest", stage.front()), &accept()).unwrap();
            let digest = head.header("docker-content-digest").unwrap();
            assert_eq!(digest, stage.bench.digest(features), "{version:?} {machine}");

            let host = format!("127.0.0.1:{}", other.port());
            let mut second = Curl::new(version);
            second.log_in(&host, &login(machine)).unwrap();
            let get = second.ask("GET", &format!("http://{host}/{path}/{digest}"), &accept()).unwrap();
            assert_eq!((get.status, Digest::of(&get.body).as_str()), (200, digest), "{version:?} {machine}");
            for name in ["content-type", "content-length", "docker-content-digest"] {
                assert_eq!(get.header(name).unwrap(), head.header(name).unwrap(), "{version:?} {machine}");
            }
        }
    }
}
