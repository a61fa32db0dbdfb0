//! Which platform a description means: fields that are given, fields that follow, contradictions.

use super::description::Description;
use crate::hardware::microarchitecture::{self, Microarchitecture};
use crate::oci::platform::{self, Word};
use crate::text::field::FieldError;

/// The longest platform word in a configuration, in bytes.
const MAX_WORD_LENGTH: usize = 128;

/// The platform part of a machine type.
pub(super) struct Resolved {
    pub(super) os: Word,
    pub(super) os_version: Option<String>,
    pub(super) architecture: Word,
    pub(super) variant: Option<String>,
    pub(super) cpus: Vec<Microarchitecture>,
    pub(super) named_cpus: Vec<String>,
}

/// A microarchitecture of the table, with its position among the features.
struct Listed {
    position: usize,
    cpu: Microarchitecture,
}

pub(super) fn resolve(
    description: &Description<&str>,
    cpus: &[(usize, &str)],
    warnings: &mut Vec<FieldError>,
) -> Result<Resolved, FieldError> {
    let (os, os_version) = operating_system(description, warnings)?;
    let mut listed = Vec::new();
    let mut named_cpus = Vec::new();
    for (position, value) in cpus {
        match Microarchitecture::find(value) {
            Some(cpu) => listed.push(Listed { position: *position, cpu }),
            None => {
                let message =
                    format!("archspec does not know cpu:{value}; only images asking for this very name match");
                warnings.push(FieldError::new(format!("features[{position}]"), message));
                insert(&mut named_cpus, microarchitecture::canonical(value));
            }
        }
    }
    let (architecture, implied) = architecture(description, &listed, &named_cpus, warnings)?;
    let given = word("variant", description.variant)?;
    let given = given.map(|variant| platform::variant(&architecture, &variant));
    let variant = match (given, implied) {
        (Some(given), Some(implied)) if given != implied => {
            return Err(FieldError::new(
                "variant",
                format!("{given} contradicts the architecture, which is {implied}"),
            ));
        }
        (given, implied) => given.or(implied.map(str::to_owned)),
    };
    let level = level(&architecture, variant.as_deref(), &listed)?;
    let mut cpus = Vec::with_capacity(listed.len().max(1));
    listed.iter().for_each(|listed| insert(&mut cpus, listed.cpu));
    if cpus.iter().all(|cpu| cpu.variant().is_none())
        && let Some(cpu) = level.or_else(|| Microarchitecture::baseline(&architecture))
    {
        insert(&mut cpus, cpu);
    }
    let variant = if platform::has_levels(&architecture) { None } else { variant };
    Ok(Resolved { os, os_version, architecture, variant, cpus: most_specific(cpus), named_cpus })
}

/// Keeps a list sorted and without duplicates.
fn insert<T: Ord>(list: &mut Vec<T>, item: T) {
    if let Err(position) = list.binary_search(&item) {
        list.insert(position, item);
    }
}

/// Without the ancestors of others.
fn most_specific(cpus: Vec<Microarchitecture>) -> Vec<Microarchitecture> {
    if cpus.len() < 2 {
        return cpus;
    }
    let ancestor_of_another = |cpu: &Microarchitecture| {
        cpus.iter().any(|other| other.generations_to(*cpu).is_some_and(|distance| distance > 0))
    };
    cpus.iter().filter(|cpu| !ancestor_of_another(cpu)).copied().collect()
}

fn operating_system(
    description: &Description<&str>,
    warnings: &mut Vec<FieldError>,
) -> Result<(Word, Option<String>), FieldError> {
    let os = word("os", description.os)?.map_or(Word::Borrowed("linux"), |os| platform::system(&os));
    if !platform::is_known_system(&os) {
        warnings.push(FieldError::new("os", format!("{os} is not an operating system that OCI names")));
    }
    let os_version = word("os_version", description.os_version)?;
    if os == "windows" {
        match &os_version {
            None => {
                let message = "Windows images are made for one build: without os_version none of them matches";
                warnings.push(FieldError::new("os_version", message));
            }
            Some(version) if platform::windows_build(version).is_none() => {
                let message = format!("{version}: expected a Windows version with its build, such as 10.0.20348");
                return Err(FieldError::new("os_version", message));
            }
            Some(_) => {}
        }
    }
    Ok((os, os_version))
}

/// The architecture and the variant that its spelling implies (`armhf` is arm v7).
fn architecture(
    description: &Description<&str>,
    listed: &[Listed],
    named_cpus: &[String],
    warnings: &mut Vec<FieldError>,
) -> Result<(Word, Option<&'static str>), FieldError> {
    if let Some((first, other)) = listed.first().and_then(|first| {
        let other = listed.iter().find(|other| other.cpu.architecture() != first.cpu.architecture())?;
        Some((first, other))
    }) {
        let [first, second] = [first.cpu, other.cpu].map(|cpu| format!("cpu:{} is {}", cpu.name(), cpu.architecture()));
        let message = format!("{second}, but {first}: one machine type has one architecture");
        return Err(FieldError::new(format!("features[{}]", other.position), message));
    }
    let follows = listed.first().map(|listed| listed.cpu);
    if let Some(given) = word("architecture", description.architecture)? {
        let (architecture, implied) = platform::architecture(&given);
        if let Some(cpu) = follows.filter(|cpu| cpu.architecture() != architecture) {
            let message = format!("{given} contradicts cpu:{}, which is {}", cpu.name(), cpu.architecture());
            return Err(FieldError::new("architecture", message));
        }
        if !platform::is_known_architecture(&architecture) {
            let message = format!("{architecture} is not an architecture that OCI names (amd64, arm64, …)");
            warnings.push(FieldError::new("architecture", message));
        }
        return Ok((architecture, implied));
    }
    if let Some(cpu) = follows {
        return Ok((Word::Borrowed(cpu.architecture()), None));
    }
    let Some(variant) = description.variant else {
        let message = match named_cpus.first() {
            Some(name) => format!("required, because archspec does not know cpu:{name}"),
            None => "required, unless it follows from a feature such as cpu:skylake".to_owned(),
        };
        return Err(FieldError::new("architecture", message));
    };
    let of_variant = |architecture: &&str| {
        Microarchitecture::of_variant(architecture, &platform::variant(architecture, variant)).is_some()
    };
    let mut matching = ["amd64", "arm", "arm64"].into_iter().filter(of_variant);
    match (matching.next(), matching.next()) {
        (Some(architecture), None) => Ok((Word::Borrowed(architecture), None)),
        (Some(first), Some(second)) => {
            let message = format!("required, because {first} and {second} have a variant {variant}");
            Err(FieldError::new("architecture", message))
        }
        _ => Err(FieldError::new("architecture", format!("required: it does not follow from variant {variant}"))),
    }
}

/// The level of a given variant, which must be the one that follows from the microarchitecture if there is one.
fn level(
    architecture: &str,
    variant: Option<&str>,
    listed: &[Listed],
) -> Result<Option<Microarchitecture>, FieldError> {
    let Some(variant) = variant.filter(|_| platform::has_levels(architecture)) else { return Ok(None) };
    let Some(level) = Microarchitecture::of_variant(architecture, variant) else {
        let known = match architecture {
            "amd64" => "v1 to v4",
            "arm" => "v5 to v8",
            _ => "v8 to v8.9 and v9 to v9.5",
        };
        return Err(FieldError::new("variant", format!("{architecture} has no variant {variant} ({known})")));
    };
    let mut following = listed.iter().filter_map(|listed| Some((listed.cpu, listed.cpu.variant()?)));
    // Docker calls every arm64 machine v8; that says nothing about its level.
    let says_nothing = architecture == "arm64" && variant == "v8";
    if says_nothing || following.clone().any(|(_, follows)| follows == variant) {
        return Ok(Some(level));
    }
    if let Some((cpu, follows)) = following.next() {
        let message = format!(
            "{variant} contradicts cpu:{}, from which {follows} follows: leave variant out, or write {follows}",
            cpu.name()
        );
        return Err(FieldError::new("variant", message));
    }
    Ok(Some(level))
}

/// A platform word as it was given, checked; `None` when absent.
fn word(field: &str, text: Option<&str>) -> Result<Option<String>, FieldError> {
    let Some(text) = text.map(str::trim) else { return Ok(None) };
    let readable = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+'));
    if text.is_empty() || text.len() > MAX_WORD_LENGTH || !readable {
        let message = format!("expected a word of at most {MAX_WORD_LENGTH} letters, digits, '.', '_', '-' and '+'");
        return Err(FieldError::new(field, message));
    }
    Ok(Some(text.to_owned()))
}
