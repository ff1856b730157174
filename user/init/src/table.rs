//! The table of what is run: one entry a line, `MODE PATH ARGUMENTS…`, `#` starts a comment.
//!
//! | mode | |
//! |---|---|
//! | `wait` | run it, go on when it has ended |
//! | `once` | start it and go on |
//! | `respawn` | start it and go on; when it ends, start it again |
//! | `shutdown` | run it when everything else has ended |

use std::fmt;

/// The entries, in their order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) mode: Mode,
    pub(crate) command: Command,
}

/// When an entry is run, and what its end means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// Run, and gone on when it has ended.
    Wait,
    /// As `Wait`; its end is told whatever it is. Not in tables, but for the program on the command line.
    Report,
    /// Started, and gone on at once.
    Once,
    /// Started again whenever it ends.
    Respawn,
    /// Run at the end.
    Shutdown,
}

/// A program and its arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Command {
    pub(crate) path: String,
    pub(crate) arguments: Vec<String>,
}

/// A line that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Complaint {
    line: usize,
    what: What,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum What {
    UnknownMode(String),
    NoPath,
    RelativePath(String),
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.what {
            What::UnknownMode(mode) => write!(f, "{mode} is not one of wait, once, respawn, shutdown"),
            What::NoPath => f.write_str("which program?"),
            What::RelativePath(path) => write!(f, "{path} does not begin with /"),
        }
    }
}

impl Table {
    /// A table of one entry.
    pub(crate) fn of(entry: Entry) -> Self {
        Self { entries: vec![entry] }
    }

    /// Reads a table, and what is wrong with lines that are left out.
    pub(crate) fn parse(text: &str) -> (Self, Vec<Complaint>) {
        let mut table = Self::default();
        let mut complaints = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.split_once('#').map_or(text, |(before, _)| before);
            match parse_line(text) {
                Ok(entry) => table.entries.extend(entry),
                Err(what) => complaints.push(Complaint { line, what }),
            }
        }
        (table, complaints)
    }
}

fn parse_line(text: &str) -> Result<Option<Entry>, What> {
    let mut words = text.split_ascii_whitespace();
    let Some(mode) = words.next() else { return Ok(None) };
    let mode = match mode {
        "wait" => Mode::Wait,
        "once" => Mode::Once,
        "respawn" => Mode::Respawn,
        "shutdown" => Mode::Shutdown,
        other => return Err(What::UnknownMode(other.to_owned())),
    };
    let path = words.next().ok_or(What::NoPath)?.to_owned();
    if !path.starts_with('/') {
        return Err(What::RelativePath(path));
    }
    Ok(Some(Entry { mode, command: Command { path, arguments: words.map(str::to_owned).collect() } }))
}

impl Command {
    /// The program that init's own arguments name: the first that begins with `/`, with all that follow.
    pub(crate) fn from_arguments(arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut arguments = arguments.skip_while(|argument| !argument.starts_with('/'));
        let path = arguments.next()?;
        Some(Self { path, arguments: arguments.collect() })
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_and_bad_lines_are_named() {
        let text = "# programs\nwait /bin/a x y # at once\n\n respawn\t/bin/b\nonce\nfly /bin/c\nshutdown bin/d\n";
        let (table, complaints) = Table::parse(text);
        let command = |path: &str, arguments: &[&str]| Command {
            path: path.to_owned(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        };
        let expected = [
            Entry { mode: Mode::Wait, command: command("/bin/a", &["x", "y"]) },
            Entry { mode: Mode::Respawn, command: command("/bin/b", &[]) },
        ];
        assert_eq!(table.entries, expected);
        let complaints: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        let expected = [
            "line 5: which program?",
            "line 6: fly is not one of wait, once, respawn, shutdown",
            "line 7: bin/d does not begin with /",
        ];
        assert_eq!(complaints, expected);
    }

    #[test]
    fn the_command_line_names_a_program_after_the_kernels_own_words() {
        let from = |words: &[&str]| Command::from_arguments(words.iter().map(|&word| word.to_owned()));
        assert_eq!(
            from(&["--", "/bin/x", "-v", "/y"]).map(|command| command.arguments),
            Some(vec!["-v".into(), "/y".into()])
        );
        assert_eq!(from(&["single", "--"]), None);
    }
}
