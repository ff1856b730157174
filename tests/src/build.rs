//! What `make build` leaves, found.

use std::fmt;
use std::path::{Path, PathBuf};

use tools::board::Board;

/// Names another directory than `build` at the root of the sources.
const VARIABLE: &str = "TINE_BUILD";

/// The files of one build.
#[derive(Clone, Debug)]
pub struct Build {
    directory: PathBuf,
}

/// A file that is not there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing(pub PathBuf);

impl Build {
    /// The build that `TINE_BUILD` names, else the one in the sources' own `build`.
    ///
    /// # Errors
    ///
    /// With the first file that is missing.
    pub fn find() -> Result<Self, Missing> {
        let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("build");
        Self::open(std::env::var_os(VARIABLE).map_or_else(usual, PathBuf::from))
    }

    fn open(directory: PathBuf) -> Result<Self, Missing> {
        let build = Self { directory };
        let trees = Board::ALL.map(|board| build.tree(board));
        let files = [build.image(), build.elf(), build.loader(), build.initramfs()].into_iter().chain(trees);
        match files.into_iter().find(|file| !file.is_file()) {
            Some(file) => Err(Missing(file)),
            None => Ok(build),
        }
    }

    /// The raw image, the same for both boards.
    #[must_use]
    pub fn image(&self) -> PathBuf {
        self.directory.join("kernel8.img")
    }

    /// What waits for a kernel on the serial line; the same for both boards.
    #[must_use]
    pub fn loader(&self) -> PathBuf {
        self.directory.join("loader.img")
    }

    /// The kernel that tests itself; it need not be there.
    #[must_use]
    pub fn ktest(&self) -> PathBuf {
        self.directory.join("ktest.img")
    }

    /// The kernel with symbols and the trace's tables.
    #[must_use]
    pub fn elf(&self) -> PathBuf {
        self.directory.join("kernel.elf")
    }

    /// The initramfs.
    #[must_use]
    pub fn initramfs(&self) -> PathBuf {
        self.directory.join("initramfs.cpio")
    }

    /// The initramfs with the tests' own programs; not there where it was not asked for.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub fn programs(&self) -> Result<PathBuf, Missing> {
        let path = self.directory.join("programs.cpio");
        if path.is_file() { Ok(path) } else { Err(Missing(path)) }
    }

    /// The initramfs with Debian's programs; not there where it was not asked for.
    #[must_use]
    pub fn debian(&self) -> Option<PathBuf> {
        self.if_there("debian.cpio")
    }

    /// The initramfs as it is where no busybox can be had; not there where it was not asked for.
    #[must_use]
    pub fn fallback(&self) -> Option<PathBuf> {
        self.if_there("fallback.cpio")
    }

    fn if_there(&self, name: &str) -> Option<PathBuf> {
        Some(self.directory.join(name)).filter(|path| path.is_file())
    }

    /// Whether the C program is among them: where there was no compiler for the board, it is not.
    #[must_use]
    pub fn has_c_program(&self) -> bool {
        self.directory.join("programs/bin/posix").is_file()
    }

    /// Whether there is a shell in the initramfs: where the build could have none, `busybox` is empty.
    #[must_use]
    pub fn has_shell(&self) -> bool {
        self.directory.join("busybox").metadata().is_ok_and(|metadata| metadata.len() > 0)
    }

    /// The device tree of `board`.
    #[must_use]
    pub fn tree(&self, board: Board) -> PathBuf {
        self.directory.join(format!("{board}.dtb"))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is missing; `make build build/programs.cpio` makes it, {VARIABLE}=DIRECTORY names another build",
            self.0.display()
        )
    }
}

impl std::error::Error for Missing {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_found_when_every_file_is_there() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["kernel8.img", "kernel.elf", "loader.img", "initramfs.cpio", "raspi3b.dtb", "raspi4b.dtb"] {
            std::fs::write(directory.path().join(name), name).unwrap();
        }
        let build = Build::open(directory.path().to_owned()).unwrap();
        assert_eq!(std::fs::read(build.tree(Board::Raspi4b)).unwrap(), b"raspi4b.dtb");
        assert!(!build.has_shell());
        assert!(build.programs().unwrap_err().to_string().contains("programs.cpio"));
        std::fs::write(directory.path().join("busybox"), "program").unwrap();
        assert!(build.has_shell());
    }

    #[test]
    fn a_missing_file_is_named_with_what_makes_it() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("kernel8.img"), "").unwrap();
        let missing = Build::open(directory.path().to_owned()).unwrap_err();
        assert_eq!(missing, Missing(directory.path().join("kernel.elf")));
        assert!(missing.to_string().contains("make build"));
    }
}
