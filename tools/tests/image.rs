//! The image of a card, looked at with the tools that users have. Where one is missing its test is left out, and says so.
#![expect(clippy::unwrap_used, clippy::panic_in_result_fn, reason = "a test fails where it cannot go on")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

/// Where the partitions begin and how large they are, in MiB, in an image of 128 MiB.
const PARTITIONS: [(u64, u64); 2] = [(4, 64), (68, 60)];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let card = Arc::new(OnceLock::new());
    let trial = |name, tool, test: fn(&Path) -> Result<(), Failed>| {
        let card = Arc::clone(&card);
        trial(name, tool, move || test(card.get_or_init(image).path()))
    };
    let trials = vec![
        trial("fsck_fat_finds_nothing_to_mend", Some("fsck.fat"), fsck_fat),
        trial("sfdisk_finds_two_partitions_and_no_fault", Some("sfdisk"), sfdisk),
        trial("mtools_find_the_files_under_their_names_and_as_they_were", Some("mcopy"), mtools),
        trial("bmaptool_copies_the_compressed_image_by_its_map", Some("bmaptool"), bmaptool),
        trial("an_image_that_cannot_be_made_leaves_the_one_before_as_it_was", None, failure),
        trial("without_firmware_both_ways_to_it_are_said", None, no_firmware),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test that needs a tool.
fn trial(name: &str, tool: Option<&str>, test: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    let missing = tool.filter(|tool| !on_path(tool));
    let trial = Trial::test(name, test);
    match missing {
        None => trial,
        Some(tool) => trial.with_kind(format!("left out, no {tool}")).with_ignored_flag(true),
    }
}

/// Also where only root has its tools.
fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).collect()
}

fn on_path(tool: &str) -> bool {
    search_path().iter().any(|directory| directory.join(tool).is_file())
}

/// What a tool printed; an error unless it succeeds.
fn run(tool: &str, words: &[&OsStr]) -> Result<String, Failed> {
    let path = std::env::join_paths(search_path())?;
    let output = Command::new(tool).args(words).env("PATH", path).env("LC_ALL", "C").output()?;
    let text = both(&output);
    if output.status.success() { Ok(text) } else { Err(format!("{tool}: {}\n{text}", output.status).into()) }
}

fn both(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A directory with an image that the command has made, `tine.img`, and with what went into it.
fn image() -> TempDir {
    let directory = ingredients();
    let output = tine_image(directory.path()).args(["--release", "--date", "2026-01-02"]).output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    directory
}

/// A directory with what an image is made of.
fn ingredients() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("firmware")).unwrap();
    for (name, size) in [
        ("bootcode.bin", 50_000),
        ("start.elf", 2_900_000),
        ("fixup.dat", 7_000),
        ("start4.elf", 2_200_000),
        ("fixup4.dat", 5_000),
        ("bcm2837-rpi-3-b.dtb", 15_000),
        ("bcm2711-rpi-4-b.dtb", 39_000),
        ("LICENCE.broadcom", 1_500),
    ] {
        fs::write(at("firmware").join(name), pattern(name, size)).unwrap();
    }
    for (name, size) in [("kernel8.img", 1_200_001), ("initramfs.cpio", 3_000_000)] {
        fs::write(at(name), pattern(name, size)).unwrap();
    }
    directory
}

/// The command that makes `tine.img` of them.
fn tine_image(directory: &Path) -> Command {
    let mut tine = Command::new(env!("CARGO_BIN_EXE_tine"));
    tine.arg("image").arg(directory.join("tine.img"));
    for (option, file) in [("--kernel", "kernel8.img"), ("--initrd", "initramfs.cpio"), ("--firmware", "firmware")] {
        tine.arg(option).arg(directory.join(file));
    }
    tine.args(["--size", "128"]);
    tine
}

/// Bytes that differ from file to file and from place to place.
fn pattern(name: &str, size: usize) -> Vec<u8> {
    let seed = name.bytes().fold(1_u32, |seed, byte| seed.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let words =
        std::iter::successors(Some(seed), |word| Some(word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)));
    words.map(|word| word.to_be_bytes()[0]).take(size).collect()
}

fn fsck_fat(card: &Path) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let image = fs::read(card.join("tine.img"))?;
    for (start, size) in PARTITIONS {
        let volume = directory.path().join("volume");
        let bytes = usize::try_from(start << 20)?..usize::try_from((start + size) << 20)?;
        fs::write(&volume, &image[bytes])?;
        let said = run("fsck.fat", &["-n".as_ref(), "-v".as_ref(), volume.as_ref()])?;
        for complaint in ["uninitialized", "differ", "wrong", "dirty", "Label"] {
            if said.contains(complaint) {
                return Err(said.into());
            }
        }
        if !said.contains("32 bit entries") {
            return Err(format!("no FAT32: {said}").into());
        }
    }
    Ok(())
}

fn sfdisk(card: &Path) -> Result<(), Failed> {
    let image = card.join("tine.img");
    run("sfdisk", &["--verify".as_ref(), image.as_ref()])?;
    let table = run("sfdisk", &["--dump".as_ref(), image.as_ref()])?;
    let partitions: Vec<_> = table.lines().filter(|line| line.contains("start=")).collect();
    assert_eq!(partitions.len(), 2, "{table}");
    for (line, (start, size)) in partitions.iter().zip(PARTITIONS) {
        let words: Vec<_> = line.split([' ', ',', '=']).filter(|word| !word.is_empty()).collect();
        let expected = [(start * 2048).to_string(), (size * 2048).to_string(), "c".to_owned()];
        assert!(expected.iter().all(|word| words.contains(&word.as_str())), "{line}");
    }
    Ok(())
}

fn mtools(card: &Path) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let mut drive = card.join("tine.img").into_os_string();
    drive.push("@@4M");
    let listing = run("mdir", &["-i".as_ref(), &drive])?;
    for name in ["config.txt", "cmdline.txt", "README.txt", "bcm2710-rpi-3-b.dtb", "TINEBOOT"] {
        assert!(listing.contains(name), "no {name} in {listing}");
    }
    for name in ["kernel8.img", "initramfs.cpio", "firmware/start4.elf", "firmware/LICENCE.broadcom"] {
        let original = card.join(name);
        let copy = directory.path().join("copy");
        let on_card = format!("::{}", Path::new(name).file_name().unwrap().display());
        run("mcopy", &["-n".as_ref(), "-o".as_ref(), "-i".as_ref(), &drive, on_card.as_ref(), copy.as_ref()])?;
        assert!(fs::read(&original)? == fs::read(&copy)?, "{name} came back changed");
    }
    Ok(())
}

fn bmaptool(card: &Path) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let (compressed, map, copy) = (card.join("tine.img.xz"), card.join("tine.img.bmap"), directory.path().join("copy"));
    run("bmaptool", &["copy".as_ref(), "--bmap".as_ref(), map.as_ref(), compressed.as_ref(), copy.as_ref()])?;
    assert!(fs::read(card.join("tine.img"))? == fs::read(copy)?, "the copy differs");
    Ok(())
}

fn failure(_: &Path) -> Result<(), Failed> {
    let directory = ingredients();
    let names = ["tine.img", "tine.img.bmap", "tine.img.xz", "tine.img.rpi-imager-manifest"];
    for name in names {
        fs::write(directory.path().join(name), "old")?;
    }
    let data = directory.path().join("data");
    fs::File::create(&data)?.set_len(61 << 20)?;
    // What is found out before anything is written, in the middle of the image, and when that is done.
    fs::create_dir(directory.path().join("tine.img.xz.part"))?;
    for words in [["--data", "missing"], ["--data", &data.to_string_lossy()], ["--data", "none"]] {
        let output = tine_image(directory.path()).args(["--release", "--date", "2026-01-02"]).args(words).output()?;
        assert!(!output.status.success(), "{words:?}: {}", both(&output));
        for name in names {
            assert_eq!(fs::read_to_string(directory.path().join(name))?, "old", "{words:?} {name}");
        }
        let left: Vec<_> = fs::read_dir(&directory)?.map(|entry| entry.unwrap().path()).collect();
        let is_part = |path: &PathBuf| path.is_file() && path.extension() == Some("part".as_ref());
        assert!(!left.iter().any(is_part), "{words:?} leaves {left:?}");
    }
    Ok(())
}

fn no_firmware(_: &Path) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("file");
    fs::write(&file, "x")?;
    // Neither a cache nor an apt-get, or one without a network.
    for reason in
        ["cannot run apt-get", "E: Unable to locate package raspi-firmware (before that: W: Failed to fetch lists)"]
    {
        let mut tine = Command::new(env!("CARGO_BIN_EXE_tine"));
        tine.arg("image").arg(directory.path().join("tine.img")).arg("--kernel").arg(&file).arg("--initrd").arg(&file);
        let output = tine.env("XDG_CACHE_HOME", directory.path()).env("PATH", directory.path()).output()?;
        let said = both(&output);
        assert!(!output.status.success());
        assert!(said.contains(reason) && said.contains("--firmware DIRECTORY"), "{said}");
        assert!(!directory.path().join("tine.img").exists());
        let script = "#!/bin/sh\ncase \"$*\" in\n*update) echo 'W: Failed to fetch lists' >&2;;\n\
                      *) echo \"E: Unable to locate package raspi-firmware\" >&2; exit 100;;\nesac\n";
        let apt = directory.path().join("apt-get");
        fs::write(&apt, script)?;
        fs::set_permissions(&apt, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
