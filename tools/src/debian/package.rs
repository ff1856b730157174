//! A package: an `ar` archive with a compressed `tar` of its files in it (deb(5)).

use std::fs;
use std::io::Read;
use std::path::{Component, Path};

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};

/// A package as it was fetched.
#[derive(Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, with epoch and revision.
    pub version: String,
    bytes: Vec<u8>,
}

/// A file of a package.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Where it goes, below the root, without a slash in front.
    pub path: String,
    /// Its permissions: the low twelve bits of `st_mode`.
    pub permissions: u32,
    /// What it is.
    pub content: Content,
}

/// What stands at a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// A directory.
    Directory,
    /// A regular file with these bytes. A second name of a file is a file of its own.
    Data(Vec<u8>),
    /// A symbolic link with this target.
    Symlink(String),
}

impl Package {
    /// Reads a package that apt-get has written to `file`, under the name that it gives to all: name, version and
    /// architecture with `_` between them.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let mut words = stem.split('_');
        let (Some(name), Some(version)) = (words.next(), words.next()) else {
            bail!("{} is no package's name", file.display());
        };
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self { name: name.to_owned(), version: version.replace("%3a", ":"), bytes })
    }

    /// The package's SHA-256, in hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> String {
        Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it is one of these: SHA-256 and version.
    ///
    /// # Errors
    ///
    /// If not, with its hash.
    pub fn require(&self, known: &[(&str, &str)]) -> anyhow::Result<()> {
        let found = self.sha256();
        let versions: Vec<_> = known.iter().map(|(_, version)| *version).collect();
        let versions = versions.join(", ");
        ensure!(
            known.iter().any(|(hash, _)| *hash == found),
            "{} {} with SHA-256 {found} is none of {versions}",
            self.name,
            self.version
        );
        Ok(())
    }

    /// All its files, in the package's order: a directory comes before what is in it.
    ///
    /// # Errors
    ///
    /// Where the package is damaged, or has what no package should have: devices, or names that lead out of the root.
    pub fn files(&self) -> anyhow::Result<Vec<File>> {
        self.read_files().with_context(|| format!("package {} {}", self.name, self.version))
    }

    /// The bytes of one file, `path` below the root.
    ///
    /// # Errors
    ///
    /// Where it has none at that path, or is damaged.
    pub fn file(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let found = self.files()?.into_iter().find(|file| file.path == path);
        match found.map(|file| file.content) {
            Some(Content::Data(bytes)) => Ok(bytes),
            _ => bail!("package {} {} has no {path}", self.name, self.version),
        }
    }

    fn read_files(&self) -> anyhow::Result<Vec<File>> {
        let mut archive = ar::Archive::new(self.bytes.as_slice());
        while let Some(entry) = archive.next_entry() {
            let entry = entry.context("no archive of ar")?;
            match entry.header().identifier() {
                b"data.tar.xz" => return unpack(liblzma::read::XzDecoder::new(entry)),
                b"data.tar" => return unpack(entry),
                other if other.starts_with(b"data.tar") => {
                    bail!("{} is packed in a way that is not known here", String::from_utf8_lossy(other));
                }
                _ => {}
            }
        }
        bail!("there is no data.tar.xz in it");
    }
}

fn unpack(data: impl Read) -> anyhow::Result<Vec<File>> {
    let mut files: Vec<File> = Vec::new();
    for entry in tar::Archive::new(data).entries().context("its files are damaged")? {
        let mut entry = entry.context("its files are damaged")?;
        let path = below_root(&entry.path()?)?;
        if path.is_empty() {
            continue;
        }
        let permissions = entry.header().mode()? & 0o7777;
        let target = entry.link_name()?.map(|target| target.into_owned());
        let content = match (entry.header().entry_type(), target) {
            (tar::EntryType::Directory, _) => Content::Directory,
            (tar::EntryType::Regular, _) => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                Content::Data(bytes)
            }
            (tar::EntryType::Symlink, Some(target)) => {
                Content::Symlink(target.to_str().with_context(|| format!("{path} leads to no UTF-8"))?.to_owned())
            }
            (tar::EntryType::Link, Some(target)) => {
                let first = below_root(&target)?;
                let first = files.iter().find(|file| file.path == first);
                first.with_context(|| format!("{path} is a second name of nothing"))?.content.clone()
            }
            (other, _) => bail!("{path} is neither file nor directory nor link, but {other:?}"),
        };
        files.push(File { path, permissions, content });
    }
    Ok(files)
}

/// `./usr/bin/` as `usr/bin`.
fn below_root(path: &Path) -> anyhow::Result<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_str().with_context(|| format!("{path:?} is no UTF-8"))?),
            _ => bail!("{} leads out of the root", path.display()),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A package as Debian makes them, with what `fill` puts into its tar.
    fn package(fill: impl Fn(&mut tar::Builder<liblzma::write::XzEncoder<Vec<u8>>>)) -> Package {
        let mut files = tar::Builder::new(liblzma::write::XzEncoder::new(Vec::new(), 1));
        fill(&mut files);
        let data = files.into_inner().unwrap().finish().unwrap();
        let mut archive = ar::Builder::new(Vec::new());
        for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), ("data.tar.xz", &data)] {
            archive.append(&ar::Header::new(name.into(), bytes.len() as u64), bytes).unwrap();
        }
        Package { name: "some".to_owned(), version: "1-2".to_owned(), bytes: archive.into_inner().unwrap() }
    }

    fn header(kind: tar::EntryType, mode: u32, size: usize) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size as u64);
        header.set_mode(mode);
        header.set_cksum();
        header
    }

    #[test]
    fn files_directories_and_links_come_out_of_a_package() {
        let package = package(|tar| {
            tar.append_data(&mut header(tar::EntryType::Directory, 0o755, 0), "./bin/", &[][..]).unwrap();
            tar.append_data(&mut header(tar::EntryType::Regular, 0o4755, 7), "./bin/su", &b"program"[..]).unwrap();
            let mut link = header(tar::EntryType::Symlink, 0o777, 0);
            tar.append_link(&mut link, "./bin/sh", "su").unwrap();
            let mut second = header(tar::EntryType::Link, 0o4755, 0);
            tar.append_link(&mut second, "./bin/login", "./bin/su").unwrap();
        });
        let file = |path: &str, permissions, content| File { path: path.to_owned(), permissions, content };
        assert_eq!(
            package.files().unwrap(),
            [
                file("bin", 0o755, Content::Directory),
                file("bin/su", 0o4755, Content::Data(b"program".to_vec())),
                file("bin/sh", 0o777, Content::Symlink("su".to_owned())),
                file("bin/login", 0o4755, Content::Data(b"program".to_vec())),
            ]
        );
        assert_eq!(package.file("bin/su").unwrap(), b"program");
        assert!(package.file("bin/other").unwrap_err().to_string().contains("has no bin/other"));
    }

    #[test]
    fn what_is_no_package_is_refused() {
        let bytes = |bytes: &[u8]| Package { name: "some".to_owned(), version: "1".to_owned(), bytes: bytes.to_vec() };
        assert!(bytes(b"not a package").files().is_err());
        assert!(bytes(b"").files().is_err());
        let device = package(|tar| {
            tar.append_data(&mut header(tar::EntryType::Char, 0o666, 0), "./dev/null", &[][..]).unwrap();
        });
        assert!(format!("{:#}", device.files().unwrap_err()).contains("neither file nor directory"));
    }

    #[test]
    fn names_stay_below_the_root() {
        assert_eq!(below_root(Path::new("./usr/bin/")).unwrap(), "usr/bin");
        assert_eq!(below_root(Path::new("./")).unwrap(), "");
        for path in ["../etc/passwd", "usr/../../etc", "/etc/passwd"] {
            assert!(below_root(Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn a_package_that_nobody_has_tried_is_refused_with_its_hash() {
        let package = Package { name: "some".to_owned(), version: "1".to_owned(), bytes: Vec::new() };
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let error = package.require(&[("00", "0"), ("11", "0.5")]).unwrap_err().to_string();
        assert!(error.contains(empty) && error.contains("none of 0, 0.5"), "{error}");
        package.require(&[(empty, "1")]).unwrap();
    }

    #[test]
    fn the_name_of_its_file_tells_name_and_version() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bash_1%3a5.2-1_arm64.deb");
        fs::write(&file, "").unwrap();
        let package = Package::read(&file).unwrap();
        assert_eq!((package.name.as_str(), package.version.as_str()), ("bash", "1:5.2-1"));
        assert!(Package::read(&directory.path().join("other.deb")).is_err());
    }
}
