//! Front ends that speak HTTP/1.0: nginx passes requests on so, unless it is told otherwise.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::client::docker::Docker;
use metahub_testkit::client::skopeo::Skopeo;
use metahub_testkit::client::{Client, Login};
use metahub_testkit::http::Request;
use metahub_testkit::image::Document;
use metahub_testkit::port;
use metahub_testkit::process::Process;
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::stage::{Stage, stage};
use metahub_testkit::temp::TempDir;

use super::observe::assert_no_vm_died;

const LOGIN: &str = "qnib-type2";

/// nginx with nothing but `proxy_pass`.
struct Nginx {
    _process: Process,
    _directory: TempDir,
    port: u16,
}

impl Nginx {
    fn before(envoy: u16) -> Self {
        let (directory, port) = (TempDir::new("nginx").unwrap(), port::free());
        let path = |name: &str| directory.join(name).display().to_string();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {};\n", path(name)))
            .concat();
        let text = format!(
            "user root; daemon off; pid {}; error_log stderr;\n\
             events {{}}\n\
             http {{\n{temporary}access_log off;\nserver {{\nlisten 127.0.0.1:{port};\n\
             location / {{ proxy_pass http://127.0.0.1:{envoy}; }}\n}}\n}}\n",
            path("pid")
        );
        std::fs::write(directory.join("nginx.conf"), text).unwrap();
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "PATH=$PATH:/usr/sbin exec nginx -c \"$1\" -p \"$2\"",
            "sh",
            &path("nginx.conf"),
            &path(""),
        ]);
        let mut process = Process::spawn("nginx", &command, &directory.join("log")).unwrap();
        let ready = || Request::get("/metahub/v1/health").send(port).is_ok_and(|answer| answer.status == 200);
        process.wait_until_ready(Duration::from_secs(20), ready).unwrap();
        Self { _process: process, _directory: directory, port }
    }
}

/// Starts a stage behind nginx; `None` where there is no nginx.
fn start(programs: &[&str], sandboxed: bool) -> Option<(Stage, Nginx)> {
    let programs = [&["nginx"], programs].concat();
    if reason_to_skip("a front end", &programs, sandboxed).unwrap().is_some() {
        return None;
    }
    let stage = stage().start().unwrap();
    let nginx = Nginx::before(stage.envoy.port());
    Some((stage, nginx))
}

/// Sends these bytes to Envoy itself, and reads until it closes the connection.
fn raw(stage: &Stage, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", stage.envoy.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status in an answer. Envoy repeats the version of the request.
fn status(answer: &str) -> Option<&str> {
    answer.strip_prefix("HTTP/1.")?.split(' ').nth(1)
}

/// Issue 15: everything was 426.
#[test]
fn nginx_may_speak_http_1_0() {
    let Some((stage, nginx)) = start(&[], false) else { return };
    let blob = Document::new("application/octet-stream", vec![7; 24 * 1024 * 1024]);
    stage.registry().push_blob(REPOSITORY, &blob).unwrap();
    let send = |method: &str, path: &str| {
        let request = Request::new(method, &format!("/v2/{REPOSITORY}/{path}")).login(LOGIN, LOGIN);
        (request.send(nginx.port).unwrap(), stage.send(&request))
    };
    let image = &stage.bench.image(&["cpu:skylake"]).manifest;
    let paths = ["manifests/latest".to_owned(), format!("manifests/{}", image.digest()), "tags/list".to_owned()];
    for path in paths.into_iter().chain([format!("blobs/{}", blob.digest()), "manifests/absent".to_owned()]) {
        for method in ["GET", "HEAD", "GET"] {
            let (through, directly) = send(method, &path);
            assert_eq!(through.status, directly.status, "{method} {path}");
            assert!(through.body == directly.body, "{method} {path}");
            for name in ["docker-content-digest", "content-type", "etag", "x-metahub-selected"] {
                assert_eq!(through.header(name), directly.header(name), "{method} {path}: {name}");
            }
        }
    }
    assert_eq!(send("GET", "manifests/latest").0.body, image.bytes);
    assert_eq!(send("GET", &format!("blobs/{}", blob.digest())).0.body.len(), blob.bytes.len());
    let bare = Request::get("/v2/").send(nginx.port).unwrap();
    assert_eq!((bare.status, bare.header("www-authenticate")), (401, Some("Basic realm=\"MetaHub\"")));
    assert_no_vm_died(&stage.envoy);
}

#[test]
fn docker_pulls_through_nginx() {
    let Some((stage, nginx)) = start(&Docker::PROGRAMS, true) else { return };
    pulls(&stage, &nginx, &mut Docker::start().unwrap());
}

#[test]
fn skopeo_pulls_through_nginx() {
    let Some((stage, nginx)) = start(&Skopeo::PROGRAMS, true) else { return };
    pulls(&stage, &nginx, &mut Skopeo::new().unwrap());
}

fn pulls(stage: &Stage, nginx: &Nginx, client: &mut impl Client) {
    let front = format!("127.0.0.1:{}", nginx.port);
    client.log_in(&front, &Login::new(LOGIN, LOGIN)).unwrap();
    let pulled = client.pull(&format!("{front}/{REPOSITORY}:latest")).unwrap();
    assert_eq!(pulled.digest, stage.bench.digest(&["cpu:skylake"]));
}

/// A request that names no host has no route and no realm. Envoy refuses it, as HTTP/1.1 without one.
#[test]
fn a_request_over_http_1_0_is_like_any_other() {
    let stage = stage().start().unwrap();
    let health = raw(&stage, "GET /metahub/v1/health HTTP/1.0\r\nHost: hub.example\r\n\r\n");
    assert_eq!(status(&health), Some("200"), "{health}");
    assert!(health.contains("\"status\":\"ok\""), "{health}");
    let ping = raw(&stage, "GET /v2/ HTTP/1.0\r\nHost: hub.example\r\n\r\n");
    assert_eq!(status(&ping), Some("401"), "{ping}");
    assert!(ping.contains("www-authenticate: Basic realm=\"MetaHub\""), "{ping}");
    let login = "cW5pYi10eXBlMjpxbmliLXR5cGUy";
    let image = &stage.bench.image(&["cpu:skylake"]).manifest;
    for method in ["GET", "HEAD"] {
        let answer = raw(
            &stage,
            &format!(
                "{method} /v2/{REPOSITORY}/manifests/latest HTTP/1.0\r\nHost: hub.example\r\n\
                 Authorization: Basic {login}\r\n\r\n"
            ),
        );
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(status(head), Some("200"), "{answer}");
        assert!(head.contains(&format!("docker-content-digest: {}", image.digest())), "{answer}");
        assert!(!head.contains("transfer-encoding"), "{answer}");
        assert_eq!(body.as_bytes(), if method == "GET" { &image.bytes[..] } else { &[] }, "{answer}");
    }
    let nameless = raw(&stage, "GET /metahub/v1/health HTTP/1.0\r\n\r\n");
    assert_eq!(status(&nameless), Some("400"), "{nameless}");
    assert_no_vm_died(&stage.envoy);
}
