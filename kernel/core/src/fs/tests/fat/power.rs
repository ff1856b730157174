//! Power cuts: after each transfer, with what the disk was not asked to keep written in part, in any order.
//!
//! A disk keeps what was written before the last flush. Of what came after that, any blocks may be there.

use std::collections::{BTreeMap, BTreeSet};
use std::string::{String, ToString as _};
use std::vec::Vec;

use super::super::block::support::Transfer;
use super::check::{Report, check};
use super::support::{Kind, SECTOR, SMALL, Tree, format, pattern};
use crate::fs::{Mountable as _, OpenFlags, Writer};

/// What must be there, by path; and which paths may be otherwise, for something was done to them since.
#[derive(Clone, Default)]
struct Promise {
    files: BTreeMap<String, Option<Vec<u8>>>,
    touched: BTreeSet<String>,
    /// Names that files got, and had before.
    moved: Vec<(String, String)>,
}

/// A script in progress, and what it has been promised at which length of the disk's log.
struct Script {
    tree: Tree,
    promises: Vec<(usize, Promise)>,
}

impl Script {
    fn length(&self) -> usize {
        self.tree.disk.state().log.as_ref().unwrap().len()
    }

    fn note(&mut self, change: impl FnOnce(&mut Promise)) {
        let mut promise = self.promises.last().unwrap().1.clone();
        change(&mut promise);
        let at = self.length();
        self.promises.push((at, promise));
    }

    /// Something is going to be done to these files.
    fn touch(&mut self, paths: &[&str]) -> &Tree {
        self.note(|promise| promise.touched.extend(paths.iter().map(|path| (*path).to_string())));
        &self.tree
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.note(|promise| {
            promise.moved.push((from.into(), to.into()));
            promise.touched.insert(to.into());
        });
        self.tree.rename(from, to).unwrap();
    }

    /// Everything is synced: all that is there must stay.
    fn synced(&mut self) {
        let files = self.tree.all();
        self.note(|promise| *promise = Promise { files, ..Promise::default() });
    }
}

/// A bit of everything.
fn script(kind: Kind) -> (Vec<u8>, Vec<Transfer>, Vec<(usize, Promise)>) {
    let mut image = Tree::new(format(kind));
    image.mkdir("old").unwrap();
    image.write("old/stays as it is", &pattern(1, 5000)).unwrap();
    image.write("grows", &pattern(2, 1300)).unwrap();
    image.write("is removed", &pattern(3, 7000)).unwrap();
    let before = image.unmount();
    image = Tree::new(before.clone());
    image.disk.state().log = Some(Vec::new());
    let mut script = Script { tree: image, promises: std::vec![(0, Promise::default())] };
    script.synced();
    // A new file, synced.
    script.touch(&["new"]).write("new", &pattern(4, 3000)).unwrap();
    script.tree.fsync("new").unwrap();
    script.synced();
    // A directory with so many that it grows, and nobody syncs for a while.
    script.touch(&[]).mkdir("sub").unwrap();
    for number in 0..25 {
        let path = std::format!("sub/a file with a long name {number}");
        script.touch(&[&path]).write(&path, &pattern(number, number * 100)).unwrap();
    }
    script.touch(&["is removed"]).unlink("is removed").unwrap();
    script.touch(&["takes its room"]).write("takes its room", &pattern(5, 9000)).unwrap();
    script.tree.mountable.write_back().unwrap();
    script.synced();
    // What was freed is used by others.
    script.touch(&["grows"]).append("grows", &pattern(6, 4000)).unwrap();
    script.touch(&["sub/a file with a long name 7"]).unlink("sub/a file with a long name 7").unwrap();
    script.touch(&["again"]).write("again", &pattern(7, 6000)).unwrap();
    script.tree.fsync("again").unwrap();
    script.synced();
    // A file is replaced in the way that programs do it.
    script.touch(&["new.tmp"]).write("new.tmp", &pattern(8, 4500)).unwrap();
    script.tree.fsync("new.tmp").unwrap();
    script.synced();
    script.rename("new.tmp", "new");
    script.tree.fsync("new").unwrap();
    script.synced();
    // Names move, within a directory and to others, several times.
    script.rename("old/stays as it is", "sub/has moved to another directory");
    script.tree.mountable.write_back().unwrap();
    script.synced();
    script.rename("sub/has moved to another directory", "old/and back with an even longer name than before");
    script.rename("grows", "sub/grows");
    script.rename("sub/grows", "grows no more");
    script.tree.fsync("again").unwrap();
    script.synced();
    script.rename("sub", "old/sub");
    script.tree.mountable.write_back().unwrap();
    script.synced();
    // Cut, overwritten as a whole, and removed.
    let file = script.touch(&["takes its room"]).open("takes its room", OpenFlags::READ_WRITE).unwrap();
    file.resize(2500, Writer::KERNEL).unwrap();
    file.resize(3500, Writer::KERNEL).unwrap();
    drop(file);
    script.touch(&["again"]).write("again", &pattern(9, 2000)).unwrap();
    for number in 10..25 {
        let path = std::format!("old/sub/a file with a long name {number}");
        script.touch(&[&path]).unlink(&path).unwrap();
    }
    script.tree.mountable.sync().unwrap();
    script.synced();
    script.touch(&["last"]).write("last", b"last").unwrap();
    let Script { tree, promises } = script;
    let disk = tree.disk.clone();
    tree.unmount();
    let log = disk.state().log.take().unwrap();
    (before, log, promises)
}

/// Blocks that were written since the last flush: any of them may be there.
type Loose = Vec<(usize, Vec<u8>)>;

/// Whether a promise that holds since before the cut is kept.
fn check_promise(report: &Report, promise: &Promise, at: &str) {
    assert!(report.damage.is_empty() || only_double(report, promise), "{at}: {:?}", report.damage);
    for (path, contents) in &promise.files {
        let mut names = std::vec![path.clone()];
        for (from, to) in &promise.moved {
            let more: Vec<String> = names
                .iter()
                .filter(|name| *name == from || name.starts_with(&std::format!("{from}/")))
                .map(|name| std::format!("{to}{}", &name[from.len()..]))
                .collect();
            names.extend(more);
        }
        let moved = names.len() > 1;
        if !moved && promise.touched.contains(path) {
            continue;
        }
        let kept = names.iter().any(|name| report.tree.get(name) == Some(contents));
        assert!(kept, "{at}: {path} is lost or damaged; there are {:?}", report.tree.keys());
    }
}

/// Whether nothing is wrong but that a file that is being renamed has both names.
fn only_double(report: &Report, promise: &Promise) -> bool {
    let is_moving = |problem: &String| {
        promise.moved.iter().any(|(from, to)| problem.contains(from) && problem.contains(to) || problem.contains(to))
    };
    report.damage.iter().all(is_moving)
}

fn apply(image: &mut [u8], block: usize, bytes: &[u8]) {
    image[block * SECTOR..(block + 1) * SECTOR].copy_from_slice(bytes);
}

#[test]
#[cfg_attr(miri, ignore = "thousands of images take hours there")]
fn a_power_cut_at_any_moment_loses_nothing_that_was_synced() {
    for kind in SMALL {
        let (mut durable, log, promises) = script(kind);
        let mut loose = Loose::new();
        let mut seed = 1_u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 33
        };
        let mut images = 0;
        for (index, transfer) in log.iter().enumerate() {
            let promise = &promises.iter().rev().find(|(at, _)| *at <= index).unwrap().1;
            match transfer {
                Transfer::Flush => loose.drain(..).for_each(|(block, bytes)| apply(&mut durable, block, &bytes)),
                Transfer::Write(block, bytes) => {
                    let first = usize::try_from(*block).unwrap();
                    loose.extend(bytes.chunks(SECTOR).enumerate().map(|(at, bytes)| (first + at, bytes.to_vec())));
                }
            }
            // All of it, none of it, and some of it: the last a few times.
            for attempt in 0..5 {
                let mut is_there = || attempt == 0 || attempt > 1 && random() % 4 < attempt - 1;
                let mut image = durable.clone();
                loose.iter().filter(|_| is_there()).for_each(|(block, bytes)| apply(&mut image, *block, bytes));
                let at = std::format!("{kind:?}, transfer {index} of {}, attempt {attempt}", log.len());
                check_promise(&check(&image), promise, &at);
                images += 1;
                // Who goes on with it finds the same.
                if attempt == 3 && index % 4 == 0 {
                    goes_on(image, promise, &at);
                }
            }
        }
        assert!(images > 200, "{images}");
    }
}

/// A file system that was cut off is used again, and what was promised is there still.
fn goes_on(image: Vec<u8>, promise: &Promise, at: &str) {
    let tree = Tree::new(image);
    let repaired = check(&tree.disk.state().durable.clone());
    assert!(repaired.damage.is_empty() && repaired.untidy.is_empty(), "{at}: {repaired:?}");
    tree.write("written afterwards", &pattern(11, 20_000)).unwrap();
    tree.mkdir("made afterwards").unwrap();
    tree.mountable.sync().unwrap();
    let report = check(&tree.disk.state().durable.clone());
    assert_eq!(report.tree["written afterwards"], Some(pattern(11, 20_000)), "{at}");
    check_promise(&report, promise, at);
}
