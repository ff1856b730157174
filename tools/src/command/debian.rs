//! `tine debian`: programs of Debian for an initramfs.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use tools::cpio::{Access, Archive, Entry};
use tools::debian::{Content, File, Source};

use super::out::say;

/// The architecture of the programs.
const ARCHITECTURE: &str = "arm64";
/// What no program reads.
const LEFT_OUT: [&str; 5] =
    ["usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/"];
/// Newer releases have links to directories of `usr` here; in an initramfs the directories are there already.
const LINKED: [&str; 3] = ["bin", "lib", "sbin"];
/// The program that loads shared libraries: where programs look for it, and where newer releases have it.
const LOADER: &str = "lib/ld-linux-aarch64.so.1";
const MOVED_LOADER: &str = "usr/lib/ld-linux-aarch64.so.1";

/// Fetch packages of Debian for arm64 and all that they depend on, and pack their files into an archive that goes over an
/// initramfs
///
/// Nothing is installed. apt-get checks the packages by the archive's signed index, and that is all that vouches for them:
/// hashes of some thirty packages written down here would be out of date with the next security update. OUT.packages has
/// the versions and hashes of what was taken.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The archive to write
    out: PathBuf,
    /// The packages
    #[arg(required = true)]
    packages: Vec<String>,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let names: Vec<&str> = arguments.packages.iter().map(String::as_str).collect();
    say!("{}: fetching {} with apt-get; nothing is installed", arguments.out.display(), names.join(", "))?;
    let mut archive = Archive::default();
    let mut taken = String::new();
    for package in Source::open(ARCHITECTURE, &[])?.fetch_with_dependencies(&names)? {
        // Writing to a string does not fail.
        let _ = writeln!(taken, "{} {} {}", package.sha256(), package.name, package.version);
        let mut files = Archive::default();
        for file in package.files()? {
            add(&mut files, file)?;
        }
        archive.replace(files)?;
    }
    let has = |path: &str| archive.paths().any(|there| there == path);
    if has(MOVED_LOADER) && !has(LOADER) {
        archive.add(LOADER, Entry::Symlink(format!("../{MOVED_LOADER}")))?;
    }
    super::write(&arguments.out.with_extension("packages"), taken.as_bytes())?;
    super::write(&arguments.out, &archive.to_bytes()?)?;
    Ok(ExitCode::SUCCESS)
}

/// Adds a file of a package, but for what is of no use.
fn add(archive: &mut Archive, file: File) -> anyhow::Result<()> {
    if LEFT_OUT.iter().any(|directory| file.path.starts_with(directory)) {
        return Ok(());
    }
    let entry = match file.content {
        Content::Directory => Entry::Directory,
        Content::Symlink(_) if LINKED.contains(&file.path.as_str()) => return Ok(()),
        Content::Symlink(target) => Entry::Symlink(target),
        Content::Data(data) => Entry::File { data, access: Access::of(file.permissions) },
    };
    archive.add(&file.path, entry)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_and_links_of_newer_releases_are_left_out() {
        let mut archive = Archive::default();
        let file = |path: &str, content| File { path: path.to_owned(), permissions: 0o755, content };
        for file in [
            file("bin", Content::Symlink("usr/bin".to_owned())),
            file("usr/bin/bash", Content::Data(b"x".to_vec())),
            file("usr/bin/rbash", Content::Symlink("bash".to_owned())),
            file("usr/share/doc/bash", Content::Directory),
        ] {
            add(&mut archive, file).unwrap();
        }
        assert_eq!(archive.paths().collect::<Vec<_>>(), ["usr", "usr/bin", "usr/bin/bash", "usr/bin/rbash"]);
    }
}
