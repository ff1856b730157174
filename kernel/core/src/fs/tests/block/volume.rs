use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::vec;
use std::vec::Vec;

use super::support::{Asked, FakeDisk, cache, over};
use crate::addr::UserAddr;
use crate::fs::block::{BLOCK_SIZE, Volume};
use crate::fs::tests::support::{FakeSource, PARKING, find, tree};
use crate::fs::{
    Blocking, BufferSink, BufferSource, DeviceNumber, FileError, FileOperations, OpenFile, OpenFlags, Place, Seeking,
    Whence,
};
use crate::hal::fake::FakeCpu;
use crate::hal::{UserFault, UserMemory};

type TestVolume = Volume<FakeCpu>;

fn read(volume: &TestVolume, at: u64, count: usize) -> Result<Vec<u8>, FileError> {
    let mut bytes = vec![0; count];
    let count = volume.read(at, Blocking::Yes, &mut BufferSink::new(&mut bytes))?;
    bytes.truncate(count);
    Ok(bytes)
}

fn write(volume: &TestVolume, at: u64, bytes: &[u8]) -> Result<usize, FileError> {
    volume.write(at, Blocking::Yes, &mut BufferSource::new(bytes))
}

/// Memory that takes what a request answers.
#[derive(Default)]
struct Answer(RefCell<Vec<u8>>);

impl UserMemory for Answer {
    fn copy_in(&self, from: UserAddr, _to: &mut [u8]) -> Result<(), UserFault> {
        panic!("nothing is asked of {from}")
    }

    fn copy_out(&self, from: &[u8], to: UserAddr) -> Result<(), UserFault> {
        assert_eq!(to, UserAddr::new(0x1000));
        *self.0.borrow_mut() = from.to_vec();
        Ok(())
    }
}

#[test]
fn a_partition_is_the_disk_from_its_first_block_to_its_last() {
    let (disk, cache, _) = cache(100, 32);
    // Its pages are not the disk's.
    let part = TestVolume::part(cache.clone(), 7, 50).unwrap();
    let whole = TestVolume::whole(cache);
    let bytes = disk.state().bytes.clone();
    assert_eq!(part.seeking(), Seeking::Bytes { end: 50 * 512 });
    assert_eq!(read(&part, 100, 20_000).unwrap(), bytes[7 * 512 + 100..][..20_000]);
    assert_eq!(read(&part, 49 * 512, 5000).unwrap(), bytes[56 * 512..57 * 512]);
    assert_eq!((read(&part, 50 * 512, 1), read(&part, u64::MAX, 1)), (Ok(vec![]), Ok(vec![])));
    assert_eq!(write(&part, 50 * 512 - 3, b"123456"), Ok(3));
    assert_eq!(write(&part, 50 * 512, b"1"), Err(FileError::NoSpace));
    assert_eq!(write(&part, 50 * 512, b""), Ok(0));
    assert_eq!(read(&whole, 57 * 512 - 3, 4).unwrap(), [b'1', b'2', b'3', 57]);
    assert_eq!(part.sync(), Ok(()));
    assert_eq!(disk.state().durable[57 * 512 - 3..57 * 512], *b"123");
}

#[test]
fn a_partition_that_is_not_on_the_disk_is_none() {
    let (_, cache, _) = cache(100, 32);
    assert!(TestVolume::part(cache.clone(), 99, 1).is_some());
    for (first, blocks) in [(99, 2), (u64::MAX, 1), (1, u64::MAX), (u64::MAX / 512, 10)] {
        assert!(TestVolume::part(cache.clone(), first, blocks).is_none());
    }
}

#[test]
fn a_partition_syncs_what_is_its_own() {
    let (disk, cache, _) = cache(1000, 64);
    let one = TestVolume::part(cache.clone(), 0, 80).unwrap();
    let other = TestVolume::part(cache, 160, 80).unwrap();
    assert_eq!((write(&one, 0, b"one"), write(&other, 0, b"other")), (Ok(3), Ok(5)));
    assert_eq!(one.sync(), Ok(()));
    let state = disk.state();
    assert_eq!((&state.durable[..3], &state.durable[160 * 512..][..5]), (&b"one"[..], &[160; 5][..]));
}

#[test]
fn the_requests_of_disks_are_answered() {
    let (disk, cache, _) = cache(100, 32);
    let part = TestVolume::part(cache, 7, 50).unwrap();
    let asks = |request| {
        let answer = Answer::default();
        part.ioctl(request, 0x1000, &answer).map(|value| (value, answer.0.into_inner()))
    };
    assert_eq!(asks(0x8008_1272), Ok((0, (50 * 512_u64).to_le_bytes().to_vec())));
    assert_eq!(asks(0x1260), Ok((0, 50_u64.to_le_bytes().to_vec())));
    assert_eq!(asks(0x1268), Ok((0, 512_u32.to_le_bytes().to_vec())));
    assert_eq!(asks(0x125e), Ok((0, vec![0; 4])));
    assert_eq!(asks(0x5401), Err(FileError::NotTty));
    assert_eq!(write(&part, 0, b"flushed"), Ok(7));
    assert_eq!(asks(0x1261), Ok((0, vec![])));
    assert_eq!(disk.state().durable[7 * BLOCK_SIZE..][..7], *b"flushed");
}

#[test]
fn a_write_protected_disk_says_so() {
    let disk = FakeDisk::new(20);
    disk.state().read_only = true;
    let volume = TestVolume::whole(over(&disk, &Arc::new(FakeSource::default()), 8));
    assert_eq!((write(&volume, 0, b"x"), volume.sync()), (Err(FileError::NotPermitted), Ok(())));
    let answer = Answer::default();
    assert_eq!(volume.ioctl(0x125e, 0x1000, &answer), Ok(0));
    assert_eq!(answer.0.into_inner(), [1, 0, 0, 0]);
}

#[test]
fn a_write_that_is_to_stay_is_on_the_disk_with_what_was_written_beside_it_and_nothing_else() {
    let (disk, cache, _) = cache(1000, 64);
    let part = TestVolume::part(cache, 160, 800).unwrap();
    assert_eq!((write(&part, 0, b"here"), write(&part, 300 * 512, b"there")), (Ok(4), Ok(5)));
    assert_eq!(part.sync_place(Place { start: 0, end: 4 }), Ok(()));
    let durable = |at: usize, count: usize| disk.state().durable[(160 + at) * 512..][..count].to_vec();
    assert_eq!((&durable(0, 4)[..], &durable(300, 5)[..]), (&b"here"[..], &[204; 5][..]));
    assert_eq!(part.sync_place(Place { start: 300 * 512, end: u64::MAX }), Ok(()));
    assert_eq!(durable(300, 5), b"there");
}

#[test]
fn what_is_written_with_o_dsync_is_on_the_disk_when_the_write_returns_and_an_error_is_told() {
    let (disk, cache, _) = cache(64, 32);
    let open = |flags| {
        let volume = Arc::new(TestVolume::whole(Arc::clone(&cache)));
        OpenFile::new(find(&tree(&[]), "/dev/null").unwrap(), volume, flags, &PARKING)
    };
    let (plain, sync) =
        (open(OpenFlags::WRITE_ONLY), open(OpenFlags::WRITE_ONLY | OpenFlags::DATA_SYNC | OpenFlags::SYNC));
    assert_eq!(plain.write(&mut BufferSource::new(b"later")), Ok(5));
    assert_eq!(disk.state().durable[..5], [0; 5]);
    assert_eq!(sync.write_at(8192, &mut BufferSource::new(b"at once")), Ok(7));
    let durable = disk.state().durable.clone();
    assert_eq!((&durable[8192..8199], &durable[..5]), (&b"at once"[..], &[0; 5][..]));
    assert_eq!(sync.seek(4096, Whence::Start), Ok(4096));
    assert_eq!(sync.write(&mut BufferSource::new(b"and this")), Ok(8));
    assert_eq!(disk.state().durable[4096..4104], *b"and this");
    disk.state().gone = true;
    assert_eq!(sync.write(&mut BufferSource::new(b"lost")), Err(FileError::Io));
    assert_eq!(plain.write(&mut BufferSource::new(b"lost later")), Ok(10));
}

#[test]
fn partition_tables_are_read_anew_by_who_has_the_whole_disk() {
    static READ: AtomicU32 = AtomicU32::new(0);
    fn read() -> Result<(), FileError> {
        if READ.fetch_add(1, Ordering::Relaxed) == 0 { Ok(()) } else { Err(FileError::Busy) }
    }
    const BLKRRPART: u32 = 0x125f;
    let (_, cache, _) = cache(64, 32);
    let whole = TestVolume::partitioned(Arc::clone(&cache), read);
    assert_eq!(whole.ioctl(BLKRRPART, 0, &Answer::default()), Ok(0));
    assert_eq!(whole.ioctl(BLKRRPART, 0, &Answer::default()), Err(FileError::Busy));
    let part = TestVolume::part(cache, 1, 8).unwrap();
    assert_eq!(part.ioctl(BLKRRPART, 0, &Answer::default()), Err(FileError::Invalid));
    assert_eq!(READ.load(Ordering::Relaxed), 2);
}

#[test]
fn who_wants_a_disk_for_himself_does_not_get_one_that_is_mounted() {
    fn is_mounted(number: DeviceNumber) -> bool {
        number == DeviceNumber::new(179, 2)
    }
    let (_, cache, _) = cache(64, 32);
    let part = |number| {
        let part = TestVolume::part(Arc::clone(&cache), 1, 8).unwrap();
        part.known_as(DeviceNumber::new(179, number), is_mounted)
    };
    let opened = |volume: &TestVolume, flags| volume.opened(flags).map(|other| other.is_none());
    let alone = OpenFlags::READ_WRITE | OpenFlags::EXCLUSIVE;
    assert_eq!((opened(&part(2), alone), opened(&part(1), alone)), (Err(FileError::Busy), Ok(true)));
    assert_eq!(opened(&part(2), OpenFlags::READ_WRITE), Ok(true));
    assert_eq!(opened(&TestVolume::whole(Arc::clone(&cache)), alone), Ok(true));
}

#[test]
fn a_disk_that_is_finished_with_is_left_alone() {
    let (disk, cache, _) = cache(64, 32);
    let whole = TestVolume::whole(Arc::clone(&cache));
    assert_eq!(write(&whole, 0, b"never"), Ok(5));
    disk.asked();
    assert_eq!(cache.finish(), Ok(()));
    assert_eq!(disk.asked(), [Asked::Flush], "it was waited for, and what was not synced was not written");
    assert_eq!((whole.sync(), read(&whole, 8192, 1)), (Err(FileError::Io), Err(FileError::Io)));
    assert_eq!(read(&whole, 0, 5).unwrap(), b"never");
    assert!(disk.asked().iter().all(|asked| *asked == Asked::Flush));
}
