//! The load: many kept-alive connections on one thread, each sending its next request when its answer is complete.
//!
//! Written for this, and no general tool, because requests are counted and not seconds (the CPU of exactly these
//! requests is what is divided), because every answer's status and length are checked, and because a request may depend
//! on the answer before it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use metahub_testkit::{Failure, Result};

/// Silence for this long is a failure.
const PATIENCE: u16 = 20_000;

/// The next request of a connection.
pub(crate) struct Request {
    /// The whole request; it has no body.
    pub(crate) bytes: Vec<u8>,
    /// Whether the answer will have no body.
    pub(crate) is_head: bool,
}

/// A complete answer; bodies are counted and not kept.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// The status line and the header lines.
    pub(crate) head: &'a [u8],
    /// Bytes of the body.
    pub(crate) length: u64,
}

impl Answer<'_> {
    /// The first value of a header; `name` in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }
}

/// One client on one connection.
pub(crate) trait Session {
    /// The next request; `None` when this client is done.
    fn next(&mut self) -> Option<Request>;

    /// Takes the answer to the request before; a failure ends the whole load.
    fn answered(&mut self, answer: &Answer<'_>) -> Result<()>;
}

/// The result of a load.
pub(crate) struct Outcome {
    pub(crate) elapsed: Duration,
    /// Of each request, in no particular order.
    pub(crate) latencies: Vec<Duration>,
}

struct Connection<'a> {
    stream: TcpStream,
    session: &'a mut dyn Session,
    /// The answer so far: its head, whole or in part.
    head: Vec<u8>,
    /// The bytes of the body that are missing, once the head is complete.
    missing: Option<u64>,
    is_head: bool,
    sent: Instant,
}

/// Runs each session on a connection of its own to the port beside it, all at once, until none has a request left.
pub(crate) fn run(sessions: Vec<(u16, &mut dyn Session)>) -> Result<Outcome> {
    let epoll = Epoll::new(EpollCreateFlags::empty()).map_err(|error| Failure::new(error.to_string()))?;
    let mut connections = Vec::new();
    for (position, (port, session)) in sessions.into_iter().enumerate() {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, position as u64);
        epoll.add(&stream, event).map_err(|error| Failure::new(error.to_string()))?;
        let (head, sent) = (Vec::new(), Instant::now());
        connections.push(Connection { stream, session, head, missing: None, is_head: false, sent });
    }
    let start = Instant::now();
    let mut active = 0;
    for connection in &mut connections {
        active += usize::from(connection.send()?);
    }
    let mut outcome = Outcome { elapsed: Duration::ZERO, latencies: Vec::new() };
    let mut events = [EpollEvent::empty(); 64];
    let mut buffer = vec![0; 256 * 1024];
    while active > 0 {
        let ready = match epoll.wait(&mut events, EpollTimeout::from(PATIENCE)) {
            Ok(0) => return Err(Failure::new(format!("no answer on {active} connections within {PATIENCE} ms"))),
            Ok(ready) => ready,
            Err(nix::Error::EINTR) => continue,
            Err(error) => return Err(Failure::new(error.to_string())),
        };
        for event in &events[..ready] {
            let connection = &mut connections[usize::try_from(event.data()).unwrap_or(usize::MAX)];
            if connection.receive(&mut buffer)? {
                outcome.latencies.push(connection.sent.elapsed());
                active -= usize::from(!connection.send()?);
            }
        }
    }
    outcome.elapsed = start.elapsed();
    Ok(outcome)
}

impl Connection<'_> {
    /// Sends the next request, if there is one.
    fn send(&mut self) -> Result<bool> {
        let Some(request) = self.session.next() else { return Ok(false) };
        self.head.clear();
        self.missing = None;
        self.is_head = request.is_head;
        self.sent = Instant::now();
        // Small, and everything before it was answered: the socket's buffer is empty and takes it whole.
        self.stream.write_all(&request.bytes)?;
        Ok(true)
    }

    /// Reads once; whether the answer is complete.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<bool> {
        let count = match self.stream.read(buffer) {
            Ok(0) => return Err(Failure::new("a connection was closed before its answer was complete")),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let missing = match self.missing {
            Some(missing) => missing.checked_sub(count as u64),
            None => {
                self.head.extend_from_slice(&buffer[..count]);
                let Some(end) = end_of_head(&self.head) else { return Ok(false) };
                let length = if self.is_head { 0 } else { content_length(&self.head[..end])? };
                let missing = length.checked_sub((self.head.len() - end) as u64);
                self.head.truncate(end);
                missing
            }
        };
        let missing = missing.ok_or_else(|| Failure::new("an answer is longer than it says"))?;
        self.missing = Some(missing);
        if missing == 0 {
            let length = if self.is_head { 0 } else { content_length(&self.head)? };
            self.session.answered(&Answer { status: status(&self.head)?, head: &self.head, length })?;
        }
        Ok(missing == 0)
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|position| position + 4)
}

fn status(head: &[u8]) -> Result<u16> {
    let status = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| Failure::new(format!("no status in {:?}", String::from_utf8_lossy(head))))
}

fn content_length(head: &[u8]) -> Result<u64> {
    let length = header(head, "content-length").and_then(|value| value.parse().ok());
    length.ok_or_else(|| Failure::new(format!("no length in {:?}", String::from_utf8_lossy(head))))
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (key, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        key.eq_ignore_ascii_case(name.as_bytes()).then(|| std::str::from_utf8(value.trim_ascii()).ok())?
    })
}
