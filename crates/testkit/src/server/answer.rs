//! The reaction of a test server to a request: a list of acts, or an answer that becomes one.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};

use super::received::Received;
use crate::image::Document;

/// A test that forgets to open a gate fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// The next event on the connection.
#[derive(Clone)]
pub enum Act {
    /// These bytes are sent.
    Send(Vec<u8>),
    /// As `Send`, for bytes that are too large to copy for each request.
    SendShared(Arc<[u8]>),
    /// Nothing, until the gate is opened.
    Wait(Gate),
    /// Nothing more, until the client closes the connection.
    Hang,
    /// Nothing, for this long.
    Pause(Duration),
    /// The connection is closed.
    Close,
    /// The connection is reset (RST, not FIN).
    Reset,
}

/// Lets a test stop the upstream in the middle of an answer.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<Passage>, Condvar)>);

#[derive(Default)]
struct Passage {
    reached: bool,
    open: bool,
}

impl Gate {
    /// Waits until the upstream stands at the gate.
    pub fn reached(&self) {
        self.wait(|passage| passage.reached);
    }

    pub fn open(&self) {
        self.change(|passage| passage.open = true);
    }

    fn pass(&self) {
        self.change(|passage| passage.reached = true);
        self.wait(|passage| passage.open);
    }

    fn change(&self, change: impl FnOnce(&mut Passage)) {
        change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
    }

    fn wait(&self, until: impl Fn(&Passage) -> bool) {
        let passage = self.0.0.lock().unwrap();
        let (_passage, timeout) = self.0.1.wait_timeout_while(passage, PATIENCE, |passage| !until(passage)).unwrap();
        assert!(!timeout.timed_out(), "nobody came to the gate");
    }
}

/// Whether the connection goes on.
pub(super) enum Next {
    Request,
    End,
}

/// Does what a handler wants; `wait_for_end` returns when the client has closed the connection.
pub(super) fn act(
    mut connection: &TcpStream,
    acts: Vec<Act>,
    mut wait_for_end: impl FnMut() -> std::io::Result<()>,
) -> std::io::Result<Next> {
    for act in acts {
        match act {
            Act::Send(bytes) => connection.write_all(&bytes)?,
            Act::SendShared(bytes) => connection.write_all(&bytes)?,
            Act::Wait(gate) => gate.pass(),
            Act::Hang => {
                wait_for_end()?;
                return Ok(Next::End);
            }
            Act::Pause(length) => std::thread::sleep(length),
            Act::Close => return Ok(Next::End),
            // Closing with a linger time of zero resets.
            Act::Reset => {
                setsockopt(&connection, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
                return Ok(Next::End);
            }
        }
    }
    Ok(Next::Request)
}

/// An answer under construction.
#[derive(Clone)]
pub struct Answer {
    head: String,
    body: Vec<u8>,
    trailers: Option<String>,
    length: bool,
}

impl Answer {
    pub fn new(status: u16) -> Self {
        Self { head: format!("HTTP/1.1 {status} X\r\n"), body: Vec::new(), trailers: None, length: true }
    }

    /// 200 with this media type and body.
    pub fn document(media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(200).header("content-type", media_type).body(body)
    }

    /// 200 with this document and its digest.
    pub fn stored(document: &Document) -> Self {
        Self::document(&document.media_type, document.bytes.clone()).header("docker-content-digest", &document.digest())
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// In chunks, without saying the length.
    pub fn chunked(mut self) -> Self {
        self.length = false;
        self
    }

    /// In chunks, with trailers after them: header lines, each with its line end.
    pub fn trailers(self, trailers: &str) -> Self {
        Self { trailers: Some(trailers.to_owned()), ..self.chunked() }
    }

    /// The answer's bytes.
    pub fn bytes(self) -> Vec<u8> {
        let mut wire = self.head.into_bytes();
        if self.length {
            wire.extend(format!("content-length: {}\r\n\r\n", self.body.len()).bytes());
            wire.extend(self.body);
            return wire;
        }
        wire.extend(b"transfer-encoding: chunked\r\n\r\n");
        for chunk in self.body.chunks(64 * 1024) {
            wire.extend(format!("{:x}\r\n", chunk.len()).bytes());
            wire.extend(chunk);
            wire.extend(b"\r\n");
        }
        wire.extend(format!("0\r\n{}\r\n", self.trailers.unwrap_or_default()).bytes());
        wire
    }

    /// The bytes of the answer to this request: HEAD has all but the body.
    pub fn bytes_to(self, request: &Received) -> Vec<u8> {
        let mut wire = self.bytes();
        if request.method == "HEAD" {
            let end = wire.windows(4).position(|four| four == b"\r\n\r\n").map_or(wire.len(), |at| at + 4);
            wire.truncate(end);
        }
        wire
    }

    /// The answer to this request, sent at once.
    pub fn to(self, request: &Received) -> Vec<Act> {
        vec![Act::Send(self.bytes_to(request))]
    }

    /// The answer, sent at once, with its body for every method.
    pub fn acts(self) -> Vec<Act> {
        vec![Act::Send(self.bytes())]
    }

    /// The answer with something else happening before its last `missing` bytes.
    pub fn interrupted(self, missing: usize, by: Act) -> Vec<Act> {
        let mut first = self.bytes();
        let rest = first.split_off(first.len() - missing);
        vec![Act::Send(first), by, Act::Send(rest)]
    }
}
