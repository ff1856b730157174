//! What programs expect of the file system: places for temporary files and for shared memory, and `/proc`.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;

use sys::{Errno, file};

/// Directories that are made if they are not there, with their permissions.
const DIRECTORIES: [(&str, u32); 4] = [("/tmp", 0o1777), ("/run", 0o755), ("/proc", 0o555), ("/dev/shm", 0o1777)];
/// Links that shells and programs know, which no device makes.
const LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// Makes them ready. What cannot be had is said, and programs do without.
pub(crate) fn prepare() {
    for (path, permissions) in DIRECTORIES {
        if let Err(error) = make(path, permissions) {
            println!("init: {path}: {error}");
        }
    }
    for (path, target) in LINKS {
        match std::os::unix::fs::symlink(target, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => println!("init: {path}: {error}"),
            _ => {}
        }
    }
    match file::mount(c"proc", c"/proc", c"proc") {
        // The kernel's command line may have run another init before, which mounted it.
        Ok(()) | Err(Errno::BUSY) => {}
        Err(errno) => println!("init: /proc: {errno}"),
    }
}

fn make(path: &str, permissions: u32) -> io::Result<()> {
    match fs::create_dir(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(permissions)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
