//! An ext4 with everything in it that is read in a way of its own, and what debugfs(8) says of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail, ensure};
use tests::host::{find_tool, run_tool, sha256};

/// Files of the directory that is large enough for an index.
const MANY: u32 = 400;
/// The longest name (`EXT4_NAME_LEN`).
const NAME_MAX: usize = 255;

/// The tools that this needs and the host has not.
pub(crate) fn missing_tools() -> Vec<&'static str> {
    ["mke2fs", "debugfs", "e2fsck", "mcopy"].into_iter().filter(|tool| find_tool(tool).is_none()).collect()
}

/// What there is, by names from `.` on.
pub(crate) struct Seen {
    /// Inode, mode in hexadecimal digits, links, user, group, size, second of the last change.
    pub(crate) entries: BTreeMap<String, String>,
    /// Where symbolic links lead.
    pub(crate) links: BTreeMap<String, String>,
    /// SHA-256 of files.
    pub(crate) sums: BTreeMap<String, String>,
}

/// A volume with a tree in it, made as a user would.
pub(crate) fn make(directory: &Path) -> anyhow::Result<PathBuf> {
    let (tree, volume) = (directory.join("tree"), directory.join("volume.ext4"));
    grow(&tree)?;
    let words: [&OsStr; 9] = [
        "-q".as_ref(),
        "-t".as_ref(),
        "ext4".as_ref(),
        "-b".as_ref(),
        "1024".as_ref(),
        "-d".as_ref(),
        tree.as_ref(),
        volume.as_ref(),
        "32M".as_ref(),
    ];
    run_tool("mke2fs", &words).context("no mke2fs")??;
    // Gives directories their indexes, which is to change something: its status is not 0.
    let _changed = run_tool("e2fsck", &["-f".as_ref(), "-y".as_ref(), "-D".as_ref(), volume.as_ref()]);
    run_tool("e2fsck", &["-f".as_ref(), "-n".as_ref(), volume.as_ref()]).context("no e2fsck")??;
    let index = debugfs(&volume, "htree_dump /many")?;
    ensure!(index.contains("Root node dump"), "a directory without an index: {index}");
    let comb = debugfs(&volume, "dump_extents /comb")?;
    ensure!(comb.contains(" 1/ 1 "), "a file whose extents are in its inode: {comb}");
    Ok(volume)
}

/// Plants the tree.
fn grow(tree: &Path) -> anyhow::Result<()> {
    fs::create_dir(tree)?;
    for name in ["many", "sub", "sub/d\u{e9}j\u{e0} vu", "sub/empty"] {
        fs::create_dir(tree.join(name))?;
    }
    for number in 0..MANY {
        let name = format!("file number {number}, with a name that is of some length");
        fs::write(tree.join("many").join(name), number.to_string())?;
    }
    fs::write(tree.join("x".repeat(NAME_MAX)), "a long name\n")?;
    let numbers: String = (0..100_000).map(|number| format!("{number}\n")).collect();
    fs::write(tree.join("sub/d\u{e9}j\u{e0} vu/numbers"), numbers)?;
    fs::write(tree.join("nothing"), "")?;
    fs::hard_link(tree.join("nothing"), tree.join("sub/same"))?;
    // One that is in its inode, and one that has a block.
    symlink("sub/same", tree.join("short"))?;
    symlink("sub/../".repeat(30) + "nothing", tree.join("sub/long"))?;
    // Data behind a hole, and more extents than a block describes.
    let sparse = File::create(tree.join("sparse"))?;
    sparse.write_all_at(b"behind the hole", 5_000_000)?;
    sparse.set_len(6_000_000)?;
    let comb = File::create(tree.join("comb"))?;
    for tooth in 0..200_u32 {
        comb.write_all_at(&[b'a' + (tooth % 26).to_le_bytes()[0]; 4096], u64::from(tooth) * 8192)?;
    }
    for (name, mode) in
        [("nothing", 0o600), ("comb", 0o4755), ("sparse", 0o444), ("sub/empty", 0o1777), ("many", 0o2750)]
    {
        fs::set_permissions(tree.join(name), fs::Permissions::from_mode(mode))?;
    }
    // One after 2038, and one of this system's past.
    for (name, second) in [("comb", 4_300_000_000), ("nothing", 1_000_000_000), ("many", 1_234_567_890)] {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        File::open(tree.join(name))?.set_times(FileTimes::new().set_modified(time))?;
    }
    Ok(())
}

/// What debugfs says of all that is in the volume. What files have in them is what it copies out.
pub(crate) fn seen_by_debugfs(directory: &Path, volume: &Path) -> anyhow::Result<Seen> {
    let copy = directory.join("copied");
    fs::create_dir(&copy)?;
    debugfs(volume, &format!("rdump / {}", copy.display()))?;
    let (mut names, mut sums, mut links) = (vec![".".to_owned()], BTreeMap::new(), BTreeMap::new());
    walk(&copy, ".", &mut |name, path| {
        let kind = fs::symlink_metadata(path)?.mode() & 0o170_000;
        match kind {
            0o100_000 => drop(sums.insert(name.to_owned(), sha256(&fs::read(path)?))),
            0o120_000 => {
                let target = fs::read_link(path)?.into_os_string().into_string();
                links.insert(name.to_owned(), target.map_err(|target| anyhow::anyhow!("{target:?}"))?);
            }
            _ => {}
        }
        names.push(name.to_owned());
        Ok(())
    })?;
    let asked = directory.join("asked");
    let questions: String = names.iter().map(|name| format!("stat \"/{name}\"\n")).collect();
    fs::write(&asked, questions)?;
    let said = run_tool("debugfs", &["-f".as_ref(), asked.as_ref(), volume.as_ref()]).context("no debugfs")??;
    let mut answers = said.split("debugfs: stat ").skip(1);
    let mut entries = BTreeMap::new();
    for name in &names {
        let answer = answers.next().with_context(|| format!("no answer for {name:?}"))?;
        entries.insert(name.clone(), entry(answer).with_context(|| format!("{name:?}: {answer}"))?);
    }
    Ok(Seen { entries, links, sums })
}

/// What is below `path`, and its name.
fn walk(path: &Path, name: &str, look: &mut impl FnMut(&str, &Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let Ok(file) = entry.file_name().into_string() else { bail!("{} is no name", entry.path().display()) };
        let name = format!("{name}/{file}");
        look(&name, &entry.path())?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &name, look)?;
        }
    }
    Ok(())
}

/// What is said of one, as `stat -c '%i %f %h %u %g %s %Y'` would.
fn entry(said: &str) -> anyhow::Result<String> {
    let word = |behind: &str| {
        let rest = said.split_once(behind).with_context(|| format!("no {behind:?}"))?.1;
        rest.split_ascii_whitespace().next().context("nothing there")
    };
    let kind = match word(" Type: ")? {
        "regular" => 0o100_000,
        "directory" => 0o040_000,
        "symlink" => 0o120_000,
        other => bail!("a {other}"),
    };
    let mode = kind | u32::from_str_radix(word("Mode: ")?, 8)?;
    // The low word, then two bits more and the nanoseconds.
    let (low, extra) = word("mtime: 0x")?.split_once(':').context("no nanoseconds")?;
    let epoch = i64::from(u32::from_str_radix(extra, 16)? & 3);
    let second = i64::from(u32::from_str_radix(low, 16)?.cast_signed()) + (epoch << 32);
    let (inode, links, size) = (word("Inode: ")?, word("Links: ")?, word("Size: ")?);
    let (user, group) = (word("User: ")?, word("Group: ")?);
    Ok(format!("{inode} {mode:x} {links} {user} {group} {size} {second}"))
}

fn debugfs(volume: &Path, question: &str) -> anyhow::Result<String> {
    run_tool("debugfs", &["-R".as_ref(), question.as_ref(), volume.as_ref()]).context("no debugfs")?
}
