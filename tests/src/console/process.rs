//! What is at the other end of a line: an emulator, whose end and status matter, or a board, which has neither.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use expectrl::process::unix::WaitStatus;
use expectrl::process::{Healthcheck as _, Process as _};
use expectrl::session::OsProcess;

use super::line::{Line, Port};

/// The other end.
pub(super) enum Process {
    /// An emulator on pipes.
    Piped(Child),
    /// An emulator on a terminal.
    Terminal(OsProcess),
    /// A board on a cable.
    Board,
}

impl Process {
    pub(super) fn spawn(mut command: Command) -> anyhow::Result<(Self, Line)> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("no pipes to the emulator");
        };
        Ok((Self::Piped(child), Line::new(Port::Pipes(input, output))))
    }

    pub(super) fn spawn_on_terminal(command: Command) -> anyhow::Result<(Self, Line)> {
        let mut process = OsProcess::spawn_command(command)?;
        let stream = process.open_stream()?;
        Ok((Self::Terminal(process), Line::new(Port::Terminal(stream))))
    }

    pub(super) fn id(&self) -> Option<u32> {
        match self {
            Self::Piped(child) => Some(child.id()),
            Self::Terminal(process) => u32::try_from(process.pid().as_raw()).ok(),
            Self::Board => None,
        }
    }

    /// The status of an emulator that has closed its output and so is about to end.
    pub(super) fn wait(&mut self, patience: Duration) -> anyhow::Result<i32> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if let Some(status) = self.status()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err(anyhow!("the emulator closed its output, but was still there {} s later", patience.as_secs()))
    }

    /// Ends an emulator at once.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        let Self::Piped(child) = self else { bail!("only an emulator on pipes can be killed") };
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    fn status(&mut self) -> anyhow::Result<Option<i32>> {
        match self {
            Self::Piped(child) => match child.try_wait()? {
                None => Ok(None),
                Some(status) => Ok(Some(status.code().with_context(|| format!("the emulator: {status}"))?)),
            },
            Self::Terminal(process) => match process.get_status()? {
                WaitStatus::Exited(_, status) => Ok(Some(status)),
                WaitStatus::StillAlive => Ok(None),
                other => bail!("the emulator: {other:?}"),
            },
            Self::Board => bail!("a board on a cable has no exit status"),
        }
    }
}

impl Drop for Process {
    /// An emulator does not outlive its test. The terminal's process ends with its `OsProcess`.
    fn drop(&mut self) {
        if let Self::Piped(child) = self {
            // Both fail only where it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
