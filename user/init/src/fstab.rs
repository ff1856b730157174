//! The table of file systems, `/etc/fstab`, as fstab(5) has it: `DEVICE PLACE KIND OPTIONS [DUMP PASS]`, `#` starts a comment.

use std::fmt;

/// The bits of mount(2).
const READ_ONLY: usize = 1;
const NO_SET_ID: usize = 2;
const NO_DEVICES: usize = 4;
const NO_EXECUTION: usize = 8;
const SYNCHRONOUS: usize = 16;
const DIRECTORIES_SYNCHRONOUS: usize = 128;
const NO_ACCESS_TIME: usize = 1024;
const NO_DIRECTORY_ACCESS_TIME: usize = 2048;
const RELATIVE_ACCESS_TIME: usize = 1 << 21;

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// What is mounted: mostly the node of a disk.
    pub(crate) device: String,
    /// Where.
    pub(crate) place: String,
    /// Which kind of file system it is; `auto` for whichever there is.
    pub(crate) kind: String,
    /// Bits for mount(2).
    pub(crate) flags: usize,
    /// What the file system makes of the other options.
    pub(crate) options: String,
    /// It is mounted when somebody asks for it (`noauto`).
    pub(crate) later: bool,
    /// It may be missing (`nofail`).
    pub(crate) optional: bool,
}

/// A line that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Complaint(usize);

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: a device, a place and a kind are wanted", self.0)
    }
}

/// Reads a table, and which lines are left out.
pub(crate) fn parse(text: &str) -> (Vec<Entry>, Vec<Complaint>) {
    let (mut entries, mut complaints) = (Vec::new(), Vec::new());
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        match parse_line(text) {
            Some(entry) => entries.push(entry),
            None => complaints.push(Complaint(line)),
        }
    }
    (entries, complaints)
}

fn parse_line(text: &str) -> Option<Entry> {
    let mut words = text.split_ascii_whitespace();
    let (device, place, kind) = (words.next()?, words.next()?, words.next()?);
    let mut entry = Entry {
        device: plain(device),
        place: plain(place),
        kind: kind.to_owned(),
        flags: 0,
        options: String::new(),
        // There is nothing to swap to, and `ignore` says so itself.
        later: matches!(kind, "swap" | "ignore"),
        optional: false,
    };
    words.next().unwrap_or("defaults").split(',').for_each(|option| entry.apply(option));
    Some(entry)
}

impl Entry {
    fn apply(&mut self, option: &str) {
        let (set, clear) = match option {
            "ro" => (READ_ONLY, 0),
            "rw" => (0, READ_ONLY),
            "nosuid" => (NO_SET_ID, 0),
            "suid" => (0, NO_SET_ID),
            "nodev" => (NO_DEVICES, 0),
            "dev" => (0, NO_DEVICES),
            "noexec" => (NO_EXECUTION, 0),
            "exec" => (0, NO_EXECUTION),
            "sync" => (SYNCHRONOUS, 0),
            "async" => (0, SYNCHRONOUS),
            "dirsync" => (DIRECTORIES_SYNCHRONOUS, 0),
            "noatime" => (NO_ACCESS_TIME, 0),
            "atime" => (0, NO_ACCESS_TIME),
            "nodiratime" => (NO_DIRECTORY_ACCESS_TIME, 0),
            "relatime" => (RELATIVE_ACCESS_TIME, 0),
            "noauto" => return self.later = true,
            "nofail" => return self.optional = true,
            "defaults" | "auto" | "user" | "users" | "nouser" | "owner" | "group" | "_netdev" | "" => (0, 0),
            // For people and for other programs.
            other if other.starts_with("x-") || other.starts_with("comment=") => (0, 0),
            other => {
                if !self.options.is_empty() {
                    self.options.push(',');
                }
                return self.options.push_str(other);
            }
        };
        self.flags = self.flags & !clear | set;
    }
}

/// A word in which `\040` stands for a blank and other signs by their octal numbers, as in this table and in
/// `/proc/mounts`.
pub(crate) fn plain(word: &str) -> String {
    let mut plain = Vec::new();
    let mut rest = word.as_bytes();
    while let Some((&first, then)) = rest.split_first() {
        let octal = then.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| first == b'\\') {
            Some(byte) => {
                plain.push(byte);
                rest = &then[3..];
            }
            None => {
                plain.push(first);
                rest = then;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_and_bad_lines_are_named() {
        let text = "# disks\n/dev/a /x auto nofail,noatime,ro 0 2\n  /dev/b\t/with\\040blank vfat\n\n/dev/c /y\n\
                    /dev/d /z ext4 rw,errors=remount-ro,noauto,x-why=not,data=ordered\nnone none swap sw\n";
        let (entries, complaints) = parse(text);
        let entry = |device: &str, place: &str, kind: &str| Entry {
            device: device.to_owned(),
            place: place.to_owned(),
            kind: kind.to_owned(),
            flags: 0,
            options: String::new(),
            later: false,
            optional: false,
        };
        let expected = [
            Entry { flags: READ_ONLY | NO_ACCESS_TIME, optional: true, ..entry("/dev/a", "/x", "auto") },
            entry("/dev/b", "/with blank", "vfat"),
            Entry {
                options: "errors=remount-ro,data=ordered".to_owned(),
                later: true,
                ..entry("/dev/d", "/z", "ext4")
            },
            Entry { options: "sw".to_owned(), later: true, ..entry("none", "none", "swap") },
        ];
        assert_eq!(entries, expected);
        let complaints: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        assert_eq!(complaints, ["line 5: a device, a place and a kind are wanted"]);
    }

    #[test]
    fn of_options_that_contradict_each_other_the_last_one_holds() {
        let (entries, _) = parse("/dev/a /x vfat ro,noexec,rw,exec,sync,async,nosuid");
        assert_eq!(entries[0].flags, NO_SET_ID);
    }
}
