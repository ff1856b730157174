//! Bind mounts, who is in a mount, and who writes or executes a file.

use std::sync::Arc;
use std::vec::Vec;

use super::support::{PARKING, empty_mountable, error, find, open_as_root};
use crate::fs::{
    AccessId, Base, Bind, Context, FileError, Follow, IfTaken, Made, MountFlags, Mountable, Mounts, NewTime, OpenFile,
    OpenFlags, Removal, Side, Users, absolute_path, link, make, open_program, path_of, remove, rename, same_file,
    same_place, set_permissions, set_times,
};
use crate::hal::fake::FakeCpu;

const ROOT: AccessId<'static> = AccessId::ROOT;
const WRITE: OpenFlags = OpenFlags::READ_WRITE;

struct Lab {
    context: Context,
    mounts: Mounts<FakeCpu>,
    root: Arc<dyn Mountable>,
}

impl Lab {
    fn new() -> Self {
        let (mounts, root) = (Mounts::new(), empty_mountable(2));
        mounts.add_root(b"root", Arc::clone(&root)).unwrap();
        let lab = Self { context: Context::new(root.root(), &PARKING), mounts, root };
        ["a", "a/x", "b", "n"].iter().for_each(|path| lab.directory(path));
        lab.create("a/x/file");
        lab
    }

    fn directory(&self, path: &str) {
        make(&self.context, Base::Working, path.as_bytes(), Made::Directory, 0o755, ROOT).unwrap();
    }

    fn open(&self, path: &str, flags: OpenFlags) -> Result<Arc<OpenFile>, FileError> {
        open_as_root(&self.context, path, flags)
    }

    fn create(&self, path: &str) {
        self.open(path, OpenFlags::CREATE | WRITE).unwrap();
    }

    fn bind(&self, from: &str, to: &str) -> Arc<dyn Mountable> {
        let bound: Arc<dyn Mountable> = Arc::new(Bind::<FakeCpu>::new(&find(&self.context, from).unwrap(), "tmpfs"));
        self.mounts.mount(b"root", to.as_bytes(), &find(&self.context, to).unwrap(), Arc::clone(&bound)).unwrap();
        bound
    }

    fn mount(&self, path: &str, device: u32) -> Arc<dyn Mountable> {
        let new = empty_mountable(device);
        self.mounts.mount(b"new", path.as_bytes(), &find(&self.context, path).unwrap(), Arc::clone(&new)).unwrap();
        new
    }

    fn unmount(&self, path: &str) -> Result<(), FileError> {
        self.mounts.unmount(&find(&self.context, path).unwrap(), Users::Stay)
    }

    fn path(&self, path: &str) -> Result<Vec<u8>, FileError> {
        let mut buffer = [0; 100];
        absolute_path(self.context.root(), &find(&self.context, path)?, &mut buffer).map(<[u8]>::to_vec)
    }

    fn rename(&self, from: &'static str, to: &'static str) -> Result<(), FileError> {
        let [from, to] = [from, to].map(|path| Side { base: Base::Working, path: path.as_bytes() });
        rename(&self.context, from, to, IfTaken::Replace, ROOT)
    }

    fn execute(&self, path: &str) -> Result<Arc<OpenFile>, FileError> {
        open_program(&self.context, Base::Working, path.as_bytes(), Follow::Yes, ROOT)
    }
}

#[test]
fn what_is_bound_is_the_same_in_two_places() {
    let lab = Lab::new();
    lab.bind("a", "b");
    let [one, other] = ["a/x/file", "b/x/file"].map(|path| find(&lab.context, path).unwrap());
    assert!(same_file(&one, &other) && !same_place(&one, &other));
    assert_eq!(lab.path("b/x").unwrap(), b"/b/x");
    assert_eq!(lab.path("b/x/..").unwrap(), b"/b");
    assert_eq!(lab.path("b/x/../..").unwrap(), b"/");
    assert_eq!(lab.path("a/x").unwrap(), b"/a/x");
    let start = lab.mounts.root_of(&*other).unwrap();
    assert_eq!(path_of(lab.context.root(), &start, &other).unwrap(), b"/b/x/file");
    lab.create("b/new");
    lab.rename("b/new", "b/x/renamed").unwrap();
    link(&lab.context, &find(&lab.context, "b/x/renamed").unwrap(), Base::Working, b"b/linked", ROOT).unwrap();
    remove(&lab.context, Base::Working, b"a/x/renamed", Removal::File, ROOT).unwrap();
    find(&lab.context, "a/linked").unwrap();
    assert_eq!(lab.rename("b/linked", "a/moved"), Err(FileError::CrossDevice), "between mounts nothing is renamed");
    let linked = find(&lab.context, "b/linked").unwrap();
    assert_eq!(link(&lab.context, &linked, Base::Working, b"a/l", ROOT), Err(FileError::CrossDevice));
    lab.unmount("b").unwrap_err();
    drop((one, other, start, linked));
    lab.unmount("b").unwrap();
    assert_eq!(find(&lab.context, "b/x").err(), Some(FileError::NotFound));
}

#[test]
fn the_whole_root_can_be_bound_below_itself() {
    let lab = Lab::new();
    lab.bind("/", "n");
    assert_eq!(lab.path("n/a/x").unwrap(), b"/n/a/x");
    assert_eq!(lab.path("n/..").unwrap(), b"/");
    assert_eq!(lab.path("n/n").unwrap(), b"/n/n", "the bind mount is not in itself");
    assert_eq!(find(&lab.context, "n/n/a").err(), Some(FileError::NotFound));
}

#[test]
fn a_bind_mount_has_mounts_of_its_own() {
    let lab = Lab::new();
    lab.mount("a/x", 3);
    lab.create("a/x/in-mount");
    lab.bind("a", "b");
    find(&lab.context, "b/x/file").unwrap();
    assert_eq!(find(&lab.context, "b/x/in-mount").err(), Some(FileError::NotFound), "mounts are not bound along");
    lab.mount("b/x", 4);
    lab.create("b/x/in-bind");
    assert_eq!(find(&lab.context, "a/x/in-bind").err(), Some(FileError::NotFound));
    assert_eq!(lab.path("b/x").unwrap(), b"/b/x");
    assert_eq!(remove(&lab.context, Base::Working, b"b/x", Removal::Directory, ROOT), Err(FileError::Busy));
    assert_eq!(lab.unmount("b"), Err(FileError::Busy));
    lab.unmount("b/x").unwrap();
    lab.unmount("b").unwrap();
    lab.unmount("a/x").unwrap();
}

#[test]
fn a_file_can_be_bound_on_a_file() {
    let lab = Lab::new();
    lab.create("other");
    lab.bind("a/x/file", "other");
    let [file, other] = ["a/x/file", "other"].map(|path| find(&lab.context, path).unwrap());
    assert!(same_file(&file, &other));
    assert_eq!(remove(&lab.context, Base::Working, b"other", Removal::File, ROOT), Err(FileError::Busy));
    assert_eq!(lab.rename("other", "else"), Err(FileError::Busy));
    drop((file, other));
    lab.unmount("other").unwrap();
    remove(&lab.context, Base::Working, b"other", Removal::File, ROOT).unwrap();
}

#[test]
fn a_bind_mount_alone_can_be_read_only() {
    let lab = Lab::new();
    let bound = lab.bind("a", "b");
    bound.set_flags(MountFlags::READ_ONLY).unwrap();
    assert_eq!(error(lab.open("b/x/file", WRITE)), Some(FileError::ReadOnly));
    assert_eq!(error(lab.open("b/new", OpenFlags::CREATE | WRITE)), Some(FileError::ReadOnly));
    let file = find(&lab.context, "b/x/file").unwrap();
    assert_eq!(set_permissions(&*file, 0o600, ROOT), Err(FileError::ReadOnly));
    assert_eq!(set_times(&*file, NewTime::Now, NewTime::Now, ROOT), Err(FileError::ReadOnly));
    assert!(file.file_system().read_only);
    assert_eq!(remove(&lab.context, Base::Working, b"b/x/file", Removal::File, ROOT), Err(FileError::ReadOnly));
    lab.open("a/x/file", WRITE).unwrap();
    bound.set_flags(MountFlags::empty()).unwrap();
    lab.open("b/x/file", WRITE).unwrap();
}

#[test]
fn flags_say_what_may_be_done() {
    let lab = Lab::new();
    let new = lab.mount("n", 3);
    make(
        &lab.context,
        Base::Working,
        b"n/null",
        Made::Node(crate::fs::FileKind::CharacterDevice, crate::fs::devices::NULL),
        0o666,
        ROOT,
    )
    .unwrap();
    lab.create("n/program");
    set_permissions(&*find(&lab.context, "n/program").unwrap(), 0o755, ROOT).unwrap();
    lab.open("n/null", WRITE).unwrap();
    lab.execute("n/program").unwrap();
    new.set_flags(MountFlags::NO_DEVICES | MountFlags::NO_EXECUTION | MountFlags::NO_ACCESS_TIME).unwrap();
    assert_eq!(error(lab.open("n/null", WRITE)), Some(FileError::Denied));
    assert_eq!(error(lab.execute("n/program")), Some(FileError::Denied));
    let accessed = |path: &str| find(&lab.context, path).unwrap().metadata().accessed;
    let before = accessed("n/program");
    find(&lab.context, "n/program").unwrap().note_access();
    assert_eq!(accessed("n/program"), before);
    assert_eq!(std::format!("{}", new.flags()), "rw,nodev,noexec,noatime");
    assert_eq!(std::format!("{}", MountFlags::READ_ONLY | MountFlags::NO_SET_ID), "ro,nosuid,relatime");
}

#[test]
fn a_mount_is_used_by_who_has_a_file_or_a_directory_of_it() {
    let lab = Lab::new();
    lab.mount("n", 3);
    lab.directory("n/d");
    lab.create("n/d/one");
    link(&lab.context, &find(&lab.context, "n/d/one").unwrap(), Base::Working, b"n/two", ROOT).unwrap();
    let file = lab.open("n/two", OpenFlags::empty()).unwrap();
    assert_eq!(lab.unmount("n"), Err(FileError::Busy));
    remove(&lab.context, Base::Working, b"n/d/one", Removal::File, ROOT).unwrap();
    remove(&lab.context, Base::Working, b"n/two", Removal::File, ROOT).unwrap();
    assert_eq!(lab.unmount("n"), Err(FileError::Busy), "an open file without a name");
    drop(file);
    let directory = find(&lab.context, "n/d").unwrap();
    assert_eq!(lab.unmount("n"), Err(FileError::Busy));
    drop(directory);
    let root = find(&lab.context, "n").unwrap();
    assert_eq!(lab.unmount("n"), Err(FileError::Busy));
    drop(root);
    lab.unmount("n").unwrap();
}

#[test]
fn a_mount_is_detached_with_what_is_in_it() {
    let lab = Lab::new();
    lab.mount("n", 3);
    lab.directory("n/d");
    lab.mount("n/d", 4);
    lab.directory("n/d/e");
    lab.bind("a", "n/d/e");
    let inside = find(&lab.context, "n/d").unwrap();
    lab.mounts.unmount(&find(&lab.context, "n").unwrap(), Users::Detached).unwrap();
    let mut count = 0;
    lab.mounts.each(|_| count += 1);
    assert_eq!(count, 1);
    assert!(inside.parent().is_none());
    assert_eq!(lab.mounts.unmount(lab.context.root(), Users::Detached), Err(FileError::Busy));
}

#[test]
fn a_mount_moves_with_what_is_in_it() {
    let lab = Lab::new();
    lab.mount("n", 3);
    lab.directory("n/d");
    lab.mount("n/d", 4);
    lab.create("n/d/file");
    let [from, to] = ["n", "b"].map(|path| find(&lab.context, path).unwrap());
    let inside = find(&lab.context, "n/d").unwrap();
    assert_eq!(lab.mounts.relocate(&from, &inside, b"/n/d"), Err(FileError::TooManyLinks));
    lab.mounts.relocate(&from, &to, b"/b").unwrap();
    assert_eq!(lab.path("b/d").unwrap(), b"/b/d");
    assert_eq!(find(&lab.context, "n/d").err(), Some(FileError::NotFound));
    let mut places = Vec::new();
    lab.mounts.each(|mount| places.push(mount.place.to_vec()));
    assert_eq!(places, [&b"/"[..], b"/b", b"/b/d"]);
    assert_eq!(lab.mounts.relocate(lab.context.root(), &to, b"/b"), Err(FileError::Invalid));
}

#[test]
fn mounts_stand_on_each_other() {
    let lab = Lab::new();
    lab.mount("n", 3);
    lab.create("n/first");
    lab.mount("n", 4);
    lab.create("n/second");
    assert_eq!(find(&lab.context, "n/first").err(), Some(FileError::NotFound));
    assert_eq!(lab.path("n").unwrap(), b"/n");
    lab.unmount("n").unwrap();
    find(&lab.context, "n/first").unwrap();
    lab.unmount("n").unwrap();
}

#[test]
fn what_is_written_stays_writable_until_it_is_closed() {
    let lab = Lab::new();
    let file = lab.open("a/x/file", WRITE).unwrap();
    assert_eq!(lab.root.set_flags(MountFlags::READ_ONLY), Err(FileError::Busy));
    assert_eq!(lab.root.flags(), MountFlags::empty());
    drop(file);
    let _reader = lab.open("a/x/file", OpenFlags::empty()).unwrap();
    lab.root.set_flags(MountFlags::READ_ONLY).unwrap();
    assert_eq!(error(lab.open("a/x/file", WRITE)), Some(FileError::ReadOnly));
}

#[test]
fn a_program_that_runs_is_not_written_and_what_is_written_is_not_executed() {
    let lab = Lab::new();
    set_permissions(&*find(&lab.context, "a/x/file").unwrap(), 0o755, ROOT).unwrap();
    lab.bind("a", "b");
    let writer = lab.open("a/x/file", WRITE).unwrap();
    for path in ["a/x/file", "b/x/file"] {
        assert_eq!(error(lab.execute(path)), Some(FileError::Executed));
    }
    drop(writer);
    let running = [lab.execute("a/x/file").unwrap(), lab.execute("b/x/file").unwrap()];
    let [first, second] = running;
    drop(first);
    for path in ["a/x/file", "b/x/file"] {
        for flags in [WRITE, OpenFlags::WRITE_ONLY | OpenFlags::CREATE, OpenFlags::TRUNCATE] {
            assert_eq!(error(lab.open(path, flags)), Some(FileError::Executed), "{path} {flags:?}");
        }
        lab.open(path, OpenFlags::empty()).unwrap();
    }
    drop(second);
    lab.open("a/x/file", WRITE).unwrap();
    // An open that only made it empty is no writer afterwards.
    let _reader = lab.open("a/x/file", OpenFlags::TRUNCATE).unwrap();
    lab.execute("a/x/file").unwrap();
}
