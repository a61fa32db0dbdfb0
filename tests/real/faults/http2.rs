//! Faults that only HTTP/2 knows: frames in a wrong order, resets, trailers, answers that end in two ways.

use super::sound::{Content, Sound};
use super::{Fault, Stage, fault};
use metahub_testkit::server::Act;
use metahub_testkit::server::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PUSH_PROMISE, RST_STREAM, block, decode,
    frame,
};

// As the rows of HTTP/1, without the token and the ping: those go elsewhere.
const FINE: &str = "200 200 200 200 200 - - 200 200";
const BROKEN: &str = "503 503 503 503 503 - - 5xx 503";
const CUT: &str = "503 200 503 503 503 - - cut 503";

/// INTERNAL_ERROR and REFUSED_STREAM (RFC 9113 §7).
const INTERNAL: [u8; 4] = [0, 0, 0, 2];
const REFUSED: [u8; 4] = [0, 0, 0, 7];

/// The header block of an answer.
fn fields(sound: &Sound) -> Vec<u8> {
    block(&sound.fields().iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect::<Vec<_>>())
}

fn head(sound: &Sound, flags: u8) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, sound.stream, &fields(sound))
}

fn data(sound: &Sound, flags: u8) -> Vec<u8> {
    let chunks: Vec<&[u8]> = if sound.method == "HEAD" { vec![b""] } else { sound.body.chunks(1000).collect() };
    let last = chunks.len() - 1;
    let frames = chunks.iter().enumerate();
    frames.flat_map(|(at, chunk)| frame(DATA, if at == last { flags } else { 0 }, sound.stream, chunk)).collect()
}

/// The right answer.
fn whole(sound: &Sound) -> Vec<Act> {
    let bytes = match sound.method.as_str() {
        "HEAD" => head(sound, END_STREAM),
        _ => [head(sound, 0), data(sound, END_STREAM)].concat(),
    };
    vec![Act::Send(bytes)]
}

fn frames(name: &str, verdicts: &str, frames: impl Fn(&Sound) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Fault {
    fault(name, verdicts, move |sound| vec![Act::Send(frames(&sound).concat())])
}

/// These header fields, and the connection is as it was.
fn odd(name: &str, verdicts: &str, fields: &[(&str, &[u8])]) -> Fault {
    let block = block(fields);
    frames(name, verdicts, move |sound| {
        vec![frame(HEADERS, END_HEADERS, sound.stream, &block), data(sound, END_STREAM)]
    })
}

fn resets() -> Vec<Fault> {
    let reset = |sound: &Sound, code: &[u8]| frame(RST_STREAM, 0, sound.stream, code);
    vec![
        frames("a reset", BROKEN, move |sound| vec![reset(sound, &INTERNAL)]),
        frames("a refused stream", BROKEN, move |sound| vec![reset(sound, &REFUSED)]),
        frames("a reset after the head", "503 200/503 503 503 503 - - cut/5xx 503", move |sound| {
            vec![head(sound, 0), reset(sound, &INTERNAL)]
        }),
        frames("a reset behind the body", "503 200/503 503 503 503 - - 200/cut/5xx 503", move |sound| {
            vec![head(sound, 0), data(sound, 0), reset(sound, &INTERNAL)]
        }),
        fault("goodbye", BROKEN, |_| vec![Act::Send(frame(GOAWAY, 0, 0, &[[0; 4], INTERNAL].concat())), Act::Close]),
        fault("closed", BROKEN, |_| vec![Act::Close]),
        fault("closed after the head", "503 200/503 503 503 503 - - cut/5xx 503", |sound| {
            vec![Act::Send(head(&sound, 0)), Act::Close]
        }),
        fault("garbage", BROKEN, |_| vec![Act::Send(vec![0xff; 200]), Act::Close]),
    ]
}

/// An answer may end with its head, with its last data, with an empty frame, or with trailers. Issue 11: an empty frame
/// after HEAD let held headers go on, and pulls of a moved tag were cut.
fn ends() -> Vec<Fault> {
    let trailers = |sound: &Sound| {
        let digest = format!("sha256:{}", "0".repeat(64));
        let block = block(&[("x-checksum", b"1"), ("docker-content-digest", digest.as_bytes())]);
        frame(HEADERS, END_HEADERS | END_STREAM, sound.stream, &block)
    };
    let empty = |sound: &Sound| frame(DATA, END_STREAM, sound.stream, &[]);
    let moved = |sound: &Sound| sound.clone().document(Content::build().root.bytes);
    vec![
        frames("an empty frame at the end", FINE, move |sound| vec![head(sound, 0), data(sound, 0), empty(sound)]),
        frames("trailers", FINE, move |sound| vec![head(sound, 0), data(sound, 0), trailers(sound)]),
        frames("trailers and no data", "- 200 - - - - - - -", move |sound| vec![head(sound, 0), trailers(sound)]),
        // The tag points elsewhere now, so that MetaHub has to ask again while the answer to HEAD goes on.
        frames("a moved tag", "- 200 - - - - - - -", move |sound| vec![head(&moved(sound), END_STREAM)]),
        frames("a moved tag and an empty frame", "- 200 - - - - - - -", move |sound| {
            vec![head(&moved(sound), 0), empty(sound)]
        }),
        frames("a moved tag and trailers", "- 200 - - - - - - -", move |sound| {
            vec![head(&moved(sound), 0), trailers(sound)]
        }),
        frames("padding", FINE, move |sound| {
            let padded = |chunk: &[u8]| frame(DATA, PADDED, sound.stream, &[&[3], chunk, &[0; 3]].concat());
            let body: &[u8] = if sound.method == "HEAD" { &[] } else { &sound.body };
            vec![head(sound, 0), body.chunks(1000).flat_map(padded).collect(), empty(sound)]
        }),
        frames("a frame that nobody knows", FINE, |sound| {
            vec![head(sound, 0), frame(0xbb, 0xff, sound.stream, b"?"), data(sound, END_STREAM)]
        }),
        frames("100 and 103 before it", FINE, |sound| {
            let early = |status: &[u8]| frame(HEADERS, END_HEADERS, sound.stream, &block(&[(":status", status)]));
            vec![early(b"100"), early(b"103"), head(sound, 0), data(sound, END_STREAM)]
        }),
    ]
}

fn malformed() -> Vec<Fault> {
    vec![
        frames("data before the head", BROKEN, |sound| vec![data(sound, 0), head(sound, END_STREAM)]),
        odd("no status", BROKEN, &[("content-type", b"text/plain")]),
        odd("two statuses", BROKEN, &[(":status", b"200"), (":status", b"403")]),
        odd("letters for a status", BROKEN, &[(":status", b"2OO")]),
        odd("a status that comes late", BROKEN, &[("content-type", b"text/plain"), (":status", b"200")]),
        odd("capitals in a name", BROKEN, &[(":status", b"200"), ("Content-Type", b"text/plain")]),
        odd("a line end in a value", BROKEN, &[(":status", b"200"), ("x-odd", b"a\r\nx: y")]),
        odd("a path in an answer", BROKEN, &[(":status", b"200"), (":path", b"/x")]),
        frames("a promise", BROKEN, |sound| {
            let block = block(&[(":method", b"GET"), (":path", b"/x"), (":scheme", b"http"), (":authority", b"x")]);
            vec![frame(PUSH_PROMISE, END_HEADERS, sound.stream, &[&[0, 0, 0, 2], &block[..]].concat())]
        }),
        frames("headers without end", BROKEN, |sound| {
            let mut frames = vec![frame(HEADERS, 0, sound.stream, &fields(sound))];
            let more = block(&[("x-big", &[b'a'; 12_000])]);
            frames.extend((0..20).map(|_| frame(CONTINUATION, 0, sound.stream, &more)));
            frames.push(frame(CONTINUATION, END_HEADERS, sound.stream, &[]));
            frames
        }),
        frames("less than the length", CUT, |sound| {
            let mut short = sound.clone();
            short.body.truncate(sound.body.len() - 1);
            if sound.method == "HEAD" {
                vec![head(sound, END_STREAM)]
            } else {
                vec![head(sound, 0), data(&short, END_STREAM)]
            }
        }),
        frames("more than the length", "503 200 503 503 503 - - 200/cut/5xx 503", |sound| {
            let mut long = sound.clone();
            long.body.push(b' ');
            if sound.method == "HEAD" {
                vec![head(sound, END_STREAM)]
            } else {
                vec![head(sound, 0), data(&long, END_STREAM)]
            }
        }),
    ]
}

#[test]
fn http2() {
    Stage::over_http2([resets(), ends(), malformed()].into_iter().flatten().collect(), whole).check();
}

/// RFC 7541 C.4.1 and C.6.1: so the upstream reads which fault a request is meant for.
#[test]
fn paths_are_read_as_the_specification_shows() {
    let host = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
    assert_eq!(decode(&host).as_deref(), Some("www.example.com"));
    assert_eq!(decode(&[0xae, 0xc3, 0x77, 0x1a, 0x4b]).as_deref(), Some("private"));
}
