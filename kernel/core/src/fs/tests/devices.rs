use std::sync::Arc;

use super::support::{
    Console, FakeSource, Item, PARKING, TornSink, empty_fs, error, fault_at, find, open_as_root, tree,
};
use crate::fs::devices::{CONSOLE, Device, DeviceNodes, DeviceTable as _, Devices, Node, Null};
use crate::fs::{
    AccessId, Base, BufferSink, BufferSource, Context, DeviceNumber, FileError, FileKind, FileOperations, Made,
    Mapping, OpenFile, OpenFlags, Readiness, Removal, Whence, make, remove,
};
use crate::hal::fake::FakeCpu;

fn open(path: &str) -> Arc<OpenFile> {
    open_as_root(&tree(&[]), path, OpenFlags::READ_WRITE).unwrap()
}

fn write(file: &OpenFile, bytes: &[u8]) -> Result<usize, FileError> {
    file.write(&mut BufferSource::new(bytes))
}

#[test]
fn null_swallows_all_and_has_nothing() {
    let null = open("/dev/null");
    assert_eq!(write(&null, b"gone"), Ok(4));
    assert_eq!(null.read(&mut BufferSink::new(&mut [1; 8])), Ok(0));
    assert_eq!(null.seek(5, Whence::Current), Ok(0));
    assert_eq!(null.read_at(1 << 40, &mut BufferSink::new(&mut [1; 8])), Ok(0));
    assert!(matches!(null.mapping(), Ok(Mapping::None)));
}

#[test]
fn zero_and_full_fill_any_buffer() {
    for path in ["/dev/zero", "/dev/full"] {
        let file = open(path);
        for len in [0, 1, 1023, 1024, 1025, 5000] {
            let mut buffer = std::vec![1; len];
            assert_eq!(file.read(&mut BufferSink::new(&mut buffer)), Ok(len));
            assert!(buffer.iter().all(|&byte| byte == 0));
        }
    }
    assert_eq!(write(&open("/dev/zero"), b"x"), Ok(1));
    assert_eq!(write(&open("/dev/full"), b"x"), Err(FileError::NoSpace));
    assert!(matches!(open("/dev/zero").mapping(), Ok(Mapping::Anonymous)));
}

#[test]
fn a_fault_ends_a_read_where_it_is() {
    for path in ["/dev/zero", "/dev/urandom"] {
        let file = open(path);
        assert_eq!(file.read(&mut TornSink::new(5000, 3000)), Ok(3000), "{path}");
        assert_eq!(file.read(&mut TornSink::new(5000, 10)), Ok(10), "{path}");
        assert_eq!(file.read(&mut TornSink::new(5000, 0)), Err(FileError::Fault(fault_at(0))), "{path}");
    }
}

#[test]
fn random_bytes_come_from_the_generator() {
    for path in ["/dev/random", "/dev/urandom"] {
        let mut buffer = [0; 600];
        assert_eq!(open(path).read(&mut BufferSink::new(&mut buffer)), Ok(600));
        assert!(buffer.iter().all(|&byte| byte == 0x5a));
        assert_eq!(write(&open(path), b"seed"), Ok(4));
    }
}

#[test]
fn the_console_is_a_stream_of_the_kernels() {
    let console = open("/dev/console");
    assert_eq!(write(&console, b"hello"), Ok(5));
    assert_eq!(console.seek(0, Whence::Current), Err(FileError::NotSeekable));
    let mut buffer = [0; 8];
    assert_eq!(console.read_at(0, &mut BufferSink::new(&mut buffer)), Err(FileError::NotSeekable));
    assert_eq!(console.read(&mut BufferSink::new(&mut buffer)), Ok(5));
    console.set_status(OpenFlags::NONBLOCK).unwrap();
    assert_eq!(console.read(&mut BufferSink::new(&mut buffer)), Err(FileError::WouldBlock));
    assert_eq!(console.readiness(), Ok(Readiness::ALWAYS));
}

#[test]
fn a_number_without_a_driver_cannot_be_opened() {
    let context = tree(&[
        Item::new("tape", 0o020_666, b"").device(9, 9),
        Item::new("disk", 0o060_666, b"").device(1, 3),
        Item::new("socket", 0o140_666, b""),
        Item::new("null", 0o020_666, b"").device(1, 3),
    ]);
    for path in ["tape", "disk", "socket"] {
        assert_eq!(error(open_as_root(&context, path, OpenFlags::empty())), Some(FileError::NoDevice), "{path}");
    }
    // Devices can be written to on a file system that cannot.
    assert_eq!(write(&open_as_root(&context, "null", OpenFlags::WRITE_ONLY).unwrap(), b"x"), Ok(1));
}

/// Refuses who reads only, and is another device for each of the others.
struct Clone;

impl FileOperations for Clone {
    fn opened(&self, flags: OpenFlags) -> Result<Option<Arc<dyn FileOperations>>, FileError> {
        if flags.is_writable() { Ok(Some(Arc::new(Console::default()))) } else { Err(FileError::Busy) }
    }
}

#[test]
fn a_driver_may_refuse_or_put_another_in_its_place() {
    let devices = Devices::<FakeCpu>::new();
    devices.add(&Device::characters(b"console", CONSOLE, 0o600), Arc::new(Clone)).unwrap();
    let open = |number, flags| devices.open(FileKind::CharacterDevice, number, flags);
    assert_eq!(error(open(CONSOLE, OpenFlags::empty())), Some(FileError::Busy));
    let first = open(CONSOLE, OpenFlags::READ_WRITE).unwrap();
    let second = open(CONSOLE, OpenFlags::READ_WRITE).unwrap();
    assert!(!core::ptr::addr_eq(Arc::as_ptr(&first), Arc::as_ptr(&second)));
    assert_eq!(error(open(DeviceNumber::new(4, 4), OpenFlags::empty())), Some(FileError::NoDevice));
}

/// A place for nodes, and the same as somebody sees it who walks there.
fn place() -> (DeviceNodes, Context) {
    let root = empty_fs(Arc::new(FakeSource::default()), 9).make_root(0o755, 0, 0).unwrap();
    (DeviceNodes::new(Arc::clone(&root), &PARKING), Context::new(root, &PARKING))
}

const DISK: DeviceNumber = DeviceNumber::new(179, 0);

#[test]
fn devices_get_their_nodes_whether_they_come_before_the_place_or_after_it() {
    let devices = Devices::<FakeCpu>::new();
    let disk = Device::blocks(b"mmcblk0", DISK);
    devices.add(&disk, Arc::new(Null)).unwrap();
    let (nodes, context) = place();
    devices.attach(nodes).unwrap();
    let first = DeviceNumber::new(13, 64);
    let event = Device { node: Node { gid: 7, ..Device::characters(b"", first, 0o640).node }, name: b"input/event0" };
    devices.add(&event, Arc::new(Null)).unwrap();
    let about = find(&context, "mmcblk0").unwrap().metadata();
    assert_eq!((about.protection.mode(), about.protection.gid, about.represents), (0o060_660, 6, DISK));
    let about = find(&context, "input/event0").unwrap().metadata();
    assert_eq!((about.protection.mode(), about.protection.gid, about.represents), (0o020_640, 7, first));
    assert_eq!(devices.add(&disk, Arc::new(Null)), Err(FileError::Exists), "the number is taken");
    assert!(devices.find(FileKind::BlockDevice, DISK).is_some());
    assert!(devices.find(FileKind::CharacterDevice, DISK).is_none(), "characters have numbers of their own");

    devices.remove(FileKind::BlockDevice, DISK);
    devices.remove(FileKind::CharacterDevice, first);
    for path in ["mmcblk0", "input/event0", "input"] {
        assert_eq!(error(find(&context, path)), Some(FileError::NotFound), "{path}");
    }
    let opened = devices.open(FileKind::BlockDevice, DISK, OpenFlags::empty());
    assert_eq!(error(opened), Some(FileError::NoDevice));
}

#[test]
fn the_kernel_takes_away_only_what_is_its_own() {
    let devices = Devices::<FakeCpu>::new();
    let (nodes, context) = place();
    make(&context, Base::Working, b"disk", Made::Regular, 0o600, AccessId::ROOT).unwrap();
    devices.attach(nodes).unwrap();
    let disk = Device::blocks(b"disk", DISK);
    devices.add(&disk, Arc::new(Null)).unwrap();
    assert_eq!(find(&context, "disk").unwrap().protection().kind, FileKind::BlockDevice, "what was there went");
    remove(&context, Base::Working, b"disk", Removal::File, AccessId::ROOT).unwrap();
    make(&context, Base::Working, b"disk", Made::Regular, 0o600, AccessId::ROOT).unwrap();
    devices.remove(FileKind::BlockDevice, DISK);
    assert_eq!(find(&context, "disk").unwrap().protection().kind, FileKind::Regular);
    // A node that a program made for a device before the device came stays as it is.
    remove(&context, Base::Working, b"disk", Removal::File, AccessId::ROOT).unwrap();
    make(&context, Base::Working, b"disk", Made::Node(FileKind::BlockDevice, DISK), 0o600, AccessId::ROOT).unwrap();
    devices.add(&disk, Arc::new(Null)).unwrap();
    assert_eq!(find(&context, "disk").unwrap().protection().permissions, 0o600);
}

#[test]
fn a_device_whose_node_cannot_be_made_is_not_there() {
    let devices = Devices::<FakeCpu>::new();
    let (nodes, context) = place();
    make(&context, Base::Working, b"disk", Made::Directory, 0o700, AccessId::ROOT).unwrap();
    devices.attach(nodes).unwrap();
    assert_eq!(devices.add(&Device::blocks(b"disk", DISK), Arc::new(Null)), Err(FileError::IsDirectory));
    assert!(devices.find(FileKind::BlockDevice, DISK).is_none());
}
