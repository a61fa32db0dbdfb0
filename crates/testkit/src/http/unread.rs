//! Requests whose answers the client does not read, over HTTP/1.1 and over HTTP/2 by hand: no decent client would.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, setsockopt, socket, sockopt};

use super::{Failure, Request, Response, Result, connect};
use crate::server::http2::{END_HEADERS, END_STREAM, HEADERS, SETTINGS, block, frame};

/// HTTP/2's numbers (RFC 9113, sections 6 and 11).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const WINDOW_UPDATE: u8 = 8;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// The largest window of a stream. A connection's is made as large by adding to the 65,535 bytes that it has.
pub const WIDE_OPEN: u32 = 0x7fff_ffff;
const WIDEN: u32 = WIDE_OPEN - 65_535;

impl Request {
    /// Sends the request; the answer stays unread, and little of it fits into the connection's socket.
    pub fn send_unread(&self, port: u16) -> Result<TcpStream> {
        let mut stream = connect_small(port).map_err(|error| Failure::new(format!("a small socket: {error}")))?;
        stream.write_all(&self.wire_form(port, "keep-alive"))?;
        Ok(stream)
    }

    /// The request as a HEADERS frame of this stream.
    fn headers_frame(&self, stream: u32, port: u16) -> Vec<u8> {
        let named = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let authority =
            named.map_or(format!("127.0.0.1:{port}"), |(_, host)| String::from_utf8_lossy(host).into_owned());
        let pseudo = [(":method", self.method.as_str()), (":path", &self.path), (":scheme", "http")];
        let pseudo = pseudo.into_iter().chain([(":authority", authority.as_str())]);
        let others = self.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host"));
        let fields = pseudo.map(|(name, value)| (name, value.as_bytes()));
        let fields: Vec<(&str, &[u8])> =
            fields.chain(others.map(|(name, value)| (name.as_str(), &value[..]))).collect();
        frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(&fields))
    }
}

/// Reads the answer that was left unread.
pub fn read_late(stream: TcpStream) -> Result<Response> {
    Ok(Response::read(&mut BufReader::new(stream), false)?)
}

/// Sends the requests as streams of one HTTP/2 connection, whose streams have this window. Nothing is read.
pub fn send_unread_http2(requests: &[Request], window: u32, port: u16) -> Result<TcpStream> {
    let setting = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &window.to_be_bytes()].concat();
    let mut wire = PREFACE.to_vec();
    wire.extend(frame(SETTINGS, 0, 0, &setting));
    wire.extend(frame(WINDOW_UPDATE, 0, 0, &WIDEN.to_be_bytes()));
    // Clients' streams have odd numbers.
    for (stream, request) in (1..).step_by(2).zip(requests) {
        wire.extend(request.headers_frame(stream, port));
    }
    let mut connection = connect(port)?;
    connection.write_all(&wire)?;
    Ok(connection)
}

/// A connection whose socket takes a few kilobytes. It must be small before it connects: what the first packets promise
/// is kept, and some megabytes may come.
fn connect_small(port: u16) -> nix::Result<TcpStream> {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::RcvBuf, &4096)?;
    nix::sys::socket::connect(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port))?;
    Ok(TcpStream::from(socket))
}
