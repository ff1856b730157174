//! What programs expect of the file system: a place for temporary files, and `/proc`.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;

use sys::{Errno, file};

/// Directories that are made if they are not there, with their permissions.
const DIRECTORIES: [(&str, u32); 3] = [("/tmp", 0o1777), ("/run", 0o755), ("/proc", 0o555)];

/// Makes them ready. What cannot be had is said, and programs do without.
pub(crate) fn prepare() {
    for (path, permissions) in DIRECTORIES {
        if let Err(error) = make(path, permissions) {
            println!("init: {path}: {error}");
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
