use std::format;
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

use super::support::{
    FakeSource, MAPPINGS, PARKING, TestFs, archive, contents, directory, empty_fs, error, file, find, forever,
    open_as_root, symlink, tree, tree_with,
};
use crate::addr::PAGE_SIZE;
use crate::fs::tmpfs::Limits;
use crate::fs::{
    AccessId, Allocation, Base, BufferSink, BufferSource, Context, FileError, FileKind, IfTaken, Inode, Made, Mapping,
    Metadata, NewTime, OpenFile, OpenFlags, PageSource, Place, Removal, Side, Source, Timestamp, Visit, Whence, Writer,
    absolute_path, link, make, open, remove, rename, set_owner, set_permissions, set_times,
};
use crate::hal::UserFault;
use crate::vm::{Pager, PagerError};

const USER: AccessId<'static> = AccessId { uid: 1000, gid: 1000, groups: &[50] };
const OTHER: AccessId<'static> = AccessId { uid: 2000, gid: 2000, groups: &[] };
const ROOT: AccessId<'static> = AccessId::ROOT;
const PAGE: u64 = PAGE_SIZE as u64;
const CREATE: OpenFlags = OpenFlags::CREATE.union(OpenFlags::READ_WRITE);

/// A file system, where it begins, and its frames.
struct Lab {
    context: Context,
    fs: Arc<TestFs>,
    source: Arc<FakeSource>,
}

impl Lab {
    fn new() -> Self {
        let source = Arc::new(FakeSource::default());
        let fs = empty_fs(Arc::clone(&source) as Arc<dyn PageSource>, 2);
        let root = fs.make_root(0o777, 0, 0).unwrap();
        Self { context: Context::new(root, &PARKING), fs, source }
    }

    fn make(&self, path: &str, what: Made<'_>) -> Result<(), FileError> {
        self.make_as(path, what, ROOT)
    }

    fn make_as(&self, path: &str, what: Made<'_>, id: AccessId<'_>) -> Result<(), FileError> {
        make(&self.context, Base::Working, path.as_bytes(), what, 0o777, id)
    }

    fn directory(&self, path: &str) {
        self.make(path, Made::Directory).unwrap();
    }

    fn create(&self, path: &str, bytes: &[u8]) -> Arc<OpenFile> {
        let file = open_as_root(&self.context, path, CREATE).unwrap();
        assert_eq!(file.write(&mut BufferSource::new(bytes)), Ok(bytes.len()));
        file
    }

    fn open_as(&self, path: &str, flags: OpenFlags, id: AccessId<'_>) -> Result<Arc<OpenFile>, FileError> {
        open(&self.context, Base::Working, path.as_bytes(), flags, 0o666, id)
    }

    fn remove(&self, path: &str, removal: Removal) -> Result<(), FileError> {
        remove(&self.context, Base::Working, path.as_bytes(), removal, ROOT)
    }

    fn rename(&self, from: &str, to: &str, if_taken: IfTaken) -> Result<(), FileError> {
        self.rename_as(from, to, if_taken, ROOT)
    }

    fn rename_as(&self, from: &str, to: &str, if_taken: IfTaken, id: AccessId<'_>) -> Result<(), FileError> {
        let side = |path: &'static str| Side { base: Base::Working, path: path.as_bytes() };
        // Tests live no longer than their names.
        let [from, to] = [from, to].map(|path| side(String::leak(path.into())));
        rename(&self.context, from, to, if_taken, id)
    }

    fn link(&self, what: &str, path: &str) -> Result<(), FileError> {
        link(&self.context, &find(&self.context, what)?, Base::Working, path.as_bytes(), ROOT)
    }

    fn stat(&self, path: &str) -> Metadata {
        find(&self.context, path).unwrap().metadata()
    }

    fn contents(&self, path: &str) -> Vec<u8> {
        contents(&self.context, path)
    }

    fn names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<_> =
            names_from(&*find(&self.context, path).unwrap(), 2).into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    }
}

impl Drop for Lab {
    /// With the last name and the last descriptor everything is gone.
    fn drop(&mut self) {
        let nowhere = Self::empty_root();
        self.context = Context::new(nowhere, &PARKING);
        if !std::thread::panicking() {
            let status = self.fs.status();
            assert_eq!((self.source.references(), self.source.promised()), ((0, 0), 0));
            assert_eq!((status.free_blocks, status.free_files), (status.blocks, status.files));
        }
    }
}

impl Lab {
    fn empty_root() -> Arc<dyn Inode> {
        empty_fs(Arc::new(FakeSource::default()), 9).make_root(0o700, 0, 0).unwrap()
    }
}

/// Names and next cookies from a cookie on.
fn names_from(directory: &dyn Inode, cookie: u64) -> Vec<(String, u64)> {
    let mut names = Vec::new();
    let mut visit = |entry: crate::fs::DirectoryEntry<'_>| {
        names.push((String::from_utf8_lossy(entry.name).into_owned(), entry.next));
        Visit::More
    };
    directory.read_directory(cookie, &mut visit).unwrap();
    names
}

fn read_at(file: &OpenFile, at: u64, count: usize) -> Vec<u8> {
    let mut bytes = std::vec![0xee; count];
    let count = file.read_at(at, &mut BufferSink::new(&mut bytes)).unwrap();
    bytes.truncate(count);
    bytes
}

#[test]
fn what_is_written_is_read() {
    let lab = Lab::new();
    let file = lab.create("file", b"hello");
    assert_eq!(file.write(&mut BufferSource::new(b" world")), Ok(6));
    assert_eq!(lab.contents("file"), b"hello world");
    let long: Vec<u8> = (0..=255).cycle().take(3 * PAGE_SIZE + 7).collect();
    assert_eq!(file.write_at(PAGE - 3, &mut BufferSource::new(&long)), Ok(long.len()));
    assert_eq!(read_at(&file, PAGE - 3, long.len() + 5), long);
    assert_eq!(read_at(&file, 5, 8), b" world\0\0");
    let stat = lab.stat("file");
    assert_eq!((stat.size, stat.blocks), (4 * PAGE + 4, 5 * 8));
}

#[test]
fn holes_read_as_zeroes_and_take_no_memory() {
    let lab = Lab::new();
    let file = lab.create("file", b"");
    file.write_at(1 << 40, &mut BufferSource::new(b"far")).unwrap();
    assert_eq!(lab.stat("file").blocks, 8);
    assert_eq!(read_at(&file, 1 << 39, 3), [0; 3]);
    assert_eq!(read_at(&file, (1 << 40) - 2, 9), b"\0\0far");
    file.resize(1 << 50, Writer::KERNEL).unwrap();
    assert_eq!((lab.stat("file").size, lab.stat("file").blocks), (1 << 50, 8));
    for (whence, from, expected) in [
        (Whence::Data, 0, Ok(1 << 40)),
        (Whence::Data, (1 << 40) + 1, Ok((1 << 40) + 1)),
        (Whence::Data, (1 << 40) + 4096, Err(FileError::NoDevice)),
        (Whence::Hole, 0, Ok(0)),
        (Whence::Hole, 1 << 40, Ok((1 << 40) + 4096)),
        (Whence::Hole, 1 << 50, Err(FileError::NoDevice)),
    ] {
        assert_eq!(file.seek(from, whence), expected, "{whence:?} {from}");
    }
}

#[test]
fn a_shorter_file_leaves_nothing_behind_its_end() {
    let lab = Lab::new();
    let file = lab.create("file", &[7; 3 * PAGE_SIZE]);
    file.resize(PAGE + 10, Writer::KERNEL).unwrap();
    assert_eq!(lab.stat("file").blocks, 2 * 8);
    file.resize(3 * PAGE, Writer::KERNEL).unwrap();
    let after = read_at(&file, PAGE, 2 * PAGE_SIZE);
    assert_eq!(after[..10], [7; 10]);
    assert!(after[10..].iter().all(|&byte| byte == 0));
    drop(open_as_root(&lab.context, "file", OpenFlags::WRITE_ONLY | OpenFlags::TRUNCATE).unwrap());
    assert_eq!((lab.stat("file").size, lab.source.promised()), (0, 0));
}

#[test]
fn a_file_without_names_lives_as_long_as_it_is_open() {
    let lab = Lab::new();
    let file = lab.create("file", b"data");
    lab.remove("file", Removal::File).unwrap();
    assert_eq!(error(find(&lab.context, "file")), Some(FileError::NotFound));
    assert_eq!((file.metadata().links, read_at(&file, 0, 9)), (0, b"data".to_vec()));
    assert_eq!(lab.source.promised(), 1);
    drop(file);
    assert_eq!((lab.source.promised(), lab.source.references()), (0, (0, 0)));
}

#[test]
fn appends_go_to_the_end_whoever_else_writes() {
    let lab = Lab::new();
    let writers: Vec<_> =
        (0..4).map(|_| open_as_root(&lab.context, "log", CREATE | OpenFlags::APPEND).unwrap()).collect();
    std::thread::scope(|scope| {
        for (number, file) in writers.iter().enumerate() {
            let line = [u8::try_from(number).unwrap(); 100];
            scope.spawn(move || (0..20).for_each(|_| assert_eq!(file.write(&mut BufferSource::new(&line)), Ok(100))));
        }
    });
    let all = lab.contents("log");
    assert_eq!(all.len(), 8000);
    assert!(all.chunks(100).all(|line| line.iter().all(|byte| byte == &line[0])));
}

#[test]
fn files_have_several_names() {
    let lab = Lab::new();
    lab.create("one", b"data");
    lab.directory("dir");
    lab.link("one", "dir/two").unwrap();
    assert_eq!((lab.stat("one").id, lab.stat("one").links), (lab.stat("dir/two").id, 2));
    lab.remove("one", Removal::File).unwrap();
    assert_eq!((lab.contents("dir/two"), lab.stat("dir/two").links), (b"data".to_vec(), 1));
    assert_eq!(lab.link("dir", "other"), Err(FileError::NotPermitted));
    assert_eq!(lab.link("dir/two", "dir"), Err(FileError::Exists));
    assert_eq!(lab.link("dir/two", "x/y"), Err(FileError::NotFound));
    assert_eq!(lab.link("dir/two", "x/"), Err(FileError::NotFound));
}

#[test]
fn what_lost_its_last_name_gets_none_any_more() {
    let lab = Lab::new();
    let file = lab.create("file", b"");
    lab.remove("file", Removal::File).unwrap();
    let again = link(&lab.context, file.inode(), Base::Working, b"file", ROOT);
    assert_eq!(again, Err(FileError::NotFound));
}

#[test]
fn a_file_may_begin_without_a_name() {
    let lab = Lab::new();
    lab.directory("dir");
    let unnamed = OpenFlags::TEMPORARY | OpenFlags::DIRECTORY | OpenFlags::READ_WRITE;
    let file = open_as_root(&lab.context, "dir", unnamed).unwrap();
    file.write(&mut BufferSource::new(b"data")).unwrap();
    assert_eq!((lab.names("dir").len(), file.metadata().links), (0, 0));
    link(&lab.context, file.inode(), Base::Working, b"dir/named", ROOT).unwrap();
    assert_eq!((lab.contents("dir/named"), file.metadata().links), (b"data".to_vec(), 1));
    let never = open_as_root(&lab.context, "dir", unnamed | OpenFlags::EXCLUSIVE).unwrap();
    assert_eq!(link(&lab.context, never.inode(), Base::Working, b"x", ROOT), Err(FileError::NotFound));
    for (path, flags, expected) in [
        ("dir", OpenFlags::TEMPORARY | OpenFlags::READ_WRITE, FileError::Invalid),
        ("dir", OpenFlags::TEMPORARY | OpenFlags::DIRECTORY, FileError::Invalid),
        ("dir", unnamed | OpenFlags::CREATE, FileError::Invalid),
        ("dir/named", unnamed, FileError::NotDirectory),
        ("nowhere", unnamed, FileError::NotFound),
    ] {
        assert_eq!(error(open_as_root(&lab.context, path, flags)), Some(expected), "{path} {flags:?}");
    }
}

#[test]
fn directories_come_and_go() {
    let lab = Lab::new();
    lab.directory("a");
    lab.directory("a/b");
    assert_eq!((lab.stat("/").links, lab.stat("a").links, lab.stat("a").size), (3, 3, 20));
    assert_eq!(lab.remove("a", Removal::Directory), Err(FileError::NotEmpty));
    assert_eq!(lab.remove("a", Removal::File), Err(FileError::IsDirectory));
    assert_eq!(lab.make("a/b", Made::Directory), Err(FileError::Exists));
    let inner = find(&lab.context, "a/b").unwrap();
    lab.remove("a/b", Removal::Directory).unwrap();
    assert_eq!((lab.stat("a").links, inner.metadata().links), (2, 0));
    // Nothing comes into a directory that was removed, and nothing is above it.
    assert!(inner.parent().is_none());
    let mut lost = lab.context.clone();
    drop(lost.set_directory(inner));
    assert_eq!(make(&lost, Base::Working, b"x", Made::Directory, 0o777, ROOT), Err(FileError::NotFound));
    assert_eq!(absolute_path(lost.root(), lost.directory(), &mut [0; 10]), Err(FileError::NotFound));
    lab.remove("a", Removal::Directory).unwrap();
    assert_eq!(lab.stat("/").links, 2);
}

#[test]
fn a_file_takes_the_place_of_another() {
    let lab = Lab::new();
    lab.directory("dir");
    lab.create("one", b"1");
    lab.create("dir/two", b"2");
    let two = open_as_root(&lab.context, "dir/two", OpenFlags::empty()).unwrap();
    assert_eq!(lab.rename("one", "dir/two", IfTaken::Fail), Err(FileError::Exists));
    lab.rename("one", "dir/two", IfTaken::Replace).unwrap();
    assert_eq!((lab.contents("dir/two"), lab.names("/")), (b"1".to_vec(), std::vec!["dir".into()]));
    assert_eq!((two.metadata().links, read_at(&two, 0, 9)), (0, b"2".to_vec()));
    lab.rename("dir/two", "three", IfTaken::Fail).unwrap();
    assert_eq!((lab.names("dir").len(), lab.contents("three")), (0, b"1".to_vec()));
    // Two names of one file: nothing happens.
    lab.link("three", "four").unwrap();
    lab.rename("three", "four", IfTaken::Replace).unwrap();
    assert_eq!(lab.stat("three").links, 2);
}

#[test]
fn a_directory_moves_with_all_that_is_in_it() {
    let lab = Lab::new();
    for path in ["a", "a/b", "a/b/c", "d", "empty", "empty2"] {
        lab.directory(path);
    }
    lab.create("a/b/file", b"data");
    lab.rename("a/b", "d/e", IfTaken::Replace).unwrap();
    assert_eq!(lab.contents("d/e/file"), b"data");
    assert_eq!((lab.stat("a").links, lab.stat("d").links, lab.stat("d/e").links), (2, 3, 3));
    let moved = find(&lab.context, "d/e/c").unwrap();
    let mut buffer = [0; 20];
    assert_eq!(absolute_path(lab.context.root(), &moved, &mut buffer), Ok(&b"/d/e/c"[..]));
    assert_eq!(lab.stat("d/e/../../a").id, lab.stat("a").id);
    // Over an empty one; not over a full one, nor into itself.
    lab.rename("d/e", "empty", IfTaken::Replace).unwrap();
    lab.rename("empty", "empty2", IfTaken::Replace).unwrap();
    assert_eq!((lab.contents("empty2/file"), lab.stat("/").links), (b"data".to_vec(), 5));
    assert_eq!(lab.rename("a", "empty2", IfTaken::Replace), Err(FileError::NotEmpty));
    assert_eq!(lab.rename("empty2", "empty2/c/x", IfTaken::Replace), Err(FileError::Invalid));
    assert_eq!(lab.rename("empty2", "empty2/x", IfTaken::Replace), Err(FileError::Invalid));
    assert_eq!(lab.rename("empty2/c", "empty2", IfTaken::Replace), Err(FileError::NotEmpty));
}

#[test]
fn two_names_are_exchanged() {
    let lab = Lab::new();
    lab.directory("a");
    lab.directory("a/inner");
    lab.directory("b");
    lab.create("b/file", b"data");
    lab.rename("a/inner", "b/file", IfTaken::Exchange).unwrap();
    assert_eq!((lab.contents("a/inner"), lab.stat("b/file").protection.kind), (b"data".to_vec(), FileKind::Directory));
    assert_eq!((lab.stat("a").links, lab.stat("b").links), (2, 3));
    assert_eq!(lab.stat("b/file/..").id, lab.stat("b").id);
    lab.rename("a", "b", IfTaken::Exchange).unwrap();
    assert_eq!((lab.contents("b/inner"), lab.stat("a").links), (b"data".to_vec(), 3));
    assert_eq!(lab.rename("a", "missing", IfTaken::Exchange), Err(FileError::NotFound));
    assert_eq!(lab.rename("a", "a/file", IfTaken::Exchange), Err(FileError::Invalid));
    assert_eq!(lab.rename("a/file", "a", IfTaken::Exchange), Err(FileError::Invalid));
}

#[test]
fn renaming_says_exactly_why_not() {
    let lab = Lab::new();
    lab.directory("dir");
    lab.create("file", b"");
    for (from, to, expected) in [
        ("missing", "x", FileError::NotFound),
        ("file", "nowhere/x", FileError::NotFound),
        ("file", "dir", FileError::IsDirectory),
        ("dir", "file", FileError::NotDirectory),
        ("file/", "x", FileError::NotDirectory),
        ("file", "x/", FileError::NotDirectory),
        (".", "x", FileError::Busy),
        ("dir/..", "x", FileError::Busy),
        ("/", "x", FileError::Busy),
        ("file", ".", FileError::Busy),
        ("file", "/", FileError::Busy),
        ("", "x", FileError::NotFound),
    ] {
        assert_eq!(lab.rename(from, to, IfTaken::Replace), Err(expected), "{from} {to}");
    }
    lab.rename("dir/", "moved/", IfTaken::Replace).unwrap();
    assert_eq!(lab.names("/"), ["file", "moved"]);
}

#[test]
fn files_of_two_file_systems_do_not_mix() {
    let (lab, other) = (Lab::new(), Lab::new());
    lab.create("file", b"");
    let elsewhere = empty_fs(Arc::new(FakeSource::default()), 7).make_root(0o777, 0, 0).unwrap();
    let to = Side { base: Base::At(&elsewhere), path: b"file" };
    let from = Side { base: Base::Working, path: b"file" };
    assert_eq!(rename(&lab.context, from, to, IfTaken::Replace, ROOT), Err(FileError::CrossDevice));
    let linked = link(&lab.context, &find(&lab.context, "file").unwrap(), to.base, b"file", ROOT);
    assert_eq!(linked, Err(FileError::CrossDevice));
    drop(other);
}

#[test]
fn a_reader_sees_each_name_that_stays_once() {
    let lab = Lab::new();
    for number in 0..50 {
        lab.create(&format!("old{number}"), b"");
    }
    let root = find(&lab.context, "/").unwrap();
    let (mut seen, mut cookie, mut step) = (Vec::new(), 2, 0);
    while let Some((name, next)) = names_from(&*root, cookie).into_iter().next() {
        // One that was seen goes, one that was not goes, and another comes.
        if step < 10 {
            lab.remove(&name, Removal::File).unwrap();
            lab.remove(&format!("old{}", 40 + step), Removal::File).unwrap();
            lab.create(&format!("new{step}"), b"");
        }
        (cookie, step) = (next, step + 1);
        seen.push(name);
    }
    let expected: Vec<_> = (0..40).map(|n| format!("old{n}")).chain((0..10).map(|n| format!("new{n}"))).collect();
    assert_eq!(seen, expected);
}

#[test]
fn who_renames_what_he_reads_comes_to_an_end() {
    let lab = Lab::new();
    (0..20).for_each(|number| drop(lab.create(&format!("{number}"), b"")));
    let root = find(&lab.context, "/").unwrap();
    let (mut cookie, mut steps) = (2, 0);
    while let Some((name, next)) = names_from(&*root, cookie).into_iter().next() {
        lab.rename(&name, &format!("{name}x"), IfTaken::Fail).unwrap();
        (cookie, steps) = (next, steps + 1);
        assert!(steps <= 20);
    }
    assert_eq!(lab.names("/").len(), 20);
}

#[test]
fn a_directory_may_have_many_names() {
    let most = if cfg!(miri) { 30 } else { 100_000 };
    let lab = Lab::new();
    lab.fs.set_limits(Limits { pages: 0, files: 200_000 });
    lab.make("/x", Made::Directory).unwrap();
    for number in 0..most {
        lab.make(&format!("x/{number}"), Made::Symlink(b"t")).unwrap();
    }
    assert_eq!(names_from(&*find(&lab.context, "x").unwrap(), 2).len(), most);
    for number in 0..most {
        lab.remove(&format!("x/{number}"), Removal::File).unwrap();
    }
    assert_eq!(lab.stat("x").size, 0);
}

#[test]
fn a_deep_tree_is_taken_apart_without_a_deep_stack() {
    let lab = Lab::new();
    lab.fs.set_limits(Limits { pages: 0, files: 50_000 });
    let mut at = lab.context.clone();
    for _ in 0..if cfg!(miri) { 30 } else { 20_000 } {
        for name in [&b"d"[..], b"e", b"a"] {
            make(
                &at,
                Base::Working,
                name,
                if name == b"d" { Made::Directory } else { Made::Symlink(b"x") },
                0o777,
                ROOT,
            )
            .unwrap_or_else(|error| assert_eq!(error, FileError::NoSpace));
        }
        let next = find(&at, "d").unwrap_or_else(|_| Arc::clone(at.directory()));
        drop(at.set_directory(next));
    }
    drop(at);
}

#[test]
fn the_file_system_holds_so_much_and_no_more() {
    let lab = Lab::new();
    lab.fs.set_limits(Limits { pages: 3, files: 4 });
    let file = lab.create("file", &[1; 2 * PAGE_SIZE]);
    assert_eq!(file.write(&mut BufferSource::new(&[2; 2 * PAGE_SIZE])), Ok(PAGE_SIZE));
    assert_eq!(file.write(&mut BufferSource::new(&[2; 1])), Err(FileError::NoSpace));
    assert_eq!(lab.stat("file").size, 3 * PAGE);
    // The root, this file, and two more.
    lab.directory("a");
    lab.make("b", Made::Symlink(b"x")).unwrap();
    assert_eq!(lab.make("c", Made::Directory), Err(FileError::NoSpace));
    let status = lab.fs.status();
    assert_eq!((status.blocks, status.free_blocks, status.files, status.free_files), (3, 0, 4, 0));
    drop(file);
    lab.remove("file", Removal::File).unwrap();
    lab.create("c", &[3; 3 * PAGE_SIZE]);
}

#[test]
fn memory_may_run_out() {
    let lab = Lab::new();
    let file = lab.create("file", b"x");
    lab.source.set_fresh(Some(1));
    assert_eq!(file.write_at(PAGE, &mut BufferSource::new(&[2; 2 * PAGE_SIZE])), Ok(PAGE_SIZE));
    assert_eq!(file.write_at(2 * PAGE, &mut BufferSource::new(b"x")), Err(FileError::OutOfMemory));
    let place = Place { start: 0, end: 9 * PAGE };
    assert_eq!(file.allocate(Allocation::Extend, place, Writer::KERNEL), Err(FileError::OutOfMemory));
    lab.source.set_fresh(Some(3));
    assert_eq!(file.allocate(Allocation::Extend, place, Writer::KERNEL), Err(FileError::OutOfMemory));
    // What a call began and could not finish is gone.
    assert_eq!((lab.stat("file").blocks, lab.source.promised()), (16, 2));
    lab.source.set_room(Some(0));
    assert_eq!(lab.make("dir", Made::Directory), Err(FileError::OutOfMemory));
    assert_eq!(lab.link("file", "other"), Err(FileError::OutOfMemory));
    assert_eq!(lab.rename("file", "other", IfTaken::Replace), Err(FileError::OutOfMemory));
    assert_eq!(lab.names("/"), ["file"]);
}

#[test]
fn memory_is_given_to_a_file_and_taken_away() {
    let lab = Lab::new();
    let file = lab.create("file", &[5; PAGE_SIZE]);
    let allocate = |how, start, end| file.allocate(how, Place { start, end }, Writer::KERNEL);
    allocate(Allocation::KeepLength, 0, 3 * PAGE).unwrap();
    assert_eq!((lab.stat("file").size, lab.stat("file").blocks), (PAGE, 24));
    allocate(Allocation::Extend, 10, 4 * PAGE + 1).unwrap();
    assert_eq!((lab.stat("file").size, lab.stat("file").blocks), (4 * PAGE + 1, 40));
    file.write_at(0, &mut BufferSource::new(&[5; 3 * PAGE_SIZE])).unwrap();
    allocate(Allocation::Punch, 100, 2 * PAGE + 100).unwrap();
    assert_eq!((lab.stat("file").size, lab.stat("file").blocks), (4 * PAGE + 1, 32));
    let bytes = read_at(&file, 0, 3 * PAGE_SIZE);
    let zero = |range: std::ops::Range<usize>| bytes[range].iter().all(|&byte| byte == 0);
    assert!(zero(100..2 * PAGE_SIZE + 100));
    assert_eq!((&bytes[..100], bytes[2 * PAGE_SIZE + 100]), (&[5; 100][..], 5));
    allocate(Allocation::Punch, 10, 20).unwrap();
    assert_eq!(read_at(&file, 9, 12), [&[5][..], &[0; 10], &[5]].concat());
    allocate(Allocation::ZeroKeepLength, 0, 9 * PAGE).unwrap();
    assert_eq!((lab.stat("file").size, lab.stat("file").blocks), (4 * PAGE + 1, 72));
    assert!(lab.contents("file").iter().all(|&byte| byte == 0));
    allocate(Allocation::Punch, 0, 1 << 60).unwrap();
    assert_eq!((lab.stat("file").size, lab.stat("file").blocks), (4 * PAGE + 1, 0));
    let huge = allocate(Allocation::Extend, 0, 1 << 60);
    assert_eq!((huge, lab.source.promised()), (Err(FileError::NoSpace), 0));
}

/// A source of bytes whose writer has a limit.
struct Limited<'a> {
    inner: BufferSource<'a>,
    writer: Writer,
}

impl Source for Limited<'_> {
    fn take(&mut self, bytes: &mut [u8]) -> Result<usize, UserFault> {
        self.inner.take(bytes)
    }

    fn left(&self) -> usize {
        self.inner.left()
    }

    fn writer(&self) -> Writer {
        self.writer
    }
}

#[test]
fn nobody_writes_past_his_limit() {
    let lab = Lab::new();
    let file = lab.create("file", b"");
    let writer = Writer { limit: 10, keeps_set_id: true };
    let mut source = Limited { inner: BufferSource::new(&[1; 20]), writer };
    assert_eq!(file.write(&mut source), Ok(10));
    assert_eq!(file.write(&mut source), Err(FileError::Limit));
    assert_eq!((lab.stat("file").size, file.write_at(9, &mut source)), (10, Ok(1)));
    assert_eq!(file.resize(11, writer), Err(FileError::Limit));
    assert_eq!(file.allocate(Allocation::Extend, Place { start: 0, end: 11 }, writer), Err(FileError::Limit));
    assert_eq!(file.resize(20, Writer::KERNEL), Ok(()));
    assert_eq!(file.resize(15, writer), Ok(()));
    assert_eq!(file.write_at(i64::MAX.cast_unsigned(), &mut source), Err(FileError::TooLarge));
    assert_eq!(file.write_at(i64::MAX.cast_unsigned() - 1, &mut BufferSource::new(b"ab")), Ok(1));
}

#[test]
fn set_id_bits_do_not_outlive_a_change() {
    let lab = Lab::new();
    let file = lab.create("file", b"x");
    let inode = file.inode();
    let untrusted = Writer { keeps_set_id: false, ..Writer::KERNEL };
    let permissions = || inode.protection().permissions;
    for (before, after) in [(0o6755, 0o755), (0o2644, 0o2644), (0o4644, 0o644), (0o1777, 0o1777)] {
        set_permissions(&**inode, before, ROOT).unwrap();
        file.write(&mut BufferSource::new(b"y")).unwrap();
        assert_eq!(u32::from(permissions()), before);
        file.write(&mut Limited { inner: BufferSource::new(b"y"), writer: untrusted }).unwrap();
        assert_eq!(permissions(), after, "write {before:o}");
        set_permissions(&**inode, before, ROOT).unwrap();
        file.resize(9, untrusted).unwrap();
        assert_eq!(permissions(), after, "resize {before:o}");
        set_permissions(&**inode, before, ROOT).unwrap();
        set_owner(&**inode, Some(7), None, ROOT).unwrap();
        assert_eq!(permissions(), after, "chown {before:o}");
    }
}

#[test]
fn owners_and_root_change_what_others_do_not() {
    let lab = Lab::new();
    drop(lab.open_as("file", CREATE, USER).unwrap());
    let inode = find(&lab.context, "file").unwrap();
    let file = || inode.protection();
    assert_eq!((file().uid, file().gid, file().permissions), (1000, 1000, 0o644));
    assert_eq!(set_permissions(&*inode, 0o600, OTHER), Err(FileError::NotPermitted));
    set_permissions(&*inode, 0o2750, USER).unwrap();
    assert_eq!(file().permissions, 0o2750);
    assert_eq!(set_owner(&*inode, Some(2000), None, USER), Err(FileError::NotPermitted));
    assert_eq!(set_owner(&*inode, None, Some(60), USER), Err(FileError::NotPermitted));
    assert_eq!(set_owner(&*inode, None, Some(1000), OTHER), Err(FileError::NotPermitted));
    set_owner(&*inode, Some(1000), Some(50), USER).unwrap();
    assert_eq!((file().gid, file().permissions), (50, 0o750));
    set_owner(&*inode, Some(3), Some(4), ROOT).unwrap();
    assert_eq!((file().uid, file().gid), (3, 4));
    // Who is not of the group does not make programs of it.
    set_owner(&*inode, Some(1000), Some(60), ROOT).unwrap();
    set_permissions(&*inode, 0o2755, USER).unwrap();
    assert_eq!(file().permissions, 0o755);
    lab.fs.set_read_only(true);
    assert_eq!(set_permissions(&*inode, 0o600, ROOT), Err(FileError::ReadOnly));
}

#[test]
fn times_tell_what_happened_last() {
    let lab = Lab::new();
    lab.directory("dir");
    let file = lab.create("dir/file", b"x");
    let times = || {
        let stat = file.metadata();
        (stat.accessed.seconds, stat.modified.seconds, stat.changed.seconds)
    };
    let before = times();
    assert!(file.metadata().born.unwrap().seconds <= before.0);
    file.write(&mut BufferSource::new(b"y")).unwrap();
    let written = times();
    assert!(written.0 == before.0 && written.1 > before.1 && written.2 == written.1);
    read_at(&file, 0, 1);
    let read = times();
    assert!(read.0 > written.1 && (read.1, read.2) == (written.1, written.2));
    // Read again soon, it is as it was.
    read_at(&file, 0, 1);
    assert_eq!(times(), read);
    set_permissions(&**file.inode(), 0o600, ROOT).unwrap();
    let changed = times();
    assert!((changed.0, changed.1) == (read.0, read.1) && changed.2 > read.2);
    let directory = lab.stat("dir");
    lab.rename("dir/file", "dir/other", IfTaken::Fail).unwrap();
    assert!(times().2 > changed.2 && lab.stat("dir").modified > directory.modified);
    let at = |seconds| NewTime::At(Timestamp { seconds, nanoseconds: 5 });
    let inode = &**file.inode();
    set_times(inode, at(7), NewTime::Keep, ROOT).unwrap();
    assert_eq!(file.metadata().accessed, Timestamp { seconds: 7, nanoseconds: 5 });
    assert_eq!(times().1, changed.1);
    assert_eq!(set_times(inode, at(7), at(7), USER), Err(FileError::NotPermitted));
    assert_eq!(set_times(inode, NewTime::Now, NewTime::Now, USER), Err(FileError::Denied));
    set_permissions(inode, 0o602, ROOT).unwrap();
    set_times(inode, NewTime::Now, NewTime::Now, USER).unwrap();
    assert_eq!(set_times(inode, NewTime::Now, NewTime::Keep, USER), Err(FileError::NotPermitted));
}

#[test]
fn a_sticky_directory_keeps_what_is_others() {
    let lab = Lab::new();
    lab.directory("tmp");
    set_permissions(&*find(&lab.context, "tmp").unwrap(), 0o1777, ROOT).unwrap();
    drop(lab.open_as("tmp/mine", CREATE, USER).unwrap());
    drop(lab.open_as("tmp/other", CREATE, OTHER).unwrap());
    let remove_as = |path: &str, id| remove(&lab.context, Base::Working, path.as_bytes(), Removal::File, id);
    assert_eq!(remove_as("tmp/mine", OTHER), Err(FileError::NotPermitted));
    assert_eq!(lab.rename_as("tmp/mine", "tmp/x", IfTaken::Replace, OTHER), Err(FileError::NotPermitted));
    assert_eq!(lab.rename_as("tmp/mine", "tmp/other", IfTaken::Replace, USER), Err(FileError::NotPermitted));
    lab.rename_as("tmp/mine", "tmp/x", IfTaken::Replace, USER).unwrap();
    remove_as("tmp/other", ROOT).unwrap();
    remove_as("tmp/x", USER).unwrap();
}

#[test]
fn a_directory_hands_its_group_down() {
    let lab = Lab::new();
    lab.directory("dir");
    let directory = find(&lab.context, "dir").unwrap();
    set_owner(&*directory, None, Some(60), ROOT).unwrap();
    set_permissions(&*directory, 0o2777, ROOT).unwrap();
    lab.make_as("dir/inner", Made::Directory, USER).unwrap();
    let file = open(&lab.context, Base::Working, b"dir/file", CREATE, 0o2775, USER).unwrap();
    let inner = lab.stat("dir/inner").protection;
    assert_eq!((inner.gid, inner.permissions), (60, 0o2755));
    let protection = file.metadata().protection;
    assert_eq!((protection.gid, protection.permissions), (60, 0o755));
}

#[test]
fn nothing_is_changed_where_nothing_can_be_changed() {
    let lab = Lab::new();
    let file = lab.create("file", b"data");
    lab.fs.set_read_only(true);
    assert_eq!(error(open_as_root(&lab.context, "file", OpenFlags::WRITE_ONLY)), Some(FileError::ReadOnly));
    assert_eq!(error(open_as_root(&lab.context, "new", CREATE)), Some(FileError::ReadOnly));
    assert_eq!(lab.remove("file", Removal::File), Err(FileError::ReadOnly));
    assert_eq!(lab.rename("file", "x", IfTaken::Replace), Err(FileError::ReadOnly));
    assert_eq!(lab.link("file", "x"), Err(FileError::ReadOnly));
    assert_eq!(file.resize(1, Writer::KERNEL), Err(FileError::ReadOnly));
    assert_eq!(lab.contents("file"), b"data");
    lab.fs.set_read_only(false);
}

/// Frames with a byte at the beginning of each.
fn pager(file: &OpenFile, shared: bool) -> Arc<dyn Pager> {
    match if shared { file.shared_mapping() } else { file.mapping() } {
        Ok(Mapping::Pager(pager)) => pager,
        _ => panic!("no pager"),
    }
}

#[test]
fn who_maps_a_file_and_who_writes_it_have_the_same_pages() {
    let lab = Lab::new();
    let file = lab.create("file", &[1; PAGE_SIZE + 1]);
    let (shared, private) = (pager(&file, true), pager(&file, false));
    assert_eq!(shared.identity(), private.identity());
    let frames = [shared.page(1).unwrap(), private.page(1).unwrap()];
    assert_eq!(frames[0], frames[1]);
    file.write_at(PAGE, &mut BufferSource::new(b"z")).unwrap();
    assert_eq!(lab.source.contents(frames[0]).unwrap()[..2], [b'z', 0]);
    // What is stored through the mapping is read.
    lab.source.write(frames[0], 0, b"q");
    assert_eq!(read_at(&file, PAGE, 9), b"q");
    assert_eq!((shared.page(2), private.page(2)), (Err(PagerError::BeyondEnd), Err(PagerError::BeyondEnd)));
    assert_eq!(shared.bytes(), PAGE + 1);
    frames.into_iter().for_each(|frame| lab.source.release(frame));
}

#[test]
fn a_mapped_hole_becomes_a_page_of_the_file() {
    let lab = Lab::new();
    let file = lab.create("file", b"");
    file.resize(3 * PAGE, Writer::KERNEL).unwrap();
    let mapped = pager(&file, false);
    let frame = mapped.page(1).unwrap();
    assert_eq!(lab.stat("file").blocks, 8);
    file.write_at(PAGE, &mut BufferSource::new(b"z")).unwrap();
    assert_eq!(lab.source.contents(frame).unwrap()[0], b'z');
    lab.source.release(frame);
    lab.fs.set_limits(Limits { pages: 1, files: 10 });
    assert_eq!((mapped.page(0), pager(&file, true).page(0)), (Err(PagerError::Io), Err(PagerError::Io)));
}

#[test]
fn mappings_lose_what_is_cut_off() {
    let lab = Lab::new();
    let file = lab.create("file", &[1; 4 * PAGE_SIZE]);
    let mine = |object| {
        let mut forgotten = MAPPINGS.forgotten.lock().unwrap();
        let (mine, others) = forgotten.drain(..).partition::<Vec<_>, _>(|call| call.0 == object);
        *forgotten = others;
        mine
    };
    let never_mapped = lab.create("other", &[1; 4 * PAGE_SIZE]);
    never_mapped.resize(0, Writer::KERNEL).unwrap();
    let mapped = pager(&file, true);
    let frame = mapped.page(2).unwrap();
    let object = mapped.identity();
    file.resize(2 * PAGE + 1, Writer::KERNEL).unwrap();
    assert_eq!(mine(object), [(object, 3, u64::MAX, true)]);
    file.resize(3 * PAGE, Writer::KERNEL).unwrap();
    file.allocate(Allocation::Punch, Place { start: 0, end: PAGE }, Writer::KERNEL).unwrap();
    assert_eq!(mine(object), [(object, 0, 1, false)]);
    file.resize(0, Writer::KERNEL).unwrap();
    assert_eq!(mine(object), [(object, 0, u64::MAX, true)]);
    assert_eq!(mine(pager(&never_mapped, true).identity()), []);
    lab.source.release(frame);
}

/// An archive with a file of two pages and a bit.
fn archived() -> (Context, Arc<FakeSource>, Vec<u8>) {
    let data: Vec<u8> = (0..=250).cycle().take(2 * PAGE_SIZE + 100).collect();
    let items = [directory("dir"), file("dir/data", &data), symlink("link", "dir/data"), file("tail", b"next")];
    let (context, source, _) = tree_with(forever(&archive(&items, PAGE_SIZE), 0), FakeSource::default());
    (context, source, data)
}

#[test]
fn only_the_pages_of_the_archive_that_are_written_are_copied() {
    let (context, source, mut data) = archived();
    let file = open_as_root(&context, "link", OpenFlags::READ_WRITE).unwrap();
    assert_eq!((file.metadata().blocks, source.made()), (24, 0));
    file.write_at(PAGE + 5, &mut BufferSource::new(b"new")).unwrap();
    data[PAGE_SIZE + 5..PAGE_SIZE + 8].copy_from_slice(b"new");
    assert_eq!((contents(&context, "dir/data"), source.made()), (data.clone(), 1));
    // Behind its end too, where the archive has something else.
    file.write_at(2 * PAGE + 110, &mut BufferSource::new(b"end")).unwrap();
    data.resize(2 * PAGE_SIZE + 110, 0);
    data.extend(b"end");
    assert_eq!((contents(&context, "dir/data"), source.made()), (data, 2));
    assert_eq!(contents(&context, "tail"), b"next");
    assert_eq!((file.metadata().blocks, source.promised()), (24, 2));
}

#[test]
fn a_file_of_the_archive_may_become_shorter_and_longer() {
    let (context, source, data) = archived();
    let file = open_as_root(&context, "link", OpenFlags::READ_WRITE).unwrap();
    file.resize(PAGE + 7, Writer::KERNEL).unwrap();
    file.resize(4 * PAGE, Writer::KERNEL).unwrap();
    let mut expected = data[..PAGE_SIZE + 7].to_vec();
    expected.resize(4 * PAGE_SIZE, 0);
    assert_eq!(contents(&context, "dir/data"), expected);
    assert_eq!((file.metadata().blocks, source.made()), (16, 1));
    file.allocate(Allocation::Punch, Place { start: 0, end: PAGE }, Writer::KERNEL).unwrap();
    expected[..PAGE_SIZE].fill(0);
    assert_eq!((contents(&context, "dir/data"), file.metadata().blocks), (expected, 8));
    assert_eq!(file.seek(0, Whence::Data), Ok(PAGE));
    file.resize(0, Writer::KERNEL).unwrap();
    assert_eq!((file.metadata().blocks, source.promised()), (0, 0));
}

#[test]
fn the_archive_is_mapped_where_it_lies_until_it_is_shared() {
    let (context, source, _) = archived();
    let file = open_as_root(&context, "link", OpenFlags::READ_WRITE).unwrap();
    let (shared, private) = (pager(&file, true), pager(&file, false));
    let in_place = private.page(0).unwrap();
    assert_eq!((source.made(), source.contents(in_place)), (0, None));
    let copy = shared.page(0).unwrap();
    assert_eq!(source.contents(copy).unwrap()[..3], [0, 1, 2]);
    // From now on there is one page for all.
    assert_eq!(private.page(0), Ok(copy));
    assert_eq!((source.made(), private.page(1).is_ok()), (1, true));
}

#[test]
fn names_of_the_archive_can_be_changed_like_others() {
    let (context, source, data) = archived();
    let side = |path| Side { base: Base::Working, path };
    rename(&context, side(b"dir"), side(b"other"), IfTaken::Replace, ROOT).unwrap();
    assert_eq!(contents(&context, "other/data"), data);
    remove(&context, Base::Working, b"link", Removal::File, ROOT).unwrap();
    remove(&context, Base::Working, b"other/data", Removal::File, ROOT).unwrap();
    make(&context, Base::Working, b"other/inner", Made::Directory, 0o777, ROOT).unwrap();
    assert_eq!(find(&context, "other").unwrap().metadata().links, 3);
    assert_eq!(source.references(), (0, 0));
}

#[test]
fn a_context_survives_its_tree() {
    let context = tree(&[file("file", b"x")]);
    drop(context);
}

/// Makes, moves and removes directories in `a` and `b`, one in the other too. What fails, fails.
fn stir(lab: &Lab, begins_with_a: bool) {
    let (here, there) = if begins_with_a { ("a", "b") } else { ("b", "a") };
    let _ = lab.make(&format!("{here}/x"), Made::Directory);
    let _ = lab.make(&format!("{here}/x/y"), Made::Symlink(b"t"));
    let _ = lab.rename(&format!("{here}/x"), &format!("{there}/x"), IfTaken::Replace);
    let _ = lab.rename(here, &format!("{there}/x/in"), IfTaken::Replace);
    let _ = lab.rename(&format!("{there}/x/in"), here, IfTaken::Replace);
    let _ = lab.remove(&format!("{there}/x/y"), Removal::File);
    let _ = lab.remove(&format!("{here}/x"), Removal::Directory);
}

#[test]
fn threads_that_make_and_remove_the_same_names_leave_none_and_lose_none() {
    let lab = Lab::new();
    lab.directory("a");
    lab.directory("b");
    let rounds = if cfg!(miri) { 3 } else { 300 };
    std::thread::scope(|scope| {
        for number in 0..3 {
            let lab = &lab;
            scope.spawn(move || (0..rounds).for_each(|round| stir(lab, (number + round) % 2 == 0)));
        }
    });
    // Whatever order they came in: each directory is where it says, and its links are counted.
    let mut todo = std::vec![find(&lab.context, "/").unwrap()];
    while let Some(directory) = todo.pop() {
        let mut links = 2;
        for (name, _) in names_from(&*directory, 2) {
            let child = directory.lookup(name.as_bytes()).unwrap();
            if child.protection().kind == FileKind::Directory {
                assert_eq!(child.parent().unwrap().id(), directory.id());
                links += 1;
                todo.push(child);
            }
        }
        assert_eq!(directory.metadata().links, links);
    }
}
