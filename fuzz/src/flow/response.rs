//! Responses of the model.

pub(super) type HeaderList = Vec<(String, Vec<u8>)>;

/// An answer to a request.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) headers: HeaderList,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn new(status: u16, content_type: &str, body: &[u8]) -> Self {
        let headers = [
            (":status", status.to_string()),
            ("content-type", content_type.to_owned()),
            ("content-length", body.len().to_string()),
            ("set-cookie", "registry-session".to_owned()),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).to_vec();
        Self { headers, body: body.to_vec() }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(key, _)| key != name);
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.iter().find(|(key, _)| key == name).map_or(&b""[..], |(_, value)| value);
        std::str::from_utf8(value).expect("the model's headers are text")
    }

    pub(super) fn status(&self) -> u16 {
        self.header(":status").parse().expect("a status")
    }
}
