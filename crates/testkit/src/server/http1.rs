//! Just enough HTTP/1.1 to read requests, with a body if its length is told.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;

use super::answer::{Act, Next, act};
use super::received::Received;

/// Serves a connection until one side ends it.
pub(super) fn serve(connection: &TcpStream, handler: &dyn Fn(&Received) -> Vec<Act>) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    while let Some(request) = read(&mut reader)? {
        let acts = handler(&request);
        let wait_for_end = || {
            while reader.read(&mut [0; 1024])? > 0 {}
            Ok(())
        };
        if let Next::End = act(connection, acts, wait_for_end)? {
            return Ok(());
        }
    }
    Ok(())
}

/// The next request; `None` at the end of the connection.
fn read(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<Received>> {
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
    let headers: Vec<(String, String)> = lines.iter().skip(1).filter_map(header).collect();
    let mut received = Received { method, path, headers, body: Vec::new() };
    let length = received.header("content-length").and_then(|length| length.parse().ok());
    received.body.resize(length.unwrap_or_default(), 0);
    reader.read_exact(&mut received.body)?;
    Ok(Some(received))
}
