//! Tickets by POST: forms in every shape that a wire can give them, and the clients that send them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::observe::{PROTOCOLS, Protocol, assert_unharmed, counters, fault_lines};
use metahub_testkit::bench::{REPOSITORY, line};
use metahub_testkit::client::containerd::{Containerd, Credentials};
use metahub_testkit::client::docker::Docker;
use metahub_testkit::client::{Client as _, Login};
use metahub_testkit::command::{run, run_with_input};
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::Envoy;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::stage::{Stage, stage};
use metahub_testkit::wait_for;

const PATH: &str = "/metahub/v1/token";
const TYPE: &str = "application/x-www-form-urlencoded";
const FORM: &str = "grant_type=password&service=metahub&client_id=x&username=qnib-type1&password=qnib-type1";
/// The longest form, in bytes.
const MAX_FORM: usize = 16 * 1024;

fn start() -> Stage {
    let allow = |config: &mut Value| {
        config.add("machine_types.basic", json!({ "architecture": "amd64" }));
        config.add("registries.registry.anonymous", "basic");
    };
    stage().config(allow).start().unwrap()
}

fn post(form: &[u8]) -> Request {
    Request::new("POST", PATH).header("content-type", TYPE).body(form)
}

/// A form of this length.
fn long(length: usize) -> Vec<u8> {
    let form = format!("{FORM}&scope=");
    format!("{form}{}", "s".repeat(length - form.len())).into_bytes()
}

/// A ticket pulls the image of its login.
fn assert_pulls(stage: &Stage, answer: &Response) {
    let body: Value = answer.json();
    let token = body["access_token"].as_str().unwrap_or_else(|| panic!("{}: {}", answer.status, answer.text()));
    assert!(body.get("refresh_token").is_none(), "{body}");
    let manifest = Request::get(&format!("/v2/{REPOSITORY}/manifests/latest"));
    let pulled = stage.send(&manifest.header("authorization", format!("Bearer {token}")));
    assert_eq!(pulled.header("docker-content-digest"), Some(stage.bench.digest(&["cpu:broadwell"]).as_str()));
}

/// The status of the answer to these pieces, which are sent one by one; the rest stays where it is after an answer.
fn status_of(envoy: &Envoy, head: &str, pieces: impl IntoIterator<Item = Vec<u8>>, pause: Duration) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", envoy.port())).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {TYPE}\r\n{head}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    for piece in pieces {
        sleep(pause);
        if stream.write_all(&piece).is_err() {
            break;
        }
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap()
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

#[test]
fn a_form_comes_over_every_protocol_and_its_bound_holds() {
    let stage = start();
    for protocol in PROTOCOLS {
        let send = |request: &Request| protocol.send(&stage.envoy, request).unwrap();
        let answer = send(&post(FORM.as_bytes()));
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{protocol:?}");
        assert_pulls(&stage, &answer);
        assert_pulls(&stage, &send(&post(&long(MAX_FORM))));
    }
    // The client here reads on after 100.
    assert_eq!(stage.send(&post(FORM.as_bytes()).header("expect", "100-continue")).status, 200);
    for length in [MAX_FORM + 1, 17 * 1024, 100_000] {
        let refused = stage.send(&post(&long(length)));
        assert_eq!((refused.status, refused.json()["error"].as_str()), (413, Some("invalid_request")));
    }
    assert_unharmed(&stage.envoy);
}

/// In chunks, and in pieces of one byte.
#[test]
fn a_form_comes_in_pieces() {
    let stage = start();
    let (chunked, end) = ("transfer-encoding: chunked", || std::iter::once(b"0\r\n\r\n".to_vec()));
    let of = |form: &[u8], size: usize| form.chunks(size).map(chunk).collect::<Vec<_>>();
    let millisecond = Duration::from_millis(1);
    let bytes = FORM.bytes().map(|byte| vec![byte]);
    let length = format!("content-length: {}", FORM.len());
    assert_eq!(status_of(&stage.envoy, &length, bytes, millisecond), 200, "byte by byte");
    for (form, size, status) in [
        (FORM.as_bytes().to_vec(), 1, 200),
        (FORM.as_bytes().to_vec(), 1000, 200),
        (long(MAX_FORM), 1000, 200),
        (long(MAX_FORM), 1 << 20, 200),
        (long(MAX_FORM + 1), 1000, 413),
        (long(MAX_FORM + 1), 1 << 20, 413),
        (long(17 * 1024), 5000, 413),
    ] {
        let pieces = of(&form, size).into_iter().chain(end());
        assert_eq!(status_of(&stage.envoy, chunked, pieces, millisecond), status, "{} by {size}", form.len());
    }
    let trailers = std::iter::once(b"0\r\nx-more: x\r\n\r\n".to_vec());
    let pieces = of(FORM.as_bytes(), 7).into_iter().chain(trailers);
    assert_eq!(status_of(&stage.envoy, chunked, pieces, millisecond), 200, "trailers");
    // What is too long is refused before its end.
    let endless = of(&long(MAX_FORM + 1), 5000);
    assert_eq!(status_of(&stage.envoy, chunked, endless, millisecond), 413);
    assert_eq!(status_of(&stage.envoy, "content-length: 16385", [], millisecond), 413, "nothing of it was sent");
    assert_unharmed(&stage.envoy);
}

/// Envoy answers a client that does not send the rest, with its `request_timeout`, and serves others meanwhile.
#[test]
fn a_form_without_an_end_is_answered_by_envoy() {
    let impatient = |bootstrap: &mut Value| {
        let filters = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/request_timeout";
        *bootstrap.pointer_mut(filters).expect("the shipped file has one") = json!("2s");
    };
    let allow = |config: &mut Value| config.add("registries.registry.anonymous", "type1");
    let stage = stage().config(allow).bootstrap(impatient).start().unwrap();
    let port = stage.envoy.port();
    let mut slow: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let head = format!("POST {PATH} HTTP/1.1\r\nhost: h\r\ncontent-type: {TYPE}\r\n");
            stream.write_all(format!("{head}content-length: 9999\r\n\r\n").as_bytes()).unwrap();
            stream.write_all(FORM.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(stage.send(&post(FORM.as_bytes())).status, 200, "others are served");
    for stream in &mut slow {
        let mut answer = [0; 12];
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 408");
    }
    assert_eq!(stage.send(&post(FORM.as_bytes())).status, 200);
    assert_unharmed(&stage.envoy);
}

#[test]
fn forms_that_give_no_login_are_refused() {
    let stage = start();
    let secrets = "username=qnib-type1&password=hunter2-secret";
    let with = |grant: &str| format!("grant_type={grant}&{secrets}&refresh_token=hunter2-secret").into_bytes();
    let form = || post(FORM.as_bytes());
    let json = || Request::new("POST", PATH).header("content-type", "application/json").body(b"{\"a\":\"hunter2\"}");
    let rows = [
        (post(&with("refresh_token")), 400, Some("unsupported_grant_type")),
        (post(&with("authorization_code")), 400, Some("unsupported_grant_type")),
        (post(secrets.as_bytes()), 400, Some("unsupported_grant_type")),
        (post(b""), 400, Some("unsupported_grant_type")),
        (post(&with("password&username=other")), 400, Some("invalid_request")),
        (post(b"grant_type=password&username=&password="), 400, Some("invalid_request")),
        (post(b"\xff\xfe"), 400, Some("invalid_request")),
        (form().login("qnib-type1", "hunter2-secret"), 400, Some("invalid_request")),
        (form().header("content-encoding", "gzip"), 415, Some("invalid_request")),
        (json(), 415, Some("invalid_request")),
        (Request::new("POST", PATH), 415, Some("invalid_request")),
        (Request::new("PUT", PATH).header("content-type", TYPE).body(FORM.as_bytes()), 405, None),
        (post(&with("password")), 401, None),
    ];
    for protocol in PROTOCOLS {
        for (request, status, error) in &rows {
            // curl 7.88 calls an answer over HTTP/2 a failure if it comes before the request's end.
            if protocol == Protocol::H2c && error.is_none_or(|error| error == "invalid_request") && *status != 401 {
                continue;
            }
            let answer = protocol.send(&stage.envoy, request).unwrap();
            let body: Value = answer.json();
            assert_eq!((answer.status, body["error"].as_str()), (*status, *error), "{protocol:?}: {body}");
            assert!(body["errors"][0]["message"].is_string(), "{body}");
            assert_eq!(answer.header("www-authenticate"), (*status == 401).then_some("Basic realm=\"MetaHub\""));
        }
    }
    let lines = fault_lines(&stage.envoy);
    assert!(lines.len() >= rows.len() && lines.iter().all(|line| !line.contains("hunter2")), "{lines:#?}");
    assert!(!stage.envoy.log().contains("hunter2"));
    assert!(counters(&stage.envoy)["refused"] > 0);
    assert_unharmed(&stage.envoy);
}

/// BuildKit keeps tokens by a seed of the client's, and not by user, unless the client's environment says otherwise.
#[test]
fn buildkit_builds_as_the_last_login() {
    if reason_to_skip("docker", &Docker::PROGRAMS, true).unwrap().is_some() {
        return;
    }
    let stage = start();
    let mut docker = Docker::start().unwrap();
    for (user, features) in
        [("qnib-type1", "cpu:broadwell"), ("qnib-type2", "cpu:skylake"), ("qnib-type1", "cpu:broadwell")]
    {
        docker.log_in(&stage.front(), &Login::new(user, user)).unwrap();
        let mut build = docker.command();
        build.args(["build", "--pull", "--quiet", "--network=none", "--tag=built", "-"]);
        build.env("DOCKER_BUILDKIT", "1").env("BUILDKIT_NO_CLIENT_TOKEN", "1");
        run_with_input(&mut build, format!("FROM {}\n", stage.tag()).as_bytes()).unwrap();
        let run_it = ["run", "--rm", "--network=none", "--pull=never", "built"];
        let printed = run(docker.command().args(run_it)).unwrap();
        assert_eq!(printed.trim_end(), line(&[features]), "{user}");
    }
    assert_unharmed(&stage.envoy);
}

/// containerd asks with a form first, if it has a login.
#[test]
fn containerd_asks_by_post() {
    if reason_to_skip("containerd", &Containerd::PROGRAMS, true).unwrap().is_some() {
        return;
    }
    let stage = start();
    let mut containerd = Containerd::start(Credentials::Option).unwrap();
    for (user, features) in [("qnib-type1", "cpu:broadwell"), ("qnib-type2", "cpu:skylake")] {
        containerd.log_in(&stage.front(), &Login::new(user, user)).unwrap();
        assert_eq!(containerd.fetch(&stage.tag()).unwrap(), stage.bench.digest(&[features]), "{user}");
    }
    // Envoy writes its access log every ten seconds.
    let written = || {
        let log = stage.envoy.log();
        let asked: Vec<String> = log.lines().filter(|line| line.contains(PATH)).map(str::to_owned).collect();
        (asked.len() > 1).then_some(asked)
    };
    let asked = wait_for("the access log", Duration::from_secs(20), written).unwrap();
    assert!(asked.iter().all(|line| line.contains(&format!("POST {PATH} HTTP/1.1 200"))), "{asked:#?}");
    assert_unharmed(&stage.envoy);
}

/// A registry whose clients may not be anonymous gives no tokens, and reads no form.
#[test]
fn without_anonymous_clients_there_are_no_tokens() {
    let stage = stage().start().unwrap();
    let refused = stage.send(&post(FORM.as_bytes()));
    assert_eq!((refused.status, refused.json()["errors"][0]["code"].as_str()), (405, Some("UNSUPPORTED")));
    assert_eq!(status_of(&stage.envoy, "content-length: 99", [], Duration::ZERO), 405, "nothing of it was sent");
}
