//! `images`: what is written about images whose variants are tags or repositories, validated.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::ConfigError;
use super::machine_types::MachineTypes;
use super::raw::Named;
use super::raw_images::{RawImageRule, RawTags, RawVariant, RawVariantRepository};
use super::registry::Registry;
use crate::auth::pattern::Pattern;
use crate::hardware::feature::{Feature, FeatureRules, ISA, Rule, check_text};
use crate::hardware::microarchitecture::{IsaFlag, Microarchitecture};
use crate::images::{Form, ImageRules, Images, Line, MachinePlatform, TagRule, pattern, template};
use crate::oci::index::{AssumedLevels, MAX_FEATURES};
use crate::oci::platform;
use crate::oci::reference::Repository;

/// The most lines of a rule, so that a search ends.
const MAX_VARIANTS: usize = 16;

pub(super) fn images(
    Named(raw): Named<Vec<RawImageRule>>,
    rules: &FeatureRules,
    registries: &BTreeMap<String, Arc<Registry>>,
    machine_types: &MachineTypes,
    warnings: &mut Vec<String>,
) -> Result<Images, ConfigError> {
    let mut images = Images::default();
    let mut checks = Checks { rules, platforms: platforms(machine_types), warnings };
    for (name, raw) in raw {
        let field = format!("images.{name}");
        let name = Pattern::parse(&name).map_err(|error| ConfigError::new(&*field, error.to_string()))?;
        let image = image(&field, raw, &mut checks)?;
        let jwt = registries.values().find(|registry| registry.accept_jwt && image.has_repositories());
        if let Some(Registry { cluster, .. }) = jwt.map(Arc::as_ref) {
            let message = format!(
                "has repositories, and registries.{cluster} has accept_jwt: such a token is good for the repository \
                 that its client asked for, and for no other"
            );
            return Err(ConfigError::new(field, message));
        }
        if name.is_exact() {
            images.exact.insert(name.as_str().to_owned(), image);
            continue;
        }
        if let Some((other, _)) = images.patterns.iter().find(|(other, _)| other.overlaps(&name)) {
            let message = format!("matches repositories that images.{} matches too", other.as_str());
            return Err(ConfigError::new(field, message));
        }
        images.patterns.push((name, image));
    }
    Ok(images)
}

/// The most platforms for which indexes of lines are made beforehand.
const MAX_PLATFORMS: usize = 16;

/// The different platforms of machine types.
fn platforms(machine_types: &MachineTypes) -> Vec<MachinePlatform> {
    let mut platforms: Vec<MachinePlatform> = Vec::new();
    for machine in machine_types.values() {
        let is_its =
            |(os, architecture): &MachinePlatform| os == machine.os() && architecture == machine.architecture();
        if platforms.len() < MAX_PLATFORMS && !platforms.iter().any(is_its) {
            platforms.push((machine.os().to_owned(), machine.architecture().to_owned()));
        }
    }
    platforms
}

/// The measure of what lines ask for, and the platforms that they are for.
struct Checks<'c> {
    rules: &'c FeatureRules,
    platforms: Vec<MachinePlatform>,
    warnings: &'c mut Vec<String>,
}

fn image(field: &str, raw: Vec<RawImageRule>, checks: &mut Checks<'_>) -> Result<ImageRules, ConfigError> {
    let mut image = ImageRules::default();
    if raw.is_empty() {
        return Err(ConfigError::new(field, "has no rule; write one, or leave the image out"));
    }
    for (position, raw) in raw.into_iter().enumerate() {
        let field = format!("{field}[{position}]");
        match raw {
            RawImageRule { repositories: Some(lines), tag: None, variants: None, assume: None } => {
                if image.has_repositories() {
                    return Err(ConfigError::new(field, "a second rule with repositories; write one"));
                }
                image = image.sent_to(repositories(&field, lines, checks)?, &checks.platforms);
            }
            RawImageRule { repositories: Some(_), .. } => {
                return Err(ConfigError::new(field, "repositories stands in a rule of its own"));
            }
            RawImageRule { repositories: None, tag: Some(tags), variants, assume } => {
                let patterns = patterns(&field, tags)?;
                let lines = variants.map(|lines| variant_lines(&field, lines, &patterns, checks)).transpose()?;
                let assumed = assumed(&field, assume.unwrap_or_default())?;
                let rule = TagRule::new(patterns, lines.unwrap_or_default(), assumed, &checks.platforms);
                image.tags.push(Arc::new(rule));
            }
            RawImageRule { repositories: None, tag: None, .. } => {
                return Err(ConfigError::new(format!("{field}.tag"), "missing; write \"*\" for all tags"));
            }
        }
    }
    Ok(image)
}

fn patterns(field: &str, tags: RawTags) -> Result<Vec<Form>, ConfigError> {
    let (texts, is_list) = match tags {
        RawTags::One(text) => (vec![text], false),
        RawTags::Several(texts) => (texts, true),
    };
    if texts.is_empty() {
        return Err(ConfigError::new(format!("{field}.tag"), "is empty; write \"*\" for all tags"));
    }
    let place = |position| if is_list { format!("{field}.tag[{position}]") } else { format!("{field}.tag") };
    let read = |(position, text): (usize, &String)| {
        pattern(text).map_err(|message| ConfigError::new(place(position), message))
    };
    texts.iter().enumerate().map(read).collect()
}

fn variant_lines(
    field: &str,
    raw: Vec<RawVariant>,
    patterns: &[Form],
    checks: &mut Checks<'_>,
) -> Result<Vec<(Form, Line)>, ConfigError> {
    let field = format!("{field}.variants");
    let raw = counted(&field, raw)?;
    let read = |(position, RawVariant { tag, os, architecture, variant, features })| {
        let field = format!("{field}[{position}]");
        let template = template(&tag, patterns).map_err(|message| ConfigError::new(format!("{field}.tag"), message))?;
        Ok((template, line(&field, os, architecture, variant, features, checks)?))
    };
    raw.into_iter().enumerate().map(read).collect()
}

fn repositories(
    field: &str,
    raw: Vec<RawVariantRepository>,
    checks: &mut Checks<'_>,
) -> Result<Vec<(Repository, Line)>, ConfigError> {
    let field = format!("{field}.repositories");
    let raw = counted(&field, raw)?;
    let read = |(position, raw)| {
        let RawVariantRepository { repository, os, architecture, variant, features } = raw;
        let field = format!("{field}[{position}]");
        let repository = Repository::parse(&repository)
            .map_err(|error| ConfigError::new(format!("{field}.repository"), error.to_string()))?;
        Ok((repository, line(&field, os, architecture, variant, features, checks)?))
    };
    raw.into_iter().enumerate().map(read).collect()
}

fn counted<T>(field: &str, lines: Vec<T>) -> Result<Vec<T>, ConfigError> {
    match lines.len() {
        0 => Err(ConfigError::new(field, "is empty; leave it out")),
        1..=MAX_VARIANTS => Ok(lines),
        count => Err(ConfigError::new(field, format!("has {count} lines, and {MAX_VARIANTS} is the limit"))),
    }
}

/// The requirements of a line.
fn line(
    field: &str,
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    features: Vec<String>,
    checks: &mut Checks<'_>,
) -> Result<Line, ConfigError> {
    let at = |name: &str| format!("{field}.{name}");
    let word = |name: &str, text: Option<String>| {
        text.map(|text| word(&text).map_err(|message| ConfigError::new(at(name), message))).transpose()
    };
    let os = word("os", os)?.map(|os| platform::system(&os).into_owned());
    let spelled = word("architecture", architecture)?.map(|given| platform::architecture(&given));
    let variant = word("variant", variant)?;
    let (architecture, implied) = spelled.map_or((None, None), |(name, implied)| (Some(name), implied));
    let refuse_variant = |message: String| ConfigError::new(at("variant"), message);
    let variant = match (&architecture, variant) {
        (None, Some(_)) => return Err(refuse_variant("needs its architecture beside it".to_owned())),
        (Some(architecture), Some(variant)) => {
            let level = level(architecture, &variant).map_err(refuse_variant)?;
            if let Some(implied) = implied.filter(|implied| *implied != level) {
                return Err(refuse_variant(format!("{level} contradicts the architecture, which is {implied}")));
            }
            Some(level)
        }
        (_, None) => implied.map(str::to_owned),
    };
    for (position, text) in features.iter().enumerate() {
        let at = at(&format!("features[{position}]"));
        readable(&at, text, checks).map_err(|message| ConfigError::new(at, message))?;
    }
    let alternatives = features.iter().filter_map(|text| Feature::parse(text).ok()).map(|feature| feature.count());
    if alternatives.sum::<usize>() > MAX_FEATURES {
        return Err(ConfigError::new(at("features"), format!("more than {MAX_FEATURES}, each alternative counted")));
    }
    checks.warnings.extend(uncompiled(field, &features, checks.rules));
    let features = features.iter().map(|text| text.trim().to_owned()).collect();
    let line = Line { os, architecture: architecture.map(std::borrow::Cow::into_owned), variant, features };
    checks.warnings.extend(unusual(&line).map(|problem| format!("{field}.{problem}")));
    Ok(line)
}

/// A platform word that an image may ask for.
fn word(text: &str) -> Result<String, String> {
    let word = platform::word(text)?;
    if word == "unknown" { Err("unknown is the platform of no machine".to_owned()) } else { Ok(word.to_owned()) }
}

/// Words of a line that OCI does not have: most likely no machine has them either.
fn unusual(Line { os, architecture, .. }: &Line) -> impl Iterator<Item = String> {
    let os = os.as_deref().filter(|os| !platform::is_known_system(os));
    let architecture = architecture.as_deref().filter(|name| !platform::is_known_architecture(name));
    let os = os.map(|os| format!("os: {os} is not an operating system that OCI names"));
    let name = |name| format!("architecture: {name} is not an architecture that OCI names (amd64, arm64, …)");
    os.into_iter().chain(architecture.map(name))
}

/// A warning about PTX in a line that asks for no driver: an older driver than the toolkit's does not compile it
/// (NVIDIA, CUDA Compatibility: minor version compatibility does not cover PTX).
fn uncompiled(field: &str, features: &[String], rules: &FeatureRules) -> Option<String> {
    let features: Vec<Feature> = features.iter().filter_map(|text| Feature::parse(text).ok()).collect();
    let position = features.iter().position(|feature| feature.has_ptx(rules.rule(feature.key())))?;
    let bounded = features.iter().any(|feature| matches!(feature.key(), "cuda" | "driver"));
    let problem = "an older driver does not compile PTX; ask for cuda or driver too";
    (!bounded).then(|| format!("{field}.features[{position}]: {problem}"))
}

/// A variant as OCI spells it; where variants are levels it must be one.
fn level(architecture: &str, variant: &str) -> Result<String, String> {
    let variant = platform::variant(architecture, variant);
    if Microarchitecture::has_levels(architecture) && Microarchitecture::of_variant(architecture, &variant).is_none() {
        return Err(format!("{architecture} has no variant {variant}"));
    }
    Ok(variant)
}

/// Whether a feature can be read as one of an image's: a line whose feature no machine can meet is a mistake.
fn readable(field: &str, text: &str, checks: &mut Checks<'_>) -> Result<(), String> {
    let feature = Feature::parse(text)?;
    // The reader has measured each alternative with its key.
    check_text(feature.key())?;
    feature.alternatives().try_for_each(check_text)?;
    let rule = checks.rules.rule(feature.key());
    let expected = match rule {
        Rule::ComputeCapability => "compute capability",
        Rule::AmdGpu => "GPU target",
        Rule::AtLeast | Rule::SameMajor => "version",
        Rule::Microarchitecture => {
            checks.warnings.extend(unknown(&feature).map(|name| {
                format!("{field}: archspec does not know {name}; only machine types of this very name match")
            }));
            return Ok(());
        }
        Rule::Exact => return Ok(()),
    };
    feature.unreadable(rule).map_or(Ok(()), |value| Err(format!("{value} is no {expected}")))
}

/// The microarchitectures or flags of a feature that archspec does not know.
fn unknown(feature: &Feature) -> impl Iterator<Item = String> {
    let known = |name: &&str| match feature.key() {
        ISA => IsaFlag::find(name).is_some(),
        _ => Microarchitecture::find(name).is_some(),
    };
    feature.alternatives().filter(move |name| !known(name)).map(|name| format!("{}:{name}", feature.key()))
}

fn assumed(field: &str, raw: BTreeMap<String, String>) -> Result<AssumedLevels, ConfigError> {
    let mut levels = BTreeMap::new();
    for (architecture, variant) in raw {
        let refuse = |message: String| ConfigError::new(format!("{field}.assume.{architecture}"), message);
        let (name, implied) = platform::architecture(&architecture);
        if implied.is_some() || !Microarchitecture::has_levels(&name) {
            return Err(refuse("has no levels that could be assumed".to_owned()));
        }
        let level = level(&name, &variant).map_err(refuse)?;
        if levels.insert(name.into_owned(), level).is_some() {
            return Err(refuse("has another level under another name".to_owned()));
        }
    }
    Ok(AssumedLevels::new(levels))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{parse, with};

    fn refusal(rules: &Value) -> String {
        parse(&with("/images", json!({ "a/b": rules }))).unwrap_err().to_string()
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let line = |line: Value| json!([{ "tag": "*", "variants": [line] }]);
        let text = |number: u32| format!("f{number}");
        let rows = [
            (json!([]), "images.a/b: has no rule"),
            (json!([{ "variants": [{ "tag": "{tag}-x" }] }]), "images.a/b[0].tag: missing"),
            (json!([{ "tag": "{a}-{a}" }]), "images.a/b[0].tag: has {a} twice"),
            (json!([{ "tag": ["*", "a b"] }]), "images.a/b[0].tag[1]: has a ' '"),
            (json!([{ "tag": [] }]), "images.a/b[0].tag: is empty"),
            (json!([{ "tag": "*", "variants": [] }]), "images.a/b[0].variants: is empty"),
            (line(json!({ "tag": "{kind}-x" })), "images.a/b[0].variants[0].tag: {kind} is in no pattern"),
            (line(json!({ "tag": "{tag}-" })), "images.a/b[0].variants[0].tag: has no letter"),
            (line(json!({ "tag": "{tag}-x", "variant": "v3" })), "images.a/b[0].variants[0].variant: needs its"),
            (
                line(json!({ "tag": "{tag}-x", "architecture": "amd64", "variant": "v9" })),
                "images.a/b[0].variants[0].variant: amd64 has no variant v9",
            ),
            (
                line(json!({ "tag": "{tag}-x", "architecture": "armhf", "variant": "v6" })),
                "images.a/b[0].variants[0].variant: v6 contradicts the architecture, which is v7",
            ),
            (line(json!({ "tag": "{tag}-x", "os": "unknown" })), "images.a/b[0].variants[0].os: unknown is the"),
            (
                line(json!({ "tag": "{tag}-x", "features": ["a:b||c"] })),
                "images.a/b[0].variants[0].features[0]: is empty",
            ),
            (json!([{ "tag": "*", "assume": { "armhf": "v7" } }]), "images.a/b[0].assume.armhf: has no levels"),
            (
                json!([{ "tag": "*", "assume": { "amd64": "v2", "x86_64": "v3" } }]),
                "images.a/b[0].assume.x86_64: has another level",
            ),
            (
                line(json!({ "tag": "{tag}-x", "features": ["a", "b c"] })),
                "images.a/b[0].variants[0].features[1]: may only have printable",
            ),
            (
                line(json!({ "tag": "{tag}-x", "features": ["nvcap:new"] })),
                "images.a/b[0].variants[0].features[0]: new is no",
            ),
            (json!([{ "tag": "*", "assume": { "s390x": "z15" } }]), "images.a/b[0].assume.s390x: has no levels"),
            (json!([{ "tag": "*", "assume": { "amd64": "v9" } }]), "images.a/b[0].assume.amd64: amd64 has no"),
            (json!([{ "tag": "*", "repositories": [{ "repository": "c" }] }]), "images.a/b[0]: repositories stands"),
            (json!([{ "repositories": [{ "repository": "C" }] }]), "images.a/b[0].repositories[0].repository: not a"),
            (
                json!([{ "repositories": [{ "repository": "c" }] }, { "repositories": [{ "repository": "d" }] }]),
                "images.a/b[1]: a second rule",
            ),
        ];
        for (rules, expected) in rows {
            let message = refusal(&rules);
            assert!(message.starts_with(expected), "{rules}: {message}");
        }
        // As an entry of an index, so that the line is not lost in silence when it is compared with machines.
        let (many, few): (Vec<String>, Vec<String>) = ((0..257).map(text).collect(), (0..256).map(text).collect());
        let message = refusal(&line(json!({ "tag": "{tag}-x", "features": many })));
        assert_eq!(message, "images.a/b[0].variants[0].features: more than 256, each alternative counted");
        assert!(parse(&with("/images", json!({ "a/b": line(json!({ "tag": "{tag}-x", "features": few })) }))).is_ok());
        let lines: Vec<Value> = (0..17).map(|number| json!({ "tag": format!("{{tag}}-{number}") })).collect();
        let message = refusal(&json!([{ "tag": "*", "variants": lines }]));
        assert_eq!(message, "images.a/b[0].variants: has 17 lines, and 16 is the limit");
    }

    #[test]
    fn names_of_images_are_clear() {
        let rule = json!([{ "tag": "*" }]);
        let refused = |names: &[&str]| {
            let images: Value = names.iter().map(|name| ((*name).to_owned(), rule.clone())).collect();
            parse(&with("/images", images)).err().map(|error| error.to_string())
        };
        assert_eq!(refused(&["a/*", "b/**", "a/b"]), None, "an exact name goes before a pattern");
        assert!(refused(&["a b"]).unwrap().starts_with("images.a b: not a repository pattern"));
        for names in [["a/*", "*/b"], ["a/**", "a/*/c"], ["**", "a/*"]] {
            assert!(refused(&names).unwrap().contains("matches repositories that images."), "{names:?}");
        }
    }

    #[test]
    fn repositories_and_brought_tokens_do_not_go_together() {
        let mut document = with("/images", json!({ "a/b": [{ "repositories": [{ "repository": "a/c" }] }] }));
        assert!(parse(&document).is_ok());
        document["registries"]["registry"] = json!({ "host": "h", "authentication": "upstream", "accept_jwt": true });
        let message = parse(&document).unwrap_err().to_string();
        assert!(
            message.starts_with("images.a/b: has repositories, and registries.registry has accept_jwt"),
            "{message}"
        );
    }
}
