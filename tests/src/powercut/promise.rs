//! What must be found after a cut, by what the program said.

use std::collections::BTreeMap;
use std::fmt;

use abi::push::crc;
use anyhow::{Context as _, bail};

/// What a file is known to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Version {
    bytes: usize,
    crc: u32,
}

/// What may be found under a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Promise {
    /// This.
    Kept(Version),
    /// This, and anything behind it.
    Growing(Version),
    /// One of the two, or none where there was none before.
    Swapping(Option<Version>, Version),
    /// This, or nothing.
    Dropping(Version),
    /// Nothing.
    Dropped,
    /// Nothing, or anything.
    Open,
}

/// What was not as promised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    name: String,
    promise: Promise,
    /// How many bytes were found, if the file was.
    found: Option<usize>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.found {
            Some(bytes) => write!(f, "{}: {bytes} bytes, promised was {:?}", self.name, self.promise),
            None => write!(f, "{}: not there, promised was {:?}", self.name, self.promise),
        }
    }
}

/// What must be found, by name.
#[derive(Clone, Debug, Default)]
pub struct Promises(BTreeMap<String, Promise>);

impl Promises {
    /// Takes in the whole lines of what was said. Says how many files were kept or dropped.
    ///
    /// # Errors
    ///
    /// A line that cannot be read, or that contradicts an earlier one; what the program failed at.
    pub fn read(&mut self, said: &str) -> anyhow::Result<usize> {
        let mut promised = 0;
        for line in said.split_inclusive('\n').filter_map(|line| line.strip_suffix("\r\n")) {
            let words: Vec<&str> = line.split(' ').collect();
            let (name, promise) = match words[..] {
                ["durable:", ..] => bail!("{line}"),
                ["make", name] => (name, Promise::Open),
                ["grow", name] => (name, Promise::Growing(self.kept(name)?)),
                ["swap", name, bytes, crc] => (name, Promise::Swapping(self.kept(name).ok(), version(bytes, crc)?)),
                ["drop", name] => (name, Promise::Dropping(self.kept(name)?)),
                ["kept", name, bytes, crc] => (name, Promise::Kept(version(bytes, crc)?)),
                ["dropped", name] => (name, Promise::Dropped),
                // The kernel has its say, too.
                _ => continue,
            };
            promised += usize::from(matches!(promise, Promise::Kept(_) | Promise::Dropped));
            self.0.insert(name.to_owned(), promise);
        }
        Ok(promised)
    }

    fn kept(&self, name: &str) -> anyhow::Result<Version> {
        match self.0.get(name) {
            Some(Promise::Kept(version)) => Ok(*version),
            other => bail!("{name} was {other:?}"),
        }
    }

    /// What of `files` is not as promised. What is found is what is promised from now on.
    pub fn compare(&mut self, files: &BTreeMap<String, Vec<u8>>) -> Vec<Fault> {
        let mut faults = Vec::new();
        let promises = std::mem::take(&mut self.0);
        for (name, promise) in promises {
            let contents = files.get(&name);
            if !promise.holds(contents.map(Vec::as_slice)) {
                faults.push(Fault { name, promise, found: contents.map(Vec::len) });
                continue;
            }
            // A file that was never kept may change when the file system is mended.
            match contents {
                Some(contents) if promise != Promise::Open => {
                    self.0.insert(name, Promise::Kept(Version::of(contents)));
                }
                _ => {}
            }
        }
        faults
    }
}

impl Promise {
    fn holds(self, found: Option<&[u8]>) -> bool {
        let is = |version: Version| found.is_some_and(|found| Version::of(found) == version);
        match self {
            Self::Kept(version) => is(version),
            Self::Growing(version) => {
                found.and_then(|found| found.get(..version.bytes)).is_some_and(|start| Version::of(start) == version)
            }
            Self::Swapping(Some(old), new) => is(old) || is(new),
            Self::Swapping(None, new) => found.is_none() || is(new),
            Self::Dropping(version) => found.is_none() || is(version),
            Self::Dropped => found.is_none(),
            Self::Open => true,
        }
    }
}

impl Version {
    fn of(contents: &[u8]) -> Self {
        Self { bytes: contents.len(), crc: crc::of(contents) }
    }
}

fn version(bytes: &str, crc: &str) -> anyhow::Result<Version> {
    let crc = u32::from_str_radix(crc, 16).with_context(|| format!("{crc:?} is no checksum"))?;
    Ok(Version { bytes: bytes.parse().with_context(|| format!("{bytes:?} is no size"))?, crc })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(name: &str, contents: &[u8]) -> String {
        format!("kept {name} {} {:08x}\r\n", contents.len(), crc::of(contents))
    }

    fn faults(said: &str, files: &[(&str, &[u8])]) -> Vec<String> {
        let mut promises = Promises::default();
        promises.read(said).unwrap();
        let files = files.iter().map(|(name, contents)| ((*name).to_owned(), contents.to_vec())).collect();
        promises.compare(&files).into_iter().map(|fault| fault.name).collect()
    }

    #[test]
    fn what_was_kept_must_be_found_as_it_was() {
        let said = format!("make a\r\n{}make b\r\n", kept("a", b"one"));
        assert!(faults(&said, &[("a", b"one")]).is_empty());
        assert!(faults(&said, &[("a", b"one"), ("b", b"half")]).is_empty());
        assert_eq!(faults(&said, &[("a", b"ond")]), ["a"]);
        assert_eq!(faults(&said, &[("a", b"one more")]), ["a"]);
        assert_eq!(faults(&said, &[]), ["a"]);
    }

    #[test]
    fn what_was_about_to_change_may_be_old_or_new_and_nothing_else() {
        let old = kept("a", b"one");
        let grow = format!("{old}grow a\r\n");
        assert!(faults(&grow, &[("a", b"one")]).is_empty() && faults(&grow, &[("a", b"one and")]).is_empty());
        assert_eq!((faults(&grow, &[("a", b"on")]).len(), faults(&grow, &[]).len()), (1, 1));
        let swap = format!("{old}swap a 3 {:08x}\r\n", crc::of(b"two"));
        assert!(faults(&swap, &[("a", b"one")]).is_empty() && faults(&swap, &[("a", b"two")]).is_empty());
        assert_eq!((faults(&swap, &[("a", b"")]).len(), faults(&swap, &[]).len()), (1, 1));
        let drop = format!("{old}drop a\r\n");
        assert!(faults(&drop, &[("a", b"one")]).is_empty() && faults(&drop, &[]).is_empty());
        assert_eq!(faults(&drop, &[("a", b"")]), ["a"]);
        assert_eq!(faults(&format!("{drop}dropped a\r\n"), &[("a", b"one")]), ["a"]);
    }

    #[test]
    fn a_line_that_was_cut_off_promises_nothing_and_a_failure_is_one() {
        let said = kept("a", b"one");
        assert!(faults(said.strip_suffix("\r\n").unwrap(), &[]).is_empty());
        assert!(Promises::default().read("durable: failed: no space\r\n").is_err());
    }

    #[test]
    fn what_was_found_must_be_found_again() {
        let mut promises = Promises::default();
        promises.read(&format!("{}grow a\r\n", kept("a", b"one"))).unwrap();
        let mut files = BTreeMap::from([("a".to_owned(), b"one and".to_vec())]);
        assert!(promises.compare(&files).is_empty());
        files.insert("a".to_owned(), b"one".to_vec());
        assert_eq!(promises.compare(&files).len(), 1);
    }
}
