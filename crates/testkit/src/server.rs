//! The one server that tests make up: it does on command what a real one does, and what a real one never would.
//!
//! A handler gets each request of HTTP/1.1 and says, byte for byte, what happens on the connection ([`Server::start`]);
//! [`http2`] does the same frame by frame; and a handler may have the connection itself ([`Server::raw`]). A server
//! that is "slow" waits until the test opens a gate or the client goes away; nothing is timed but what a test wants to
//! last ([`Act::Pause`]).

mod answer;
mod http1;
pub mod http2;

use std::io::Write as _;
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use nix::libc;
use nix::sys::socket::{Backlog, listen, setsockopt, sockopt};

pub use self::answer::{Act, Answer, Gate};
use super::{Result, port};

/// So many connections may wait to be accepted; Envoy opens a thousand at once where a thousand clients ask.
const BACKLOG: i32 = 4096;

/// A request as the server saw it.
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

    /// What stands behind the last slash of the path: of a manifest its tag or digest.
    pub fn reference(&self) -> &str {
        let path = self.path.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }
}

/// A running server on the loopback address; it ends with this value.
pub struct Server {
    port: u16,
    listening: Arc<Listening>,
    received: Arc<Mutex<Vec<Received>>>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Listening {
    stopping: AtomicBool,
    connections: Mutex<Vec<Weak<TcpStream>>>,
}

impl Server {
    /// A server on a free port whose handler says what is done for each request.
    pub fn start(handler: impl Fn(&Received) -> Vec<Act> + Send + Sync + 'static) -> Result<Self> {
        Self::start_on(port::free(), handler)
    }

    pub fn start_on(port: u16, handler: impl Fn(&Received) -> Vec<Act> + Send + Sync + 'static) -> Result<Self> {
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let theirs = Arc::clone(&received);
        let remembering = move |request: &Received| {
            theirs.lock().unwrap().push(request.clone());
            handler(request)
        };
        let serve = move |connection: &TcpStream| http1::serve(connection, &remembering);
        let mut server = Self::raw_on(port, serve)?;
        server.received = received;
        Ok(server)
    }

    /// One that does not remember requests: for millions of them.
    pub fn forgetful(handler: impl Fn(&Received) -> Vec<Act> + Send + Sync + 'static) -> Result<Self> {
        Self::raw(move |connection| http1::serve(connection, &handler))
    }

    /// A server on a free port whose handler has each connection to itself.
    pub fn raw(handler: impl Fn(&TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> Result<Self> {
        Self::raw_on(port::free(), handler)
    }

    fn raw_on(port: u16, handler: impl Fn(&TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
        listen(&listener, Backlog::new(BACKLOG).unwrap_or(Backlog::MAXCONN)).map_err(std::io::Error::from)?;
        let listening = Arc::new(Listening::default());
        let theirs = Arc::clone(&listening);
        let acceptor = std::thread::spawn(move || theirs.accept(&listener, &Arc::new(handler)));
        Ok(Self { port, listening, received: Arc::default(), acceptor: Some(acceptor) })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// All requests so far whose path contains `part`.
    pub fn received(&self, part: &str) -> Vec<Received> {
        let received = self.received.lock().unwrap();
        received.iter().filter(|request| request.path.contains(part)).cloned().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listening.stopping.store(true, Ordering::SeqCst);
        // One more connection lets the acceptor look at the flag.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let _ = self.acceptor.take().map(JoinHandle::join);
        let mut connections = self.listening.connections.lock().unwrap_or_else(PoisonError::into_inner);
        for connection in connections.drain(..) {
            let _ = connection.upgrade().map(|connection| connection.shutdown(Shutdown::Both));
        }
    }
}

impl Listening {
    fn accept<H>(&self, listener: &TcpListener, handler: &Arc<H>)
    where
        H: Fn(&TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    {
        for connection in listener.incoming().flatten() {
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            // Without this a kept-alive connection answers 40 ms late.
            let _ = connection.set_nodelay(true);
            let connection = Arc::new(connection);
            self.connections.lock().unwrap().push(Arc::downgrade(&connection));
            let handler = Arc::clone(handler);
            // An error here is a client that went away, which is none of ours.
            std::thread::spawn(move || handler(&connection).ok());
        }
    }
}

/// Whether the connection goes on.
enum Next {
    Request,
    End,
}

/// Does what a handler wants; `wait_for_end` returns when the client has closed the connection.
fn act(
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
