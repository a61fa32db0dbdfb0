//! Upstreams that are slow, and upstreams slower than any client waits.

use std::time::Duration;

use super::{Fault, bytes, check, fault};
use metahub_testkit::server::Act;

/// MetaHub's own requests wait 15 s. Those of clients that go upstream end with Envoy's limits, which are 18 s for a
/// manifest's answer and 20 s for silence here.
const WITHIN: Duration = Duration::from_secs(24);

fn slow(fault: Fault) -> Fault {
    Fault { within: WITHIN, ..fault }
}

/// In pieces, each after a pause.
fn dripping(pieces: Vec<Vec<u8>>, pause: Duration) -> Vec<Act> {
    let drops = pieces.into_iter().flat_map(|piece| [Act::Send(piece), Act::Pause(pause)]);
    drops.chain([Act::Close]).collect()
}

#[test]
fn slow_upstreams() {
    let second = Duration::from_secs(1);
    check(vec![
        slow(fault("silent", "503 503 503 503 503 503 503 5xx 503", |_| vec![Act::Hang])),
        slow(fault("silent after the head", "503 200 503 503 503 503 503 cut 503", |sound| {
            vec![Act::Send(sound.head()), Act::Hang]
        })),
        slow(fault("chunks without end", "503 200 503 503 503 503 503 cut 503", |sound| {
            vec![Act::Send(sound.chunked(500, "", b"")), Act::Hang]
        })),
        // A blob may take as long as it likes while it moves.
        slow(fault("a dripping body", "503 200 503 503 503 503 503 200 503", move |sound| {
            if sound.method == "HEAD" {
                return vec![Act::Send(sound.bytes()), Act::Close];
            }
            let size = sound.body.len().div_ceil(20).max(1);
            let first = sound.head();
            let pieces = sound.body.chunks(size).map(<[u8]>::to_vec);
            dripping(
                [first].into_iter().chain(pieces).collect(),
                if sound.body.len() < 40 { second * 10 } else { second },
            )
        })),
        slow(fault("a dripping head", "503 503 503 503 503 503 503 5xx/200 503", move |sound| {
            dripping(sound.bytes().chunks(1).map(<[u8]>::to_vec).take(22).collect(), second)
        })),
        slow(fault("fine after 3 s", super::FINE, |sound| {
            vec![Act::Pause(Duration::from_secs(3)), Act::Send(sound.bytes()), Act::Close]
        })),
        slow(bytes("endless chunks", "502/503 200 502/503 502/503 502/503 503 503/200 =200/cut 502/503", |sound| {
            // 24 MB of them; then the connection ends.
            if sound.method == "HEAD" {
                return sound.chunked(1, "", b"");
            }
            sound.body(vec![b' '; 24 << 20]).chunked(1 << 16, "", b"")
        })),
    ]);
}
