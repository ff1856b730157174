use std::format;
use std::string::{String, ToString};
use std::sync::Arc;
use std::vec::Vec;

use super::support::{Item, directory, error, file, find, symlink, tree};
use crate::fs::{
    AccessId, Base, Context, FileError, FileId, FileKind, FileOperations, Follow, Inode, Last, Link, MAX_LINKS,
    Metadata, OpenFlags, Parent, Protection, absolute_path, resolve, resolve_parent, same_file,
};

const USER: AccessId<'static> = AccessId { uid: 1000, gid: 1000, groups: &[50] };

fn sample() -> Context {
    tree(&[
        directory("usr"),
        directory("usr/bin"),
        file("usr/bin/sh", b"shell"),
        symlink("bin", "usr/bin"),
        symlink("usr/up", ".."),
        symlink("absolute", "/usr/bin/sh"),
        symlink("dangling", "nowhere"),
        symlink("loop", "loop"),
        symlink("slashed", "usr/bin/"),
        symlink("file-slashed", "usr/bin/sh/"),
        file("init", b"init"),
    ])
}

fn number(context: &Context, path: &str) -> Result<u64, FileError> {
    find(context, path).map(|inode| inode.id().inode)
}

fn in_name_of(context: &Context, path: &str, id: AccessId<'_>) -> Option<FileError> {
    error(resolve(context, Base::Working, path.as_bytes(), Follow::Yes, id))
}

fn way_back(context: &Context, inode: &Arc<dyn Inode>) -> Result<String, FileError> {
    let mut buffer = [0; 4096];
    let path = absolute_path(context.root(), inode, &mut buffer)?;
    Ok(String::from_utf8_lossy(path).into_owned())
}

#[test]
fn names_lead_to_files_through_slashes_dots_and_links() {
    let context = sample();
    let shell = number(&context, "/usr/bin/sh").unwrap();
    for path in
        ["usr/bin/sh", "//usr///bin//sh", "./usr/./bin/sh", "usr/../usr/bin/sh", "bin/sh", "usr/up/bin/sh", "absolute"]
    {
        assert_eq!(number(&context, path), Ok(shell), "{path}");
    }
    let root = number(&context, "/").unwrap();
    for path in ["/", ".", "..", "/../..", "usr/..", "usr/up", "usr/up/../..", "///"] {
        assert_eq!(number(&context, path), Ok(root), "{path}");
    }
}

#[test]
fn what_is_not_there_says_why() {
    let context = sample();
    let cases = [
        ("", FileError::NotFound),
        ("nothing", FileError::NotFound),
        ("usr/nothing/sh", FileError::NotFound),
        ("dangling", FileError::NotFound),
        ("init/x", FileError::NotDirectory),
        ("init/.", FileError::NotDirectory),
        ("init/..", FileError::NotDirectory),
        ("init/", FileError::NotDirectory),
        ("absolute/", FileError::NotDirectory),
        ("file-slashed", FileError::NotDirectory),
        ("loop", FileError::TooManyLinks),
        ("loop/x", FileError::TooManyLinks),
    ];
    for (path, expected) in cases {
        assert_eq!(number(&context, path), Err(expected), "{path}");
    }
}

#[test]
fn a_slash_at_the_end_follows_a_link_to_a_directory() {
    let context = sample();
    let bin = number(&context, "usr/bin").unwrap();
    let nofollow = |path: &str| resolve(&context, Base::Working, path.as_bytes(), Follow::No, AccessId::ROOT);
    assert_eq!(nofollow("bin/").unwrap().id().inode, bin);
    assert_eq!(nofollow("bin//").unwrap().id().inode, bin);
    assert_eq!(nofollow("slashed").unwrap().protection().kind, FileKind::Symlink);
    assert_eq!(number(&context, "slashed"), Ok(bin));
    assert_eq!(nofollow("bin").unwrap().protection().kind, FileKind::Symlink);
    assert_eq!(nofollow("bin/sh").unwrap().protection().kind, FileKind::Regular);
    assert_eq!(error(nofollow("dangling/")), Some(FileError::NotFound));
}

#[test]
fn names_have_255_bytes_and_paths_4095() {
    let longest = "n".repeat(255);
    let context = tree(&[file(&longest, b"")]);
    assert!(number(&context, &longest).is_ok());
    assert_eq!(number(&context, &format!("{longest}n")), Err(FileError::NameTooLong));
    assert_eq!(number(&context, &"/".repeat(4095)), number(&context, "/"));
    assert_eq!(number(&context, &"/".repeat(4096)), Err(FileError::NameTooLong));
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let chain = |links: usize| {
        let mut items: Vec<Item> = (1..links).map(|n| symlink(&format!("l{n}"), &format!("l{}", n + 1))).collect();
        items.push(symlink(&format!("l{links}"), "end"));
        items.push(file("end", b""));
        tree(&items)
    };
    assert!(number(&chain(MAX_LINKS), "l1").is_ok());
    assert_eq!(number(&chain(MAX_LINKS + 1), "l1"), Err(FileError::TooManyLinks));
    // Each of these waits in the middle of the one before.
    let nested = |links: usize| {
        let mut items: Vec<Item> = (1..links).map(|n| symlink(&format!("l{n}"), &format!("l{}/.", n + 1))).collect();
        items.push(symlink(&format!("l{links}"), "."));
        tree(&items)
    };
    assert!(number(&nested(MAX_LINKS), "l1/.").is_ok());
    assert_eq!(number(&nested(MAX_LINKS + 1), "l1/."), Err(FileError::TooManyLinks));
}

#[test]
fn every_directory_on_the_way_must_be_searchable() {
    let context = tree(&[
        Item::new("open", 0o40_711, b""),
        file("open/file", b""),
        Item::new("closed", 0o40_700, b""),
        file("closed/file", b""),
        Item::new("mine", 0o40_100, b"").owned(1000, 0),
        file("mine/file", b""),
        Item::new("others", 0o40_077, b"").owned(1000, 0),
        file("others/file", b""),
        Item::new("group", 0o40_010, b"").owned(0, 50),
        file("group/file", b""),
        symlink("link", "closed/file"),
    ]);
    for (path, expected) in [
        ("open/file", None),
        ("closed", None),
        ("closed/", None),
        ("closed/file", Some(FileError::Denied)),
        ("closed/nothing", Some(FileError::Denied)),
        ("closed/.", Some(FileError::Denied)),
        ("link", Some(FileError::Denied)),
        ("mine/file", None),
        ("others/file", Some(FileError::Denied)),
        ("group/file", None),
        ("open/file/x", Some(FileError::NotDirectory)),
    ] {
        assert_eq!(in_name_of(&context, path, USER), expected, "{path}");
        if expected == Some(FileError::Denied) {
            assert_ne!(in_name_of(&context, path, AccessId::ROOT), expected, "{path} for root");
        }
    }
}

#[test]
fn relative_paths_begin_where_they_are_told() {
    let mut context = sample();
    let usr = find(&context, "usr").unwrap();
    let shell = number(&context, "usr/bin/sh").unwrap();
    let at = |path: &str, base: &Arc<dyn Inode>| {
        resolve(&context, Base::At(base), path.as_bytes(), Follow::Yes, AccessId::ROOT).map(|inode| inode.id().inode)
    };
    assert_eq!(at("bin/sh", &usr), Ok(shell));
    assert_eq!(at("/usr/bin/sh", &usr), Ok(shell));
    let init = find(&context, "init").unwrap();
    assert_eq!(at("x", &init), Err(FileError::NotDirectory));
    assert_eq!(at("/init", &init), number(&context, "init"));
    let old = context.set_directory(usr);
    assert!(same_file(&old, context.root()));
    assert_eq!(number(&context, "bin/sh"), Ok(shell));
}

#[test]
fn nothing_climbs_above_the_process_root() {
    let mut context = sample();
    let usr = find(&context, "usr").unwrap();
    let _old = context.set_root(Arc::clone(&usr));
    let _old = context.set_directory(find(&context, "/bin").unwrap());
    for path in ["/", "..", "../..", "/..", "../../../..", "/up", "/../up/.."] {
        assert_eq!(number(&context, path), Ok(usr.id().inode), "{path}");
    }
    assert_eq!(number(&context, "/init"), Err(FileError::NotFound));
}

#[test]
fn a_directory_knows_its_path() {
    let mut context = sample();
    let bin = find(&context, "bin").unwrap();
    assert_eq!(way_back(&context, &bin).as_deref(), Ok("/usr/bin"));
    assert_eq!(way_back(&context, context.root()).as_deref(), Ok("/"));
    let mut exact = [0; 8];
    assert_eq!(absolute_path(context.root(), &bin, &mut exact), Ok(&b"/usr/bin"[..]));
    assert_eq!(absolute_path(context.root(), &bin, &mut exact[1..]), Err(FileError::TooSmall));
    assert_eq!(absolute_path(context.root(), context.root(), &mut []), Err(FileError::TooSmall));
    let old = context.set_root(find(&context, "usr").unwrap());
    assert_eq!(way_back(&context, &bin).as_deref(), Ok("/bin"));
    assert_eq!(way_back(&context, &old), Err(FileError::NotFound));
}

#[test]
fn the_last_component_is_cut_off_and_not_looked_for() {
    let context = sample();
    let split = |path: &'static str| {
        resolve_parent(&context, Base::Working, path.as_bytes(), AccessId::ROOT)
            .map(|Parent { directory, last }| (way_back(&context, &directory).unwrap(), last))
    };
    for (path, directory, last) in [
        ("new", "/", Last::Name(b"new")),
        ("/bin/new", "/usr/bin", Last::Name(b"new")),
        ("usr//new//", "/usr", Last::Directory(b"new")),
        ("bin", "/", Last::Name(b"bin")),
        ("usr/bin/.", "/usr/bin", Last::Itself),
        ("usr/bin/..", "/usr/bin", Last::Above),
        ("//", "/", Last::Root),
    ] {
        assert_eq!(split(path), Ok((directory.to_string(), last)), "{path}");
    }
    assert_eq!(split(""), Err(FileError::NotFound));
    assert_eq!(split("init/new"), Err(FileError::NotDirectory));
    assert_eq!(split("nothing/new"), Err(FileError::NotFound));
}

/// A directory of one link that leads to a file directly, as those of a process file system do.
struct Magic {
    target: Arc<dyn Inode>,
    kind: FileKind,
}

impl Inode for Magic {
    fn id(&self) -> FileId {
        FileId { device: crate::fs::DeviceNumber::new(0, 99), inode: 1 }
    }

    fn protection(&self) -> Protection {
        Protection { kind: self.kind, permissions: 0o777, uid: 0, gid: 0 }
    }

    fn metadata(&self) -> Metadata {
        Metadata { id: self.id(), protection: self.protection(), ..self.target.metadata() }
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn open(self: Arc<Self>, _flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        Err(FileError::Io)
    }

    fn lookup(&self, _name: &[u8]) -> Result<Arc<dyn Inode>, FileError> {
        Ok(Arc::new(Self { target: Arc::clone(&self.target), kind: FileKind::Symlink }))
    }

    fn link(&self) -> Result<Link<'_>, FileError> {
        Ok(Link::File(Arc::clone(&self.target)))
    }
}

/// The root of another file system, mounted in `above` over the directory of number `covered`.
struct Mounted {
    above: Arc<dyn Inode>,
    covered: u64,
}

impl Inode for Mounted {
    fn id(&self) -> FileId {
        FileId { device: crate::fs::DeviceNumber::new(0, 98), inode: 1 }
    }

    fn protection(&self) -> Protection {
        Protection { kind: FileKind::Directory, permissions: 0o755, uid: 0, gid: 0 }
    }

    fn metadata(&self) -> Metadata {
        Metadata { id: self.id(), protection: self.protection(), ..self.above.metadata() }
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn open(self: Arc<Self>, _flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        Err(FileError::Io)
    }

    fn parent(&self) -> Option<Arc<dyn Inode>> {
        Some(Arc::clone(&self.above))
    }

    fn number_above(&self) -> u64 {
        self.covered
    }
}

#[test]
fn a_mounted_root_has_the_path_of_what_it_covers() {
    let context = sample();
    let (above, covered) = (find(&context, "usr").unwrap(), number(&context, "usr/bin").unwrap());
    let root: Arc<dyn Inode> = Arc::new(Mounted { above, covered });
    assert_eq!(way_back(&context, &root).as_deref(), Ok("/usr/bin"));
    let up = resolve(&context, Base::At(&root), b"../bin/sh", Follow::Yes, AccessId::ROOT);
    assert_eq!(up.map(|inode| inode.id().inode), number(&context, "usr/bin/sh"));
}

#[test]
fn a_link_may_lead_to_a_file_without_a_path() {
    let context = sample();
    let to = |path: &str, target: &str| {
        let magic: Arc<dyn Inode> =
            Arc::new(Magic { target: find(&context, target).unwrap(), kind: FileKind::Directory });
        resolve(&context, Base::At(&magic), path.as_bytes(), Follow::Yes, AccessId::ROOT).map(|inode| inode.id().inode)
    };
    assert_eq!(to("exe", "init"), number(&context, "init"));
    assert_eq!(to("cwd/bin/sh", "usr"), number(&context, "usr/bin/sh"));
    assert_eq!(to("exe/x", "init"), Err(FileError::NotDirectory));
    assert_eq!(to("exe/", "init"), Err(FileError::NotDirectory));
}
