//! A small HTTP/1.1 client on a fresh connection for each request.
//!
//! Headers are bytes in both directions: tests must be able to send headers that no decent client library lets through.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};

use super::{Failure, Result};

pub mod connection;
mod curl;
pub mod herd;
pub mod unread;

/// A limit on every single read and write, so that a hung server fails a test instead of stopping it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request to a port on the loopback address.
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// A complete answer.
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub fn head(path: &str) -> Self {
        Self::new("HEAD", path)
    }

    /// Adds a header line; one name may be added several times.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Adds `Authorization: Basic …`.
    pub fn login(self, user: &str, password: &str) -> Self {
        use base64::Engine as _;
        let token = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.header("authorization", format!("Basic {token}"))
    }

    pub fn body(mut self, bytes: &[u8]) -> Self {
        self.body = bytes.to_vec();
        self
    }

    /// Sends the request to `127.0.0.1:port` and reads the whole answer.
    pub fn send(&self, port: u16) -> Result<Response> {
        let context =
            |error: std::io::Error| Failure::new(format!("{} {} on port {port}: {error}", self.method, self.path));
        let mut stream = connect(port).map_err(context)?;
        stream.write_all(&self.wire_form(port, "close")).map_err(context)?;
        Response::read(&mut BufReader::new(stream), self.method == "HEAD").map_err(context)
    }

    fn wire_form(&self, port: u16, connection: &str) -> Vec<u8> {
        let mut wire = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        let named = |name: &str| self.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
        if !named("host") {
            wire.extend(format!("host: 127.0.0.1:{port}\r\n").bytes());
        }
        wire.extend(format!("connection: {connection}\r\n").bytes());
        if !self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH") {
            wire.extend(format!("content-length: {}\r\n", self.body.len()).bytes());
        }
        for (name, value) in &self.headers {
            wire.extend(name.bytes());
            wire.extend(b": ");
            wire.extend(value);
            wire.extend(b"\r\n");
        }
        wire.extend(b"\r\n");
        wire.extend(&self.body);
        wire
    }
}

impl Response {
    /// The first value of a header, if it is there and readable.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn read(stream: &mut impl BufRead, head_only: bool) -> std::io::Result<Self> {
        loop {
            let mut response = Self { status: 0, headers: Vec::new(), body: Vec::new() };
            let status_line = String::from_utf8_lossy(&line(stream)?).into_owned();
            let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
            response.status = status.ok_or_else(|| std::io::Error::other(format!("no status in {status_line:?}")))?;
            loop {
                let header = line(stream)?;
                if header.is_empty() {
                    break;
                }
                let colon = header.iter().position(|byte| *byte == b':').unwrap_or(header.len());
                let (name, value) = header.split_at(colon);
                let value = value.get(1..).unwrap_or_default().trim_ascii().to_vec();
                response.headers.push((String::from_utf8_lossy(name).into_owned(), value));
            }
            // 1xx answers announce the real one.
            if response.status >= 200 {
                if !head_only && !matches!(response.status, 204 | 304) {
                    response.body = response.read_body(stream)?;
                }
                return Ok(response);
            }
        }
    }

    fn read_body(&self, stream: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            loop {
                let size_line = String::from_utf8_lossy(&line(stream)?).into_owned();
                let size = usize::from_str_radix(size_line.split(';').next().unwrap_or("").trim(), 16)
                    .map_err(|_| std::io::Error::other(format!("bad chunk size {size_line:?}")))?;
                let start = body.len();
                body.resize(start + size, 0);
                stream.read_exact(&mut body[start..])?;
                // After a chunk its line end; after the last one the trailers.
                while !line(stream)?.is_empty() {}
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        match self.header("content-length").map(str::parse) {
            Some(Ok(length)) => {
                body.resize(length, 0);
                stream.read_exact(&mut body)?;
            }
            Some(Err(_)) => return Err(std::io::Error::other("bad content-length")),
            None => {
                stream.read_to_end(&mut body)?;
            }
        }
        Ok(body)
    }
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let stream = TcpStream::connect_timeout(&address.into(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn connect_from(source: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
    let socket = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    socket::bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(source, 0)))?;
    let destination = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    socket::connect(socket.as_raw_fd(), &SockaddrIn::from(destination))?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// One line without its line end.
fn line(stream: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Err(std::io::Error::other("the connection ended within a line"));
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(bytes)
}
