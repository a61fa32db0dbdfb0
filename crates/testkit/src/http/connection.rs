//! Requests one after the other on one HTTP/1.1 connection that stays open.

use std::io::{BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};

use super::{Failure, Request, Response, Result, connect, connect_from};

/// An open connection to a port on the loopback address.
pub struct Connection {
    stream: BufReader<TcpStream>,
    port: u16,
}

impl Connection {
    pub fn open(port: u16) -> Result<Self> {
        Ok(Self { stream: BufReader::new(connect(port)?), port })
    }

    /// As the client at this address, which may be any that begins with 127.
    pub fn open_from(source: Ipv4Addr, port: u16) -> Result<Self> {
        Ok(Self { stream: BufReader::new(connect_from(source, port)?), port })
    }

    /// Sends a request and reads the whole answer; the connection stays open, or else the next call fails.
    pub fn send(&mut self, request: &Request) -> Result<Response> {
        self.begin(request)?;
        self.finish(request)
    }

    /// Reads the whole answer to a request that was begun.
    pub fn finish(&mut self, request: &Request) -> Result<Response> {
        let context = |error: std::io::Error| Failure::new(format!("{} {}: {error}", request.method, request.path));
        Response::read(&mut self.stream, request.method == "HEAD").map_err(context)
    }

    /// Sends a request, and leaves its answer unread.
    pub fn begin(&mut self, request: &Request) -> Result<()> {
        Ok(self.stream.get_mut().write_all(&request.wire_form(self.port, "keep-alive"))?)
    }
}
