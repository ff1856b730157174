//! Random histories, cut at any moment, mended at mount, and cut again while that is done.

use std::string::{String, ToString as _};
use std::vec::Vec;

use proptest::prelude::*;

use super::super::block::support::{FakeDisk, Transfer};
use super::super::support::doses;
use super::check::{by_others, check};
use super::support::{Kind, SECTOR, SMALL, Tree, format, pattern};
use crate::fs::{Mountable as _, OpenFlags, Writer};

#[derive(Clone, Debug)]
enum Step {
    Make(String),
    Write(String, usize),
    Append(String, usize),
    Resize(String, usize),
    Unlink(String),
    Rmdir(String),
    Rename(String, String),
    Sync,
}

/// What was there when all was synced, and what may have become of it.
#[derive(Clone, Debug)]
struct Item {
    /// Names that it had since.
    names: Vec<String>,
    contents: Option<Vec<u8>>,
    /// Whether it may be otherwise; or something else under its name.
    may_differ: bool,
    may_be_gone: bool,
}

/// What must be found from a length of the disk's log on.
type Promises = Vec<(usize, Vec<Item>)>;

fn moved(name: &str, from: &str, to: &str) -> Option<String> {
    let rest = name.strip_prefix(from)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| std::format!("{to}{rest}"))
}

fn note(items: &mut [Item], step: &Step) {
    for item in items {
        let has = |path: &String| item.names.contains(path);
        match step {
            Step::Write(path, _) | Step::Append(path, _) | Step::Resize(path, _) => item.may_differ |= has(path),
            Step::Unlink(path) | Step::Rmdir(path) => item.may_be_gone |= has(path),
            Step::Rename(from, to) => {
                item.may_differ |= has(to);
                let more: Vec<String> = item.names.iter().filter_map(|name| moved(name, from, to)).collect();
                item.names.extend(more);
            }
            Step::Make(_) | Step::Sync => {}
        }
    }
}

fn run(kind: Kind, steps: &[Step]) -> (Vec<u8>, Vec<Transfer>, Promises) {
    let before = format(kind);
    let tree = Tree::new(before.clone());
    tree.disk.state().log = Some(Vec::new());
    let length = || tree.disk.state().log.as_ref().unwrap().len();
    let mut promises = std::vec![(0, Vec::new())];
    for (seed, step) in steps.iter().enumerate() {
        if !matches!(step, Step::Sync) {
            let mut items: Vec<Item> = promises.last().unwrap().1.clone();
            note(&mut items, step);
            promises.push((length(), items));
        }
        // Much of it cannot be done, and changes nothing.
        let _done = match step {
            Step::Make(path) => tree.mkdir(path),
            Step::Write(path, bytes) => tree.write(path, &pattern(seed, *bytes)),
            Step::Append(path, bytes) => tree.append(path, &pattern(seed, *bytes)).map(drop),
            Step::Resize(path, bytes) => {
                tree.open(path, OpenFlags::READ_WRITE).and_then(|file| file.resize(*bytes as u64, Writer::KERNEL))
            }
            Step::Unlink(path) => tree.unlink(path),
            Step::Rmdir(path) => tree.rmdir(path),
            Step::Rename(from, to) => tree.rename(from, to),
            Step::Sync => {
                tree.mountable.write_back().unwrap();
                let items = tree.all().into_iter().map(|(name, contents)| Item {
                    names: std::vec![name],
                    contents,
                    may_differ: false,
                    may_be_gone: false,
                });
                promises.push((length(), items.collect()));
                Ok(())
            }
        };
    }
    let disk = tree.disk.clone();
    tree.unmount();
    let log = disk.state().log.take().unwrap();
    (before, log, promises)
}

/// What of a log is on a disk when power fails behind `length` transfers: what was flushed, and anything of the rest.
fn cut(before: &[u8], log: &[Transfer], length: usize, mut is_there: impl FnMut() -> bool) -> Vec<u8> {
    let flushed = log[..length].iter().rposition(|transfer| *transfer == Transfer::Flush).unwrap_or(0);
    let mut image = before.to_vec();
    for (index, transfer) in log[..length].iter().enumerate() {
        let Transfer::Write(first, bytes) = transfer else { continue };
        for (block, bytes) in (usize::try_from(*first).unwrap()..).zip(bytes.chunks(SECTOR)) {
            if index < flushed || is_there() {
                image[block * SECTOR..(block + 1) * SECTOR].copy_from_slice(bytes);
            }
        }
    }
    image
}

/// Mounts what is left. Says what it was, and how that was made of it.
fn mend(image: Vec<u8>) -> (Vec<u8>, Vec<Transfer>) {
    let disk = FakeDisk::with(image);
    disk.state().log = Some(Vec::new());
    drop(Tree::on(disk.clone()));
    let log = disk.state().log.take().unwrap();
    let durable = disk.state().durable.clone();
    (durable, log)
}

fn check_items(image: &[u8], items: &[Item], at: &str) {
    let report = check(image);
    assert!(report.damage.is_empty() && report.untidy.is_empty(), "{at}: {:?} {:?}", report.damage, report.untidy);
    assert!(report.clean, "{at}: it is marked");
    for item in items.iter().filter(|item| !item.may_be_gone) {
        let found: Vec<_> = item.names.iter().filter_map(|name| report.tree.get(name)).collect();
        let is_kept = if item.may_differ { !found.is_empty() } else { found.contains(&&item.contents) };
        assert!(is_kept, "{at}: {:?} is lost or damaged; there are {:?}", item.names, report.tree.keys());
    }
}

fn path() -> impl Strategy<Value = String> {
    let name =
        prop_oneof![3 => "[a-d]", 2 => Just("a longer name.and more letters, so that it takes room".to_string())];
    proptest::collection::vec(name, 1..4).prop_map(|parts| parts.join("/"))
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = 0_usize..4000;
    prop_oneof![
        5 => path().prop_map(Step::Make),
        5 => (path(), bytes.clone()).prop_map(|(path, bytes)| Step::Write(path, bytes)),
        3 => (path(), bytes.clone()).prop_map(|(path, bytes)| Step::Append(path, bytes)),
        2 => (path(), bytes).prop_map(|(path, bytes)| Step::Resize(path, bytes)),
        2 => path().prop_map(Step::Unlink),
        1 => path().prop_map(Step::Rmdir),
        8 => (path(), path()).prop_map(|(from, to)| Step::Rename(from, to)),
        3 => Just(Step::Sync),
    ]
}

proptest! {
    #![proptest_config(doses(1, 15))]

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of images take hours there")]
    fn a_cut_at_any_moment_is_mended_at_mount_and_a_cut_in_that_too(
        kind in 0..3_usize,
        steps in proptest::collection::vec(step(), 1..60),
        seed in any::<u64>(),
    ) {
        let (before, log, promises) = run(SMALL[kind], &steps);
        let mut number = seed | 1;
        let mut random = move || {
            number ^= number >> 12;
            number ^= number << 25;
            number ^= number >> 27;
            number >> 20
        };
        for length in 0..=log.len() {
            // Some of them, for there are many.
            if random() % (log.len() as u64 + 1) > 50 {
                continue;
            }
            let items = &promises.iter().rev().find(|(at, _)| *at <= length).unwrap().1;
            let share = random() % 5;
            let image = cut(&before, &log, length, || random() % 4 < share);
            let at = std::format!("transfer {length} of {}", log.len());
            let (mended, repair) = mend(image.clone());
            check_items(&mended, items, &at);
            if random() % 64 == 0 {
                by_others(&mended);
            }
            if repair.is_empty() {
                continue;
            }
            let second = usize::try_from(random()).unwrap() % repair.len();
            let share = random() % 5;
            let again = cut(&image, &repair, second, || random() % 4 < share);
            check_items(&mend(again).0, items, &std::format!("{at}, and again behind {second} of {}", repair.len()));
        }
    }
}
