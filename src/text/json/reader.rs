//! JSON (RFC 8259) in one pass, borrowed from the text, with no tree in between.
//!
//! With `serde_json`, one bad entry spoils the others unless each entry is found first and then read again; that and
//! what followed took three to six times as long (docs/performance.md). Here a value of the wrong type is no error of
//! the document, so that once is enough. Both accept the same JSON: the tests compare them.

use std::borrow::Cow;

/// The deepest nesting that is read.
const MAX_DEPTH: u32 = 128;

/// The problem of a text that is nested deeper than that; it may be JSON all the same.
pub(crate) const TOO_DEEP: &str = "nested too deep";

/// The problem of a text that goes on behind its value.
pub(crate) const NOT_THE_END: &str = "expected the end";

/// Why a text is not the JSON that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {at}")]
pub(crate) struct Malformed {
    pub(crate) problem: &'static str,
    /// Where, in bytes from the start.
    pub(crate) at: usize,
}

/// The text is malformed, and the reader knows how. It is that small because each value is a chance to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop;

/// A place in a text, at which one value after the other is taken.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    problem: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, problem: "" }
    }

    /// Why it stopped.
    pub(crate) const fn malformed(&self) -> Malformed {
        Malformed { problem: self.problem, at: self.at }
    }

    /// Stops here.
    pub(crate) const fn stop(&mut self, problem: &'static str) -> Stop {
        self.problem = problem;
        Stop
    }

    /// The first byte of the next value or sign.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.byte()?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// An object; `member` is called with each name and must take the value.
    pub(crate) fn object(&mut self, mut member: impl FnMut(&mut Self, &str) -> Result<(), Stop>) -> Result<(), Stop> {
        self.nested(b'{', b'}', "expected an object", |reader| {
            let (raw, escaped) = reader.raw_string()?;
            reader.expect(b':', "expected a colon")?;
            let unescaped;
            let name = if escaped {
                // A name that is no text is not one that callers look for.
                unescaped = unescape(raw).unwrap_or_default();
                &unescaped
            } else {
                raw
            };
            member(reader, name)
        })
    }

    /// A list; `item` is called at each value and must take it.
    pub(crate) fn list(&mut self, item: impl FnMut(&mut Self) -> Result<(), Stop>) -> Result<(), Stop> {
        self.nested(b'[', b']', "expected a list", item)
    }

    /// A string; `None` when its escapes make no text (half of a surrogate pair).
    pub(crate) fn string(&mut self) -> Result<Option<Cow<'a, str>>, Stop> {
        let (raw, escaped) = self.raw_string()?;
        Ok(if escaped { unescape(raw).map(Cow::Owned) } else { Some(Cow::Borrowed(raw)) })
    }

    /// A number, as it is written.
    pub(crate) fn number(&mut self) -> Result<&'a str, Stop> {
        self.peek();
        let start = self.at;
        self.skip_if(|byte| byte == b'-');
        if !self.skip_if(|byte| byte == b'0') {
            self.digits()?;
        }
        if self.skip_if(|byte| byte == b'.') {
            self.digits()?;
        }
        if self.skip_if(|byte| matches!(byte, b'e' | b'E')) {
            self.skip_if(|byte| matches!(byte, b'+' | b'-'));
            self.digits()?;
        }
        Ok(self.text_since(start))
    }

    /// Reads over any value.
    pub(crate) fn skip(&mut self) -> Result<(), Stop> {
        match self.peek() {
            Some(b'"') => self.raw_string().map(drop),
            Some(b'{') => self.nested(b'{', b'}', "expected an object", |reader| {
                reader.raw_string()?;
                reader.expect(b':', "expected a colon")?;
                reader.skip()
            }),
            Some(b'[') => self.list(Self::skip),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            _ => self.literal(),
        }
    }

    /// Takes `null` if that is next.
    pub(crate) fn null(&mut self) -> Result<bool, Stop> {
        let null = self.peek() == Some(b'n');
        if null {
            self.literal()?;
        }
        Ok(null)
    }

    /// Nothing but blanks may follow.
    pub(crate) fn end(&mut self) -> Result<(), Stop> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.stop(NOT_THE_END)),
        }
    }

    /// Reads the values between two brackets, separated by commas.
    fn nested(
        &mut self,
        open: u8,
        close: u8,
        expected: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        self.expect(open, expected)?;
        if self.depth == MAX_DEPTH {
            return Err(self.stop(TOO_DEEP));
        }
        self.depth += 1;
        let mut more = self.peek() != Some(close);
        while more {
            item(self)?;
            more = self.peek() == Some(b',');
            if more {
                self.at += 1;
            }
        }
        self.depth -= 1;
        self.expect(close, "expected a comma or the end of the list or object")
    }

    fn expect(&mut self, byte: u8, problem: &'static str) -> Result<(), Stop> {
        if self.peek() != Some(byte) {
            return Err(self.stop(problem));
        }
        self.at += 1;
        Ok(())
    }

    /// A string without its quotes, and whether it has escapes.
    fn raw_string(&mut self) -> Result<(&'a str, bool), Stop> {
        if self.byte() != Some(b'"') {
            self.expect(b'"', "expected a string")?;
            self.at -= 1;
        }
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = plain_until(self.text.as_bytes(), self.at);
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                    self.escape()?;
                }
                _ => return Err(self.stop("expected the end of a string")),
            }
        }
        let raw = self.text_since(start);
        self.at += 1;
        Ok((raw, escaped))
    }

    /// Reads the rest of an escape, after its backslash.
    fn escape(&mut self) -> Result<(), Stop> {
        let digits = match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            _ => return Err(self.stop("expected an escape")),
        };
        self.at += 1;
        for _ in 0..digits {
            if !self.skip_if(|byte| byte.is_ascii_hexdigit()) {
                return Err(self.stop("expected four hexadecimal digits"));
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Stop> {
        let start = self.at;
        while self.skip_if(|byte| byte.is_ascii_digit()) {}
        if self.at == start { Err(self.stop("expected a digit")) } else { Ok(()) }
    }

    fn literal(&mut self) -> Result<(), Stop> {
        let rest = self.text.get(self.at..);
        debug_assert!(rest.is_some(), "no character begins at {}", self.at);
        let rest = rest.unwrap_or_default();
        let word = ["null", "true", "false"].into_iter().find(|word| rest.starts_with(word));
        let Some(word) = word else { return Err(self.stop("expected a value")) };
        self.at += word.len();
        Ok(())
    }

    fn skip_if(&mut self, wanted: impl FnOnce(u8) -> bool) -> bool {
        let found = self.byte().is_some_and(wanted);
        self.at += usize::from(found);
        found
    }

    /// The text from `start` to here, both of which are at ASCII characters.
    fn text_since(&self, start: usize) -> &'a str {
        let text = self.text.get(start..self.at);
        debug_assert!(text.is_some(), "from {start} to {}", self.at);
        text.unwrap_or_default()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// The first place from `at` on that is a quote, a backslash or a control character: eight bytes at a time, because
/// strings are most of a document.
fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*chunk);
        // A subtraction sets the high bit of the bytes that are too small for it: after the first exclusive or those
        // are the control characters and the quote, after the second the backslash. It borrows from the bytes above,
        // so only the first mark counts.
        let small = (word ^ (ONES * 2)).wrapping_sub(ONES * 0x21);
        let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        let marks = (small | backslash) & !word & (ONES * 0x80);
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..);
    debug_assert!(rest.is_some(), "{at} lies outside");
    let rest = rest.unwrap_or_default();
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

/// A string with its escapes replaced, of which each is known to be one.
fn unescape(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut characters = escape.chars();
        let character = match characters.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let mut units = [unit(characters.as_str())?, 0];
                characters = characters.as_str().get(4..)?.chars();
                let second = characters.as_str().strip_prefix("\\u").filter(|_| matches!(units[0], 0xd800..0xdc00));
                if let Some(second) = second {
                    units[1] = unit(second)?;
                    characters = second.get(4..)?.chars();
                }
                char::decode_utf16(units).next()?.ok()?
            }
            itself => itself,
        };
        text.push(character);
        rest = characters.as_str();
    }
    text.push_str(rest);
    Some(text)
}

/// The four hexadecimal digits at the start of `text`.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests;
