//! The same requests over HTTP/2 without TLS (by prior knowledge) and over TLS, on a fresh connection each: curl sends
//! them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::process::Command;

use super::{Failure, Request, Response, Result};
use crate::certificates::{TLS_HOST, authority};

impl Request {
    /// Sends the request to `127.0.0.1:port` over HTTP/2 and reads the whole answer.
    pub fn send_h2c(&self, port: u16) -> Result<Response> {
        self.send_by_curl(&["--http2-prior-knowledge"], &format!("http://127.0.0.1:{port}"))
    }

    /// Sends the request with TLS to the server on this port, which must have the test authority's certificate for
    /// [`TLS_HOST`], over HTTP/2 if it speaks that.
    pub fn send_tls(&self, port: u16) -> Result<Response> {
        let authority = authority()?.display().to_string();
        let resolve = format!("{TLS_HOST}:{port}:127.0.0.1");
        self.send_by_curl(
            &["--http2", "--cacert", &authority, "--resolve", &resolve],
            &format!("https://{TLS_HOST}:{port}"),
        )
    }

    fn send_by_curl(&self, options: &[&str], server: &str) -> Result<Response> {
        self.send_by(Command::new("curl"), options, server)
    }

    /// Sends the request to this server, which is the beginning of a URL, and reads the whole answer. `curl` is the
    /// command for curl, perhaps in another network, and `options` are more options of it.
    pub fn send_by(&self, mut curl: Command, options: &[&str], server: &str) -> Result<Response> {
        let command = &mut curl;
        command.args(["--silent", "--show-error", "--include", "--path-as-is"]).args(options);
        command.args(["--noproxy", "*", "--max-time", "30"]);
        if self.method == "HEAD" {
            command.arg("--head");
        } else {
            command.args(["--request", &self.method]);
        }
        for (name, value) in &self.headers {
            // curl's way to write a header without a value.
            let separator: &[u8] = if value.is_empty() { b";" } else { b": " };
            let line = [name.as_bytes(), separator, value].concat();
            command.arg("--header").arg(OsString::from_vec(line));
        }
        if !self.body.is_empty() {
            // With an option of its own a body that begins with @ would be the name of a file.
            command.arg("--data-raw").arg(OsString::from_vec(self.body.clone()));
        }
        let output = command.arg(format!("{server}{}", self.path)).output()?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Failure::new(format!("{} {server}{}: {text}", self.method, self.path)));
        }
        parse(&output.stdout).ok_or_else(|| Failure::new(format!("{}: curl printed no answer", self.path)))
    }
}

/// Reads the output of `curl --include`: a status line, headers, an empty line, the body.
fn parse(output: &[u8]) -> Option<Response> {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = (&output[..end], output[end + 4..].to_vec());
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let status = std::str::from_utf8(lines.next()?).ok()?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = String::from_utf8_lossy(&line[..colon]).into_owned();
        Some((name, line[colon + 1..].trim_ascii().to_vec()))
    };
    Some(Response { status, headers: lines.filter_map(header).collect(), body })
}
