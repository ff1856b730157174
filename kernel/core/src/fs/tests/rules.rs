//! Walks that keep to rules: `openat2(2)`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::support::{FakeSource, PARKING, directory, empty_fs, error, file, find, symlink, tree};
use crate::fs::tmpfs::WithRoot;
use crate::fs::{
    AccessId, Base, Context, FileError, IfTaken, Inode, Made, Mountable as _, Mounts, OpenFlags, Side, WalkRules, make,
    open_by_rules, rename, same_file,
};
use crate::hal::fake::FakeCpu;

const ROOT: AccessId<'static> = AccessId::ROOT;

/// What `path` leads to from `base`; its number.
fn walk(context: &Context, base: &str, path: &str, rules: WalkRules) -> Result<u64, FileError> {
    let base = find(context, base).unwrap();
    let flags = OpenFlags::PATH_ONLY;
    let open = open_by_rules(context, Base::At(&base), path.as_bytes(), flags, 0, ROOT, rules)?;
    Ok(open.inode().id().inode)
}

fn number(context: &Context, path: &str) -> u64 {
    find(context, path).unwrap().id().inode
}

/// `/below` is where the walks begin.
fn lab() -> Context {
    tree(&[
        directory("below"),
        directory("below/in"),
        file("below/in/file", b"1"),
        file("file", b"2"),
        symlink("below/up", "../file"),
        symlink("below/down", "in/file"),
        symlink("below/around", "in/../in/file"),
        symlink("below/absolute", "/in/file"),
        symlink("below/root", "/"),
        symlink("below/dir", "in"),
    ])
}

#[test]
fn below_a_directory_nothing_leads_out_of_it() {
    let context = lab();
    let walk = |path| walk(&context, "/below", path, WalkRules::BENEATH);
    let file = number(&context, "/below/in/file");
    for path in ["in/file", "down", "around", "in/../in/../down", "./in/./file", "dir/file", "dir/../down"] {
        assert_eq!(walk(path), Ok(file), "{path}");
    }
    for path in
        ["..", "../below", "in/../..", "in/../../below/in/file", "up", "absolute", "root", "/", "/below/in/file"]
    {
        assert_eq!(walk(path), Err(FileError::CrossDevice), "{path}");
    }
    assert_eq!(walk("."), Ok(number(&context, "/below")));
    assert_eq!(walk("nothing"), Err(FileError::NotFound));
    assert_eq!(walk(""), Err(FileError::NotFound));
}

#[test]
fn a_directory_that_is_the_root_is_where_all_ways_end() {
    let context = lab();
    let walk = |path| walk(&context, "/below", path, WalkRules::IN_ROOT);
    let (below, file) = (number(&context, "/below"), number(&context, "/below/in/file"));
    for path in ["..", "/", "../../..", "/..", "root", "root/.."] {
        assert_eq!(walk(path), Ok(below), "{path}");
    }
    for path in ["/in/file", "../in/file", "absolute", "root/absolute", "in/../../down"] {
        assert_eq!(walk(path), Ok(file), "{path}");
    }
    assert_eq!(walk("up"), Err(FileError::NotFound), "there is no such file in it");
}

#[test]
fn without_links_only_the_last_may_be_one_and_is_not_followed() {
    let context = lab();
    let rules = WalkRules::NO_LINKS;
    for path in ["dir/file", "down", "absolute", "dir/"] {
        assert_eq!(walk(&context, "/below", path, rules), Err(FileError::TooManyLinks), "{path}");
    }
    assert_eq!(walk(&context, "/below", "../file", rules), Ok(number(&context, "/file")));
    let base = find(&context, "/below").unwrap();
    let flags = OpenFlags::PATH_ONLY | OpenFlags::NO_FOLLOW;
    let link = open_by_rules(&context, Base::At(&base), b"down", flags, 0, ROOT, rules).unwrap();
    assert!(link.inode().link().is_ok());
    // Links to files are the kernel's own; a path in a link is none of them.
    assert_eq!(walk(&context, "/below", "down", WalkRules::NO_KERNEL_LINKS), Ok(number(&context, "/below/in/file")));
}

/// A tree with another file system in `/a/m`, and a link to its root.
fn mounted() -> (Context, Arc<dyn Inode>, Mounts<FakeCpu>) {
    let root_fs = |device| {
        let fs = empty_fs(Arc::new(FakeSource::default()), device);
        let root = fs.make_root(0o755, 0, 0).unwrap();
        Arc::new(WithRoot { fs, root })
    };
    let (fs, other) = (root_fs(2), root_fs(3));
    let mounts = Mounts::new();
    let context = Context::new(fs.root(), &PARKING);
    mounts.add_root(b"root", fs).unwrap();
    let made = |path: &str, what| make(&context, Base::Working, path.as_bytes(), what, 0o755, ROOT).unwrap();
    ["a", "a/m", "b"].into_iter().for_each(|path| made(path, Made::Directory));
    made("a/link", Made::Symlink(b"m"));
    made("a/home", Made::Symlink(b"/b"));
    let root = other.root();
    mounts.mount(b"new", b"/a/m", &find(&context, "/a/m").unwrap(), other).unwrap();
    made("a/m/in", Made::Directory);
    made("a/m/home", Made::Symlink(b"/b"));
    (context, root, mounts)
}

#[test]
fn in_one_file_system_no_mount_is_entered_or_left() {
    let (context, root, _mounts) = mounted();
    let rules = WalkRules::ONE_FILE_SYSTEM;
    for path in ["m", "m/in", "link", "m/../../b"] {
        assert_eq!(walk(&context, "/a", path, rules), Err(FileError::CrossDevice), "{path}");
    }
    for path in ["..", "../a/..", "home", "/b"] {
        assert_eq!(walk(&context, "/a/m", path, rules).is_ok(), path == "/b", "{path}");
    }
    assert_eq!(walk(&context, "/a", "../b", rules), Ok(number(&context, "/b")));
    assert_eq!(walk(&context, "/a", "home", rules), Ok(number(&context, "/b")));
    assert_eq!(walk(&context, "/a/m", "in/..", rules), Ok(root.id().inode));
    assert!(same_file(&find(&context, "/a/m").unwrap(), &root));
}

#[test]
fn what_is_made_is_made_within_the_rules() {
    let context = lab();
    let below = find(&context, "/below").unwrap();
    let make = |path: &[u8], rules| {
        let flags = OpenFlags::CREATE | OpenFlags::READ_WRITE;
        open_by_rules(&context, Base::At(&below), path, flags, 0o600, ROOT, rules).map(drop)
    };
    assert_eq!(make(b"../new", WalkRules::BENEATH), Err(FileError::CrossDevice));
    assert_eq!(make(b"in/new", WalkRules::BENEATH), Ok(()));
    assert_eq!(make(b"/../new", WalkRules::IN_ROOT), Ok(()));
    assert!(find(&context, "/below/in/new").is_ok() && find(&context, "/below/new").is_ok());
    assert_eq!(error(find(&context, "/new")), Some(FileError::NotFound));
}

#[test]
fn nobody_climbs_out_of_a_directory_that_is_moved_away_meanwhile() {
    let context = tree(&[
        directory("below"),
        directory("below/in"),
        directory("below/in/moved"),
        file("secret", b"1"),
        directory("below/in/moved/deep"),
    ]);
    let rounds = if cfg!(miri) { 20 } else { 3000 };
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..rounds {
                for (from, to) in
                    [(b"/below/in/moved".as_slice(), b"/moved".as_slice()), (b"/moved", b"/below/in/moved")]
                {
                    let [from, to] = [from, to].map(|path| Side { base: Base::Working, path });
                    rename(&context, from, to, IfTaken::Replace, ROOT).unwrap();
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            for rules in [WalkRules::BENEATH, WalkRules::IN_ROOT] {
                assert!(walk(&context, "/below", "in/moved/../secret", rules).is_err(), "outside");
                assert!(walk(&context, "/below", "in/moved/deep/../../secret", rules).is_err(), "outside");
            }
        }
    });
}
