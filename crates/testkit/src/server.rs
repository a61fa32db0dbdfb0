//! The server that tests script: it does on command what a real server does, and what a real server never would.
//!
//! A handler gets each request of HTTP/1.1 and says, byte for byte, what happens on the connection ([`Server::start`]);
//! [`http2`] does the same frame by frame; and a handler may have the connection itself ([`Server::raw`]). A server
//! that is "slow" waits until the test opens a gate or the client goes away; only a pause that a test asks for takes a
//! set time ([`Act::Pause`]).

mod answer;
mod http1;
pub mod http2;
mod received;

use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use nix::sys::socket::{Backlog, listen};

pub use self::answer::{Act, Answer, Gate};
pub use self::received::Received;
use super::{Result, port};

/// So many connections may wait to be accepted; Envoy opens a thousand at once where a thousand clients ask.
const BACKLOG: i32 = 4096;

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
            // An error here is a client that went away, which is not the server's fault.
            std::thread::spawn(move || handler(&connection).ok());
        }
    }
}
