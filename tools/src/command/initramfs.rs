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
    /// A directory whose contents become the root, as a checkout has them: whoever made it with whatever umask, all may read
    /// what is in it
    #[arg(long, value_name = "DIR")]
    base: Vec<PathBuf>,
    /// A directory that goes over that, with the modes of its files; of several the last one's are taken
    #[arg(long, value_name = "DIR")]
    root: Vec<PathBuf>,
    /// An archive that goes over all this as it is: its files are taken where both have one
    #[arg(long, value_name = "FILE")]
    over: Vec<PathBuf>,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut archive = Archive::default();
    let bases = arguments.base.iter().map(|root| (root, Modes::Public));
    for (root, modes) in bases.chain(arguments.root.iter().map(|root| (root, Modes::Kept))) {
        let mut tree = Archive::default();
        add_tree(&mut tree, root, "", modes)?;
        archive.replace(tree)?;
    }
    for add in &arguments.add {
        let (file, path) = split(add)?;
        add_one(&mut archive, file, &path, Modes::Kept)?;
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

/// Which modes files get.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Modes {
    /// Those that they have.
    Kept,
    /// Those that they have for their owner, for everybody.
    Public,
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
fn add_tree(archive: &mut Archive, directory: &Path, path: &str, modes: Modes) -> anyhow::Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries {
        let entry = entry?.path();
        let name = entry.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("{} is not UTF-8", entry.display()))?;
        add_one(archive, &entry, &format!("{path}/{name}"), modes)?;
    }
    Ok(())
}

fn add_one(archive: &mut Archive, file: &Path, path: &str, modes: Modes) -> anyhow::Result<()> {
    let metadata = fs::symlink_metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
    if metadata.is_dir() {
        archive.add(path, Entry::Directory)?;
        return add_tree(archive, file, path, modes);
    }
    let entry = if metadata.is_symlink() {
        let target = fs::read_link(file)?;
        let target = target.to_str().with_context(|| format!("{} points to no UTF-8", file.display()))?;
        Entry::Symlink(target.to_owned())
    } else if metadata.is_file() {
        let access = match access(&metadata) {
            Access::Private if modes == Modes::Public => Access::Plain,
            access => access,
        };
        Entry::File { data: super::read(file)?, access }
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

    fn arguments(out: &Path) -> Arguments {
        let (out, add, root) = (out.to_owned(), Vec::new(), Vec::new());
        Arguments { out, add, busybox: None, base: Vec::new(), root, over: Vec::new() }
    }

    #[test]
    #[cfg(unix)]
    fn a_base_is_the_same_whatever_the_umask_of_its_checkout_was_and_a_root_keeps_its_modes() {
        use std::os::unix::fs::PermissionsExt as _;

        let place = tempfile::tempdir().unwrap();
        let made = |open: bool, as_base: bool| {
            let tree = place.path().join(format!("{open} {as_base}"));
            fs::create_dir(&tree).unwrap();
            for (name, mode) in [("passwd", 0o644), ("rc", 0o755)] {
                let mode = if open { mode } else { mode & 0o700 };
                fs::write(tree.join(name), name).unwrap();
                fs::set_permissions(tree.join(name), fs::Permissions::from_mode(mode)).unwrap();
            }
            let out = place.path().join("out");
            let (base, root) = if as_base { (vec![tree], Vec::new()) } else { (Vec::new(), vec![tree]) };
            run(&Arguments { base, root, ..arguments(&out) }).unwrap();
            fs::read(out).unwrap()
        };
        let (open, shut) = (made(true, true), made(false, true));
        assert!(open == shut && open == made(true, false));
        assert!(made(false, false) != shut);
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
        run(&Arguments { root, ..arguments(&out) }).unwrap();
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
        add_tree(&mut archive, root.path(), "", Modes::Kept).unwrap();
        assert_eq!(archive.paths().collect::<Vec<_>>(), ["etc", "etc/motd", "motd"]);
    }
}
