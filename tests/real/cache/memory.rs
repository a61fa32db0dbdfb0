//! The memory of the cache, and its content after the configuration changes.

use serde_json::{Value, json};

use super::{Stage, add_cache, add_fleet};
use crate::real::observe::assert_no_vm_died;
use metahub::oci::media_type::OCI_MANIFEST;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::Envoy;
use metahub_testkit::http::Request;
use metahub_testkit::http::connection::Connection;
use metahub_testkit::image::Document;
use metahub_testkit::server::{Act, Answer, Received};
use metahub_testkit::stage::{self, stage};

const MIB: u64 = 1 << 20;
const CLIENTS: u64 = 4;

/// Every repository `many/<number>` has a manifest of its own.
fn serve(request: &Received) -> Vec<Act> {
    let repository = request.path.strip_prefix("/v2/many/").and_then(|path| path.split('/').next());
    let body = format!(
        r#"{{"schemaVersion":2,"layers":[],"annotations":{{"number":"{}","padding":"{}"}}}}"#,
        repository.unwrap_or_default(),
        "x".repeat(900)
    );
    Answer::stored(&Document::new(OCI_MANIFEST, body)).acts()
}

fn start(size: &'static str) -> stage::Stage {
    stage().server(serve).config(move |config| add_cache(config, json!({ "bytes": size }))).start().unwrap()
}

/// Asks for these images, each once.
fn pull(envoy: &Envoy, numbers: std::ops::Range<u64>) {
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let numbers = numbers.clone();
            scope.spawn(move || {
                let mut connection = Connection::open(envoy.port()).unwrap();
                for number in numbers.filter(|number| number % CLIENTS == client) {
                    let path = format!("/v2/many/{number}/manifests/latest");
                    let answer = connection.send(&Request::get(&path).login("qnib-type1", "qnib-type1")).unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.text());
                }
            });
        }
    });
}

fn bytes(envoy: &Envoy) -> u64 {
    envoy.stat("wasmcustom.metahub_cache_bytes", "").unwrap()
}

#[test]
fn the_cache_is_bounded_and_so_is_memory() {
    let stage = start("4MiB");
    let envoy = &stage.envoy;
    // By then the rings and all other memory have their size.
    pull(envoy, 0..6_000);
    let (full, settled) = (bytes(envoy), envoy.resident().unwrap());
    assert!((MIB / 2..=4 * MIB).contains(&full), "{full} bytes");
    pull(envoy, 6_000..20_000);
    assert!((MIB / 2..=4 * MIB).contains(&bytes(envoy)), "{} bytes", bytes(envoy));
    let grown = envoy.resident().unwrap().saturating_sub(settled);
    assert!(grown < 8 * MIB, "grown by {grown} from {settled} bytes while 14,000 images of 1 KiB went through");
    let evicted = envoy.stat("wasmcustom.metahub_cache_evicted", "").unwrap();
    assert!((15_000..20_000).contains(&evicted), "{evicted} evicted");
    assert_no_vm_died(envoy);
}

#[test]
fn it_survives_a_reload() {
    let stage = Stage::with(Value::Null);
    stage.assert_gets("GET", "latest", "qnib-type1", "cpu:broadwell");
    let (_, full) = (stage.asked(), stage.metric("cache_bytes"));
    assert!(full > 0);
    assert!(stage.envoy.reload(&stage.envoy.config().changed(|config| add_fleet(config, 5))).unwrap());
    for _ in 0..4 {
        stage.assert_gets("GET", "latest", "qnib-type1", "cpu:broadwell");
    }
    assert_eq!(stage.asked(), ["HEAD latest"; 4]);
    assert_eq!(stage.metric("cache_bytes"), full);
}

#[test]
fn a_smaller_cache_is_emptied_beyond_its_size() {
    let stage = start("16MiB");
    let envoy = &stage.envoy;
    pull(envoy, 0..3_000);
    let large = bytes(envoy);
    assert!(large > 2 * MIB, "{large}");
    let config = envoy.config();
    let mut before = large;
    for (size, most) in [("1MiB", MIB), ("0", 0)] {
        assert!(envoy.reload(&config.changed(|config| config.set("cache.bytes", size))).unwrap());
        let now = bytes(envoy);
        assert!(now <= most && now < before, "{now} bytes of {size}");
        before = now;
    }
    let asked = stage.server().received("/manifests/").len();
    pull(envoy, 2_900..3_000);
    pull(envoy, 2_900..3_000);
    assert_eq!(stage.server().received("/manifests/").len(), asked + 200, "switched off");
    assert_eq!(bytes(envoy), 0);
    assert!(envoy.reload(&config).unwrap());
    pull(envoy, 0..100);
    assert!(bytes(envoy) > 50_000, "{}", bytes(envoy));
    assert_no_vm_died(envoy);
}
