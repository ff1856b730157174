//! `tine flash`: an image onto a card.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use tools::flash::copy::{self, Plan};
use tools::flash::disk::{Disk, System};
use tools::image::bmap;

use super::out::say;

/// Write an image to an SD card, and read it back
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The card: /dev/sdX, /dev/mmcblkN
    device: PathBuf,
    /// The image; its block map is taken from the file of that name with .bmap
    #[arg(long, value_name = "FILE", default_value = "build/tine.img")]
    image: PathBuf,
    /// Write to this disk (sdX) even if it is mounted, the system's or built in
    #[arg(long, value_name = "NAME")]
    force: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut image =
        File::open(&arguments.image).with_context(|| format!("cannot read {}", arguments.image.display()))?;
    copy::check(&mut image).with_context(|| arguments.image.display().to_string())?;
    let plan = plan(&arguments.image, &mut image)?;
    let disk = System::default().examine(&arguments.device)?;
    say!("{}: {}, {}", disk.name, disk.model, human(disk.size))?;
    accept(&disk, image.metadata()?.len(), arguments)?;
    disk.objections.iter().try_for_each(|objection| say!("  {objection}"))?;
    if !arguments.yes && !agreed(&disk, &mut io::stdin().lock(), &mut io::stdout())? {
        say!("nothing was written")?;
        return Ok(ExitCode::FAILURE);
    }
    let mut card = open(arguments)?;
    // The question may have stood there for long.
    let now = System::default().examine(&arguments.device)?;
    ensure!(now == disk, "{} is another one now, or is used: {}, {}", now.name, now.model, human(now.size));
    with_bar("writing", plan.length(), |progress| copy::write(&plan, &mut image, &mut card, progress))?;
    with_bar("reading back", plan.length(), |progress| copy::verify(&plan, &mut image, &mut card, progress))?;
    say!("{} is written and was read back without a difference; it can be taken out", disk.name)?;
    Ok(ExitCode::SUCCESS)
}

/// What is to be copied: by the block map beside the image, or all of it.
fn plan(path: &Path, image: &mut File) -> anyhow::Result<Plan> {
    let map = tools::fresh::with(path, ".bmap");
    if !map.exists() {
        return Ok(Plan::whole(image)?);
    }
    let text = String::from_utf8(super::read(&map)?).context("the block map is no text")?;
    bmap::parse(&text)
        .and_then(|parsed| Plan::mapped(image, &parsed))
        .with_context(|| format!("{}: make the image anew, or delete it to write all of the image", map.display()))
}

/// Refuses a disk that must not be overwritten, unless it was named.
fn accept(disk: &Disk, length: u64, arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(length <= disk.size, "the image has {}, more than {}", human(length), disk.name);
    if disk.objections.is_empty() || arguments.force.as_ref() == Some(&disk.name) {
        return Ok(());
    }
    let reasons: Vec<_> = disk.objections.iter().map(|objection| format!("\n  {objection}")).collect();
    anyhow::bail!(
        "{} is not written to:{}\nIf it is meant all the same: {}",
        disk.name,
        reasons.concat(),
        command(arguments, Some(&disk.name))
    );
}

/// What to type to run this once more, with `force`.
fn command(arguments: &Arguments, force: Option<&str>) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "tine".into());
    format!(
        "{} flash{}{} --image {} {}",
        word(&program),
        force.map(|name| format!(" --force {name}")).unwrap_or_default(),
        if arguments.yes { " --yes" } else { "" },
        word(&arguments.image),
        word(&arguments.device)
    )
}

/// A path as a shell takes it for one word.
fn word(path: &Path) -> String {
    let path = path.to_string_lossy();
    let plain = |character: char| character.is_alphanumeric() || "/._-+:,=@%".contains(character);
    if path.chars().all(plain) { path.into_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// Asks. The disk's name is the answer that a habit does not give.
fn agreed(disk: &Disk, input: &mut impl BufRead, output: &mut impl Write) -> io::Result<bool> {
    write!(output, "All that is on {} will be lost. Type its name ({}) to go on: ", disk.model, disk.name)?;
    output.flush()?;
    let mut answer = String::new();
    if input.read_line(&mut answer)? == 0 {
        writeln!(output)?;
    }
    Ok(answer.trim() == disk.name)
}

/// Opens the card for us alone: who mounts it meanwhile is refused, and if somebody did, we are.
fn open(arguments: &Arguments) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    if arguments.force.is_none() {
        // On a device, without O_CREAT: fail if it is in use (open(2)).
        options.custom_flags(rustix::fs::OFlags::EXCL.bits().cast_signed());
    }
    options.open(&arguments.device).map_err(|error| {
        let denied = error.kind() == io::ErrorKind::PermissionDenied;
        let hint = format!("; try: sudo {}", command(arguments, arguments.force.as_deref()));
        anyhow::anyhow!(
            "cannot open {}: {error}{}",
            arguments.device.display(),
            if denied { hint } else { String::new() }
        )
    })
}

/// A bar that fills while `work` tells of what it has done.
fn with_bar(
    what: &'static str,
    length: u64,
    work: impl FnOnce(&dyn Fn(u64)) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("{msg:12} [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec} {eta}")?;
    let bar = ProgressBar::new(length).with_style(style.progress_chars("=> ")).with_message(what);
    let outcome = work(&|count| bar.inc(count));
    // Finished, it would be full.
    if outcome.is_ok() {
        bar.finish()
    } else {
        bar.abandon()
    }
    outcome
}

/// A size as it is printed on cards.
fn human(bytes: u64) -> String {
    match bytes {
        ..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}

#[cfg(test)]
mod tests {
    use tools::flash::disk::Objection;

    use super::*;

    fn arguments(force: Option<&str>, yes: bool) -> Arguments {
        Arguments { device: "/dev/sdx".into(), image: "a.img".into(), force: force.map(Into::into), yes }
    }

    fn disk(objections: &[Objection]) -> Disk {
        Disk { name: "sdx".into(), model: "Card".into(), size: 32_000_000_000, objections: objections.to_vec() }
    }

    #[test]
    fn what_speaks_against_a_disk_is_overruled_by_its_name_only() {
        assert!(accept(&disk(&[]), 1000, &arguments(None, false)).is_ok());
        let refused = disk(&[Objection::Mounted("/mnt".into()), Objection::NotRemovable]);
        for force in [None, Some("sdy"), Some("")] {
            let error = accept(&refused, 1000, &arguments(force, false)).unwrap_err().to_string();
            assert!(error.contains("/mnt") && error.contains("built in"), "{error}");
            assert!(error.ends_with(" flash --force sdx --image a.img /dev/sdx"), "{error}");
        }
        assert!(accept(&refused, 1000, &arguments(Some("sdx"), false)).is_ok());
        assert!(accept(&refused, 32_000_000_001, &arguments(Some("sdx"), false)).is_err());
    }

    #[test]
    fn the_command_to_type_keeps_what_was_said() {
        for (force, yes, expected) in [
            (None, false, " flash --image a.img /dev/sdx"),
            (Some("sdx"), true, " flash --force sdx --yes --image a.img /dev/sdx"),
        ] {
            let command = command(&arguments(force, yes), force);
            assert!(command.ends_with(expected), "{command}");
        }
        let blanks = Arguments { image: "it's a.img".into(), ..arguments(None, false) };
        let command = command(&blanks, None);
        assert!(command.ends_with(r" flash --image 'it'\''s a.img' /dev/sdx"), "{command}");
    }

    #[test]
    fn only_the_disks_name_is_a_yes() {
        for (answer, expected) in [("sdx\n", true), ("y\n", false), ("", false), ("yes\n", false), ("sdxx\n", false)] {
            let mut asked = Vec::new();
            assert_eq!(agreed(&disk(&[]), &mut answer.as_bytes(), &mut asked).unwrap(), expected, "{answer:?}");
            assert!(String::from_utf8(asked).unwrap().contains("Card"));
        }
    }

    #[test]
    fn sizes_are_those_that_are_printed_on_cards() {
        assert_eq!(human(31_914_983_424), "31.9 GB");
        assert_eq!(human(512_000_000), "512 MB");
    }
}
