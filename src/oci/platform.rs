//! Platform words (OCI image spec, image-index.md `platform`; Go's `GOOS` and `GOARCH`), read as containerd reads them.

use std::borrow::Cow;
use std::fmt;

/// Operating systems that Go, and so the OCI specification, names; the usual ones first, for they are sought often.
#[rustfmt::skip]
const SYSTEMS: [&str; 15] = [
    "linux", "windows", "darwin", "aix", "android", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "netbsd",
    "openbsd", "plan9", "solaris",
];

/// Architectures that Go, and so the OCI specification, names; the usual ones first.
#[rustfmt::skip]
const ARCHITECTURES: [&str; 18] = [
    "amd64", "arm64", "arm", "386", "armbe", "arm64be", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc",
    "ppc64", "ppc64le", "riscv64", "s390x", "sparc64", "wasm",
];

/// The longest platform word of a configuration, in bytes.
const MAX_WORD_LENGTH: usize = 128;

/// A platform word as a configuration gives it, without blanks around it.
///
/// # Errors
/// In words, if it is none.
pub(crate) fn word(text: &str) -> Result<&str, String> {
    let text = text.trim();
    let readable = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+'));
    if text.is_empty() || text.len() > MAX_WORD_LENGTH || !readable {
        return Err(format!("expected a word of at most {MAX_WORD_LENGTH} letters, digits, '.', '_', '-' and '+'"));
    }
    Ok(text)
}

/// Whether `os` is one of the words that OCI uses, after [`system`].
#[must_use]
pub fn is_known_system(os: &str) -> bool {
    SYSTEMS.contains(&os)
}

/// Whether `architecture` is one of the words that OCI uses, after [`architecture`].
#[must_use]
pub fn is_known_architecture(architecture: &str) -> bool {
    ARCHITECTURES.contains(&architecture)
}

/// A platform word; the well-known ones need no memory, and an index repeats them thousands of times.
pub type PlatformWord = Cow<'static, str>;

/// The platform that an entry asks for, in OCI's spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// Operating system (`GOOS`).
    pub os: PlatformWord,
    /// Architecture (`GOARCH`).
    pub architecture: PlatformWord,
    /// Variant of the architecture, where one is given.
    pub variant: Option<String>,
    /// Operating system version, where one is given.
    pub os_version: Option<String>,
}

impl Platform {
    /// The platform of these words: `os`, `architecture`, `variant` and `os.version`, as they are written.
    pub(crate) fn read([os, written, given, os_version]: [Option<&str>; 4]) -> Self {
        let os = os.map(system).unwrap_or_default();
        let (architecture, implied) = written.map(architecture).unwrap_or_default();
        let variant = given.map(|given| variant(&architecture, given)).or(implied.map(str::to_owned));
        Self { os, architecture, variant, os_version: os_version.map(str::to_owned) }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if let Some(variant) = &self.variant {
            write!(f, "/{variant}")?;
        }
        if let Some(version) = &self.os_version {
            write!(f, " {version}")?;
        }
        Ok(())
    }
}

/// The operating system as OCI spells it: lower case, `macos` reads as `darwin`.
#[must_use]
pub fn system(os: &str) -> PlatformWord {
    if let Some(known) = SYSTEMS.iter().find(|known| **known == os) {
        return Cow::Borrowed(known);
    }
    let os = os.trim().to_ascii_lowercase();
    if os == "macos" { Cow::Borrowed("darwin") } else { Cow::Owned(os) }
}

/// The architecture as OCI spells it and the variant that the spelling implies: `x86_64` is amd64, `aarch64` is arm64,
/// `armhf` is arm v7.
#[must_use]
pub fn architecture(architecture: &str) -> (PlatformWord, Option<&'static str>) {
    if let Some(known) = ARCHITECTURES.iter().find(|known| **known == architecture) {
        return (Cow::Borrowed(known), None);
    }
    let architecture = architecture.trim().to_ascii_lowercase();
    match architecture.as_str() {
        "x86_64" | "x86-64" => (Cow::Borrowed("amd64"), None),
        "i386" | "i486" | "i586" | "i686" | "x86" => (Cow::Borrowed("386"), None),
        "aarch64" => (Cow::Borrowed("arm64"), None),
        "armhf" => (Cow::Borrowed("arm"), Some("v7")),
        "armel" => (Cow::Borrowed("arm"), Some("v6")),
        _ => (Cow::Owned(architecture), None),
    }
}

/// The variant as OCI spells it: `8` and `v8.0` read as `v8` where variants are numbers; elsewhere as it stands.
#[must_use]
pub fn variant(architecture: &str, variant: &str) -> String {
    let variant = variant.trim().to_ascii_lowercase();
    if !matches!(architecture, "amd64" | "arm" | "arm64") {
        return variant;
    }
    let number = variant.strip_prefix('v').unwrap_or(&variant);
    if !number.starts_with(|first: char| first.is_ascii_digit()) {
        return variant;
    }
    let level = if architecture == "arm64" { number.strip_suffix(".0").unwrap_or(number) } else { number };
    format!("v{level}")
}

/// Whether a machine's operating system version runs an image made for `image`: on Windows the build (the third
/// number) decides, elsewhere the text.
#[must_use]
pub fn same_os_version(os: &str, machine: &str, image: &str) -> bool {
    if os != "windows" {
        return machine == image;
    }
    matches!((windows_build(machine), windows_build(image)), (Some(machine), Some(image)) if machine == image)
}

/// Major, minor and build of a Windows version such as `10.0.20348.1726`; `None` when one is missing or not a number.
#[must_use]
pub fn windows_build(version: &str) -> Option<[u32; 3]> {
    let mut numbers = version.split('.').map(|part| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<u32>().ok()).flatten()
    });
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_other_spellings() {
        assert_eq!(system("MacOS"), "darwin");
        assert_eq!(architecture("x86_64"), (Cow::Borrowed("amd64"), None));
        assert_eq!(architecture("armhf"), ("arm".into(), Some("v7")));
        let rows = [
            ("arm64", "8", "v8"),
            ("arm64", "v8.0", "v8"),
            ("arm64", "v9.0", "v9"),
            ("arm64", "V8.2", "v8.2"),
            ("arm", "7", "v7"),
            ("amd64", "v3", "v3"),
            ("amd64", "fast", "fast"),
            ("riscv64", "rva22u64", "rva22u64"),
            ("riscv64", "20", "20"),
        ];
        for (architecture, written, read) in rows {
            assert_eq!(variant(architecture, written), read, "{architecture}/{written}");
        }
    }

    #[test]
    fn windows_compares_builds() {
        assert!(same_os_version("windows", "10.0.20348", "10.0.20348.1726"));
        assert!(!same_os_version("windows", "10.0.20348", "10.0.17763.4499"));
        assert!(!same_os_version("windows", "10.0", "10.0"));
        assert!(!same_os_version("windows", "10.0.x", "10.0.x"));
        assert!(same_os_version("freebsd", "14.1", "14.1"));
        assert!(!same_os_version("freebsd", "14.1", "14.1.0"));
    }
}
