//! The folders of `src/` stand in the order of a request's data: what a file uses stands in its own folder or in an
//! earlier one. And no file of any crate uses another one of it that, over however many others, uses it.
//!
//! A file uses what its paths name. A `pub use` hands a name on and uses nothing: a path over it counts for the file in
//! which the thing itself is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, UseTree, Visibility};

/// The folders of all programs and libraries; each is looked at by itself.
const CRATES: &[&str] = &[
    "src",
    "bench/load",
    "bench/soak",
    "bench/src",
    "crates/proxy-wasm/src",
    "crates/testkit/src",
    "examples/demo",
    "fuzz/src",
    "tests",
];

/// The names of a path.
type Names = Vec<String>;

/// One source file, without its tests.
#[derive(Default)]
struct Source {
    file: String,
    /// The modules that it declares.
    modules: BTreeSet<String>,
    /// The things that it imports or hands on, by the names that they have here.
    imports: BTreeMap<String, Names>,
    /// The things that it hands on, which is no use by itself.
    handed_on: Vec<Names>,
    /// All other paths.
    paths: Vec<Names>,
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl Source {
    fn import(&mut self, before: &[String], tree: &UseTree, public: bool) {
        let (name, here) = match tree {
            UseTree::Path(path) => {
                return self.import(&[before, &[path.ident.to_string()]].concat(), &path.tree, public);
            }
            UseTree::Group(group) => return group.items.iter().for_each(|tree| self.import(before, tree, public)),
            UseTree::Name(name) => (name.ident.to_string(), name.ident.to_string()),
            UseTree::Rename(rename) => (rename.ident.to_string(), rename.rename.to_string()),
            UseTree::Glob(_) => {
                return assert_eq!(before, ["proptest", "prelude"], "{}: hides what is used", self.file);
            }
        };
        let (path, here) = match (name.as_str(), before.last()) {
            ("self", Some(last)) => (before.to_vec(), last.clone()),
            _ => ([before, &[name]].concat(), here),
        };
        self.imports.insert(here, path.clone());
        if public { self.handed_on.push(path) } else { self.paths.push(path) }
    }
}

impl Visit<'_> for Source {
    fn visit_item(&mut self, item: &Item) {
        let attributes = match item {
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &ItemMod) {
        self.modules.insert(item.ident.to_string());
        visit::visit_item_mod(self, item);
    }

    fn visit_item_use(&mut self, item: &ItemUse) {
        self.import(&[], &item.tree, !matches!(item.vis, Visibility::Inherited));
    }

    /// The path in `pub(super)` is no use.
    fn visit_visibility(&mut self, _: &Visibility) {}

    fn visit_path(&mut self, path: &syn::Path) {
        self.paths.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    /// A macro's arguments may be anything; paths are what has colons.
    fn visit_macro(&mut self, called: &Macro) {
        let tokens = called.tokens.to_string().replace(" :: ", "::");
        let words = tokens.split(|letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '_' | ':'));
        self.paths
            .extend(words.filter(|word| word.contains("::")).map(|word| word.split("::").map(str::to_owned).collect()));
        visit::visit_macro(self, called);
    }
}

/// All files below a folder, but for tests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.file_stem().is_some_and(|stem| stem != "tests"))
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// A crate's files, by the paths of its modules.
struct Crate(BTreeMap<Names, Source>);

impl Crate {
    fn read(folder: &str) -> Self {
        let read = |path: PathBuf| {
            let module = path.strip_prefix(folder).unwrap().with_extension("");
            let module = module.iter().map(|name| name.to_str().unwrap().to_owned());
            let module: Names = module.filter(|name| !matches!(name.as_str(), "mod" | "lib" | "main")).collect();
            let mut source = Source { file: path.to_str().unwrap().to_owned(), ..Source::default() };
            source.visit_file(&syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap());
            (module, source)
        };
        Self(files(Path::new(folder)).into_iter().map(read).collect())
    }

    /// The module in whose file the thing is that a path names in `module`; `None` for what is not of the crate.
    fn home<'a>(&'a self, module: &[String], path: &[String]) -> Option<&'a Names> {
        let (first, rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => module.to_vec(),
            "super" => module.split_last()?.1.to_vec(),
            name => {
                let source = &self.0[module];
                // A name alone that is also a module's is a value of that name.
                if source.modules.contains(name) && !rest.is_empty() {
                    [module, std::slice::from_ref(first)].concat()
                } else {
                    let import = source.imports.get(name).filter(|import| import.first() != Some(first))?;
                    return self.home(module, &[import, rest].concat());
                }
            }
        };
        for (place, name) in rest.iter().enumerate() {
            let source = &self.0.get(&at)?;
            if name == "super" {
                at.pop();
            } else if source.modules.contains(name) {
                at.push(name.clone());
            } else if let Some(import) = source.imports.get(name) {
                return self.home(&at, &[import, &rest[place + 1..]].concat());
            } else {
                break;
            }
        }
        self.0.get_key_value(&at).map(|(module, _)| module)
    }

    /// Each module's file with the modules that these paths of it lead to.
    fn uses(&self, paths: impl Fn(&Source) -> Vec<&Names>) -> BTreeMap<&Names, BTreeSet<&Names>> {
        let uses = |(module, source): (&'_ Names, &'_ Source)| {
            paths(source).into_iter().filter_map(|path| self.home(module, path)).collect()
        };
        self.0.iter().map(|(module, source)| (module, uses((module, source)))).collect()
    }

    /// The uses of each other by the files in a circle, a line for each file; and how many uses were looked at.
    fn circle(&self) -> (String, usize) {
        let mut uses = self.uses(|source| source.paths.iter().collect());
        for (module, used) in &mut uses {
            used.remove(module);
        }
        let reached = |start: &Names| {
            let mut reached = BTreeSet::new();
            let mut next: Vec<&Names> = uses[start].iter().copied().collect();
            while let Some(module) = next.pop() {
                if reached.insert(module) {
                    next.extend(&uses[module]);
                }
            }
            reached
        };
        let mut shown = String::new();
        for module in self.0.keys().filter(|module| reached(module).contains(module)) {
            let back = uses[module].iter().filter(|used| reached(used).contains(module));
            let back: Vec<&str> = back.map(|used| self.0[*used].file.as_str()).collect();
            shown += &format!("{} uses {}\n", self.0[module].file, back.join(", "));
        }
        (shown, uses.values().map(BTreeSet::len).sum())
    }
}

#[test]
fn each_folder_looks_only_at_those_before_it() {
    let core = Crate::read("src");
    let library = fs::read_to_string("src/lib.rs").unwrap();
    let folders = library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let place: BTreeMap<&str, usize> = folders.enumerate().map(|(place, folder)| (folder, place)).collect();
    assert!(place.len() > 8 && place["text"] < place["flow"], "{place:?}");
    let mut looked = 0;
    for (module, used) in core.uses(|source| source.paths.iter().chain(&source.handed_on).collect()) {
        let Some(own) = module.first() else { continue };
        for other in used {
            let other = other.first().unwrap_or_else(|| panic!("{module:?} uses the crate's root"));
            assert!(place[&**other] <= place[&**own], "{module:?} uses `{other}`, which comes later");
            looked += 1;
        }
    }
    assert!(looked > 200, "{looked} uses were looked at");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let mut uses = 0;
    for folder in CRATES {
        let (circle, looked) = Crate::read(folder).circle();
        assert!(circle.is_empty(), "in a circle:\n{circle}");
        uses += looked;
    }
    assert!(uses > 550, "{uses} uses were looked at");
}
