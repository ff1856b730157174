//! A person at the shell: lines are typed, and what comes back is read up to the next prompt, with the status in it.

use anyhow::{Context as _, ensure};
use tests::bench::Bench;
use tests::console::{Console, ENTER};

use crate::userland::start;

/// What the shell asks with at first, as the first user.
pub(crate) const FIRST_PROMPT: &str = "# ";
/// What it is told to ask with: the status of the last command, between signs that no output has.
const PROMPT: &str = "'<$?>% '";
/// Where the status begins and ends.
const STATUS: (char, &str) = ('<', ">% ");

/// Keys.
pub(crate) mod key {
    /// Interrupts.
    pub(crate) const CTRL_C: &str = "\x03";
    /// End of file.
    pub(crate) const CTRL_D: &str = "\x04";
    /// Erases a character.
    pub(crate) const DELETE: &str = "\x7f";
    /// Stops.
    pub(crate) const CTRL_Z: &str = "\x1a";
    /// Ends an editor's insertion.
    pub(crate) const ESCAPE: &str = "\x1b";
}

/// A shell on a board's console.
pub(crate) struct Session(Console);

impl Session {
    /// Boots to the shell, on a terminal with a usual number of rows and lines as long as any that is typed.
    pub(crate) fn boot(bench: &Bench) -> anyhow::Result<Self> {
        let mut console = start(bench, "quiet")?;
        console.until(FIRST_PROMPT)?;
        Self::begin(console)
    }

    /// Goes on at a shell's first prompt.
    pub(crate) fn begin(mut console: Console) -> anyhow::Result<Self> {
        let line = format!("stty rows 24 cols 200; PS1={PROMPT}");
        console.send(format!("{line}{ENTER}"))?;
        console.until(&format!("{line}\r\n"))?;
        let mut session = Self(console);
        session.answer()?;
        Ok(session)
    }

    /// Types a line and gives what the command says, which must succeed.
    pub(crate) fn run(&mut self, line: &str) -> anyhow::Result<String> {
        let (said, status) = self.try_run(line)?;
        ensure!(status == 0, "{line}: status {status} behind {said:?}");
        Ok(said)
    }

    /// Types a line and gives what the command says, and its status.
    pub(crate) fn try_run(&mut self, line: &str) -> anyhow::Result<(String, i32)> {
        self.enter(line)?;
        self.answer()
    }

    /// Types a line; the command says `said`, with line ends as on the host, and succeeds.
    pub(crate) fn expect(&mut self, line: &str, said: &str) -> anyhow::Result<()> {
        let found = self.run(line)?;
        ensure!(found == said, "{line}: {found:?} is not {said:?}");
        Ok(())
    }

    /// Types a line, of which the shell shows every character, and leaves what comes to be read.
    pub(crate) fn enter(&mut self, line: &str) -> anyhow::Result<()> {
        self.0.send(format!("{line}{ENTER}"))?;
        self.0.until(&format!("{line}\r\n"))?;
        Ok(())
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) -> anyhow::Result<()> {
        self.0.send(keys)
    }

    /// Waits for a text, and gives what came before it.
    pub(crate) fn until(&mut self, text: &str) -> anyhow::Result<String> {
        self.0.until(text)
    }

    /// What comes up to the next prompt, with line ends as on the host, and the status of the last command.
    pub(crate) fn answer(&mut self) -> anyhow::Result<(String, i32)> {
        let text = self.0.until(STATUS.1)?;
        let (said, status) = text.rsplit_once(STATUS.0).with_context(|| format!("no status in {text:?}"))?;
        let status = status.parse().with_context(|| format!("no status in {text:?}"))?;
        Ok((said.replace("\r\n", "\n"), status))
    }

    /// Leaves the shell.
    pub(crate) fn leave(mut self) -> anyhow::Result<Console> {
        self.enter("exit")?;
        Ok(self.into_console())
    }

    /// The console, for what is no shell.
    pub(crate) fn into_console(self) -> Console {
        self.0
    }

    /// Switches the board off, which must be done in order.
    pub(crate) fn power_off(mut self) -> anyhow::Result<()> {
        self.enter("poweroff")?;
        self.0.until("init: power off")?;
        let (words, status) = self.0.end()?;
        ensure!(status == i32::from(abi::exit::POWEROFF), "the status is {status} behind {words:?}");
        Ok(())
    }
}
