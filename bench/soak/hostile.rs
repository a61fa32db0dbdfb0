//! Requests that no decent client sends: each is refused with an error, and has no other effect.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::stage::{Stage, as_machine, manifest, unexpected};
use metahub_testkit::Result;
use metahub_testkit::http::Request;
use metahub_testkit::http::connection::Connection;

/// Passwords that are guessed in each round, from an address of its own.
const GUESSES: usize = 60;

fn requests() -> Vec<Request> {
    let plain = || Request::get(&manifest("latest"));
    let authorization = |value: &[u8]| plain().header("authorization", value);
    let good = |path: &str| as_machine(Request::get(path), 0);
    vec![
        plain(),
        authorization(b"Basic"),
        authorization(b"Basic ????"),
        authorization(b"Basic Og=="),
        authorization(b"Bearer mh1.AAAA"),
        authorization(b"Basic \xff\xfe\x80"),
        authorization(&[b'x'; 60_000]),
        as_machine(authorization(b"Basic Og=="), 0),
        as_machine(plain().header("x-large", vec![b'y'; 99_000]), 0),
        as_machine(plain().header("under_score", "x"), 0),
        good("/v2/a/../b/manifests/c"),
        good("/v2/a%2fb/manifests/c"),
        good("/v2/a/manifests/%ff%00"),
        good("/v2/UPPER/manifests/latest"),
        good("/v2/a/manifests/sha256:short"),
        good(&format!("/v2/{}/manifests/latest", "a/".repeat(3000))),
        good("/metahub/v1/explain?image=%00&image=x"),
        good("/metahub/v1/token?service=other"),
        good("/elsewhere"),
        as_machine(Request::new("PUT", &manifest("latest")).body(b"{}"), 0),
        as_machine(Request::new("DELETE", &manifest("latest")), 0),
        as_machine(Request::new("CONNECT", "other:443"), 0),
        as_machine(Request::new("GET", &manifest("latest")).body(&[b'z'; 100_000]), 0),
    ]
}

/// Bytes that are not a request.
const NO_REQUESTS: [&[u8]; 5] = [
    b"\0\0\0\0\0\0\0\0\r\n\r\n",
    b"GET /v2/ HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /v2/ HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"GET /v2/ HTTP/9.9\r\nhost: a\r\n\r\n",
];

/// Sends all of them, and guesses passwords.
pub(crate) fn send(round: usize, stage: &Stage) -> Result<()> {
    let port = stage.envoy.port();
    for request in requests() {
        // Envoy may close the connection of a request that is too large; then there is no answer to check.
        let Ok(answer) = request.send(port) else { continue };
        if !(400..500).contains(&answer.status) {
            return Err(unexpected("hostile input", &answer));
        }
    }
    for bytes in NO_REQUESTS {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        stream.write_all(bytes)?;
        // Envoy may answer, close the connection or wait for more.
        let _ = stream.read(&mut [0; 4096]);
    }
    guess(round, stage)
}

fn guess(round: usize, stage: &Stage) -> Result<()> {
    let source = Ipv4Addr::new(127, 9, 9, u8::try_from(round % 200).unwrap_or_default() + 1);
    for number in 0..GUESSES {
        let request = Request::get("/v2/").login("qnib-type1", &format!("guess{round}-{number}"));
        let answer = Connection::open_from(source, stage.envoy.port())?.send(&request)?;
        if !matches!(answer.status, 401 | 429) {
            return Err(unexpected("a guessed password", &answer));
        }
    }
    Ok(())
}
