use std::io::Cursor;
use std::string::{String, ToString as _};
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

use super::block::support::{FakeDisk, over};
use super::support::{FakeSource, MAPPINGS, PARKING, empty_mountable, find, now};
use crate::fs::block::Volume;
use crate::fs::fat::{Fat, FatNeeds, MountableFat};
use crate::fs::{
    AccessId, Base, Bind, Context, DeviceNumber, FileError, IfTaken, Inode, Made, MountFlags, Mountable, Mounts,
    OpenFlags, Removal, Side, Users, absolute_path, make, open, path_of, remove, rename, same_file,
};
use crate::hal::fake::FakeCpu;

const ROOT: AccessId<'static> = AccessId::ROOT;

/// A root file system with some directories, and a table of mounts.
struct Lab {
    context: Context,
    mounts: Mounts<FakeCpu>,
}

impl Lab {
    fn new() -> Self {
        let mounts = Mounts::new();
        let root = empty_mountable(2);
        let context = Context::new(root.root(), &PARKING);
        mounts.add_root(b"root", root).unwrap();
        let lab = Self { context, mounts };
        ["a", "a/m", "n"].iter().for_each(|path| lab.directory(path));
        lab
    }

    fn directory(&self, path: &str) {
        make(&self.context, Base::Working, path.as_bytes(), Made::Directory, 0o755, ROOT).unwrap();
    }

    fn create(&self, path: &str) {
        let flags = OpenFlags::CREATE | OpenFlags::READ_WRITE;
        open(&self.context, Base::Working, path.as_bytes(), flags, 0o644, ROOT).unwrap();
    }

    fn mount(&self, path: &str, device: u32) -> Result<Arc<dyn Inode>, FileError> {
        let (covered, fs) = (find(&self.context, path)?, empty_mountable(device));
        let root = fs.root();
        self.mounts.mount(b"new", path.as_bytes(), &covered, fs)?;
        Ok(root)
    }

    fn path(&self, file: &Arc<dyn Inode>) -> Result<Vec<u8>, FileError> {
        let mut buffer = [0; 100];
        absolute_path(self.context.root(), file, &mut buffer).map(<[u8]>::to_vec)
    }

    fn rename(&self, from: &'static str, to: &'static str) -> Result<(), FileError> {
        let [from, to] = [from, to].map(|path| Side { base: Base::Working, path: path.as_bytes() });
        rename(&self.context, from, to, IfTaken::Replace, ROOT)
    }
}

#[test]
fn a_mount_is_found_from_above_and_finds_the_way_back() {
    let lab = Lab::new();
    lab.create("a/m/below");
    let root = lab.mount("a/m", 3).unwrap();
    assert!(same_file(&find(&lab.context, "/a/m").unwrap(), &root));
    assert_eq!(find(&lab.context, "/a/m/below").err(), Some(FileError::NotFound), "it is covered");
    lab.directory("a/m/inside");
    let inside = find(&lab.context, "/a/m/inside").unwrap();
    assert_eq!(lab.path(&inside).unwrap(), b"/a/m/inside");
    assert_eq!(lab.path(&root).unwrap(), b"/a/m");
    let above = find(&lab.context, "/a").unwrap();
    assert!(same_file(&find(&lab.context, "/a/m/..").unwrap(), &above));
    assert!(same_file(&find(&lab.context, "/a/m/inside/../..").unwrap(), &above));
    lab.mounts.unmount(&root, Users::Detached).unwrap();
    find(&lab.context, "/a/m/below").unwrap();
    assert!(root.parent().is_none(), "who is in it finds nothing above");
}

#[test]
fn what_is_covered_is_busy() {
    let lab = Lab::new();
    lab.mount("n", 3).unwrap();
    assert_eq!(remove(&lab.context, Base::Working, b"n", Removal::Directory, ROOT), Err(FileError::Busy));
    assert!(lab.rename("n", "b").is_err());
    assert!(lab.rename("a", "n").is_err());
    lab.rename("a", "b").unwrap();
}

#[test]
fn a_directory_above_a_mount_may_move() {
    let lab = Lab::new();
    let root = lab.mount("a/m", 3).unwrap();
    lab.rename("a", "b").unwrap();
    assert_eq!(lab.path(&root).unwrap(), b"/b/m");
}

#[test]
fn mounts_are_refused_where_they_cannot_be_and_leave_nothing_behind() {
    let lab = Lab::new();
    lab.create("file");
    let file = find(&lab.context, "file").unwrap();
    let other = empty_mountable(3);
    assert_eq!(lab.mounts.mount(b"", b"", &file, Arc::clone(&other)), Err(FileError::NotDirectory));
    let covered = find(&lab.context, "n").unwrap();
    lab.mounts.mount(b"", b"/n", &covered, Arc::clone(&other)).unwrap();
    assert_eq!(lab.mounts.mount(b"", b"/n", &covered, empty_mountable(4)), Err(FileError::Busy), "covered already");
    let free = find(&lab.context, "a").unwrap();
    assert_eq!(lab.mounts.mount(b"", b"/a", &free, other), Err(FileError::Busy), "mounted already");
    let mut count = 0;
    lab.mounts.each(|_| count += 1);
    assert_eq!(count, 2);
}

#[test]
fn only_the_root_of_a_mount_is_unmounted_and_only_if_nothing_is_mounted_in_it() {
    let lab = Lab::new();
    let outer = lab.mount("n", 3).unwrap();
    lab.directory("n/x");
    let inner = lab.mount("n/x", 4).unwrap();
    assert_eq!(lab.mounts.unmount(&outer, Users::Stay), Err(FileError::Busy));
    assert_eq!(lab.mounts.unmount(&find(&lab.context, "a").unwrap(), Users::Stay), Err(FileError::Invalid));
    assert_eq!(lab.mounts.unmount(lab.context.root(), Users::Stay), Err(FileError::Busy));
    lab.mounts.unmount(&inner, Users::Stay).unwrap();
    lab.mounts.unmount(&outer, Users::Stay).unwrap();
    assert_eq!(lab.mounts.unmount(&outer, Users::Stay), Err(FileError::Invalid));
}

/// Number, that of the mount around it, what it shows, and where.
fn told(lab: &Lab) -> Vec<(u32, u32, String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut told = Vec::new();
    lab.mounts.each(|mount| told.push((mount.id, mount.parent, text(mount.within), text(mount.place))));
    told
}

#[test]
fn each_mount_has_a_number_of_its_own_and_knows_the_mount_around_it() {
    let lab = Lab::new();
    let line = |id, parent, within: &str, place: &str| (id, parent, within.to_string(), place.to_string());
    let outer = lab.mount("/a", 3).unwrap();
    make(&lab.context, Base::Working, b"/a/x", Made::Directory, 0o755, ROOT).unwrap();
    let inner = lab.mount("/a/x", 4).unwrap();
    let mut expected = vec![line(1, 1, "/", "/"), line(2, 1, "/", "/a"), line(3, 2, "/", "/a/x")];
    assert_eq!(told(&lab), expected);
    // One that is over another one is in that.
    let over = lab.mount("/a/x", 5).unwrap();
    expected.push(line(4, 3, "/", "/a/x"));
    assert_eq!(told(&lab), expected);
    lab.mounts.unmount(&over, Users::Stay).unwrap();
    // What moves keeps its number and gets another parent; a number is not given again.
    lab.mounts.relocate(&inner, &find(&lab.context, "n").unwrap(), b"/n").unwrap();
    lab.mounts.unmount(&outer, Users::Stay).unwrap();
    lab.mount("/a", 6).unwrap();
    assert_eq!(told(&lab), [line(1, 1, "/", "/"), line(3, 1, "/", "/n"), line(5, 1, "/", "/a")]);
}

#[test]
fn a_bind_mount_tells_what_it_shows_and_its_own_flags() {
    let lab = Lab::new();
    let (shown, covered) = (find(&lab.context, "a/m").unwrap(), find(&lab.context, "n").unwrap());
    let bind = Arc::new(Bind::<FakeCpu>::new(&shown, "tmpfs").of(b"/a/m".to_vec()));
    lab.mounts.mount(b"root", b"/n", &covered, Arc::clone(&bind) as Arc<dyn Mountable>).unwrap();
    assert_eq!(told(&lab).last().unwrap(), &(2, 1, "/a/m".to_string(), "/n".to_string()));
    bind.set_flags(MountFlags::READ_ONLY).unwrap();
    let mut flags = Vec::new();
    lab.mounts.each(|mount| flags.push((mount.flags.to_string(), mount.is_read_only_everywhere, mount.device)));
    let device = shown.id().device;
    assert_eq!(flags, [("rw,relatime".to_string(), false, device), ("ro,relatime".to_string(), false, device)]);
}

#[test]
fn there_is_a_most_mounts() {
    let lab = Lab::new();
    let mut device = 10;
    let refused = loop {
        lab.directory(&std::format!("d{device}"));
        match lab.mount(&std::format!("d{device}"), device) {
            Ok(_) => device += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((refused, device), (FileError::NoSpace, 10 + 255), "with the root 256");
    find(&lab.context, &std::format!("d{device}/..")).unwrap();
}

#[test]
fn a_files_path_is_found_also_after_it_moved_and_not_once_it_is_removed() {
    let lab = Lab::new();
    lab.create("a/m/file");
    let file = find(&lab.context, "a/m/file").unwrap();
    let path = || path_of(lab.context.root(), lab.context.root(), &file);
    assert_eq!(path().unwrap(), b"/a/m/file");
    lab.rename("a/m/file", "top").unwrap();
    assert_eq!(path().unwrap(), b"/top");
    remove(&lab.context, Base::Working, b"top", Removal::File, ROOT).unwrap();
    assert_eq!(path(), Err(FileError::NotFound));
    let directory = find(&lab.context, "a/m").unwrap();
    assert_eq!(path_of(lab.context.root(), lab.context.root(), &directory).unwrap(), b"/a/m");
}

#[test]
fn a_files_path_in_a_mount_begins_at_the_process_s_root() {
    let lab = Lab::new();
    let root = lab.mount("a/m", 3).unwrap();
    lab.create("a/m/file");
    let file = find(&lab.context, "a/m/file").unwrap();
    let start = lab.mounts.root_of(&*file).unwrap();
    assert!(same_file(&start, &root));
    assert_eq!(path_of(lab.context.root(), &start, &file).unwrap(), b"/a/m/file");
}

#[test]
fn who_syncs_a_file_system_or_unmounts_it_has_what_was_written_on_its_disk() {
    let lab = Lab::new();
    let mut image = Cursor::new(std::vec![0; 1 << 20]);
    fatfs::format_volume(&mut image, fatfs::FormatVolumeOptions::new()).unwrap();
    let (disk, source) = (FakeDisk::with(image.into_inner()), Arc::new(FakeSource::default()));
    let volume = Arc::new(Volume::<FakeCpu>::whole(over(&disk, &source, 64)));
    let number = DeviceNumber::new(179, 1);
    let needs =
        FatNeeds { pages: source, now, parking: &PARKING, mappings: &MAPPINGS, dirtied: || (), report: |_, _| () };
    let fs = Arc::new(MountableFat::new(Fat::open(Arc::clone(&volume), number, needs).unwrap()));
    let root = fs.root();
    lab.mounts.mount(b"disk", b"/n", &find(&lab.context, "n").unwrap(), fs.clone()).unwrap();
    let last = volume.bytes() - 1;
    let put = |byte: u8| volume.write_at(last, &[byte]).unwrap();
    let has = |byte: u8| disk.state().durable.last() == Some(&byte);
    put(1);
    assert!(!has(1), "it is written later");
    fs.sync().unwrap();
    assert!(has(1));
    put(2);
    disk.state().gone = true;
    assert_eq!(fs.sync(), Err(FileError::Io));
    disk.state().gone = false;
    lab.mounts.unmount(&root, Users::Detached).unwrap();
    assert!(has(2));
}
