use proptest::prelude::*;
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

use super::support::{Asked, TestCache, cache, over};
use crate::addr::PAGE_SIZE;
use crate::fs::FileError;
use crate::fs::block::BLOCK_SIZE;
use crate::fs::tests::support::{FakeSource, doses};

/// Blocks of a page.
const BLOCKS: usize = PAGE_SIZE / BLOCK_SIZE;
const PAGE: u64 = PAGE_SIZE as u64;

fn read(cache: &TestCache, at: u64, count: usize) -> Result<Vec<u8>, FileError> {
    let mut bytes = vec![0xee; count];
    cache.read_at(at, &mut bytes).map(|()| bytes)
}

#[test]
fn what_is_read_is_what_the_disk_has_and_read_once() {
    let (disk, cache, _) = cache(80, 64);
    let expected = disk.state().bytes.clone();
    assert_eq!(read(&cache, 700, 9000).unwrap(), expected[700..9700]);
    disk.asked();
    assert_eq!(read(&cache, 700, 9000).unwrap(), expected[700..9700]);
    assert_eq!(disk.asked(), []);
}

#[test]
fn who_reads_on_is_read_ahead_for() {
    let (disk, cache, _) = cache(64 * BLOCKS, 128);
    for page in 0..64 {
        read(&cache, page * PAGE, PAGE_SIZE).unwrap();
    }
    let blocks = [2, 4, 8, 16, 32].map(|pages| pages * BLOCKS);
    let starts = [0, 2, 6, 14, 30].map(|page| page * BLOCKS as u64);
    let mut expected: Vec<Asked> = starts.into_iter().zip(blocks).map(|(at, count)| Asked::Read(at, count)).collect();
    expected.push(Asked::Read(62 * BLOCKS as u64, 2 * BLOCKS));
    assert_eq!(disk.asked(), expected);
    // Here and there costs no more than it brings.
    cache.forget();
    for page in [40, 3, 20] {
        read(&cache, page * PAGE, 1).unwrap();
    }
    assert!(disk.asked().iter().all(|asked| matches!(asked, Asked::Read(_, BLOCKS))));
}

#[test]
fn who_reads_on_is_read_ahead_for_in_a_full_cache_too() {
    let (disk, cache, source) = cache(1024 * BLOCKS, 128);
    for page in 0..512 {
        read(&cache, page * PAGE, PAGE_SIZE).unwrap();
    }
    disk.asked();
    for page in 512..1024 {
        read(&cache, page * PAGE, PAGE_SIZE).unwrap();
        assert!(cache.pages().0 <= 128);
    }
    // Now and then all pages were used since the last look, and there is one without others.
    let asked = disk.asked();
    assert!(asked.len() <= 512 / 16, "{asked:?}");
    drop(cache);
    assert_eq!(source.references(), (0, 0));
}

#[test]
fn what_is_used_again_and_again_is_not_pushed_out_by_what_is_read_ahead() {
    let (disk, cache, _) = cache(1024 * BLOCKS, 128);
    for page in 0..512 {
        read(&cache, page * PAGE, PAGE_SIZE).unwrap();
        for often in 1000..1008 {
            read(&cache, often * PAGE, 1).unwrap();
        }
    }
    let often = |asked: &&Asked| matches!(asked, Asked::Read(at, _) if *at >= 1000 * BLOCKS as u64);
    assert!(disk.asked().iter().filter(often).count() <= 8);
}

#[test]
fn what_is_written_goes_to_the_disk_in_one_piece_when_it_is_synced() {
    let (disk, cache, _) = cache(64 * BLOCKS, 64);
    for page in [5, 3, 4, 2, 9] {
        cache.write_at(page * PAGE, &[0xaa; PAGE_SIZE]).unwrap();
    }
    assert_eq!((disk.asked(), cache.pages(), cache.is_dirty()), (vec![], (5, 5), true));
    assert_eq!(cache.sync(), Ok(()));
    let expected = [Asked::Write(16, 4 * BLOCKS), Asked::Write(72, BLOCKS), Asked::Flush];
    assert_eq!(disk.asked(), expected);
    assert_eq!((cache.pages(), cache.is_dirty()), ((5, 0), false));
    assert_eq!(disk.state().durable[2 * PAGE_SIZE..6 * PAGE_SIZE], [0xaa; 4 * PAGE_SIZE]);
}

#[test]
fn a_part_of_a_page_is_written_into_what_the_disk_has() {
    let (disk, cache, _) = cache(20, 8);
    let mut expected = disk.state().bytes.clone();
    cache.write_at(5000, b"between").unwrap();
    expected[5000..5007].copy_from_slice(b"between");
    // The last page of this disk has four blocks only.
    cache.write_at(20 * 512 - 3, b"end").unwrap();
    expected[20 * 512 - 3..].copy_from_slice(b"end");
    assert_eq!(cache.sync(), Ok(()));
    assert!(disk.state().durable == expected);
}

#[test]
fn what_is_not_on_the_disk_is_refused() {
    let (disk, cache, _) = cache(20, 8);
    for (at, count) in [(20 * 512, 1), (20 * 512 - 1, 2), (u64::MAX, 1), (u64::MAX, 2)] {
        assert_eq!(read(&cache, at, count), Err(FileError::Invalid));
        assert_eq!(cache.write_at(at, &vec![0; count]), Err(FileError::Invalid));
    }
    assert_eq!((read(&cache, 20 * 512, 0), disk.asked()), (Ok(vec![]), vec![]));
}

#[test]
fn a_bad_block_fails_its_page_and_no_other() {
    let (disk, cache, _) = cache(64 * BLOCKS, 64);
    disk.state().bad.insert(5 * BLOCKS as u64 + 3);
    let outcomes: Vec<bool> = (0..8).map(|page| read(&cache, page * PAGE, 10).is_ok()).collect();
    assert_eq!(outcomes, [true, true, true, true, true, false, true, true]);
    assert_eq!(read(&cache, 5 * PAGE, 1), Err(FileError::Io));
    for page in 0..8 {
        let written = cache.write_at(page * PAGE, &[1; PAGE_SIZE]);
        assert_eq!(written, Ok(()), "the disk is not asked");
    }
    assert_eq!((cache.sync(), cache.pages().1), (Err(FileError::Io), 1));
    disk.state().bad.clear();
    assert_eq!((cache.sync(), cache.pages().1), (Ok(()), 0));
    assert!(disk.state().durable[..8 * PAGE_SIZE].iter().all(|&byte| byte == 1));
}

#[test]
fn what_cannot_be_written_is_said_each_time_and_kept_until_it_can() {
    let (disk, cache, _) = cache(64 * BLOCKS, 64);
    cache.write_at(100, b"kept").unwrap();
    disk.state().gone = true;
    for _ in 0..3 {
        assert_eq!(cache.sync(), Err(FileError::Io));
    }
    assert_eq!(read(&cache, 100, 4).unwrap(), b"kept");
    assert_eq!(read(&cache, 40 * PAGE, 4), Err(FileError::Io));
    disk.state().gone = false;
    assert_eq!(cache.sync(), Ok(()));
    assert_eq!(&disk.state().durable[100..104], b"kept");
}

#[test]
fn a_cache_full_of_what_cannot_be_written_fails_writes_and_not_what_it_has() {
    let (disk, cache, source) = cache(64 * BLOCKS, 8);
    disk.state().gone = true;
    let outcomes: Vec<Result<(), FileError>> =
        (0..20).map(|page| cache.write_at(page * PAGE, &[page.to_le_bytes()[0]; PAGE_SIZE])).collect();
    assert_eq!((outcomes[0], outcomes[19]), (Ok(()), Err(FileError::Io)));
    assert_eq!(read(&cache, 0, 1), Ok(vec![0]));
    assert!(cache.pages().0 <= 8);
    drop(cache);
    assert_eq!(source.references().0, 0, "no frame is lost");
}

#[test]
fn pages_go_when_there_are_enough_or_no_memory_and_are_read_again() {
    let (disk, cache, source) = cache(64 * BLOCKS, 16);
    let expected = disk.state().bytes.clone();
    for round in 0..3 {
        for page in 0..64 {
            let place = page * PAGE_SIZE;
            assert_eq!(read(&cache, place as u64, PAGE_SIZE).unwrap(), expected[place..place + PAGE_SIZE], "{round}");
        }
        assert!(cache.pages().0 <= 16);
    }
    source.set_fresh(Some(0));
    assert_eq!(read(&cache, 0, 1), Err(FileError::OutOfMemory));
    source.set_fresh(None);
    assert_eq!(read(&cache, 0, 1), Ok(vec![0]));
    assert_eq!((cache.shrink(4), cache.shrink(100) > 0), (4, true));
    cache.forget();
    assert_eq!((cache.pages().0, source.references().0), (0, 0));
}

#[test]
fn a_write_protected_disk_is_read_only() {
    let disk = super::support::FakeDisk::new(20);
    disk.state().read_only = true;
    let cache = over(&disk, &Arc::new(FakeSource::default()), 8);
    assert_eq!(cache.write_at(0, b"x"), Err(FileError::NotPermitted));
    assert_eq!((read(&cache, 0, 1), cache.sync()), (Ok(vec![0]), Ok(())));
}

#[test]
fn threads_that_share_a_small_cache_lose_nothing_of_each_other() {
    const THREADS: usize = 6;
    let rounds = if cfg!(miri) { 3 } else { 200 };
    let (disk, cache, source) = cache(THREADS * 4 * BLOCKS, 7);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let cache = &cache;
            scope.spawn(move || {
                // Every sixth block is this thread's: pages are shared.
                for round in 0..rounds {
                    let block = (round * 5 % (4 * BLOCKS)) * THREADS + thread;
                    let at = (block * BLOCK_SIZE) as u64;
                    let bytes = [(thread * 31 + round).to_le_bytes()[0]; BLOCK_SIZE];
                    cache.write_at(at, &bytes).unwrap();
                    assert!(round % 16 != thread || cache.sync().is_ok());
                    assert_eq!(read(cache, at, BLOCK_SIZE).unwrap(), bytes);
                }
            });
        }
    });
    assert_eq!(cache.sync(), Ok(()));
    let mut expected: Vec<u8> =
        (0..THREADS * 4 * BLOCKS).flat_map(|block| [block.to_le_bytes()[0]; BLOCK_SIZE]).collect();
    for thread in 0..THREADS {
        for round in 0..rounds {
            let block = (round * 5 % (4 * BLOCKS)) * THREADS + thread;
            expected[block * BLOCK_SIZE..][..BLOCK_SIZE].fill((thread * 31 + round).to_le_bytes()[0]);
        }
    }
    assert!(disk.state().durable == expected);
    drop(cache);
    assert_eq!(source.references().0, 0, "no frame is lost");
}

#[derive(Clone, Debug)]
enum Step {
    Read(usize, usize),
    Write(usize, usize, u8),
    Sync,
    Shrink(usize),
    /// This block goes bad, or all are good again.
    Damage(Option<u64>),
    Memory(u64),
}

fn steps(bytes: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..bytes, 0_usize..20_000).prop_map(|(at, count)| Step::Read(at, count)),
        6 => (0..bytes, 0_usize..20_000, any::<u8>()).prop_map(|(at, count, fill)| Step::Write(at, count, fill)),
        2 => Just(Step::Sync),
        1 => (0_usize..20).prop_map(Step::Shrink),
        1 => prop::option::of(0..(bytes / BLOCK_SIZE) as u64).prop_map(Step::Damage),
        1 => (0_u64..12).prop_map(Step::Memory),
    ];
    prop::collection::vec(step, 1..60)
}

/// Blocks of the disk in the model; its last page is not whole.
const DISK: usize = 20 * BLOCKS + 3;

proptest! {
    #![proptest_config(doses(2, 200))]

    /// A cache over a disk that fails now and then, with little memory: what it says it read is right, what it says it
    /// synced is on the disk, and no frame is lost.
    #[test]
    fn a_cache_is_as_the_bytes_that_it_stands_for(steps in steps(DISK * BLOCK_SIZE), most_pages in 1_usize..24) {
        let (disk, cache, source) = cache(DISK, most_pages);
        let mut bytes = disk.state().bytes.clone();
        // Bytes of a write that failed may be the old ones or the new ones.
        let mut unsure = vec![false; bytes.len()];
        let mut starved = false;
        for step in steps {
            match step {
                Step::Read(at, count) => {
                    let end = bytes.len().min(at + count);
                    if let Ok(found) = read(&cache, at as u64, end - at) {
                        prop_assert!(found.iter().zip(at..).all(|(&byte, at)| unsure[at] || byte == bytes[at]));
                    } else {
                        prop_assert!(starved || !disk.state().bad.is_empty());
                    }
                }
                Step::Write(at, count, fill) => {
                    let end = bytes.len().min(at + count);
                    let sure = cache.write_at(at as u64, &vec![fill; end - at]).is_ok();
                    prop_assert!(sure || starved || !disk.state().bad.is_empty());
                    bytes[at..end].fill(fill);
                    unsure[at..end].fill(!sure);
                }
                Step::Sync => {
                    let clean = disk.state().bad.is_empty();
                    let outcome = cache.sync();
                    prop_assert!(outcome.is_ok() || !clean);
                    if outcome.is_ok() {
                        let durable = disk.state().durable.clone();
                        prop_assert!((0..bytes.len()).all(|at| unsure[at] || durable[at] == bytes[at]));
                    }
                }
                Step::Shrink(count) => {
                    cache.shrink(count);
                }
                Step::Damage(None) => disk.state().bad.clear(),
                Step::Damage(Some(block)) => {
                    disk.state().bad.insert(block);
                }
                Step::Memory(more) => {
                    source.set_fresh(Some(more));
                    starved = true;
                }
            }
            prop_assert!(cache.pages().0 <= most_pages);
            prop_assert_eq!(source.references().0 as usize, cache.pages().0);
        }
        disk.state().bad.clear();
        source.set_fresh(None);
        prop_assert_eq!(cache.sync(), Ok(()));
        let durable = disk.state().durable.clone();
        prop_assert!((0..bytes.len()).all(|at| unsure[at] || durable[at] == bytes[at]));
        drop(cache);
        prop_assert_eq!(source.references().0, 0);
    }
}
