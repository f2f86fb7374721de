//! Oracle: ARCHITECTURE.md. No file imports another that imports it again, by whatever way round.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::structure::sources;

/// A module as the names on the way to it, from the crate's root.
type Module = Vec<String>;

/// The files of a crate that are no tests, by module.
struct Crate {
    text: BTreeMap<Module, String>,
    /// What a module re-exports: a name in it, and the path that it stands for.
    exported: BTreeMap<(Module, String), Module>,
}

/// Production code without comments, inline tests and imports for documentation only.
fn code(text: &str) -> String {
    let plain = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    // an item for tests or documentation ends with the first line that closes it in the first column
    let mut skip = false;
    let kept = plain.filter(|line| {
        let starts = line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(doc)]");
        let hidden = skip || starts;
        let ends = line.starts_with('}') || (line.ends_with(';') && !line.starts_with(' '));
        skip = starts || (skip && !ends);
        !hidden
    });
    // a visibility is no import
    let visible = |line: &str| match (line.find("pub(in "), line.find(')')) {
        (Some(from), Some(to)) if from < to => format!("{}pub {}", &line[..from], &line[to + 1..]),
        _ => line.to_owned(),
    };
    kept.map(visible).collect::<Vec<_>>().join("\n")
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d` and `a::c::e`.
fn expanded(import: &str) -> Vec<String> {
    let Some((head, rest)) = import.split_once('{') else { return vec![import.trim().to_owned()] };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut parts, mut depth, mut part) = (vec![], 0, String::new());
    for c in inner.chars().chain([',']) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    let whole = parts.iter().filter(|part| !part.trim().is_empty());
    whole.flat_map(|part| expanded(&format!("{}{}", head.trim(), part.trim()))).collect()
}

/// Imports of a text, each with whether it is a re-export; and the text without them.
fn imports(text: &str) -> (Vec<(bool, String)>, String) {
    let (mut found, mut rest, mut open) = (vec![], String::new(), None::<(bool, String)>);
    for line in text.lines() {
        let start = line.trim_start();
        if open.is_none() {
            let public = start.starts_with("pub");
            let import =
                if public { start.split_once(" use ").map(|(_, i)| i) } else { start.strip_prefix("use ") };
            match import.filter(|_| !public || !start.contains('(') || start.find("use") > start.find(')')) {
                Some(import) => open = Some((public, import.to_owned())),
                None => {
                    rest.push_str(line);
                    rest.push('\n');
                }
            }
        } else if let Some((_, import)) = &mut open {
            import.push_str(start);
        }
        if let Some((public, import)) = open.take_if(|(_, import)| import.ends_with(';')) {
            let names = expanded(import.trim_end_matches(';'));
            found.extend(names.into_iter().map(|name| (public, name)));
        }
    }
    (found, rest)
}

/// All paths `a::b::c` of a text.
fn paths(text: &str) -> Vec<String> {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    text.split(|c| !part(c))
        .filter(|word| word.contains("::") && !word.starts_with(':'))
        .map(str::to_owned)
        .collect()
}

impl Crate {
    fn read(root: &Path) -> Self {
        let mut text = BTreeMap::new();
        for file in sources(root) {
            let place = file.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            if place.contains("test") || place == "main.rs" {
                continue;
            }
            let mut module: Module = place.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            module.pop_if(|last| *last == "mod" || *last == "lib");
            text.insert(module, code(&fs::read_to_string(&file).unwrap()));
        }
        let mut all = Self { text, exported: BTreeMap::new() };
        for (module, text) in &all.text {
            for (_, import) in imports(text).0.into_iter().filter(|(public, _)| *public) {
                let (path, name) = import.split_once(" as ").unwrap_or((&import, ""));
                let name = if name.is_empty() { path.rsplit("::").next().unwrap_or_default() } else { name };
                if let Some(path) = all.absolute(module, path) {
                    all.exported.insert((module.clone(), name.to_owned()), path);
                }
            }
        }
        all
    }

    /// A path of this crate from its root; none for other crates, and for names of the module itself.
    fn absolute(&self, module: &Module, path: &str) -> Option<Module> {
        let mut parts = path.split("::").map(|part| part.split(" as ").next().unwrap_or_default().trim());
        let mut base = module.clone();
        let first = parts.next()?;
        match first {
            "crate" => base.clear(),
            "self" => {}
            "super" => drop(base.pop()),
            child => {
                base.push(child.to_owned());
                self.text.contains_key(&base).then_some(())?;
            }
        }
        for part in parts {
            match part {
                "super" => drop(base.pop()),
                "self" | "" => {}
                part => base.push(part.to_owned()),
            }
        }
        Some(base)
    }

    /// The file that defines what a path stands for.
    fn file(&self, path: &Module) -> Option<Module> {
        let (mut path, mut followed) = (path.clone(), BTreeSet::new());
        loop {
            let known = (0..=path.len()).rev().find(|&n| self.text.contains_key(&path[..n]))?;
            let module = path[..known].to_vec();
            let Some(name) = path.get(known) else { return Some(module) };
            match self.exported.get(&(module.clone(), name.clone())) {
                Some(other) if followed.insert((module.clone(), name.clone())) => {
                    path = other.iter().chain(&path[known + 1..]).cloned().collect();
                }
                _ => return Some(module),
            }
        }
    }

    /// Files that a file imports from. A module that only declares or re-exports its children imports nothing.
    fn imported(&self, module: &Module) -> BTreeSet<Module> {
        let (imports, body) = imports(&self.text[module]);
        let named =
            imports.into_iter().filter(|(public, _)| !public).map(|(_, name)| name).chain(paths(&body));
        let files = named.filter_map(|name| self.file(&self.absolute(module, &name)?));
        files.filter(|file| file != module).collect()
    }

    /// Files that can be reached from themselves, with a way each.
    fn circles(&self) -> Vec<String> {
        let arrows: BTreeMap<&Module, BTreeSet<Module>> =
            self.text.keys().map(|module| (module, self.imported(module))).collect();
        let mut found = vec![];
        for start in self.text.keys() {
            let mut came_from: BTreeMap<Module, Module> = BTreeMap::new();
            let mut open = vec![start.clone()];
            while let Some(at) = open.pop() {
                for next in arrows.get(&at).into_iter().flatten() {
                    if !came_from.contains_key(next) {
                        came_from.insert(next.clone(), at.clone());
                        open.push(next.clone());
                    }
                }
            }
            if came_from.contains_key(start) {
                let mut way = vec![start.join("/")];
                let mut at = &came_from[start];
                while at != start {
                    way.push(at.join("/"));
                    at = &came_from[at];
                }
                way.push(start.join("/"));
                way.reverse();
                found.push(way.join(" -> "));
            }
        }
        found
    }
}

fn check(folder: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let all = Crate::read(&root);
    let arrows: usize = all.text.keys().map(|module| all.imported(module).len()).sum();
    assert!(
        arrows > 3 * all.text.len() / 2,
        "{folder}: only {arrows} imports of {} files seen",
        all.text.len()
    );
    let circles = all.circles();
    assert!(circles.is_empty(), "{folder} has circles of files:\n{}", circles.join("\n"));
}

#[test]
fn no_files_of_the_program_import_each_other_in_circles() {
    check("src");
}

#[test]
fn no_files_of_the_kernels_import_each_other_in_circles() {
    check("kernels/src");
}

#[test]
fn a_circle_is_seen_through_groups_and_re_exports() {
    let files = [
        ("", "pub mod a;\npub mod b;\n"),
        ("a", "pub use inner::Thing;\nmod inner;\n"),
        ("a/inner", "use crate::b::{self, Other};\npub struct Thing;\n"),
        ("b", "// use crate::c;\nfn f() { crate::a::Thing; }\npub struct Other;\n"),
    ];
    let module =
        |name: &str| name.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Module>();
    let text: BTreeMap<Module, String> =
        files.iter().map(|(name, text)| (module(name), code(text))).collect();
    let exported = [((module("a"), "Thing".to_owned()), module("a/inner/Thing"))].into();
    let found = Crate { text, exported }.circles();
    assert_eq!(found, ["a/inner -> b -> a/inner", "b -> a/inner -> b"]);
}
