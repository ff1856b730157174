//! `tine initramfs`: programs and files to an archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use tools::busybox::APPLETS;
use tools::cpio::{Access, Archive, DATA_ALIGN, Entry};

/// Pack programs and files into an initramfs
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The archive to write
    out: PathBuf,
    /// A file of the host and where it goes; without a path, into /bin
    #[arg(long, value_name = "FILE[:PATH]")]
    add: Vec<String>,
    /// A busybox, which goes into /bin with links for its applets; an empty file is none
    #[arg(long, value_name = "FILE")]
    busybox: Option<PathBuf>,
    /// A directory whose contents become the root; of several the last one's files are taken
    #[arg(long, value_name = "DIR")]
    root: Vec<PathBuf>,
    /// An archive that goes over all this as it is: its files are taken where both have one
    #[arg(long, value_name = "FILE")]
    over: Vec<PathBuf>,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut archive = Archive::default();
    for root in &arguments.root {
        let mut tree = Archive::default();
        add_tree(&mut tree, root, "")?;
        archive.replace(tree)?;
    }
    for add in &arguments.add {
        let (file, path) = split(add)?;
        add_one(&mut archive, file, &path)?;
    }
    if let Some(busybox) = &arguments.busybox {
        add_busybox(&mut archive, super::read(busybox)?)?;
    }
    let mut bytes = archive.to_bytes()?;
    for over in &arguments.over {
        bytes.resize(bytes.len().next_multiple_of(DATA_ALIGN), 0);
        bytes.extend(super::read(over)?);
    }
    super::write(&arguments.out, &bytes)?;
    Ok(ExitCode::SUCCESS)
}

/// Adds the program and, where nothing else has their names, links for its applets; and the directory without which some of
/// them do not begin.
fn add_busybox(archive: &mut Archive, program: Vec<u8>) -> anyhow::Result<()> {
    if program.is_empty() {
        return Ok(());
    }
    archive.add("bin/busybox", Entry::File { data: program, access: Access::Executable })?;
    archive.add("proc", Entry::Directory)?;
    for applet in APPLETS {
        let path = format!("bin/{applet}");
        if !archive.paths().any(|taken| taken == path) {
            archive.add(&path, Entry::Symlink("busybox".to_owned()))?;
        }
    }
    Ok(())
}

/// `FILE:PATH` to its halves; `FILE` alone goes to `/bin` under its own name.
fn split(add: &str) -> anyhow::Result<(&Path, String)> {
    if let Some((file, path)) = add.rsplit_once(':') {
        return Ok((Path::new(file), path.to_owned()));
    }
    let name = Path::new(add).file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{add:?} names no file"))?;
    Ok((Path::new(add), format!("bin/{name}")))
}

/// Adds what is in `directory` below `path`.
fn add_tree(archive: &mut Archive, directory: &Path, path: &str) -> anyhow::Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries {
        let entry = entry?.path();
        let name = entry.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("{} is not UTF-8", entry.display()))?;
        add_one(archive, &entry, &format!("{path}/{name}"))?;
    }
    Ok(())
}

fn add_one(archive: &mut Archive, file: &Path, path: &str) -> anyhow::Result<()> {
    let metadata = fs::symlink_metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
    if metadata.is_dir() {
        archive.add(path, Entry::Directory)?;
        return add_tree(archive, file, path);
    }
    let entry = if metadata.is_symlink() {
        let target = fs::read_link(file)?;
        let target = target.to_str().with_context(|| format!("{} points to no UTF-8", file.display()))?;
        Entry::Symlink(target.to_owned())
    } else if metadata.is_file() {
        Entry::File { data: super::read(file)?, access: access(&metadata) }
    } else {
        anyhow::bail!("{} is neither file nor directory nor link", file.display());
    };
    archive.add(path, entry)?;
    Ok(())
}

#[cfg(unix)]
fn access(metadata: &fs::Metadata) -> Access {
    use std::os::unix::fs::PermissionsExt as _;

    Access::of(metadata.permissions().mode())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_path_goes_to_bin() {
        assert_eq!(split("target/hello").unwrap(), (Path::new("target/hello"), "bin/hello".to_owned()));
        assert_eq!(split("a/motd:/etc/motd").unwrap(), (Path::new("a/motd"), "/etc/motd".to_owned()));
        assert!(split("/").is_err());
    }

    #[test]
    fn a_busybox_comes_with_its_applets_but_takes_no_names() {
        let mut archive = Archive::default();
        archive.add("bin/cat", Entry::File { data: b"other".to_vec(), access: Access::Executable }).unwrap();
        add_busybox(&mut archive, b"program".to_vec()).unwrap();
        let paths: Vec<_> = archive.paths().collect();
        assert!(paths.contains(&"bin/busybox") && paths.contains(&"bin/sh"));
        assert_eq!(paths.iter().filter(|path| **path == "bin/cat").count(), 1);
        let mut archive = Archive::default();
        add_busybox(&mut archive, Vec::new()).unwrap();
        assert_eq!(archive.paths().count(), 0);
    }

    #[test]
    fn the_last_roots_files_are_taken() {
        let roots = [("old", "old"), ("new", "kept")].map(|(text, name)| {
            let root = tempfile::tempdir().unwrap();
            fs::write(root.path().join("motd"), text).unwrap();
            fs::write(root.path().join(name), text).unwrap();
            root
        });
        let out = roots[0].path().join("out");
        let root = roots.iter().map(|root| root.path().to_owned()).collect();
        run(&Arguments { out: out.clone(), add: Vec::new(), busybox: None, root, over: Vec::new() }).unwrap();
        let bytes = fs::read(out).unwrap();
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(has("motd") && has("old\0") && has("kept"));
        assert_eq!(bytes.windows(5).filter(|window| window == b"motd\0").count(), 1);
    }

    #[test]
    fn a_tree_is_packed_with_its_directories_and_links() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/motd"), "hi").unwrap();
        std::os::unix::fs::symlink("etc/motd", root.path().join("motd")).unwrap();
        let mut archive = Archive::default();
        add_tree(&mut archive, root.path(), "").unwrap();
        assert_eq!(archive.paths().collect::<Vec<_>>(), ["etc", "etc/motd", "motd"]);
    }
}
