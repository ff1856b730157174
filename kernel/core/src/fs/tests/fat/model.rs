//! Random strings of calls against the simplest thing that could be right: a map from paths to numbers of files, and a
//! list of files.

use std::collections::BTreeMap;
use std::string::{String, ToString as _};
use std::sync::Arc;
use std::vec::Vec;

use proptest::prelude::*;

use super::super::support::doses;
use super::check::{check, check_clean};
use super::support::{SMALL, Tree, format, read_whole};
use crate::addr::PAGE_SIZE;
use crate::fs::{BufferSource, FileError, IfTaken, Mountable as _, OpenFile, OpenFlags, Writer};

#[derive(Clone, Debug)]
enum Step {
    Make(String),
    Create(String),
    Remove(String),
    RemoveDirectory(String),
    Rename(String, String, IfTaken),
    /// Keeps a file open.
    Open(String),
    Close(usize),
    Write(usize, usize, usize),
    Append(String, usize),
    Resize(usize, usize),
    Truncate(String),
    /// Of a file that nobody else may have open, so that nobody keeps what is known of it.
    Cut(String, usize),
    Commit,
    Sync,
    Remount,
}

#[derive(Clone, Debug)]
enum Thing {
    Directory,
    File(Vec<u8>),
}

#[derive(Default)]
struct Model {
    /// By path in small letters: the last name as it was given, and the file.
    names: BTreeMap<String, (String, usize)>,
    things: Vec<Thing>,
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl Model {
    fn is_directory(&self, path: &str) -> bool {
        let path = path.to_lowercase();
        path.is_empty()
            || self.names.get(&path).is_some_and(|(_, thing)| matches!(self.things[*thing], Thing::Directory))
    }

    fn check_way(&self, path: &str) -> Result<(), FileError> {
        let mut at = String::new();
        for part in split(path).0.split('/').filter(|part| !part.is_empty()) {
            if !self.is_directory(&at) {
                return Err(FileError::NotDirectory);
            }
            at = if at.is_empty() { part.into() } else { std::format!("{at}/{part}") };
            if !self.names.contains_key(&at.to_lowercase()) {
                return Err(FileError::NotFound);
            }
        }
        if self.is_directory(&at) { Ok(()) } else { Err(FileError::NotDirectory) }
    }

    fn get(&self, path: &str) -> Result<usize, FileError> {
        self.check_way(path)?;
        self.names.get(&path.to_lowercase()).map(|(_, thing)| *thing).ok_or(FileError::NotFound)
    }

    fn is_empty(&self, path: &str) -> bool {
        !self.names.keys().any(|name| name.starts_with(&std::format!("{}/", path.to_lowercase())))
    }

    fn make(&mut self, path: &str, thing: Thing) -> Result<(), FileError> {
        self.check_way(path)?;
        if self.names.contains_key(&path.to_lowercase()) {
            return Err(FileError::Exists);
        }
        self.names.insert(path.to_lowercase(), (split(path).1.to_string(), self.things.len()));
        self.things.push(thing);
        Ok(())
    }

    fn remove(&mut self, path: &str, wants_directory: bool) -> Result<(), FileError> {
        self.get(path)?;
        match (self.is_directory(path), wants_directory) {
            (true, false) => return Err(FileError::IsDirectory),
            (false, true) => return Err(FileError::NotDirectory),
            (true, true) if !self.is_empty(path) => return Err(FileError::NotEmpty),
            _ => {}
        }
        self.names.remove(&path.to_lowercase());
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str, if_taken: IfTaken) -> Result<(), FileError> {
        self.check_way(from)?;
        self.check_way(to)?;
        let what = self.get(from)?;
        let (from_key, to_key) = (from.to_lowercase(), to.to_lowercase());
        let there = self.names.get(&to_key).cloned();
        if there.is_some() && if_taken == IfTaken::Fail {
            return Err(FileError::Exists);
        }
        if there.as_ref().is_some_and(|(_, thing)| *thing == what) {
            return Ok(());
        }
        if there.is_some() {
            match (self.is_directory(from), self.is_directory(to)) {
                (true, false) => return Err(FileError::NotDirectory),
                (false, true) => return Err(FileError::IsDirectory),
                _ => {}
            }
        }
        if to_key.starts_with(&std::format!("{from_key}/")) {
            return Err(FileError::Invalid);
        }
        if self.is_directory(to) && !self.is_empty(to) {
            return Err(FileError::NotEmpty);
        }
        let below = std::format!("{from_key}/");
        let moved: Vec<_> = self.names.keys().filter(|name| name.starts_with(&below)).cloned().collect();
        for name in moved {
            let file = self.names.remove(&name).unwrap();
            self.names.insert(std::format!("{to_key}/{}", &name[below.len()..]), file);
        }
        self.names.remove(&from_key);
        // What takes a place takes its name as it is written.
        let shown = there.map_or_else(|| split(to).1.to_string(), |(shown, _)| shown);
        self.names.insert(to_key, (shown, what));
        Ok(())
    }

    fn bytes(&mut self, thing: usize) -> &mut Vec<u8> {
        match &mut self.things[thing] {
            Thing::File(bytes) => bytes,
            Thing::Directory => panic!("a directory was opened to be written"),
        }
    }

    /// Paths as they are shown, with contents.
    fn all(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        let shown = |key: &str| {
            let mut path = String::new();
            let mut at = String::new();
            for part in key.split('/') {
                at = if at.is_empty() { part.into() } else { std::format!("{at}/{part}") };
                let name = &self.names[&at].0;
                path = if path.is_empty() { name.clone() } else { std::format!("{path}/{name}") };
            }
            path
        };
        let bytes = |thing: usize| match &self.things[thing] {
            Thing::Directory => None,
            Thing::File(bytes) => Some(bytes.clone()),
        };
        self.names.iter().map(|(key, (_, thing))| (shown(key), bytes(*thing))).collect()
    }
}

struct Pair {
    model: Model,
    tree: Option<Tree>,
    open: Vec<(Arc<OpenFile>, usize)>,
    fill: u8,
}

impl Pair {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        self.fill = self.fill.wrapping_add(1);
        (0..count).map(|at| self.fill.wrapping_add((at / 97).to_le_bytes()[0])).collect()
    }

    fn tree(&self) -> &Tree {
        self.tree.as_ref().unwrap()
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Make(path) => assert_eq!(self.tree().mkdir(path), self.model.make(path, Thing::Directory)),
            Step::Create(path) => {
                let made = self.tree().open(path, OpenFlags::CREATE | OpenFlags::EXCLUSIVE).map(drop);
                assert_eq!(made, self.model.make(path, Thing::File(Vec::new())));
            }
            Step::Remove(path) => assert_eq!(self.tree().unlink(path), self.model.remove(path, false)),
            Step::RemoveDirectory(path) => assert_eq!(self.tree().rmdir(path), self.model.remove(path, true)),
            Step::Rename(from, to, if_taken) => {
                let renamed = self.tree().rename_as(from, to, *if_taken);
                assert_eq!(renamed, self.model.rename(from, to, *if_taken), "{from} {to}");
            }
            Step::Open(path) => self.open(path, OpenFlags::READ_WRITE),
            Step::Truncate(path) => {
                let before = self.open.len();
                self.open(path, OpenFlags::READ_WRITE | OpenFlags::TRUNCATE);
                if let Some((_, thing)) = self.open.get(before) {
                    self.model.bytes(*thing).clear();
                    self.open.pop();
                }
            }
            Step::Cut(path, to) => {
                let before = self.open.len();
                self.open(path, OpenFlags::READ_WRITE);
                if self.open.len() > before {
                    self.run(&Step::Resize(before, *to));
                    self.open.pop();
                }
            }
            Step::Append(path, count) => {
                let bytes = self.bytes(*count);
                if let Ok(done) = self.tree().append(path, &bytes) {
                    assert_eq!(done, *count);
                    let thing = self.model.get(path).unwrap();
                    self.model.bytes(thing).extend(bytes);
                }
            }
            Step::Commit => self.tree().mountable.write_back().unwrap(),
            Step::Sync => {
                self.tree().mountable.sync().unwrap();
                let report = check(&self.tree().disk.state().durable.clone());
                assert!(report.damage.is_empty(), "{:?}", report.damage);
                assert!(report.tree == self.model.all());
            }
            Step::Remount => {
                self.open.clear();
                let image = self.tree.take().unwrap().unmount();
                self.tree = Some(Tree::new(image));
            }
            Step::Close(_) | Step::Write(..) | Step::Resize(..) if self.open.is_empty() => {}
            Step::Close(which) => drop(self.open.swap_remove(which % self.open.len())),
            Step::Write(which, at, count) => {
                let bytes = self.bytes(*count);
                let (file, thing) = &self.open[which % self.open.len()];
                assert_eq!(file.write_at(*at as u64, &mut BufferSource::new(&bytes)), Ok(*count));
                let known = self.model.bytes(*thing);
                if known.len() < at + count && *count > 0 {
                    known.resize(at + count, 0);
                }
                if *count > 0 {
                    known[*at..at + count].copy_from_slice(&bytes);
                }
            }
            Step::Resize(which, to) => {
                let (file, thing) = &self.open[which % self.open.len()];
                file.resize(*to as u64, Writer::KERNEL).unwrap();
                self.model.bytes(*thing).resize(*to, 0);
            }
        }
    }

    fn open(&mut self, path: &str, flags: OpenFlags) {
        match (self.tree().open(path, flags), self.model.get(path)) {
            (Ok(file), Ok(thing)) => self.open.push((file, thing)),
            (Err(FileError::IsDirectory), Ok(_)) => assert!(self.model.is_directory(path)),
            (Err(found), Err(expected)) => assert_eq!(found, expected),
            (found, expected) => panic!("{:?} {expected:?}", found.err()),
        }
    }

    fn check(mut self) {
        for (file, thing) in &self.open {
            assert!(read_whole(file).unwrap() == *self.model.bytes(*thing), "other bytes");
        }
        self.open.clear();
        let expected = self.model.all();
        let tree = self.tree.take().unwrap();
        assert!(tree.all() == expected, "{:?} {:?}", tree.all().keys(), expected.keys());
        let source = Arc::clone(&tree.source);
        let image = tree.unmount();
        assert_eq!(source.references().0, 0);
        let report = check(&image);
        assert!(report.damage.is_empty() && report.untidy.is_empty() && report.clean, "{report:?}");
        assert!(report.tree == expected);
    }
}

fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![3 => "[abAB]", 1 => Just("A Longer Name".to_string()), 1 => Just("a longer name.and more letters".to_string())];
    proptest::collection::vec(name, 1..4).prop_map(|parts| parts.join("/"))
}

fn place() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..3 * PAGE_SIZE,
        (0_usize..9).prop_map(|page| page * 512),
        (1_usize..4).prop_map(|page| page * PAGE_SIZE - 1)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let if_taken = prop_oneof![3 => Just(IfTaken::Replace), 1 => Just(IfTaken::Fail)];
    let which = 0_usize..8;
    prop_oneof![
        5 => path().prop_map(Step::Make),
        5 => path().prop_map(Step::Create),
        3 => path().prop_map(Step::Remove),
        3 => path().prop_map(Step::RemoveDirectory),
        8 => (path(), path(), if_taken).prop_map(|(from, to, if_taken)| Step::Rename(from, to, if_taken)),
        5 => path().prop_map(Step::Open),
        1 => which.clone().prop_map(Step::Close),
        5 => (which.clone(), place(), place()).prop_map(|(which, at, count)| Step::Write(which, at, count)),
        3 => (path(), 0_usize..5000).prop_map(|(path, count)| Step::Append(path, count)),
        5 => (which, place()).prop_map(|(which, to)| Step::Resize(which, to)),
        1 => path().prop_map(Step::Truncate),
        3 => (path(), place()).prop_map(|(path, to)| Step::Cut(path, to)),
        2 => Just(Step::Commit),
        1 => Just(Step::Sync),
        1 => Just(Step::Remount),
    ]
}

proptest! {
    #![proptest_config(doses(1, 150))]

    #[test]
    #[cfg_attr(miri, ignore = "generating names takes minutes there")]
    fn a_fat_does_what_a_map_of_paths_does(kind in 0..3_usize, steps in proptest::collection::vec(step(), 1..80)) {
        let tree = Some(Tree::new(format(SMALL[kind])));
        let mut pair = Pair { model: Model::default(), tree, open: Vec::new(), fill: 0 };
        for step in &steps {
            pair.run(step);
        }
        pair.check();
    }
}

#[test]
fn an_empty_image_is_clean_to_those_who_check_it() {
    for kind in SMALL {
        assert!(check_clean(&format(kind)).tree.is_empty());
    }
}
