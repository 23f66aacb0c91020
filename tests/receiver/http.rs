//! A caller that speaks HTTP/1.1 by hand, so that what no client would send can be sent.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub const BOUNDARY: &str = "b0undary";

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The code of a JSON error; the answer must be one.
    #[track_caller]
    pub fn code(&self) -> String {
        let json: serde_json::Value =
            serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"));
        assert!(json["errors"][0].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        json["code"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

/// A keep-alive connection.
pub struct Caller {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Caller {
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        // Longer than anything here takes: a hanging request fails the test.
        stream.set_read_timeout(Some(Duration::from_secs(45)))?;
        stream.set_write_timeout(Some(Duration::from_secs(45)))?;
        Ok(Self { stream, read: Vec::new() })
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Whether something comes within this time; it stays to be read.
    pub fn hears_within(&self, time: Duration) -> bool {
        let before = self.stream.read_timeout().unwrap();
        self.stream.set_read_timeout(Some(time)).unwrap();
        let heard = uninterrupted(|| self.stream.peek(&mut [0])).is_ok_and(|bytes| bytes > 0);
        self.stream.set_read_timeout(before).unwrap();
        heard
    }

    /// Nothing more comes from this side.
    pub fn finish(&self) -> io::Result<()> {
        self.stream.shutdown(std::net::Shutdown::Write)
    }

    pub fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> io::Result<Response> {
        self.write(head("GET", path, headers, None).as_bytes())?;
        self.answer()
    }

    /// Posts a multipart body.
    pub fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
        self.begin(path, headers, body)?;
        self.answer()
    }

    /// The same without waiting for the answer.
    pub fn begin(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
        let mut bytes = head("POST", path, headers, Some(body.len())).into_bytes();
        bytes.extend_from_slice(body);
        self.write(&bytes)
    }

    /// The next answer; an error where the connection ends before it is whole.
    pub fn answer(&mut self) -> io::Result<Response> {
        let end = loop {
            match self.read.windows(4).position(|it| it == b"\r\n\r\n") {
                Some(end) => break end,
                None => self.more()?,
            }
        };
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|it| it.parse().ok());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
        while self.read.len() < end + 4 + length {
            self.more()?;
        }
        let body = String::from_utf8_lossy(&self.read[end + 4..end + 4 + length]).into_owned();
        self.read.drain(..end + 4 + length);
        Ok(Response { status: status.unwrap(), headers, body })
    }

    fn more(&mut self) -> io::Result<()> {
        let mut bytes = [0; 16 * 1024];
        match uninterrupted(|| self.stream.read(&mut bytes))? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.read.extend_from_slice(&bytes[..count]);
                Ok(())
            }
        }
    }
}

/// A machine that is halted and goes on interrupts each read that has a timeout (signal(7)): it is done again.
fn uninterrupted<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// A request's head; a length makes it one with a multipart body.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)], length: Option<usize>) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if let Some(length) = length {
        let is_given = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !is_given {
            head += &format!("Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n");
        }
        head += &format!("Content-Length: {length}\r\n");
    }
    head + "\r\n"
}

pub fn multipart(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in parts {
        body.extend_from_slice(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}
