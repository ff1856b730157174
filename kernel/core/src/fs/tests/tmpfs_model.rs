//! Random strings of calls against the simplest thing that could be right: a map from paths to numbers of files, and
//! a list of files.

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::sync::Arc;
use std::vec::Vec;

use proptest::prelude::*;

use super::support::{
    FakeSource, Item, PARKING, TestFs, archive, directory, empty_fs, file, find, forever, open_as_root,
};
use crate::addr::PAGE_SIZE;
use crate::fs::initramfs::build;
use crate::fs::{
    AccessId, Allocation, Base, BufferSink, BufferSource, Context, FileError, FileKind, IfTaken, Made, OpenFile,
    OpenFlags, PageSource, Place, Removal, Side, Visit, Writer, link, make, remove, rename,
};

const ROOT: AccessId<'static> = AccessId::ROOT;
const PAGE: usize = PAGE_SIZE;

#[derive(Clone, Debug)]
enum Step {
    Make(String),
    Create(String),
    Remove(String),
    RemoveDirectory(String),
    Link(String, String),
    Rename(String, String, IfTaken),
    /// Keeps a file open.
    Open(String),
    Close(usize),
    Write(usize, usize, usize),
    Append(String, usize),
    Resize(usize, usize),
    Allocate(usize, Allocation, usize, usize),
}

/// A file of the model.
#[derive(Clone, Debug)]
enum Thing {
    Directory,
    File(Vec<u8>),
}

#[derive(Default)]
struct Model {
    /// By path, without the leading slash; the root is not among them.
    names: BTreeMap<String, usize>,
    things: Vec<Thing>,
}

fn above(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(above, _)| above)
}

impl Model {
    fn add(&mut self, path: &str, thing: Thing) {
        self.names.insert(path.into(), self.things.len());
        self.things.push(thing);
    }

    fn is_directory(&self, path: &str) -> bool {
        path.is_empty() || self.names.get(path).is_some_and(|&thing| matches!(self.things[thing], Thing::Directory))
    }

    /// Why the directory that `path` is in cannot be found.
    fn check_way(&self, path: &str) -> Result<(), FileError> {
        let mut at = String::new();
        for part in above(path).split('/').filter(|part| !part.is_empty()) {
            if !self.is_directory(&at) {
                return Err(FileError::NotDirectory);
            }
            at = if at.is_empty() { part.into() } else { format!("{at}/{part}") };
            if !self.names.contains_key(&at) {
                return Err(FileError::NotFound);
            }
        }
        if self.is_directory(&at) { Ok(()) } else { Err(FileError::NotDirectory) }
    }

    fn get(&self, path: &str) -> Result<usize, FileError> {
        self.check_way(path)?;
        self.names.get(path).copied().ok_or(FileError::NotFound)
    }

    fn is_empty(&self, path: &str) -> bool {
        !self.names.keys().any(|name| name.starts_with(&format!("{path}/")))
    }

    fn make(&mut self, path: &str, thing: Thing) -> Result<(), FileError> {
        self.check_way(path)?;
        if self.names.contains_key(path) {
            return Err(FileError::Exists);
        }
        self.add(path, thing);
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
        self.names.remove(path);
        Ok(())
    }

    fn link(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        let thing = self.get(from)?;
        self.check_way(to)?;
        if self.names.contains_key(to) {
            return Err(FileError::Exists);
        }
        if self.is_directory(from) {
            return Err(FileError::NotPermitted);
        }
        self.names.insert(to.into(), thing);
        Ok(())
    }

    /// Takes the name and all below it out.
    fn take(&mut self, path: &str) -> Vec<(String, usize)> {
        let below = format!("{path}/");
        let names: Vec<_> =
            self.names.keys().filter(|name| *name == path || name.starts_with(&below)).cloned().collect();
        names.into_iter().map(|name| (name[path.len()..].to_string(), self.names.remove(&name).unwrap())).collect()
    }

    fn put(&mut self, path: &str, taken: Vec<(String, usize)>) {
        self.names.extend(taken.into_iter().map(|(name, thing)| (format!("{path}{name}"), thing)));
    }

    fn rename(&mut self, from: &str, to: &str, if_taken: IfTaken) -> Result<(), FileError> {
        self.check_way(from)?;
        self.check_way(to)?;
        let what = self.get(from)?;
        let there = self.names.get(to).copied();
        match (there, if_taken) {
            (Some(_), IfTaken::Fail) => return Err(FileError::Exists),
            (None, IfTaken::Exchange) => return Err(FileError::NotFound),
            _ => {}
        }
        if there == Some(what) {
            return Ok(());
        }
        let inside = |inner: &str, outer: &str| inner.starts_with(&format!("{outer}/"));
        if let (Some(_), IfTaken::Replace) = (there, if_taken) {
            match (self.is_directory(from), self.is_directory(to)) {
                (true, false) => return Err(FileError::NotDirectory),
                (false, true) => return Err(FileError::IsDirectory),
                _ => {}
            }
        }
        if inside(to, from) || if_taken == IfTaken::Exchange && inside(from, to) {
            return Err(FileError::Invalid);
        }
        if if_taken == IfTaken::Replace && self.is_directory(to) && !self.is_empty(to) {
            return Err(FileError::NotEmpty);
        }
        let (moved, other) = (self.take(from), self.take(to));
        self.put(to, moved);
        if if_taken == IfTaken::Exchange {
            self.put(from, other);
        }
        Ok(())
    }

    fn bytes(&mut self, thing: usize) -> &mut Vec<u8> {
        match &mut self.things[thing] {
            Thing::File(bytes) => bytes,
            Thing::Directory => panic!("a directory was opened to be written"),
        }
    }
}

fn overwrite(bytes: &mut Vec<u8>, at: usize, with: &[u8]) {
    if bytes.len() < at + with.len() {
        bytes.resize(at + with.len(), 0);
    }
    bytes[at..at + with.len()].copy_from_slice(with);
}

struct Pair {
    model: Model,
    context: Context,
    fs: Arc<TestFs>,
    source: Arc<FakeSource>,
    open: Vec<(Arc<OpenFile>, usize)>,
    fill: u8,
}

impl Pair {
    fn new() -> Self {
        let source = Arc::new(FakeSource::default());
        let fs = empty_fs(Arc::clone(&source) as Arc<dyn PageSource>, 3);
        let items =
            [directory("a"), file("a/b", &[9; 2 * PAGE + 50]), file("c", b"short"), Item::new("dev", 0o40_755, b"")];
        let root = build(forever(&archive(&items, PAGE), 0), &fs, &mut |problem| panic!("{problem}")).unwrap();
        let context = Context::new(root, &PARKING);
        remove(&context, Base::Working, b"dev", Removal::Directory, ROOT).unwrap();
        let mut model = Model::default();
        model.add("a", Thing::Directory);
        model.add("a/b", Thing::File(std::vec![9; 2 * PAGE + 50]));
        model.add("c", Thing::File(b"short".to_vec()));
        Self { model, context, fs, source, open: Vec::new(), fill: 0 }
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        self.fill = self.fill.wrapping_add(1);
        std::vec![self.fill; count]
    }

    fn run(&mut self, step: &Step) {
        let base = Base::Working;
        let context = self.context.clone();
        match step {
            Step::Make(path) => {
                let found = make(&context, base, path.as_bytes(), Made::Directory, 0o755, ROOT);
                assert_eq!(found, self.model.make(path, Thing::Directory));
            }
            Step::Create(path) => {
                let found = open_as_root(&context, path, OpenFlags::CREATE | OpenFlags::EXCLUSIVE).map(drop);
                assert_eq!(found, self.model.make(path, Thing::File(Vec::new())));
            }
            Step::Remove(path) => {
                let found = remove(&context, base, path.as_bytes(), Removal::File, ROOT);
                assert_eq!(found, self.model.remove(path, false));
            }
            Step::RemoveDirectory(path) => {
                let found = remove(&context, base, path.as_bytes(), Removal::Directory, ROOT);
                assert_eq!(found, self.model.remove(path, true));
            }
            Step::Link(from, to) => {
                let found = find(&context, from).and_then(|what| link(&context, &what, base, to.as_bytes(), ROOT));
                assert_eq!(found, self.model.link(from, to));
            }
            Step::Rename(from, to, if_taken) => {
                let [from_side, to_side] = [from, to].map(|path| Side { base, path: path.as_bytes() });
                let found = rename(&context, from_side, to_side, *if_taken, ROOT);
                assert_eq!(found, self.model.rename(from, to, *if_taken), "{from} {to} {if_taken:?}");
            }
            Step::Open(path) => {
                let found = open_as_root(&context, path, OpenFlags::READ_WRITE);
                match (found, self.model.get(path)) {
                    (Ok(file), Ok(thing)) => self.open.push((file, thing)),
                    (Err(FileError::IsDirectory), Ok(_)) => assert!(self.model.is_directory(path)),
                    (Err(found), Err(expected)) => assert_eq!(found, expected),
                    (found, expected) => panic!("{:?} {expected:?}", found.err()),
                }
            }
            Step::Append(path, count) => {
                let bytes = self.bytes(*count);
                let flags = OpenFlags::WRITE_ONLY | OpenFlags::APPEND;
                if let Ok(file) = open_as_root(&context, path, flags) {
                    assert_eq!(file.write(&mut BufferSource::new(&bytes)), Ok(*count));
                    let thing = self.model.get(path).unwrap();
                    self.model.bytes(thing).extend(bytes);
                }
            }
            _ if self.open.is_empty() => {}
            Step::Close(which) => drop(self.open.swap_remove(which % self.open.len())),
            Step::Write(which, at, count) => {
                let bytes = self.bytes(*count);
                let (file, thing) = &self.open[which % self.open.len()];
                assert_eq!(file.write_at(*at as u64, &mut BufferSource::new(&bytes)), Ok(*count));
                if *count > 0 {
                    overwrite(self.model.bytes(*thing), *at, &bytes);
                }
            }
            Step::Resize(which, to) => {
                let (file, thing) = &self.open[which % self.open.len()];
                file.resize(*to as u64, Writer::KERNEL).unwrap();
                self.model.bytes(*thing).resize(*to, 0);
            }
            Step::Allocate(which, how, start, count) => {
                let (file, thing) = &self.open[which % self.open.len()];
                let (start, end) = (*start, start + count);
                let place = Place { start: start as u64, end: end as u64 };
                file.allocate(*how, place, Writer::KERNEL).unwrap();
                let bytes = self.model.bytes(*thing);
                if matches!(how, Allocation::Extend | Allocation::Zero) && bytes.len() < end {
                    bytes.resize(end, 0);
                }
                if !matches!(how, Allocation::Extend | Allocation::KeepLength) {
                    let end = end.min(bytes.len());
                    bytes[start.min(end)..end].fill(0);
                }
            }
        }
    }

    /// Names, counts of links, contents and sizes are those of the model; pages are counted.
    fn check(&mut self) {
        let mut pages = 0;
        let mut seen = BTreeSet::new();
        let mut found = BTreeMap::new();
        let mut todo = std::vec![(String::new(), find(&self.context, "/").unwrap())];
        while let Some((path, directory)) = todo.pop() {
            let mut names = Vec::new();
            directory
                .read_directory(2, &mut |entry| {
                    names.push(entry.name.to_vec());
                    Visit::More
                })
                .unwrap();
            let mut links = 2;
            for name in names {
                let name = String::from_utf8(name).unwrap();
                let child = directory.lookup(name.as_bytes()).unwrap();
                let child_path = if path.is_empty() { name } else { format!("{path}/{name}") };
                found.insert(child_path.clone(), child.id().inode);
                if child.protection().kind == FileKind::Directory {
                    links += 1;
                    assert_eq!(child.parent().unwrap().id(), directory.id());
                    todo.push((child_path, child));
                }
            }
            assert_eq!(directory.metadata().links, links, "{path}");
        }
        assert!(found.keys().eq(self.model.names.keys()), "{found:?} {:?}", self.model.names);
        let mut numbers = BTreeMap::new();
        for (path, thing) in &self.model.names {
            assert_eq!(*numbers.entry(*thing).or_insert(found[path]), found[path]);
        }
        let named: Vec<_> = self.model.names.clone().into_iter().collect();
        for (path, thing) in named {
            if let Thing::File(expected) = self.model.things[thing].clone() {
                let file = open_as_root(&self.context, &path, OpenFlags::empty()).unwrap();
                let names = self.model.names.values().filter(|&&other| other == thing).count();
                assert_eq!(file.metadata().links as usize, names);
                check_bytes(&file, &expected);
                pages += new_pages(&file, &mut seen);
            }
        }
        for (file, thing) in &self.open {
            let Thing::File(expected) = &self.model.things[*thing] else { panic!("not a file") };
            check_bytes(file, expected);
            pages += new_pages(file, &mut seen);
        }
        let status = self.fs.status();
        assert_eq!(status.blocks - status.free_blocks, self.source.promised());
        assert_eq!(u64::from(self.source.references().0), self.source.promised());
        // The pages of the archive are not counted as the file system's.
        assert!(self.source.promised() <= pages);
    }
}

fn check_bytes(file: &OpenFile, expected: &[u8]) {
    assert_eq!(file.metadata().size, expected.len() as u64);
    let mut bytes = std::vec![0xee; expected.len() + 1];
    let count = file.read_at(0, &mut BufferSink::new(&mut bytes)).unwrap();
    assert!(bytes[..count] == *expected, "other bytes");
}

/// The pages of a file that was not looked at before.
fn new_pages(file: &OpenFile, seen: &mut BTreeSet<u64>) -> u64 {
    let stat = file.metadata();
    if seen.insert(stat.id.inode) { stat.blocks / 8 } else { 0 }
}

fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec("[abc]", 1..4).prop_map(|parts| parts.join("/"))
}

fn place() -> impl Strategy<Value = usize> {
    prop_oneof![0..3 * PAGE, (0_usize..4).prop_map(|page| page * PAGE), (1_usize..4).prop_map(|page| page * PAGE - 1)]
}

fn step() -> impl Strategy<Value = Step> {
    let if_taken = prop_oneof![3 => Just(IfTaken::Replace), 1 => Just(IfTaken::Fail), 2 => Just(IfTaken::Exchange)];
    let how = prop_oneof![
        Just(Allocation::Extend),
        Just(Allocation::KeepLength),
        Just(Allocation::Punch),
        Just(Allocation::Zero),
        Just(Allocation::ZeroKeepLength)
    ];
    let which = 0_usize..8;
    prop_oneof![
        4 => path().prop_map(Step::Make),
        4 => path().prop_map(Step::Create),
        2 => path().prop_map(Step::Remove),
        2 => path().prop_map(Step::RemoveDirectory),
        2 => (path(), path()).prop_map(|(from, to)| Step::Link(from, to)),
        6 => (path(), path(), if_taken).prop_map(|(from, to, if_taken)| Step::Rename(from, to, if_taken)),
        4 => path().prop_map(Step::Open),
        1 => which.clone().prop_map(Step::Close),
        4 => (which.clone(), place(), place()).prop_map(|(which, at, count)| Step::Write(which, at, count)),
        2 => (path(), 0_usize..5000).prop_map(|(path, count)| Step::Append(path, count)),
        3 => (which.clone(), place()).prop_map(|(which, to)| Step::Resize(which, to)),
        3 => (which, how, place(), place()).prop_map(|(which, how, at, count)| Step::Allocate(which, how, at, count + 1)),
    ]
}

proptest! {
    #![proptest_config(super::support::doses(2, 400))]

    #[test]
    #[cfg_attr(miri, ignore = "generating names takes minutes there")]
    fn the_file_system_does_what_a_map_of_paths_does(steps in proptest::collection::vec(step(), 1..60)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.run(step);
        }
        pair.check();
        // With the last name and the last descriptor everything is gone.
        let Pair { source, fs, context, open, .. } = pair;
        drop((context, open));
        prop_assert_eq!((source.references().0, source.promised()), (0, 0));
        let status = fs.status();
        prop_assert_eq!(status.free_files, status.files);
    }
}
