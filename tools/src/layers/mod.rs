//! The order of the house: who may import whom, and where `unsafe` may stand.
//!
//! [`table`] declares it, `scan` finds what a source file refers to, and [`check`] compares. Test code is free: what
//! stands under `#[cfg(test)]` or `#[cfg(loom)]`, and files and modules named as in [`table::EXEMPT`].

mod scan;
pub mod table;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::scan::{Found, Reference, Source};
use self::table::Crate;

/// A breach of the order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Breach {
    /// The file, from the workspace root on.
    pub file: PathBuf,
    /// The line in it.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What can be wrong.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Problem {
    /// The module imports one that stands above it.
    Upward {
        /// Who imports.
        from: String,
        /// Whom.
        to: String,
    },
    /// The module is missing from the table.
    Unknown(String),
    /// The crate, or the module, may not see the other crate, or not that part of it.
    Border {
        /// Who imports.
        from: String,
        /// What is on the other side.
        to: String,
    },
    /// `unsafe` in a module that is not on the list.
    Unsafe(String),
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upward { from, to } => write!(f, "{from} imports {to}, which stands above it"),
            Self::Unknown(module) => write!(f, "{module} has no place in the table of layers"),
            Self::Border { from, to } => write!(f, "{from} may not see {to}"),
            Self::Unsafe(module) => write!(f, "unsafe in {module}, which is not on the list"),
        }
    }
}

/// Checks every source file of the workspace at `root`.
///
/// # Errors
///
/// When a file cannot be read or is no Rust.
pub fn check(root: &Path) -> anyhow::Result<Vec<Breach>> {
    let mut breaches = Vec::new();
    for crate_ in table::CRATES {
        let mut files = Vec::new();
        let others: Vec<PathBuf> = table::CRATES
            .iter()
            .filter(|other| other.name != crate_.name)
            .map(|other| root.join(other.sources))
            .collect();
        collect(&root.join(crate_.sources), &others, &mut files)?;
        let mut sources = Vec::new();
        for path in files {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let shown = path.strip_prefix(root).unwrap_or(&path).to_owned();
            let source = Source::parse(&shown, &text).with_context(|| format!("cannot parse {}", shown.display()))?;
            sources.push(source);
        }
        breaches.extend(check_crate(crate_, &sources));
    }
    breaches.sort();
    breaches.dedup();
    Ok(breaches)
}

/// The Rust files below `directory`, but not below `others`, in no order.
fn collect(directory: &Path, others: &[PathBuf], files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if others.contains(&path) {
            continue;
        }
        if path.is_dir() {
            collect(&path, others, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn check_crate(crate_: &Crate, sources: &[Source]) -> Vec<Breach> {
    let test_modules: Vec<&[String]> =
        sources.iter().flat_map(|source| &source.test_modules).map(Vec::as_slice).collect();
    let is_test = |module: &[String]| {
        module.iter().any(|name| table::EXEMPT.contains(&name.as_str()))
            || test_modules.iter().any(|test| module.starts_with(test))
    };
    let mut breaches = Vec::new();
    for source in sources.iter().filter(|source| !is_test(&source.module)) {
        for found in source.found.iter().filter(|found| !is_test(&found.module)) {
            if let Some(problem) = judge(crate_, found) {
                breaches.push(Breach { file: source.file.clone(), line: found.line, problem });
            }
        }
    }
    breaches
}

fn judge(crate_: &Crate, found: &Found) -> Option<Problem> {
    match &found.reference {
        Reference::Unsafe => {
            let allowed = crate_.unsafe_in.iter().any(|path| is_inside(&found.module, path));
            (!allowed).then(|| Problem::Unsafe(name(crate_, &found.module)))
        }
        Reference::Path(path) if path.first().is_some_and(|first| first == "crate") => {
            let from = found.module.first()?;
            within(crate_, from, path.get(1)?)
        }
        Reference::Path(path) => across(crate_, &found.module, path),
    }
}

/// An import from another module of the same crate. The root of a crate may import them all.
fn within(crate_: &Crate, from: &str, to: &str) -> Option<Problem> {
    if crate_.layers.is_empty() || from == to {
        return None;
    }
    let level = |module: &str| crate_.layers.iter().position(|layer| layer.contains(&module));
    match (level(from), level(to)) {
        (Some(below), Some(above)) if above > below => {
            Some(Problem::Upward { from: format!("{}::{from}", crate_.name), to: format!("{}::{to}", crate_.name) })
        }
        (Some(_), Some(_)) => None,
        (None, _) => Some(Problem::Unknown(format!("{}::{from}", crate_.name))),
        (_, None) => Some(Problem::Unknown(format!("{}::{to}", crate_.name))),
    }
}

/// An import from another crate of the house.
fn across(crate_: &Crate, module: &[String], path: &[String]) -> Option<Problem> {
    let other = table::CRATES.iter().find(|other| path.first().is_some_and(|first| first == other.name))?;
    if other.name == crate_.name {
        return None;
    }
    let narrower = crate_.views.iter().find(|view| is_inside(module, view.from));
    let sees = narrower.map_or(crate_.sees, |view| view.sees);
    let allowed = sees.iter().any(|seen| {
        let mut seen = seen.split("::");
        // A whole crate, or one module of it.
        seen.next() == Some(other.name) && seen.next().is_none_or(|part| path.get(1).is_some_and(|name| name == part))
    });
    (!allowed).then(|| Problem::Border { from: name(crate_, module), to: path.join("::") })
}

/// Whether `module` is `path`, written with `::`, or inside it. Everything is inside the empty path, the crate.
fn is_inside(module: &[String], path: &str) -> bool {
    let mut module = module.iter();
    path.is_empty() || path.split("::").all(|part| module.next().is_some_and(|name| name == part))
}

fn name(crate_: &Crate, module: &[String]) -> String {
    std::iter::once(crate_.name).chain(module.iter().map(String::as_str)).collect::<Vec<_>>().join("::")
}

#[cfg(test)]
mod tests;
