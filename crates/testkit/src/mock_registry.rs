//! An upstream that misbehaves on command, for faults that a real registry cannot produce.
//!
//! It speaks just enough HTTP/1.1: every request is handed to a function that says, byte for byte, what happens on the
//! connection. A server that is "slow" waits until the test opens a gate or the client goes away; nothing is timed but
//! what a test wants to last ([`Act::Pause`]).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{Backlog, listen, setsockopt, sockopt};

use super::{Result, port};

/// So many connections may wait to be accepted; Envoy opens a thousand at once where a thousand clients ask.
const BACKLOG: i32 = 4096;
/// A test that forgets to open a gate fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request as the upstream saw it.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What happens on the connection next.
#[derive(Clone)]
pub enum Act {
    /// These bytes are sent.
    Send(Vec<u8>),
    /// As `Send`, for what is too large to have a copy for each request.
    SendShared(Arc<[u8]>),
    /// Nothing, until the gate is opened.
    Wait(Gate),
    /// Nothing more, until the client closes the connection.
    Hang,
    /// Nothing, for so long.
    Pause(Duration),
    /// The connection is closed.
    Close,
    /// The connection is reset (RST, not FIN).
    Reset,
}

/// Lets a test stop the upstream in the middle of an answer.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<Stage>, Condvar)>);

#[derive(Default)]
struct Stage {
    reached: bool,
    open: bool,
}

impl Gate {
    /// Waits until the upstream stands at the gate.
    pub fn reached(&self) {
        self.wait(|stage| stage.reached);
    }

    pub fn open(&self) {
        self.change(|stage| stage.open = true);
    }

    fn pass(&self) {
        self.change(|stage| stage.reached = true);
        self.wait(|stage| stage.open);
    }

    fn change(&self, change: impl FnOnce(&mut Stage)) {
        change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
    }

    fn wait(&self, until: impl Fn(&Stage) -> bool) {
        let stage = self.0.0.lock().unwrap();
        let (_stage, timeout) = self.0.1.wait_timeout_while(stage, PATIENCE, |stage| !until(stage)).unwrap();
        assert!(!timeout.timed_out(), "nobody came to the gate");
    }
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

    /// The answer, sent at once.
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

type Handler = dyn Fn(&Received) -> Vec<Act> + Send + Sync;

/// A running upstream; it ends with this value.
pub struct MockRegistry {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    handler: Box<Handler>,
    stopping: AtomicBool,
    connections: Mutex<Vec<Weak<TcpStream>>>,
    received: Mutex<Vec<Received>>,
}

impl MockRegistry {
    /// Starts on a free port.
    pub fn start(handler: impl Fn(&Received) -> Vec<Act> + Send + Sync + 'static) -> Result<Self> {
        Self::start_on(port::free(), handler)
    }

    pub fn start_on(port: u16, handler: impl Fn(&Received) -> Vec<Act> + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
        listen(&listener, Backlog::new(BACKLOG).unwrap_or(Backlog::MAXCONN)).map_err(std::io::Error::from)?;
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            stopping: AtomicBool::new(false),
            connections: Mutex::default(),
            received: Mutex::default(),
        });
        let theirs = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || accept(&listener, &theirs));
        Ok(Self { port, shared, acceptor: Some(acceptor) })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// All requests so far whose path contains `part`.
    pub fn received(&self, part: &str) -> Vec<Received> {
        let received = self.shared.received.lock().unwrap();
        received.iter().filter(|request| request.path.contains(part)).cloned().collect()
    }
}

impl Drop for MockRegistry {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // One more connection lets the acceptor look at the flag.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let _ = self.acceptor.take().map(JoinHandle::join);
        for connection in self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = connection.upgrade().map(|connection| connection.shutdown(Shutdown::Both));
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming().flatten() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        // Without this a kept-alive connection answers 40 ms late.
        let _ = connection.set_nodelay(true);
        let connection = Arc::new(connection);
        shared.connections.lock().unwrap().push(Arc::downgrade(&connection));
        let shared = Arc::clone(shared);
        // An error here is a client that went away, which is none of ours.
        std::thread::spawn(move || serve(&connection, &shared).ok());
    }
}

fn serve(connection: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    while let Some(request) = read_request(&mut reader)? {
        shared.received.lock().unwrap().push(request.clone());
        for act in (shared.handler)(&request) {
            match act {
                Act::Send(bytes) => (&*connection).write_all(&bytes)?,
                Act::SendShared(bytes) => (&*connection).write_all(&bytes)?,
                Act::Wait(gate) => gate.pass(),
                Act::Hang => {
                    while reader.read(&mut [0; 1024])? > 0 {}
                    return Ok(());
                }
                Act::Pause(length) => std::thread::sleep(length),
                Act::Close => return Ok(()),
                // Closing with a linger time of zero resets.
                Act::Reset => {
                    return Ok(setsockopt(connection, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?);
                }
            }
        }
    }
    Ok(())
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<Received>> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut words = lines.first().into_iter().flat_map(|line| line.split(' ')).map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let header = |line: &String| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().into()));
    Ok(Some(Received { method, path, headers: lines.iter().skip(1).filter_map(header).collect() }))
}
