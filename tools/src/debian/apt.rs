//! Fetching by apt-get.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, ensure};

use super::Package;

/// The system's list of archives, and the directory with more of them (sources.list(5)).
const LIST: &str = "/etc/apt/sources.list";
const LISTS: &str = "/etc/apt/sources.list.d";
/// The component that every archive of Debian has.
const MAIN: &str = "main";
/// The directory with lists of a source's own.
const OWN_LISTS: &str = "sources.list.d";

/// Where this machine gets its packages, seen as a machine of another architecture that has none installed.
pub struct Source {
    /// All that apt-get keeps; gone with the value.
    place: PathBuf,
    architecture: String,
    /// What apt-get complained of when it read the lists. It takes no list for an empty one.
    complaint: Option<String>,
}

impl Source {
    /// Reads the archives' current lists for `architecture` (Debian's name: `arm64`). Of each archive that the system uses,
    /// `components` are read too (`non-free-firmware`), whether the system uses them or not.
    ///
    /// # Errors
    ///
    /// Where apt-get is missing or finds no archive.
    pub fn open(architecture: &str, components: &[&str]) -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("tine-apt-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let place = std::env::temp_dir().join(unique);
        let mut source = Self { place, architecture: architecture.to_owned(), complaint: None };
        for directory in ["lists/partial", "cache/archives/partial", "download"] {
            fs::create_dir_all(source.place.join(directory)).context("cannot make a temporary directory")?;
        }
        fs::write(source.place.join("status"), "").context("cannot write to a temporary directory")?;
        if !components.is_empty() {
            source.copy_lists(components)?;
        }
        source.complaint = source.say("apt-get", &["update"])?.1.lines().next().map(str::to_owned);
        Ok(source)
    }

    /// Fetches these packages, in the order of their names.
    ///
    /// # Errors
    ///
    /// Where a package is not to be had, or is not what the archive's index says.
    pub fn fetch(&self, packages: &[&str]) -> anyhow::Result<Vec<Package>> {
        self.run("apt-get", &[&["download"], packages].concat())?;
        read_all(&self.place.join("download"))
    }

    /// Fetches these packages and all that they depend on, in the order of their names.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch).
    pub fn fetch_with_dependencies(&self, packages: &[&str]) -> anyhow::Result<Vec<Package>> {
        self.run("apt-get", &[&["install", "--yes", "--download-only", "--no-install-recommends"], packages].concat())?;
        read_all(&self.place.join("cache/archives"))
    }

    /// Fetches the package of the architecture's present kernel.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch).
    pub fn fetch_kernel(&self) -> anyhow::Result<Package> {
        let stand_in = format!("linux-image-{}", self.architecture);
        let kernel = self.dependencies(&stand_in)?.into_iter().find(|name| name.starts_with("linux-image-"));
        let kernel = kernel.with_context(|| format!("{stand_in} depends on no kernel"))?;
        // What was fetched before is fetched along.
        let fetched = self.fetch(&[&kernel])?.into_iter().find(|package| package.name == kernel);
        fetched.context("apt-get fetched no kernel")
    }

    /// What `package` depends on, in its order: the package of the present kernel, say, for one that stands for it.
    ///
    /// # Errors
    ///
    /// Where there is no such package.
    fn dependencies(&self, package: &str) -> anyhow::Result<Vec<String>> {
        let listed = self.run("apt-cache", &["depends", "--important", package])?;
        let names = listed.lines().filter_map(|line| line.trim().strip_prefix("Depends: ")).map(str::to_owned);
        Ok(names.collect())
    }

    /// Makes lists of archives of its own: the system's, with `components`.
    fn copy_lists(&self, components: &[&str]) -> anyhow::Result<()> {
        let own = self.place.join(OWN_LISTS);
        fs::create_dir(&own)?;
        let more = fs::read_dir(LISTS).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
        for list in more.chain([PathBuf::from(LIST)]) {
            // There need not be any one of them.
            if let (Ok(text), Some(name)) = (fs::read_to_string(&list), list.file_name()) {
                fs::write(own.join(name), with_components(&text, components))?;
            }
        }
        Ok(())
    }

    /// Runs apt-get or another of its family, and returns what it said.
    fn run(&self, program: &str, words: &[&str]) -> anyhow::Result<String> {
        self.say(program, words).map(|(said, _)| said)
    }

    /// The same, with what it complained of.
    fn say(&self, program: &str, words: &[&str]) -> anyhow::Result<(String, String)> {
        let output = self.command(program, words).output().with_context(|| format!("cannot run {program}"))?;
        let complaints = String::from_utf8_lossy(&output.stderr);
        let last = complaints.lines().last().unwrap_or("it does not say why");
        let before = self.complaint.as_ref().map(|said| format!(" (before that: {said})")).unwrap_or_default();
        ensure!(output.status.success(), "{program} {} failed: {last}{before}", words.join(" "));
        Ok((String::from_utf8_lossy(&output.stdout).into_owned(), complaints.into_owned()))
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        let mut option = |name: &str, value: &OsStr| {
            let mut option = OsString::from(format!("{name}="));
            option.push(value);
            command.arg("-o").arg(option);
        };
        option("Dir::State", self.place.as_os_str());
        option("Dir::State::lists", self.place.join("lists").as_os_str());
        option("Dir::State::status", self.place.join("status").as_os_str());
        option("Dir::Cache", self.place.join("cache").as_os_str());
        let own = self.place.join(OWN_LISTS);
        if own.exists() {
            option("Dir::Etc::sourceparts", own.as_os_str());
            // It is among the others.
            option("Dir::Etc::sourcelist", OsStr::new("/dev/null"));
        }
        for (name, value) in [
            ("APT::Architecture", self.architecture.as_str()),
            ("APT::Architectures", self.architecture.as_str()),
            // Some systems throw away what was fetched, for it would have been installed by then.
            ("APT::Keep-Downloaded-Packages", "true"),
            // The directory is the caller's alone.
            ("APT::Sandbox::User", "root"),
            ("Acquire::Languages", "none"),
            ("Acquire::Retries", "1"),
            ("Acquire::http::Timeout", "20"),
            ("Acquire::https::Timeout", "20"),
        ] {
            option(name, OsStr::new(value));
        }
        command.env("LC_ALL", "C");
        command.args(words).current_dir(self.place.join("download")).stdin(Stdio::null());
        command
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // What is left of it is the system's to clean up.
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// A list of archives in which each that has `main` has `components`, too, in either of apt's formats.
fn with_components(list: &str, components: &[&str]) -> String {
    let mut text = String::new();
    for line in list.lines() {
        text.push_str(line);
        let (code, _) = line.split_once('#').unwrap_or((line, ""));
        let words: Vec<_> = code.split_ascii_whitespace().collect();
        let names_components = matches!(words.first(), Some(&("deb" | "Components:")));
        if names_components && words.contains(&MAIN) && code.len() == line.len() {
            for component in components.iter().filter(|component| !words.contains(component)) {
                text.push(' ');
                text.push_str(component);
            }
        }
        text.push('\n');
    }
    text
}

/// The packages in `directory`, in the order of their names.
fn read_all(directory: &Path) -> anyhow::Result<Vec<Package>> {
    let files = fs::read_dir(directory)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension() == Some(OsStr::new("deb"))).collect();
    ensure!(!files.is_empty(), "apt-get fetched nothing");
    files.sort();
    files.iter().map(|file| Package::read(file)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apt_get_keeps_everything_in_its_place() {
        let source = Source { place: "/no/such/place".into(), architecture: "arm64".to_owned(), complaint: None };
        let command = source.command("apt-get", &["update"]);
        let words: Vec<_> = command.get_args().map(|word| word.to_str().unwrap()).collect();
        for word in [
            "Dir::State=/no/such/place",
            "Dir::State::lists=/no/such/place/lists",
            "Dir::State::status=/no/such/place/status",
            "Dir::Cache=/no/such/place/cache",
            "APT::Architecture=arm64",
            "update",
        ] {
            assert!(words.contains(&word), "{word} is not in {words:?}");
        }
        assert_eq!(command.get_current_dir(), Some(Path::new("/no/such/place/download")));
    }

    #[test]
    fn further_components_are_asked_of_each_archive_that_has_the_main_one() {
        let lists = "Types: deb\nSuites: bookworm\nComponents: main contrib\nSigned-By: /key\n\nComponents: other\n";
        let expected =
            "Types: deb\nSuites: bookworm\nComponents: main contrib non-free\nSigned-By: /key\n\nComponents: other\n";
        assert_eq!(with_components(lists, &["contrib", "non-free"]), expected);
        let lists =
            "# deb http://none/ main\ndeb [signed-by=/key] http://one/ bookworm main\ndeb-src http://one/ x main\n";
        let expected =
            "# deb http://none/ main\ndeb [signed-by=/key] http://one/ bookworm main a\ndeb-src http://one/ x main\n";
        assert_eq!(with_components(lists, &["a"]), expected);
    }

    #[test]
    fn where_nothing_was_fetched_that_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read_all(directory.path()).unwrap_err().to_string().contains("fetched nothing"));
    }
}
