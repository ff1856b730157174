//! A text of `/proc`, open.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Machine;
use super::entry::{Failure, Subject, WriteAbout, WriteText};
use super::text::Text;
use crate::fs::{Blocking, FileError, FileOperations, Seeking, Sink};
use crate::sync::{Rank, SpinLock};

/// What writes it.
pub(super) enum Writer<S: Machine> {
    System(WriteText),
    About(Subject<S>, WriteAbout<S>),
}

/// The open file: its writer, and what it wrote last.
pub(super) struct TextFile<S: Machine> {
    writer: Writer<S>,
    written: SpinLock<Option<Arc<Vec<u8>>>, S::Cpu>,
}

impl<S: Machine> TextFile<S> {
    pub(super) fn new(writer: Writer<S>) -> Self {
        Self { writer, written: SpinLock::new(Rank::FileObject, None) }
    }

    /// The text, written anew for who reads its beginning.
    fn text(&self, at: u64) -> Result<Arc<Vec<u8>>, FileError> {
        if at > 0 {
            let written = self.written.lock().clone();
            if let Some(written) = written {
                return Ok(written);
            }
        }
        let mut text = Text::new(S::has_room);
        match &self.writer {
            Writer::System(write) => write(&mut text).map_err(Failure::from)?,
            Writer::About(subject, write) => {
                subject.process.standing().ok_or(Failure::Gone)?;
                write(subject, &mut text)?;
            }
        }
        let text = Arc::new(text.into_bytes());
        let before = self.written.lock().replace(Arc::clone(&text));
        drop(before);
        Ok(text)
    }
}

impl<S: Machine> FileOperations for TextFile<S> {
    fn read(&self, at: u64, _blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        let text = self.text(at)?;
        let rest = usize::try_from(at).ok().and_then(|at| text.get(at..)).unwrap_or_default();
        Ok(sink.put(rest)?)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Bytes { end: 0 }
    }
}
