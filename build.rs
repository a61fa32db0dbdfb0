//! Generates the microarchitecture table from archspec's data.
//!
//! The `archspec` crate reads its JSON at run time, needs a host to detect and does not compile for WebAssembly. All
//! that selection needs of it (names, ancestry, the longest path between two names, how many ISA features a name has,
//! and which) fits into a few KiB of constants, so it is worked out here once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use archspec::schema::MicroarchitecturesSchema;

/// Families (roots of archspec's tree) and what OCI calls them (Go's GOARCH).
const ARCHITECTURES: [(&str, &str); 12] = [
    ("x86", "386"),
    ("x86_64", "amd64"),
    ("aarch64", "arm64"),
    ("arm", "arm"),
    ("ppc", "ppc"),
    ("ppcle", "ppcle"),
    ("ppc64", "ppc64"),
    ("ppc64le", "ppc64le"),
    ("riscv64", "riscv64"),
    ("sparc", "sparc"),
    ("sparc64", "sparc64"),
    ("s390x", "s390x"),
];

/// Levels that OCI variants name and archspec lacks, with what they derive from. Armv9.x contains Armv8.(x+5) and no
/// more (Arm ARM; containerd's platform comparison says the same), so v9 does not simply follow v8.9.
const ADDED: [(&str, &[&str]); 17] = [
    ("s390x", &[]),
    ("armv5", &["arm"]),
    ("armv6", &["armv5"]),
    ("armv7", &["armv6"]),
    ("armv8l", &["armv7"]),
    ("armv8.7a", &["armv8.6a"]),
    ("armv8.8a", &["armv8.7a"]),
    ("armv8.9a", &["armv8.8a"]),
    ("armv9.1a", &["armv9.0a", "armv8.6a"]),
    ("armv9.2a", &["armv9.1a", "armv8.7a"]),
    ("armv9.3a", &["armv9.2a", "armv8.8a"]),
    ("armv9.4a", &["armv9.3a", "armv8.9a"]),
    ("armv9.5a", &["armv9.4a"]),
    ("power11le", &["power10le"]),
    ("rva20u64", &["riscv64"]),
    ("rva22u64", &["rva20u64"]),
    ("rva23u64", &["rva22u64"]),
];

/// What OCI variants stand for: architecture, variant, name in the tree. The first of an architecture is its lowest.
const VARIANTS: [(&str, &str, &str); 31] = [
    ("amd64", "v1", "x86_64"),
    ("amd64", "v2", "x86_64_v2"),
    ("amd64", "v3", "x86_64_v3"),
    ("amd64", "v4", "x86_64_v4"),
    ("arm", "v5", "armv5"),
    ("arm", "v6", "armv6"),
    ("arm", "v7", "armv7"),
    ("arm", "v8", "armv8l"),
    ("arm64", "v8", "aarch64"),
    ("arm64", "v8.1", "armv8.1a"),
    ("arm64", "v8.2", "armv8.2a"),
    ("arm64", "v8.3", "armv8.3a"),
    ("arm64", "v8.4", "armv8.4a"),
    ("arm64", "v8.5", "armv8.5a"),
    ("arm64", "v8.6", "armv8.6a"),
    ("arm64", "v8.7", "armv8.7a"),
    ("arm64", "v8.8", "armv8.8a"),
    ("arm64", "v8.9", "armv8.9a"),
    ("arm64", "v9", "armv9.0a"),
    ("arm64", "v9.1", "armv9.1a"),
    ("arm64", "v9.2", "armv9.2a"),
    ("arm64", "v9.3", "armv9.3a"),
    ("arm64", "v9.4", "armv9.4a"),
    ("arm64", "v9.5", "armv9.5a"),
    ("ppc64le", "power8", "power8le"),
    ("ppc64le", "power9", "power9le"),
    ("ppc64le", "power10", "power10le"),
    ("ppc64le", "power11", "power11le"),
    ("riscv64", "rva20u64", "rva20u64"),
    ("riscv64", "rva22u64", "rva22u64"),
    ("riscv64", "rva23u64", "rva23u64"),
];

/// Other names of the same hardware or level: compilers' `-march` names, `uname -m`, names archspec once used.
const ALIASES: [(&str, &str); 42] = [
    ("amd64", "x86_64"),
    ("x86_64_v1", "x86_64"),
    ("i386", "x86"),
    ("corei7_avx", "sandybridge"),
    ("core_avx_i", "ivybridge"),
    ("knl", "mic_knl"),
    ("skx", "skylake_avx512"),
    ("icelake_client", "icelake"),
    ("icelake_server", "icelake"),
    ("amdfam10", "k10"),
    ("bdver1", "bulldozer"),
    ("bdver2", "piledriver"),
    ("bdver3", "steamroller"),
    ("bdver4", "excavator"),
    ("zen1", "zen"),
    ("znver1", "zen"),
    ("znver2", "zen2"),
    ("znver3", "zen3"),
    ("znver4", "zen4"),
    ("znver5", "zen5"),
    ("arm64", "aarch64"),
    ("armv8", "aarch64"),
    ("armv8a", "aarch64"),
    ("armv8_a", "aarch64"),
    ("armv8.0a", "aarch64"),
    ("armv9", "armv9.0a"),
    ("armv9a", "armv9.0a"),
    ("armv9_a", "armv9.0a"),
    ("armv5l", "armv5"),
    ("armv6l", "armv6"),
    ("armv7l", "armv7"),
    ("graviton", "cortex_a72"),
    ("graviton2", "neoverse_n1"),
    ("graviton3", "neoverse_v1"),
    ("graviton4", "neoverse_v2"),
    ("apple_m1", "m1"),
    ("apple_m2", "m2"),
    ("apple_m3", "m3"),
    ("apple_m4", "m4"),
    ("powerpc64", "ppc64"),
    ("powerpc64le", "ppc64le"),
    ("spacemit_x60", "x60"),
];

/// Marks in the distance table that one name does not descend from the other.
const UNRELATED: u8 = u8::MAX;

struct Node {
    parents: Vec<String>,
    /// The ISA features that archspec lists for it.
    isa: BTreeSet<String>,
}

type Tree = BTreeMap<String, Node>;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let tree = tree()?;
    let table = render(&tree)?;
    let directory = std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: run this through cargo")?;
    std::fs::write(Path::new(&directory).join("microarchitectures.rs"), table)?;
    Ok(())
}

/// archspec's names and the added levels, with every parent checked.
fn tree() -> Result<Tree, Box<dyn Error>> {
    let mut tree = Tree::new();
    for (name, node) in &MicroarchitecturesSchema::schema().microarchitectures {
        let isa = node.features.iter().cloned().collect();
        tree.insert(name.clone(), Node { parents: node.from.clone(), isa });
    }
    for (name, parents) in ADDED {
        // A newer archspec may know the level; its word then counts.
        let added = Node { parents: parents.iter().map(ToString::to_string).collect(), isa: BTreeSet::new() };
        tree.entry(name.to_owned()).or_insert(added);
    }
    for (name, node) in &tree {
        if name.bytes().any(|byte| !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.')) {
            return Err(format!("{name}: names are compared in lower case with `-` read as `_`").into());
        }
        if let Some(parent) = node.parents.iter().find(|parent| !tree.contains_key(*parent)) {
            return Err(format!("{name} derives from {parent}, which does not exist").into());
        }
    }
    Ok(tree)
}

/// The longest path from `name` to each of its ancestors, itself included.
fn ancestors<'t>(tree: &'t Tree, name: &'t str, depth: u8) -> Result<HashMap<&'t str, u8>, Box<dyn Error>> {
    if depth > 64 {
        return Err(format!("{name}: the tree is too deep, or has a cycle").into());
    }
    let mut longest = HashMap::from([(name, 0)]);
    for parent in tree.get(name).map(|node| node.parents.as_slice()).unwrap_or_default() {
        for (ancestor, distance) in ancestors(tree, parent, depth + 1)? {
            let known = longest.entry(ancestor).or_insert(0);
            *known = (*known).max(distance + 1);
        }
    }
    Ok(longest)
}

/// All names of ISA features: archspec's own and its aliases. Each is a bit of a mask.
fn flags(tree: &Tree) -> Result<Vec<&str>, Box<dyn Error>> {
    let own = tree.values().flat_map(|node| &node.isa);
    let aliases = MicroarchitecturesSchema::schema().feature_aliases.keys();
    let flags: Vec<&str> = own.chain(aliases).map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect();
    if flags.len() > 128 {
        return Err(format!("{} ISA features are more than a mask has bits", flags.len()).into());
    }
    Ok(flags)
}

/// The ISA features of a name as a mask: those that archspec lists for it or for one of its ancestors, and the aliases
/// that follow from them or from the family. Levels that archspec lacks have their ancestors' features.
fn mask(tree: &Tree, ancestors: &HashMap<&str, u8>, flags: &[&str]) -> u128 {
    let listed: BTreeSet<&str> = ancestors
        .keys()
        .filter_map(|ancestor| tree.get(*ancestor))
        .flat_map(|node| node.isa.iter().map(String::as_str))
        .collect();
    let aliases = &MicroarchitecturesSchema::schema().feature_aliases;
    let follows = |flag: &str| {
        aliases.get(flag).is_some_and(|alias| {
            alias.any_of.iter().flatten().any(|of| listed.contains(of.as_str()))
                || alias.families.iter().flatten().any(|family| ancestors.contains_key(family.as_str()))
        })
    };
    let bit = |(place, flag): (usize, &&str)| u128::from(listed.contains(flag) || follows(flag)) << place;
    flags.iter().enumerate().map(bit).fold(0, |mask, bit| mask | bit)
}

fn render(tree: &Tree) -> Result<String, Box<dyn Error>> {
    let names: Vec<&str> = tree.keys().map(String::as_str).collect();
    let flags = flags(tree)?;
    let position = |name: &str| names.iter().position(|known| *known == name).ok_or(format!("unknown name {name}"));
    let mut nodes = String::new();
    let mut distances = String::new();
    for (name, node) in tree {
        let ancestors = ancestors(tree, name, 0)?;
        let family = ARCHITECTURES.iter().find(|(root, _)| ancestors.contains_key(root));
        let architecture = family.ok_or(format!("{name}: no OCI architecture for its family"))?.1;
        // The level that a name guarantees is the deepest of the levels it descends from.
        let levels = VARIANTS.iter().filter(|(of, _, level)| *of == architecture && ancestors.contains_key(level));
        let mut best: Option<(u8, &str)> = None;
        for (_, variant, level) in levels {
            let depth = self::ancestors(tree, level, 0)?.into_values().max().unwrap_or(0);
            if best.is_none_or(|(known, _)| depth > known) {
                best = Some((depth, variant));
            }
        }
        let isa = u8::try_from(node.isa.len())?;
        let mask = mask(tree, &ancestors, &flags);
        let variant = best.map(|(_, variant)| variant);
        writeln!(
            nodes,
            "    Node {{ name: {name:?}, architecture: {architecture:?}, variant: {variant:?}, isa: {isa}, \
             flags: {mask:#x} }},"
        )?;
        let row: Vec<u8> = names.iter().map(|other| ancestors.get(other).copied().unwrap_or(UNRELATED)).collect();
        writeln!(distances, "    {row:?},")?;
    }
    let mut lookup = BTreeMap::new();
    for (name, target) in names.iter().map(|name| (*name, *name)).chain(ALIASES) {
        // A name of archspec's own wins over an alias.
        lookup.entry(name.to_owned()).or_insert(position(target)?);
    }
    // Compilers write armv8.2-a.
    for name in names.iter().filter(|name| name.starts_with("armv") && name.contains('.')) {
        if let Some(level) = name.strip_suffix('a') {
            lookup.entry(format!("{level}_a")).or_insert(position(name)?);
        }
    }
    let roots = ARCHITECTURES.iter().map(|(root, architecture)| (*architecture, "", *root));
    let mut levels = String::new();
    for (architecture, variant, name) in roots.chain(VARIANTS) {
        writeln!(levels, "    ({architecture:?}, {variant:?}, {}),", position(name)?)?;
    }
    let mut aliases = String::new();
    for (name, node) in &lookup {
        writeln!(aliases, "    ({name:?}, {node}),")?;
    }
    let (nodes_length, names_length, flags_length) = (names.len(), lookup.len(), flags.len());
    let flags: String = flags.iter().map(|flag| format!("    {flag:?},\n")).collect();
    let body = format!("{nodes}{distances}{aliases}{levels}{flags}");
    let levels_length = ARCHITECTURES.len() + VARIANTS.len();
    Ok(format!(
        "const UNRELATED: u8 = {UNRELATED};\n\
         const TABLE: u64 = {:#x};\n\
         static NODES: [Node; {nodes_length}] = [\n{nodes}];\n\
         static DISTANCES: [[u8; {nodes_length}]; {nodes_length}] = [\n{distances}];\n\
         static NAMES: [(&str, u8); {names_length}] = [\n{aliases}];\n\
         static LEVELS: [(&str, &str, u8); {levels_length}] = [\n{levels}];\n\
         static FLAGS: [&str; {flags_length}] = [\n{flags}];\n",
        fnv1a(body.as_bytes())
    ))
}

/// A hash that stays the same across toolchains (FNV-1a, 64 bits); it tells one table from another.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
