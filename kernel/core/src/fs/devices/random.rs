//! The devices that read as random bytes.

use crate::fs::error::FileError;
use crate::fs::operations::{Blocking, FileOperations, Seeking};
use crate::fs::transfer::{Sink, Source};

/// Fills a buffer with random bytes.
pub type Fill = fn(&mut [u8]);

/// How many bytes are drawn at a time.
const CHUNK: usize = 256;
/// The most bytes of one read, as Linux has it: what nobody can interrupt must not take for ever.
const MOST: usize = (1 << 25) - 1;

/// Random bytes without end. What is written is taken and, as nobody can say what it is worth, not used.
#[derive(Clone, Copy, Debug)]
pub struct Random {
    fill: Fill,
}

impl Random {
    /// Bytes that `fill` makes.
    #[must_use]
    pub const fn new(fill: Fill) -> Self {
        Self { fill }
    }
}

impl FileOperations for Random {
    fn read(&self, _at: u64, _blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        let mut total = 0_usize;
        loop {
            let wanted = sink.room().min(MOST.saturating_sub(total)).min(CHUNK);
            if wanted == 0 {
                return Ok(total);
            }
            let mut buffer = [0; CHUNK];
            let Some(chunk) = buffer.get_mut(..wanted) else {
                return Ok(total);
            };
            (self.fill)(chunk);
            match sink.put(chunk) {
                Ok(count) => total = total.saturating_add(count),
                Err(fault) if total == 0 => return Err(fault.into()),
                Err(_) => return Ok(total),
            }
        }
    }

    fn write(&self, _at: u64, _blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        Ok(source.left())
    }

    /// Only that asking does no harm; reads do not care.
    fn seeking(&self) -> Seeking {
        Seeking::Fixed
    }
}
