//! The platform that a description means: fields that are given, fields that follow, contradictions.

use super::cpus::Cpus;
use super::description::Description;
use crate::hardware::microarchitecture::{self, Microarchitecture};
use crate::oci::platform::{self, PlatformWord};
use crate::text::field::FieldError;

/// The platform part of a machine type.
pub(super) struct Resolved {
    pub(super) os: PlatformWord,
    pub(super) os_version: Option<String>,
    pub(super) architecture: PlatformWord,
    pub(super) cpus: Cpus,
}

/// A microarchitecture that archspec knows, with its position among the features.
struct Listed {
    position: usize,
    cpu: Microarchitecture,
}

/// An architecture, and the variant that its spelling implies (`armhf` is arm v7).
type Spelled = (PlatformWord, Option<&'static str>);

/// The architectures whose variants are levels, and which levels there are.
const LEVELS: [(&str, &str); 5] = [
    ("amd64", "v1 to v4"),
    ("arm", "v5 to v8"),
    ("arm64", "v8 to v8.9 and v9 to v9.5"),
    ("ppc64le", "power8 to power11"),
    ("riscv64", "rva20u64, rva22u64 and rva23u64"),
];

pub(super) fn resolve(
    description: &Description<&str>,
    cpus: &[(usize, &str)],
    warnings: &mut Vec<FieldError>,
) -> Result<Resolved, FieldError> {
    let (os, os_version) = operating_system(description, warnings)?;
    let (listed, named) = known_and_named(cpus, warnings);
    one_architecture(&listed)?;
    let (architecture, implied) = architecture(description, &listed, &named)?;
    if !platform::is_known_architecture(&architecture) {
        let message = format!("{architecture} is not an architecture that OCI names (amd64, arm64, …)");
        warnings.push(FieldError::new("architecture", message));
    }
    let given = word("variant", description.variant)?;
    let variant = variant(given.map(|given| platform::variant(&architecture, &given)), implied)?;
    let level = level(&architecture, variant.as_deref(), &listed)?;
    let known = most_specific(with_level(&listed, level.or_else(|| Microarchitecture::baseline(&architecture))));
    // A level is one of the microarchitectures.
    let variant = variant.filter(|_| !LEVELS.iter().any(|(of, _)| *of == architecture));
    let cpus = Cpus::new(known, named, variant);
    Ok(Resolved { os, os_version, architecture, cpus })
}

/// The microarchitectures that archspec knows, and the names of the others.
fn known_and_named(cpus: &[(usize, &str)], warnings: &mut Vec<FieldError>) -> (Vec<Listed>, Vec<String>) {
    let (mut known, mut named) = (Vec::new(), Vec::new());
    for (position, value) in cpus {
        match Microarchitecture::find(value) {
            Some(cpu) => known.push(Listed { position: *position, cpu }),
            None => {
                let message =
                    format!("archspec does not know cpu:{value}; only images asking for this very name match");
                warnings.push(FieldError::new(format!("features[{position}]"), message));
                insert(&mut named, microarchitecture::canonical(value));
            }
        }
    }
    (known, named)
}

fn one_architecture(listed: &[Listed]) -> Result<(), FieldError> {
    let Some((first, others)) = listed.split_first() else { return Ok(()) };
    match others.iter().find(|other| other.cpu.architecture() != first.cpu.architecture()) {
        None => Ok(()),
        Some(other) => {
            let is = |cpu: Microarchitecture| format!("cpu:{} is {}", cpu.name(), cpu.architecture());
            let message = format!("{}, but {}: one machine type has one architecture", is(other.cpu), is(first.cpu));
            Err(FieldError::new(format!("features[{}]", other.position), message))
        }
    }
}

/// The microarchitectures; if none of them has a level, with the one that follows from variant or architecture.
fn with_level(listed: &[Listed], level: Option<Microarchitecture>) -> Vec<Microarchitecture> {
    let mut cpus = Vec::with_capacity(listed.len().max(1));
    listed.iter().for_each(|listed| insert(&mut cpus, listed.cpu));
    if cpus.iter().all(|cpu| cpu.variant().is_none())
        && let Some(level) = level
    {
        insert(&mut cpus, level);
    }
    cpus
}

/// Keeps a list sorted and without duplicates.
fn insert<T: Ord>(list: &mut Vec<T>, item: T) {
    if let Err(position) = list.binary_search(&item) {
        list.insert(position, item);
    }
}

/// The list without ancestors of its other members.
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
) -> Result<(PlatformWord, Option<String>), FieldError> {
    let os = word("os", description.os)?.map_or(PlatformWord::Borrowed("linux"), |os| platform::system(&os));
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

/// The architecture: as it is given, or as it follows from a microarchitecture or from a variant.
#[rustfmt::skip]
fn architecture(description: &Description<&str>, listed: &[Listed], named: &[String]) -> Result<Spelled, FieldError> {
    let given = word("architecture", description.architecture)?.map(|given| (platform::architecture(&given), given));
    let cpu = listed.first().map(|listed| listed.cpu);
    let variant = description.variant;
    let with_variant: Vec<&'static str> = variant.map(architectures_with).unwrap_or_default();
    let required = |why: String| Err(FieldError::new("architecture", format!("required{why}")));
    //     given,                    cpu,       variant,       architectures that have it
    match (given,                    cpu,       variant,       with_variant.as_slice()) {
        (Some(((own, _), given)),    Some(cpu), _,             _) if own != cpu.architecture() => {
            let message = format!("{given} contradicts cpu:{}, which is {}", cpu.name(), cpu.architecture());
            Err(FieldError::new("architecture", message))
        }
        (Some((spelled, _)),         _,         _,             _) => Ok(spelled),
        (None,                       Some(cpu), _,             _) =>
            Ok((PlatformWord::Borrowed(cpu.architecture()), None)),
        (None,                       None,      Some(_),       [only]) => Ok((PlatformWord::Borrowed(only), None)),
        (None,                       None,      Some(variant), [first, second, ..]) =>
            required(format!(", because {first} and {second} have a variant {variant}")),
        (None,                       None,      Some(variant), []) =>
            required(format!(": it does not follow from variant {variant}")),
        (None,                       None,      None,          _) => required(match named.first() {
            Some(name) => format!(", because archspec does not know cpu:{name}"),
            None => ", unless it follows from a feature such as cpu:skylake".to_owned(),
        }),
    }
}

/// The architectures of which a variant is a level.
fn architectures_with(variant: &str) -> Vec<&'static str> {
    let is_level = |architecture: &&str| {
        Microarchitecture::of_variant(architecture, &platform::variant(architecture, variant)).is_some()
    };
    LEVELS.iter().map(|(architecture, _)| *architecture).filter(is_level).collect()
}

/// The variant: as it is given, or as the architecture's spelling implies it.
fn variant(given: Option<String>, implied: Option<&str>) -> Result<Option<String>, FieldError> {
    match (given, implied) {
        (Some(given), Some(implied)) if given != implied => {
            let message = format!("{given} contradicts the architecture, which is {implied}");
            Err(FieldError::new("variant", message))
        }
        (Some(given), _) => Ok(Some(given)),
        (None, implied) => Ok(implied.map(str::to_owned)),
    }
}

/// The level of a variant, which must be the one that follows from a microarchitecture if there is one.
#[rustfmt::skip]
fn level(
    architecture: &str,
    variant: Option<&str>,
    listed: &[Listed],
) -> Result<Option<Microarchitecture>, FieldError> {
    let levels = LEVELS.iter().find(|(of, _)| *of == architecture).map(|(_, levels)| *levels);
    let (Some(variant), Some(levels)) = (variant, levels) else { return Ok(None) };
    let level = Microarchitecture::of_variant(architecture, variant);
    let mut following = listed.iter().filter_map(|listed| Some((listed.cpu, listed.cpu.variant()?)));
    // Docker calls every arm64 machine v8; that says nothing about its level.
    let agrees = (architecture, variant) == ("arm64", "v8") || following.clone().any(|(_, own)| own == variant);
    //     level, agrees, what follows from a microarchitecture
    match (level, agrees, following.next()) {
        (None,    _,      _) =>
            Err(FieldError::new("variant", format!("{architecture} has no variant {variant} ({levels})"))),
        (level,   true,   _) => Ok(level),
        (level,   false,  None) => Ok(level),
        (Some(_), false,  Some((cpu, own))) => {
            let name = cpu.name();
            let message = format!(
                "{variant} contradicts cpu:{name}, from which {own} follows: leave variant out, or write {own}"
            );
            Err(FieldError::new("variant", message))
        }
    }
}

/// A platform word as it was given, checked; `None` when absent.
fn word(field: &str, text: Option<&str>) -> Result<Option<String>, FieldError> {
    let checked =
        |text: &str| platform::word(text).map(str::to_owned).map_err(|message| FieldError::new(field, message));
    text.map(checked).transpose()
}
