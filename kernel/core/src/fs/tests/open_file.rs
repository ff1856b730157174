use std::sync::{Arc, Mutex};
use std::vec::Vec;

use super::support::{PARKING, TornSink, contents, fault_at, file, find, open_as_root, read_all, tree};
use crate::addr::UserAddr;
use crate::fs::{
    Blocking, BufferSink, BufferSource, FileError, FileOperations, OpenFile, OpenFlags, Seeking, Sink, Source, Whence,
};
use crate::hal::{UserFault, UserMemory};

fn sample(flags: OpenFlags) -> Arc<OpenFile> {
    open_as_root(&tree(&[file("digits", b"0123456789")]), "digits", flags).unwrap()
}

fn read(file: &OpenFile, count: usize) -> Vec<u8> {
    let mut buffer = std::vec![0; count];
    let count = file.read(&mut BufferSink::new(&mut buffer)).unwrap();
    buffer.truncate(count);
    buffer
}

#[test]
fn reads_go_on_where_the_last_one_ended() {
    let file = sample(OpenFlags::empty());
    assert_eq!(read(&file, 4), b"0123");
    assert_eq!(read(&file, 4), b"4567");
    assert_eq!(read(&file, 4), b"89");
    assert_eq!(read(&file, 4), b"");
    assert_eq!(read(&file, 0), b"");
    assert_eq!(contents(&tree(&[super::support::file("x", b"yz")]), "x"), b"yz");
}

#[test]
fn a_read_in_the_middle_leaves_the_offset_alone() {
    let file = sample(OpenFlags::empty());
    let mut buffer = [0; 3];
    assert_eq!(file.read_at(5, &mut BufferSink::new(&mut buffer)), Ok(3));
    assert_eq!(&buffer, b"567");
    assert_eq!(file.read_at(10, &mut BufferSink::new(&mut buffer)), Ok(0));
    assert_eq!(file.read_at(i64::MAX.cast_unsigned(), &mut BufferSink::new(&mut buffer)), Ok(0));
    assert_eq!(file.read_at(1 << 63, &mut BufferSink::new(&mut buffer)), Err(FileError::Invalid));
    assert_eq!(read_all(&file), b"0123456789");
}

#[test]
fn seeks_count_from_where_they_are_told() {
    let file = sample(OpenFlags::empty());
    for (by, whence, expected) in [
        (3, Whence::Start, Ok(3)),
        (2, Whence::Current, Ok(5)),
        (-1, Whence::Current, Ok(4)),
        (-5, Whence::Current, Err(FileError::Invalid)),
        (0, Whence::Current, Ok(4)),
        (-1, Whence::End, Ok(9)),
        (5, Whence::End, Ok(15)),
        (-11, Whence::End, Err(FileError::Invalid)),
        (-1, Whence::Start, Err(FileError::Invalid)),
        (i64::MAX, Whence::Start, Ok(i64::MAX.cast_unsigned())),
        (1, Whence::Current, Err(FileError::Invalid)),
        (i64::MIN, Whence::Current, Err(FileError::Invalid)),
        (4, Whence::Data, Ok(4)),
        (4, Whence::Hole, Ok(10)),
        (10, Whence::Data, Err(FileError::NoDevice)),
        (10, Whence::Hole, Err(FileError::NoDevice)),
        (-1, Whence::Data, Err(FileError::NoDevice)),
        (0, Whence::Current, Ok(10)),
    ] {
        assert_eq!(file.seek(by, whence), expected, "{by} {whence:?}");
    }
    assert_eq!([0, 1, 2, 3, 4, 5].map(Whence::from_linux).iter().flatten().count(), 5);
}

#[test]
fn a_fault_moves_the_offset_by_what_was_delivered() {
    let file = sample(OpenFlags::empty());
    assert_eq!(file.read(&mut TornSink::new(8, 3)), Ok(3));
    assert_eq!(file.read(&mut TornSink::new(8, 0)), Err(FileError::Fault(fault_at(0))));
    assert_eq!(read(&file, 2), b"34");
}

#[test]
fn access_modes_are_kept() {
    let context = tree(&[]);
    let open = |flags| open_as_root(&context, "/dev/null", flags).unwrap();
    let (mut sink, mut source) = ([0; 1], BufferSource::new(b"x"));
    let reader = open(OpenFlags::empty());
    assert_eq!(reader.write(&mut source), Err(FileError::BadFile));
    assert_eq!(reader.write_at(0, &mut source), Err(FileError::BadFile));
    let writer = open(OpenFlags::WRITE_ONLY);
    assert_eq!(writer.read(&mut BufferSink::new(&mut sink)), Err(FileError::BadFile));
    assert_eq!(writer.write(&mut source), Ok(1));
    let neither = open(OpenFlags::ACCESS_MODE);
    assert_eq!(neither.read(&mut BufferSink::new(&mut sink)), Err(FileError::BadFile));
    assert_eq!(neither.write(&mut source), Err(FileError::BadFile));
}

#[test]
fn status_flags_are_what_was_asked_less_what_is_past() {
    let flags = OpenFlags::READ_WRITE | OpenFlags::CLOSE_ON_EXEC | OpenFlags::CREATE | OpenFlags::APPEND;
    let file = open_as_root(&tree(&[]), "/dev/null", flags).unwrap();
    assert_eq!(file.status(), OpenFlags::READ_WRITE | OpenFlags::APPEND);
    file.set_status(OpenFlags::NONBLOCK | OpenFlags::WRITE_ONLY | OpenFlags::SYNC).unwrap();
    assert_eq!(file.status(), OpenFlags::READ_WRITE | OpenFlags::NONBLOCK);
}

/// One word of a program.
struct Word(u32);

impl UserMemory for Word {
    fn copy_in(&self, from: UserAddr, to: &mut [u8]) -> Result<(), UserFault> {
        if from.get() != 0x100 {
            return Err(UserFault { at: from });
        }
        to.copy_from_slice(&self.0.to_le_bytes());
        Ok(())
    }

    fn copy_out(&self, _from: &[u8], to: UserAddr) -> Result<(), UserFault> {
        Err(UserFault { at: to })
    }
}

#[test]
fn waiting_can_be_switched_by_ioctl() {
    let file = open_as_root(&tree(&[]), "/dev/tty", OpenFlags::empty()).unwrap();
    assert_eq!(file.ioctl(0x5421, 0x100, &Word(1)), Ok(0));
    assert_eq!(file.status(), OpenFlags::NONBLOCK);
    assert_eq!(file.ioctl(0x5421, 0x100, &Word(0)), Ok(0));
    assert_eq!(file.status(), OpenFlags::empty());
    let nowhere = UserFault { at: UserAddr::new(8) };
    assert_eq!(file.ioctl(0x5421, 8, &Word(0)), Err(FileError::Fault(nowhere)));
    assert_eq!(file.ioctl(0x5401, 0, &Word(0)), Err(FileError::NotTty));
}

/// A file in memory that can be written.
#[derive(Default)]
struct Memory(Mutex<Vec<u8>>);

impl FileOperations for Memory {
    fn read(&self, at: u64, _blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        let bytes = self.0.lock().unwrap();
        Ok(sink.put(bytes.get(usize::try_from(at).unwrap()..).unwrap_or_default())?)
    }

    fn write(&self, at: u64, _blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        let mut buffer = std::vec![0; source.left()];
        let count = source.take(&mut buffer)?;
        let at = usize::try_from(at).unwrap();
        let mut bytes = self.0.lock().unwrap();
        let len = bytes.len().max(at + count);
        bytes.resize(len, 0);
        bytes[at..at + count].copy_from_slice(&buffer[..count]);
        Ok(count)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Bytes { end: self.0.lock().unwrap().len() as u64 }
    }
}

#[test]
fn writes_go_to_the_offset_or_with_append_to_the_end() {
    let memory = Arc::new(Memory::default());
    let inode = find(&tree(&[]), "/").unwrap();
    let open =
        |flags| OpenFile::new(Arc::clone(&inode), Arc::clone(&memory) as Arc<dyn FileOperations>, flags, &PARKING);
    let plain = open(OpenFlags::READ_WRITE);
    let write = |file: &OpenFile, bytes: &[u8]| file.write(&mut BufferSource::new(bytes)).unwrap();
    assert_eq!(write(&plain, b"abcdef"), 6);
    assert_eq!(plain.seek(2, Whence::Start), Ok(2));
    assert_eq!(write(&plain, b"XY"), 2);
    assert_eq!(plain.seek(0, Whence::Current), Ok(4));
    let append = open(OpenFlags::READ_WRITE | OpenFlags::APPEND);
    assert_eq!(write(&append, b"gh"), 2);
    assert_eq!(append.seek(0, Whence::Current), Ok(8));
    assert_eq!(append.write_at(0, &mut BufferSource::new(b"i")), Ok(1));
    assert_eq!(append.seek(0, Whence::Current), Ok(8));
    assert_eq!(plain.write_at(0, &mut BufferSource::new(b"A")), Ok(1));
    assert_eq!(&*memory.0.lock().unwrap(), b"AbXYefghi");
}
