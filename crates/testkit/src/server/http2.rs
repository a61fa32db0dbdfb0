//! An upstream that speaks HTTP/2 (RFC 9113) frame by frame, without TLS: for faults that no server library can
//! produce.
//!
//! Its clients must not use HPACK's dynamic table, see [`crate::envoy::Speaks::H2c`]; its own headers are
//! literals.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use super::Server;
use super::answer::{Act, Next, act};
use super::received::Received;
use crate::Result;

const PREFACE: usize = 24;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

/// Of DATA and HEADERS; the same bit means ACK in SETTINGS and PING.
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block of literals that are not indexed (RFC 7541 §6.2.2). Before them it says that the dynamic table is
/// empty, as a client without one wants to hear (§4.2).
pub fn block(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut block = vec![0x20];
    for (name, value) in fields {
        block.push(0);
        for text in [name.as_bytes(), value] {
            integer(&mut block, text.len());
            block.extend(text);
        }
    }
    block
}

/// With a prefix of 7 bits (RFC 7541 §5.1).
fn integer(block: &mut Vec<u8>, number: usize) {
    let Some(mut rest) = number.checked_sub(127) else { return block.push(u8::try_from(number).unwrap()) };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

type Handler = dyn Fn(&Received, u32) -> Vec<Act> + Send + Sync;

/// A server on a free port. The handler gets each request with its stream, and says what is sent for it.
pub fn start(handler: impl Fn(&Received, u32) -> Vec<Act> + Send + Sync + 'static) -> Result<Server> {
    Server::raw(move |connection| serve(connection, &handler))
}

fn serve(mut connection: &TcpStream, handler: &Handler) -> std::io::Result<()> {
    connection.read_exact(&mut [0; PREFACE])?;
    connection.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    loop {
        let mut head = [0; 9];
        connection.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        connection.read_exact(&mut payload)?;
        let (kind, flags, stream) = (head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
        match kind {
            SETTINGS | PING if flags & END_STREAM == 0 => {
                let answer = if kind == PING { payload.as_slice() } else { &[] };
                connection.write_all(&frame(kind, END_STREAM, 0, answer))?;
            }
            HEADERS => {
                let skipped = if flags & PRIORITY == 0 { 0 } else { 5 };
                let request = read(payload.get(skipped..).unwrap_or_default())
                    .ok_or_else(|| std::io::Error::from(ErrorKind::InvalidData))?;
                // Nothing is read meanwhile; a stream that hangs takes its connection with it.
                if let Next::End = act(connection, handler(&request, stream), || Ok(()))? {
                    return Ok(());
                }
            }
            _ => {}
        }
    }
}

/// Method and path of a header block; `None` if it cannot be read.
fn read(mut block: &[u8]) -> Option<Received> {
    let mut request = Received { method: String::new(), path: String::new(), headers: Vec::new(), body: Vec::new() };
    while let Some(first) = block.first().copied() {
        let (bits, has_value) = match first {
            128.. => (7, false),
            64.. => (6, true),
            32.. => (5, false),
            _ => (4, true),
        };
        let index = take_integer(&mut block, bits)?;
        if !has_value {
            match (first, index) {
                (128.., 2) => "GET".clone_into(&mut request.method),
                (128.., 4) => "/".clone_into(&mut request.path),
                _ => {}
            }
            continue;
        }
        if index == 0 {
            take_text(&mut block)?;
        }
        let (huffman, value) = take_text(&mut block)?;
        let target = match index {
            2 | 3 => &mut request.method,
            4 | 5 => &mut request.path,
            _ => continue,
        };
        *target = if huffman { decode(value)? } else { String::from_utf8(value.to_vec()).ok()? };
    }
    Some(request)
}

fn take_integer(block: &mut &[u8], bits: u32) -> Option<usize> {
    let (first, rest) = block.split_first()?;
    *block = rest;
    let mask = (1_usize << bits) - 1;
    let mut number = usize::from(*first) & mask;
    if number < mask {
        return Some(number);
    }
    for shift in (0..28).step_by(7) {
        let (next, rest) = block.split_first()?;
        *block = rest;
        number += usize::from(next & 127) << shift;
        if next & 128 == 0 {
            return Some(number);
        }
    }
    None
}

/// A text, and whether it is Huffman-coded.
fn take_text<'a>(block: &mut &'a [u8]) -> Option<(bool, &'a [u8])> {
    let huffman = block.first()? & 128 != 0;
    let length = take_integer(block, 7)?;
    let (text, rest) = block.split_at_checked(length)?;
    *block = rest;
    Some((huffman, text))
}

/// The signs of HPACK's Huffman code (RFC 7541 appendix B) of 5 to 8 bits: all that a path has. Within one length the
/// codes count up in this order, and go on behind the shorter ones.
const SIGNS: [(u32, &[u8]); 4] =
    [(5, b"012aceiost"), (6, b" %-./3456789=A_bdfghlmnpru"), (7, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"), (8, b"&*,;XZ")];

/// A Huffman-coded text of such signs.
pub fn decode(bytes: &[u8]) -> Option<String> {
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| u32::from(byte >> bit & 1)));
    let mut text = String::new();
    loop {
        let (mut code, mut length, mut first) = (0, 0, 0);
        let sign = loop {
            // The bits that are left at the end are padding.
            let Some(bit) = bits.next() else { return Some(text) };
            (code, length, first) = (code << 1 | bit, length + 1, first << 1);
            if length > 8 {
                return None;
            }
            let Some((_, signs)) = SIGNS.iter().find(|(bits, _)| *bits == length) else { continue };
            if let Some(sign) = signs.get(usize::try_from(code - first).ok()?) {
                break *sign;
            }
            first += u32::try_from(signs.len()).ok()?;
        };
        text.push(char::from(sign));
    }
}
