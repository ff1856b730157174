use std::collections::BTreeSet;
use std::sync::Arc;
use std::vec::Vec;

use super::support::{file, open_as_root, tree};
use crate::fs::{OpenFile, OpenFlags, Sink};
use crate::hal::UserFault;

/// A buffer whose pages are not there yet: whoever fills it sleeps.
struct SlowSink {
    got: Vec<u8>,
    room: usize,
}

impl Sink for SlowSink {
    fn put(&mut self, bytes: &[u8]) -> Result<usize, UserFault> {
        let count = bytes.len().min(self.room);
        self.got.extend(&bytes[..count]);
        std::thread::yield_now();
        self.room -= count;
        Ok(count)
    }

    fn room(&self) -> usize {
        self.room
    }
}

/// What one thread reads, two bytes at a time.
fn drain(file: &OpenFile) -> Vec<u16> {
    let mut all = Vec::new();
    loop {
        let mut sink = SlowSink { got: Vec::new(), room: 2 };
        match file.read(&mut sink).unwrap() {
            0 => return all,
            _ => all.push(u16::from_le_bytes([sink.got[0], sink.got[1]])),
        }
    }
}

#[test]
fn threads_that_read_one_open_file_get_different_bytes() {
    let records: u16 = if cfg!(miri) { 20 } else { 2000 };
    let bytes: Vec<u8> = (0..records).flat_map(u16::to_le_bytes).collect();
    let file: Arc<OpenFile> = open_as_root(&tree(&[file("records", &bytes)]), "records", OpenFlags::empty()).unwrap();
    let parts: Vec<Vec<u16>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| drain(&file))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(parts.iter().all(|part| part.is_sorted()));
    assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), usize::from(records));
    assert_eq!(parts.into_iter().flatten().collect::<BTreeSet<_>>().len(), usize::from(records));
}
