//! The beginning and end of an answer: bytes that are not HTTP, answers that break off, and answers with two lengths.

use super::sound::Sound;
use super::{BROKEN, CUT, FINE, Fault, bytes, check, fault};
use metahub_testkit::server::Act;

fn after(first: &str, times: usize) -> impl Fn(Sound) -> Vec<u8> + use<> {
    let first = format!("{first}\r\n\r\n").repeat(times);
    move |sound| [first.as_bytes(), &sound.bytes()].concat()
}

/// Closed after this many of the bytes.
fn cut(name: String, verdicts: &str, at: impl Fn(&Sound) -> usize + Send + Sync + 'static) -> Fault {
    bytes(name, verdicts, move |sound| {
        let mut bytes = sound.bytes();
        bytes.truncate(at(&sound));
        bytes
    })
}

fn no_http() -> Vec<Fault> {
    vec![
        bytes("HTTP/0.9", BROKEN, |sound| sound.body),
        bytes("garbage", BROKEN, |_| b"\x00\x01\x02\xff\xfe garbage\r\n\r\n".to_vec()),
        bytes("nothing", BROKEN, |_| Vec::new()),
        bytes("half a status line", BROKEN, |_| b"HTTP/1.1 20".to_vec()),
        bytes("half a header", BROKEN, |_| b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
        fault("reset", BROKEN, |_| vec![Act::Reset]),
        fault("reset after the status", BROKEN, |_| vec![Act::Send(b"HTTP/1.1 200 OK\r\n".to_vec()), Act::Reset]),
    ]
}

fn http_all_the_same() -> Vec<Fault> {
    vec![
        bytes("100 and then 200", FINE, after("HTTP/1.1 100 Continue", 1)),
        bytes("103 and then 200", FINE, after("HTTP/1.1 103 Early Hints\r\nlink: </x>", 1)),
        bytes("102 fifty times and then 200", FINE, after("HTTP/1.1 102 Processing", 50)),
        bytes("HTTP/2 as text", FINE, |sound| sound.version("HTTP/2.0").bytes()),
        bytes("HTTP/1.0", FINE, |sound| sound.version("HTTP/1.0").bytes()),
        bytes("more than the length", FINE, |sound| [&sound.bytes()[..], b"EXTRA"].concat()),
        bytes("another answer behind it", FINE, |sound| {
            [&sound.bytes()[..], b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"].concat()
        }),
        bytes("a body to HEAD", FINE, |sound| [sound.head(), sound.body].concat()),
        bytes("until it is closed", FINE, |sound| sound.endless().bytes()),
    ]
}

/// Closed at each byte of the head.
fn closed_within_the_head() -> Vec<Fault> {
    (0..180).map(|at| cut(format!("closed at {at}"), BROKEN, move |sound| at % sound.head().len())).collect()
}

fn closed_within_the_body() -> Vec<Fault> {
    let mut rows: Vec<Fault> = (0..40)
        .map(|part| {
            let at = move |sound: &Sound| sound.head().len() + sound.body.len() * part / 40;
            cut(format!("closed after {part}/40 of the body"), CUT, at)
        })
        .collect();
    rows.push(cut("closed before the last byte".to_owned(), CUT, |sound| sound.head().len() + sound.body.len() - 1));
    rows.push(fault("reset after the head", "503 200/503 503 503 503 503 503 cut/5xx 503", |sound| {
        vec![Act::Send(sound.head()), Act::Pause(std::time::Duration::from_millis(200)), Act::Reset]
    }));
    rows
}

fn two_lengths() -> Vec<Fault> {
    let length = |text: &'static str| move |sound: Sound| sound.endless().raw(format!("content-length: {text}\r\n"));
    let row = |text: &'static str| {
        let changed = length(text);
        bytes(format!("content-length {text}"), BROKEN, move |sound| changed(sound).bytes())
    };
    vec![
        bytes("two lengths that differ", BROKEN, |sound| sound.raw("content-length: 3\r\n").bytes()),
        row("-5"),
        row("99999999999999999999999"),
        row("0x10"),
        row("1e3"),
        bytes("a length and chunks", BROKEN, |sound| sound.raw("transfer-encoding: chunked\r\n").bytes()),
        bytes("a coding that nobody asked for", BROKEN, |sound| {
            sound.endless().raw("transfer-encoding: gzip, chunked\r\n").bytes()
        }),
    ]
}

fn chunks() -> Vec<Fault> {
    const END: &[u8] = b"0\r\n\r\n";
    vec![
        bytes("chunks", FINE, |sound| sound.chunked(1000, "", END)),
        bytes("chunks of a byte", FINE, |sound| sound.chunked(1, "", END)),
        bytes("long extensions", FINE, |sound| sound.chunked(500, &format!(";a={}", "x".repeat(1000)), END)),
        bytes("trailers", FINE, |sound| {
            let digest = format!("docker-content-digest: sha256:{}", "0".repeat(64));
            sound.chunked(500, "", format!("0\r\nx-trailer: 1\r\n{digest}\r\n\r\n").as_bytes())
        }),
        bytes("no last chunk", CUT, |sound| sound.chunked(500, "", b"")),
        bytes("half the last chunk", CUT, |sound| sound.chunked(500, "", b"0\r\n")),
        bytes("a size that is none", CUT, |sound| sound.chunked(500, "", b"zz\r\nxx\r\n")),
        bytes("a size beyond all", CUT, |sound| sound.chunked(500, "", b"ffffffffffffffffff\r\nx")),
    ]
}

#[test]
fn framing() {
    check([no_http(), http_all_the_same(), two_lengths(), chunks()].into_iter().flatten().collect());
}

#[test]
fn closed_at_each_byte() {
    check([closed_within_the_head(), closed_within_the_body()].into_iter().flatten().collect());
}
