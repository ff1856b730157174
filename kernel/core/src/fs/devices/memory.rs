//! The devices that have nothing behind them.

use alloc::sync::Arc;

use crate::fs::error::FileError;
use crate::fs::operations::{Blocking, FileOperations, Mapping, Seeking};
use crate::fs::transfer::{Sink, Source};

/// How many zeroes are put at a time.
const CHUNK: usize = 1024;

/// Takes everything and has nothing.
#[derive(Clone, Copy, Debug)]
pub struct Null;

/// Takes everything and has zeroes without end.
#[derive(Clone, Copy, Debug)]
pub struct Zero;

/// As [`Zero`], but there is never room for anything.
#[derive(Clone, Copy, Debug)]
pub struct Full;

impl FileOperations for Null {
    fn read(&self, _at: u64, _blocking: Blocking, _sink: &mut dyn Sink) -> Result<usize, FileError> {
        Ok(0)
    }

    /// As on Linux, the bytes are not even looked at: a bad address is no error.
    fn write(&self, _at: u64, _blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        Ok(source.left())
    }

    fn seeking(&self) -> Seeking {
        Seeking::Fixed
    }
}

impl FileOperations for Zero {
    fn read(&self, _at: u64, _blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        put_zeroes(sink)
    }

    fn write(&self, _at: u64, _blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        Ok(source.left())
    }

    fn seeking(&self) -> Seeking {
        Seeking::Fixed
    }

    fn mapping(self: Arc<Self>) -> Mapping {
        Mapping::Anonymous
    }
}

impl FileOperations for Full {
    fn read(&self, _at: u64, _blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        put_zeroes(sink)
    }

    fn write(&self, _at: u64, _blocking: Blocking, _source: &mut dyn Source) -> Result<usize, FileError> {
        Err(FileError::NoSpace)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Fixed
    }
}

fn put_zeroes(sink: &mut dyn Sink) -> Result<usize, FileError> {
    let zeroes: &[u8; CHUNK] = &[0; CHUNK];
    let mut total = 0_usize;
    loop {
        let wanted = sink.room().min(CHUNK);
        if wanted == 0 {
            return Ok(total);
        }
        match sink.put(zeroes.get(..wanted).unwrap_or_default()) {
            // After a fault behind the first byte the next round reports it.
            Ok(count) => total = total.saturating_add(count),
            Err(fault) if total == 0 => return Err(fault.into()),
            Err(_) => return Ok(total),
        }
    }
}
