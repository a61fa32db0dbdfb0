//! Content digests (OCI image spec, descriptor.md §Digests): parsed once, compared and verified afterwards.

use std::fmt;

use sha2::{Digest as _, Sha256, Sha512};

/// The hash functions that registries use in digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `sha256`, 64 hexadecimal digits.
    Sha256,
    /// `sha512`, 128 hexadecimal digits.
    Sha512,
}

impl Algorithm {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256:",
            Self::Sha512 => "sha512:",
        }
    }

    /// The algorithm of a well-formed digest.
    ///
    /// # Errors
    /// [`InvalidDigest`] as [`Digest::parse`] has it.
    pub(crate) fn of(text: &str) -> Result<Self, InvalidDigest> {
        for algorithm in [Self::Sha256, Self::Sha512] {
            let Some(hex) = text.strip_prefix(algorithm.prefix()) else { continue };
            if hex.len() != algorithm.hex_length() {
                continue;
            }
            let (words, _) = hex.as_bytes().as_chunks();
            if words.iter().all(|word| is_hexadecimal(*word)) {
                return Ok(algorithm);
            }
        }
        Err(InvalidDigest)
    }

    /// The length of a digest, in bytes.
    pub(crate) const fn length(self) -> usize {
        self.prefix().len() + self.hex_length()
    }

    const fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// A digest such as `sha256:6c3c624b58db…`, known to be well-formed (registered algorithm, lower-case hexadecimal
/// digits, the right length).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    text: String,
}

/// The text is not a digest of a registered algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: expected sha256:<64 hex digits> or sha512:<128 hex digits>")]
pub struct InvalidDigest;

impl Digest {
    /// Reads a digest.
    ///
    /// # Errors
    /// [`InvalidDigest`] for an algorithm other than sha256 and sha512, a wrong length, or a character that is not a
    /// lower-case hexadecimal digit.
    pub fn parse(text: &str) -> Result<Self, InvalidDigest> {
        Ok(Self { algorithm: Algorithm::of(text)?, text: text.to_owned() })
    }

    /// A digest that was read before, by [`Algorithm::of`].
    pub(crate) fn known(algorithm: Algorithm, text: &str) -> Self {
        Self { algorithm, text: text.to_owned() }
    }

    /// The sha256 digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { algorithm: Algorithm::Sha256, text: format!("sha256:{}", hex(&Sha256::digest(bytes))) }
    }

    /// The digest as it stands in manifests, headers and paths.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `bytes` hash to this digest.
    #[must_use]
    pub fn verifies(&self, bytes: &[u8]) -> bool {
        let mut verifier = Verifier::new(self);
        verifier.update(bytes);
        verifier.matches()
    }
}

/// Hashes bytes piece by piece, to see whether they are those that a digest names.
#[derive(Clone, Debug)]
pub struct Verifier {
    expected: Digest,
    hasher: Hasher,
}

#[derive(Clone, Debug)]
enum Hasher {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Verifier {
    /// A verifier before the first byte.
    #[must_use]
    pub fn new(expected: &Digest) -> Self {
        let hasher = match expected.algorithm {
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(Box::new(Sha512::new())),
        };
        Self { expected: expected.clone(), hasher }
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.hasher {
            Hasher::Sha256(hasher) => hasher.update(bytes),
            Hasher::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// Whether the bytes were the right ones.
    #[must_use]
    pub fn matches(self) -> bool {
        let actual = match self.hasher {
            Hasher::Sha256(hasher) => hex(&hasher.finalize()),
            Hasher::Sha512(hasher) => hex(&hasher.finalize()),
        };
        self.expected.text.strip_prefix(self.expected.algorithm.prefix()) == Some(actual.as_str())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether these are eight lower-case hexadecimal digits: all at a time, because indexes have ten thousand digests.
const fn is_hexadecimal(word: [u8; 8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES * 0x80;
    let word = u64::from_le_bytes(word);
    let ascii = word & !HIGH;
    // An addition sets the high bit of the bytes that are at least the one given; none carries into the next.
    let [digit, no_digit, letter, no_letter] = [
        ascii + ONES * (0x80 - b'0' as u64),
        ascii + ONES * (0x7f - b'9' as u64),
        ascii + ONES * (0x80 - b'a' as u64),
        ascii + ONES * (0x7f - b'f' as u64),
    ];
    ((digit & !no_digit) | (letter & !no_letter)) & !word & HIGH == HIGH
}

/// Lower-case hexadecimal digits of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |value: u8| DIGITS.get(usize::from(value & 0x0f)).copied().unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_registered_algorithms_only() {
        let sha256 = format!("sha256:{}", "ab".repeat(32));
        let sha512 = format!("sha512:{}", "0f".repeat(64));
        for good in [&sha256, &sha512] {
            assert_eq!(Digest::parse(good).unwrap().as_str(), good);
        }
        let upper = sha256.to_uppercase();
        let bad = ["", "sha256:", "latest", sha256.get(..70).unwrap(), &upper, "md5:d41d8cd98f00b204e9800998ecf8427e"];
        for text in bad {
            assert_eq!(Digest::parse(text), Err(InvalidDigest), "{text}");
        }
        assert_eq!(Digest::parse(&format!("sha256:{}", "g".repeat(64))), Err(InvalidDigest));
        assert_eq!(Digest::parse(&format!("sha512:{}", "a".repeat(64))), Err(InvalidDigest));
    }

    #[test]
    fn each_byte_at_each_place_is_judged_for_itself() {
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                for others in [b'0', b'9', b'a', b'f'] {
                    let mut word = [others; 8];
                    word[place] = byte;
                    let expected = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                    assert_eq!(is_hexadecimal(word), expected, "{word:?}");
                }
            }
        }
    }

    #[test]
    fn verifies_what_hashes_to_it() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").as_str(), empty);
        assert!(Digest::of(b"a").verifies(b"a"));
        assert!(!Digest::of(b"a").verifies(b"b"));
        let sha512 = Digest::parse(&format!("sha512:{}", hex(&Sha512::digest(b"a")))).unwrap();
        assert!(sha512.verifies(b"a") && !sha512.verifies(b""));
    }
}
