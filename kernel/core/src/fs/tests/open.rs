use std::sync::Arc;

use super::support::{Item, contents, directory, error, file, open_as_root, read_only_tree, symlink};
use crate::fs::{
    AccessId, Base, Context, DeviceNumber, FileError, FileKind, Follow, Made, OpenFile, OpenFlags, Removal, Wanted,
    make, open, open_program, remove,
};

const USER: AccessId<'static> = AccessId { uid: 1000, gid: 1000, groups: &[] };
const CREATE: OpenFlags = OpenFlags::CREATE;
const READ: OpenFlags = OpenFlags::empty();

/// Of a file system that cannot be changed.
fn sample() -> Context {
    read_only_tree(&[
        directory("dir"),
        file("file", b"data"),
        Item::new("secret", 0o100_600, b"root's"),
        Item::new("program", 0o100_711, b"\x7fELF"),
        symlink("link", "file"),
        symlink("dangling", "dir/new"),
        Item::new("sticky", 0o41_777, b""),
        file("sticky/roots", b""),
    ])
}

fn user_opens(context: &Context, path: &str, flags: OpenFlags) -> Result<Arc<OpenFile>, FileError> {
    open(context, Base::Working, path.as_bytes(), flags, 0o666, USER)
}

#[test]
fn opening_says_exactly_why_not() {
    let context = sample();
    let (write, exclusive) = (OpenFlags::WRITE_ONLY, CREATE | OpenFlags::EXCLUSIVE);
    for (path, flags, expected) in [
        ("file", READ, None),
        ("link", READ, None),
        ("file", OpenFlags::DIRECTORY, Some(FileError::NotDirectory)),
        ("dir", READ, None),
        ("dir", OpenFlags::DIRECTORY, None),
        ("dir", write, Some(FileError::IsDirectory)),
        ("dir", OpenFlags::TRUNCATE, Some(FileError::IsDirectory)),
        ("dir", CREATE, Some(FileError::IsDirectory)),
        ("dir/", CREATE, Some(FileError::IsDirectory)),
        ("file/", CREATE, Some(FileError::IsDirectory)),
        ("new/", CREATE, Some(FileError::IsDirectory)),
        ("dir/..", CREATE, Some(FileError::IsDirectory)),
        ("file", CREATE, None),
        ("file", exclusive, Some(FileError::Exists)),
        ("link", exclusive, Some(FileError::Exists)),
        ("dangling", exclusive, Some(FileError::Exists)),
        ("dir", exclusive, Some(FileError::Exists)),
        ("new", CREATE, Some(FileError::ReadOnly)),
        ("dangling", CREATE, Some(FileError::ReadOnly)),
        ("dangling", READ, Some(FileError::NotFound)),
        ("nowhere/new", CREATE, Some(FileError::NotFound)),
        ("file/new", CREATE, Some(FileError::NotDirectory)),
        ("file", write, Some(FileError::ReadOnly)),
        ("file", OpenFlags::READ_WRITE, Some(FileError::ReadOnly)),
        ("file", OpenFlags::TRUNCATE, Some(FileError::ReadOnly)),
        ("link", OpenFlags::NO_FOLLOW, Some(FileError::TooManyLinks)),
        ("link", OpenFlags::NO_FOLLOW | OpenFlags::DIRECTORY, Some(FileError::NotDirectory)),
        ("file", CREATE | OpenFlags::DIRECTORY, Some(FileError::Invalid)),
        ("dir", OpenFlags::TEMPORARY | OpenFlags::DIRECTORY | write, Some(FileError::ReadOnly)),
        ("", READ, Some(FileError::NotFound)),
        ("", CREATE, Some(FileError::NotFound)),
    ] {
        assert_eq!(error(open_as_root(&context, path, flags)), expected, "{path} {flags:?}");
    }
}

#[test]
fn permissions_bind_all_but_root() {
    let context = sample();
    assert_eq!(error(user_opens(&context, "secret", READ)), Some(FileError::Denied));
    assert_eq!(error(user_opens(&context, "program", READ)), Some(FileError::Denied));
    assert_eq!(error(user_opens(&context, "file", READ)), None);
    assert_eq!(error(user_opens(&context, "dev/console", READ)), Some(FileError::Denied));
    assert_eq!(error(user_opens(&context, "dev/null", OpenFlags::READ_WRITE)), None);
    assert_eq!(error(user_opens(&context, "secret", OpenFlags::WRITE_ONLY)), Some(FileError::ReadOnly));
    assert_eq!(contents(&context, "secret"), b"root's");
}

#[test]
fn a_place_can_be_opened_without_permission_and_not_be_read() {
    let context = sample();
    let place = user_opens(&context, "secret", OpenFlags::PATH_ONLY | OpenFlags::WRITE_ONLY | CREATE).unwrap();
    assert_eq!(place.metadata().size, 6);
    assert_eq!(place.status(), OpenFlags::PATH_ONLY);
    assert_eq!(place.read(&mut crate::fs::BufferSink::new(&mut [0; 1])), Err(FileError::BadFile));
    assert_eq!(place.seek(0, crate::fs::Whence::Start), Err(FileError::BadFile));
    assert_eq!(place.set_status(OpenFlags::APPEND), Err(FileError::BadFile));
    let link = user_opens(&context, "link", OpenFlags::PATH_ONLY | OpenFlags::NO_FOLLOW).unwrap();
    assert_eq!(link.metadata().protection.kind, FileKind::Symlink);
    let directory = OpenFlags::PATH_ONLY | OpenFlags::DIRECTORY;
    assert_eq!(error(user_opens(&context, "file", directory)), Some(FileError::NotDirectory));
}

#[test]
fn a_program_is_a_regular_file_that_somebody_may_execute() {
    let context = sample();
    let program = |path: &str, id| error(open_program(&context, Base::Working, path.as_bytes(), Follow::Yes, id));
    assert_eq!(program("program", USER), None);
    assert_eq!(program("program", AccessId::ROOT), None);
    for path in ["file", "link", "secret", "dir", "dev/null"] {
        assert_eq!(program(path, AccessId::ROOT), Some(FileError::Denied), "{path}");
        assert_eq!(program(path, USER), Some(FileError::Denied), "{path}");
    }
    assert_eq!(program("missing", USER), Some(FileError::NotFound));
    let unfollowed = open_program(&context, Base::Working, b"link", Follow::No, USER);
    assert_eq!(error(unfollowed), Some(FileError::TooManyLinks));
}

#[test]
fn nothing_can_be_made_where_nothing_can_be_changed() {
    let context = sample();
    let make = |path: &str, what, id| make(&context, Base::Working, path.as_bytes(), what, 0o777, id).err();
    let node = Made::Node(FileKind::CharacterDevice, DeviceNumber::new(1, 3));
    for (path, what, id, expected) in [
        ("new", Made::Directory, AccessId::ROOT, FileError::ReadOnly),
        ("new/", Made::Directory, AccessId::ROOT, FileError::ReadOnly),
        ("new", Made::Directory, USER, FileError::ReadOnly),
        ("new", Made::Symlink(b"x"), AccessId::ROOT, FileError::ReadOnly),
        ("new", node, AccessId::ROOT, FileError::ReadOnly),
        ("new", node, USER, FileError::NotPermitted),
        ("new/", Made::Symlink(b"x"), AccessId::ROOT, FileError::NotFound),
        ("dir", Made::Directory, USER, FileError::Exists),
        ("dir/", Made::Directory, USER, FileError::Exists),
        ("dangling", Made::Directory, USER, FileError::Exists),
        (".", Made::Directory, USER, FileError::Exists),
        ("dir/..", Made::Directory, USER, FileError::Exists),
        ("/", Made::Directory, USER, FileError::Exists),
        ("no/new", Made::Directory, USER, FileError::NotFound),
        ("file/new", Made::Directory, USER, FileError::NotDirectory),
    ] {
        assert_eq!(make(path, what, id), Some(expected), "{path} {what:?}");
    }
}

#[test]
fn nothing_can_be_removed_where_nothing_can_be_changed() {
    let context = sample();
    let remove = |path: &str, removal, id| remove(&context, Base::Working, path.as_bytes(), removal, id).err();
    for (path, removal, expected) in [
        ("file", Removal::File, FileError::ReadOnly),
        ("dir", Removal::Directory, FileError::ReadOnly),
        ("missing", Removal::File, FileError::NotFound),
        ("", Removal::File, FileError::NotFound),
        (".", Removal::Directory, FileError::Invalid),
        ("dir/..", Removal::Directory, FileError::NotEmpty),
        ("/", Removal::Directory, FileError::Busy),
        ("dir/.", Removal::File, FileError::IsDirectory),
    ] {
        assert_eq!(remove(path, removal, AccessId::ROOT), Some(expected), "{path}");
    }
}

#[test]
fn root_executes_only_what_somebody_may_execute() {
    let context = sample();
    let check = |path: &str, wanted, id: AccessId<'_>| {
        let inode = super::support::find(&context, path).unwrap();
        id.check(&*inode, wanted).err()
    };
    assert_eq!(check("file", Wanted::EXECUTE, AccessId::ROOT), Some(FileError::Denied));
    assert_eq!(check("program", Wanted::EXECUTE, AccessId::ROOT), None);
    assert_eq!(check("secret", Wanted::READ, AccessId::ROOT), None);
    assert_eq!(check("dir", Wanted::EXECUTE, AccessId::ROOT), None);
    assert_eq!(check("file", Wanted::WRITE, USER), Some(FileError::ReadOnly));
    assert_eq!(check("dev/console", Wanted::WRITE, USER), Some(FileError::Denied));
    assert_eq!(check("dev/null", Wanted::READ | Wanted::WRITE, USER), None);
    assert_eq!(check("file", Wanted::empty(), USER), None);
}

#[test]
fn umask_takes_nine_bits() {
    let mut context = sample();
    assert_eq!(context.umask(), 0o022);
    assert_eq!(context.set_umask(0o7_1077), 0o022);
    assert_eq!(context.clone().umask(), 0o077);
}
