//! What file systems ask of the kernel: frames in the host's memory, nobody to wait for, and no devices.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use kcore::addr::{PAGE_SIZE, PhysFrame};
use kcore::fs::devices::DeviceTable;
use kcore::fs::pipe::NamedPipe;
use kcore::fs::tmpfs::Mappings;
use kcore::fs::{
    DeviceNumber, FileError, FileKind, FileOperations, OpenFlags, PageSource, Parking, StaticPage, Timestamp,
};

/// The most frames: 32 MiB. What wants more gets none.
const MOST: usize = 8192;

/// Frames in the host's memory.
#[derive(Default)]
pub(crate) struct Frames(Mutex<(u64, ByNumber)>);

/// How many references there are to frames, and their contents.
type ByNumber = BTreeMap<u64, (u32, Vec<u8>)>;

impl Frames {
    /// How many are in use.
    pub(crate) fn used(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }
}

impl PageSource for Frames {
    fn frame_of(&self, _page: &'static StaticPage) -> Option<PhysFrame> {
        None
    }

    fn fresh(&self) -> Option<PhysFrame> {
        let mut frames = self.0.lock().unwrap();
        if frames.1.len() >= MOST {
            return None;
        }
        frames.0 += 1;
        let number = frames.0;
        frames.1.insert(number, (1, vec![0; PAGE_SIZE]));
        Some(PhysFrame::from_number(number))
    }

    fn write(&self, frame: PhysFrame, offset: usize, bytes: &[u8]) {
        let mut frames = self.0.lock().unwrap();
        frames.1.get_mut(&frame.number()).unwrap().1[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn read(&self, frame: PhysFrame, offset: usize, to: &mut [u8]) {
        let frames = self.0.lock().unwrap();
        to.copy_from_slice(&frames.1[&frame.number()].1[offset..offset + to.len()]);
    }

    fn add_reference(&self, frame: PhysFrame) {
        self.0.lock().unwrap().1.get_mut(&frame.number()).unwrap().0 += 1;
    }

    fn release(&self, frame: PhysFrame) {
        let mut frames = self.0.lock().unwrap();
        let count = &mut frames.1.get_mut(&frame.number()).unwrap().0;
        *count -= 1;
        if *count == 0 {
            frames.1.remove(&frame.number());
        }
    }

    fn has_room(&self) -> bool {
        true
    }

    fn promise(&self, _pages: u64) -> bool {
        true
    }

    fn take_back(&self, _pages: u64) {}

    fn total_frames(&self) -> u64 {
        MOST as u64
    }
}

/// One thread, which never waits.
pub(crate) struct Alone;

pub(crate) static ALONE: Alone = Alone;

impl Parking for Alone {
    fn wait_while(&self, _place: usize, condition: &mut dyn FnMut() -> bool) {
        assert!(!condition(), "there is nobody else who would end the wait");
    }

    fn wake_all(&self, _place: usize) {}
}

impl DeviceTable for Alone {
    fn open(&self, _: FileKind, _: DeviceNumber, _: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        Err(FileError::NoDevice)
    }
}

impl Mappings for Alone {
    fn forget(&self, _object: u64, _first: u64, _end: u64, _copies: bool) {}
}

impl NamedPipe for Alone {
    fn open(&self, _flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        Err(FileError::NoDevice)
    }
}

pub(crate) fn fifo(_owner: (u32, u32)) -> Arc<dyn NamedPipe> {
    Arc::new(Alone)
}

pub(crate) fn now() -> Timestamp {
    Timestamp { seconds: 1_700_000_000, nanoseconds: 0 }
}
