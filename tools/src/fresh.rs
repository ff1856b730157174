//! Files that are made anew: under another name until they are whole. What was there stays until then, and nobody ever
//! finds half of one.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Behind the name of a file that is not whole.
const SUFFIX: &str = ".part";

/// A file that is being made. Dropped, it is gone.
#[derive(Debug)]
pub struct Fresh {
    /// Where it is made.
    at: PathBuf,
    /// What it is to be called; nothing where it stands there already.
    name: Option<PathBuf>,
}

impl Fresh {
    /// The file that will be called `name`, in the same directory, which is made where it is missing. What is there and is no
    /// regular file, a terminal say, is written to as it is.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be made.
    pub fn new(name: &Path) -> io::Result<Self> {
        if fs::metadata(name).is_ok_and(|metadata| !metadata.is_file()) {
            return Ok(Self { at: name.to_owned(), name: None });
        }
        // The file that a link leads to, not the link.
        let name = fs::canonicalize(name).unwrap_or_else(|_| name.to_owned());
        if let Some(directory) = name.parent() {
            fs::create_dir_all(directory)?;
        }
        Ok(Self { at: with(&name, SUFFIX), name: Some(name) })
    }

    /// Where to write it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Gives it its name, and the one of that name up.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn keep(mut self) -> io::Result<()> {
        match self.name.take() {
            Some(name) => fs::rename(&self.at, name),
            None => Ok(()),
        }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if self.name.is_some() {
            // It may never have been made.
            let _ = fs::remove_file(&self.at);
        }
    }
}

/// A file beside another, with more to its name.
#[must_use]
pub fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<OsString> {
        let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_there_stays_until_the_new_one_is_whole() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("deeper/file");
        for text in ["first", "second"] {
            let before = fs::read(&file).ok();
            let fresh = Fresh::new(&file).unwrap();
            fs::write(fresh.path(), text).unwrap();
            assert_eq!(fs::read(&file).ok(), before);
            fresh.keep().unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        assert_eq!(names(file.parent().unwrap()), ["file"]);
    }

    #[test]
    fn one_that_is_given_up_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "old").unwrap();
        let fresh = Fresh::new(&file).unwrap();
        fs::write(fresh.path(), "half").unwrap();
        drop(fresh);
        drop(Fresh::new(&file).unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        assert_eq!(names(root.path()), ["file"]);
    }

    #[test]
    #[cfg(unix)]
    fn a_link_stays_one_and_what_is_no_file_is_written_to() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("link");
        fs::write(root.path().join("file"), "old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        let fresh = Fresh::new(&link).unwrap();
        fs::write(fresh.path(), "new").unwrap();
        fresh.keep().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(root.path().join("file")).unwrap(), "new");

        let null = Fresh::new(Path::new("/dev/null")).unwrap();
        assert_eq!(null.path(), Path::new("/dev/null"));
        drop(null);
        assert!(Path::new("/dev/null").exists());
    }
}
