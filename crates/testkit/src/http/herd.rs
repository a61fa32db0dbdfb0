//! Thousands of clients at the same moment, each with a connection of its own, in one thread.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt};

use super::{Failure, Request, Response, Result};

/// So many connections wait to be accepted: fewer than the listener's backlog, behind which the kernel waits a second.
const AT_THE_DOOR: usize = 100;
/// How long all together may take to be accepted.
const DOOR: Duration = Duration::from_secs(60);

/// The outcome of one client's request.
pub struct Outcome {
    /// The complete answer, or how it broke off: what there was of it, or that nothing came.
    pub answer: std::result::Result<Response, String>,
    /// When the answer was complete, counted from [`Herd::ask`].
    pub after: Duration,
}

/// Connected clients. They go away with this value: their connections are reset, as by a killed process.
pub struct Herd {
    epoll: Epoll,
    clients: Vec<Client>,
    connecting: usize,
    open: usize,
    asked: Instant,
}

struct Client {
    stream: TcpStream,
    connected: bool,
    head: bool,
    request: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    length: Length,
    end: Option<(std::result::Result<(), String>, Duration)>,
}

/// Where an answer ends, as far as its head has come.
#[derive(Clone, Copy)]
enum Length {
    Unknown,
    Whole(usize),
    Chunked,
    UntilClose,
}

impl Herd {
    /// Opens a connection to `port` for each request, and sends nothing yet.
    pub fn connect(port: u16, requests: &[Request]) -> Result<Self> {
        allow_files(requests.len() * 2 + 2000)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        let mut herd = Self { epoll, clients: Vec::new(), connecting: 0, open: 0, asked: Instant::now() };
        let deadline = Instant::now() + DOOR;
        for request in requests {
            herd.wait_at_the_door(AT_THE_DOOR, deadline)?;
            herd.open(port, request)?;
        }
        herd.wait_at_the_door(1, deadline)?;
        Ok(herd)
    }

    /// Waits until fewer than `limit` connections wait to be accepted.
    fn wait_at_the_door(&mut self, limit: usize, deadline: Instant) -> Result<()> {
        while self.connecting >= limit {
            if Instant::now() >= deadline {
                let all = self.clients.len();
                return Err(Failure::new(format!("{} of {all} connections are not accepted", self.connecting)));
            }
            self.turn(deadline)?;
        }
        Ok(())
    }

    /// All send their requests.
    pub fn ask(&mut self) {
        self.asked = Instant::now();
        self.open = self.clients.len();
        for number in 0..self.clients.len() {
            self.pump(number);
        }
    }

    /// Reads answers until all have one, or `patience` is over (counted from [`Herd::ask`]).
    pub fn answers(mut self, patience: Duration) -> Result<Vec<Outcome>> {
        let deadline = self.asked + patience;
        while self.open > 0 && Instant::now() < deadline {
            self.turn(deadline)?;
        }
        let clients = std::mem::take(&mut self.clients);
        Ok(clients.into_iter().map(|client| client.outcome(patience)).collect())
    }

    /// Connects, asks and reads: for as many requests as there are.
    pub fn run(port: u16, requests: &[Request], patience: Duration) -> Result<Vec<Outcome>> {
        let mut herd = Self::connect(port, requests)?;
        herd.ask();
        herd.answers(patience)
    }

    fn open(&mut self, port: u16, request: &Request) -> Result<()> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None).map_err(failed)?;
        match connect(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port)) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(error) => return Err(failed(error)),
        }
        let number = self.clients.len() as u64;
        let events = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET | EpollFlags::EPOLLRDHUP;
        self.epoll.add(&socket, EpollEvent::new(events, number)).map_err(failed)?;
        self.connecting += 1;
        self.clients.push(Client {
            stream: TcpStream::from(socket),
            connected: false,
            head: request.method == "HEAD",
            request: request.wire_form(port, "close"),
            sent: 0,
            received: Vec::new(),
            length: Length::Unknown,
            end: None,
        });
        Ok(())
    }

    /// Waits for events, and handles them.
    fn turn(&mut self, deadline: Instant) -> Result<()> {
        let left = deadline.saturating_duration_since(Instant::now()).min(Duration::from_millis(500));
        let mut events = [EpollEvent::empty(); 512];
        let timeout = EpollTimeout::try_from(left).unwrap_or(EpollTimeout::ZERO);
        let count = match self.epoll.wait(&mut events, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(failed(error)),
        };
        for event in &events[..count] {
            let number = usize::try_from(event.data()).unwrap_or_default();
            if self.clients[number].connected {
                self.pump(number);
            } else {
                self.clients[number].connected = true;
                self.connecting -= 1;
            }
        }
        Ok(())
    }

    /// Sends and reads what one client can; before [`Herd::ask`] nothing.
    fn pump(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if self.open == 0 || client.end.is_some() {
            return;
        }
        if let Some(end) = client.pump() {
            client.end = Some((end, self.asked.elapsed()));
            let _ = self.epoll.delete(&client.stream);
            self.open -= 1;
        }
    }
}

impl Client {
    /// How the answer ended, if it did.
    fn pump(&mut self) -> Option<std::result::Result<(), String>> {
        while self.sent < self.request.len() {
            match self.stream.write(&self.request[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Bytes that the server sent before it closed may still be there to read.
                Err(_) => break,
            }
        }
        let mut bytes = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Some(self.closed()),
                Ok(count) => self.received.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => return Some(Err(error.to_string())),
            }
            if self.is_complete() {
                return Some(Ok(()));
            }
        }
    }

    fn closed(&self) -> std::result::Result<(), String> {
        match self.length {
            Length::UntilClose => Ok(()),
            _ if self.is_complete_already() => Ok(()),
            _ => Err("the connection was closed".to_owned()),
        }
    }

    fn is_complete(&mut self) -> bool {
        while let Length::Unknown = self.length {
            let Some(end) = self.received.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else {
                return false;
            };
            let head = String::from_utf8_lossy(&self.received[..end]).to_lowercase();
            if head.starts_with("http/1.1 1") {
                self.received.drain(..end);
                continue;
            }
            let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let bodyless = self.head || head.starts_with("http/1.1 204") || head.starts_with("http/1.1 304");
            self.length = match value("content-length:").and_then(|text| text.parse::<usize>().ok()) {
                _ if bodyless => Length::Whole(end),
                _ if value("transfer-encoding:") == Some("chunked") => Length::Chunked,
                Some(length) => Length::Whole(end + length),
                None => Length::UntilClose,
            };
        }
        self.is_complete_already()
    }

    fn is_complete_already(&self) -> bool {
        match self.length {
            Length::Unknown | Length::UntilClose => false,
            Length::Whole(size) => self.received.len() >= size,
            Length::Chunked => self.received.ends_with(b"\r\n0\r\n\r\n"),
        }
    }

    fn outcome(self, patience: Duration) -> Outcome {
        // Reset rather than closed: thousands of ports would stay taken for a minute.
        let _ = setsockopt(&self.stream, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 });
        let shown = || {
            let beginning = &self.received[..self.received.len().min(200)];
            format!("{} bytes: {}", self.received.len(), String::from_utf8_lossy(beginning))
        };
        let (end, after) = self.end.clone().unwrap_or_else(|| (Err(format!("no end within {patience:?}")), patience));
        let answer = end.map_err(|why| format!("{why} after {}", shown()));
        let read =
            |()| Response::read(&mut &self.received[..], self.head).map_err(|error| format!("{error} in {}", shown()));
        Outcome { answer: answer.and_then(read), after }
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        for client in &self.clients {
            let _ = setsockopt(&client.stream, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 });
        }
    }
}

/// Raises the limit on open files, ours and that of the processes we start from now on, where it is too low.
pub fn allow_files(count: usize) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed)?;
    let wanted = count as u64;
    if soft >= wanted {
        return Ok(());
    }
    let raised =
        setrlimit(Resource::RLIMIT_NOFILE, wanted.max(hard.min(65_536)).min(hard.max(wanted)), hard.max(wanted));
    raised.map_err(|error| Failure::new(format!("{wanted} open files are needed, {hard} allowed: {error}")))
}

fn failed(error: Errno) -> Failure {
    Failure::new(error.to_string())
}
