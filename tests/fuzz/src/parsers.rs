//! What the firmware and a serial line give.

use std::collections::VecDeque;

use abi::push::frame::{self, MAX_ENCODED};
use abi::push::message::{ToHost, ToLoader};
use abi::push::{Line, REQUEST, Receiver};
use kcore::boot::atags::AtagFacts;
use kcore::boot::command_line::CommandLine;
use kcore::boot::tree::TreeFacts;

/// The input is a device tree.
pub(crate) fn tree(bytes: &[u8]) {
    if let Ok(facts) = TreeFacts::read(bytes) {
        assert!(facts.total_bytes <= bytes.len());
        let _names = facts.compatible().count();
        let _is = facts.is_compatible("raspberrypi,4-model-b");
    }
}

/// The input is a list of tags.
pub(crate) fn atags(bytes: &[u8]) {
    let _facts = AtagFacts::read(bytes);
}

/// The input is a command line.
pub(crate) fn command_line(bytes: &[u8]) {
    if let Ok(line) = str::from_utf8(bytes) {
        let _words = CommandLine::parse(line);
    }
}

/// The input is a table of functions' names.
pub(crate) fn symbols(bytes: &[u8]) {
    let Some(table) = abi::symbols::Table::new(bytes) else { return };
    for address in [0, abi::symbols::BASE, abi::symbols::BASE + 4096, u64::MAX] {
        if let Some(place) = table.find(address) {
            assert!(place.offset <= address);
        }
    }
}

/// The input is a frame as it comes over the line, and what is in one.
pub(crate) fn push(bytes: &[u8]) {
    let mut copy = bytes.to_vec();
    let content = frame::decode(&mut copy).map(<[u8]>::to_vec);
    for content in [content.as_deref(), Some(bytes)].into_iter().flatten() {
        let _message = ToLoader::parse(content);
        let _message = ToHost::parse(content);
    }
}

/// A line on which the input comes, and then, when the loader asks for it, a raw image of one byte: so that there is an end.
struct Once<'a> {
    rest: &'a [u8],
    /// What was said last, and what comes of it.
    said: [u8; 3],
    answer: VecDeque<u8>,
    silences: u32,
}

impl Line for Once<'_> {
    fn read(&mut self, _patience_ms: u32) -> Option<u8> {
        if let Some((first, rest)) = self.rest.split_first() {
            self.rest = rest;
            // One byte stands for a pause.
            return (*first != 0xfe).then_some(*first);
        }
        self.silences += 1;
        assert!(self.silences < 1_000_000, "the loader asks no more");
        self.answer.pop_front()
    }

    fn write(&mut self, byte: u8) {
        self.said = [self.said[1], self.said[2], byte];
        match self.said {
            REQUEST => self.answer = [1, 0, 0, 0].into(),
            [_, b'O', b'K'] => self.answer = [0x5a].into(),
            _ => {}
        }
    }

    fn set_baud(&mut self, baud: u32) -> bool {
        baud != 1234
    }
}

/// The input is what comes to the loader.
pub(crate) fn receiver(bytes: &[u8]) {
    let mut memory = vec![0; 1 << 16];
    let mut frame = Box::new([0; MAX_ENCODED]);
    let line = Once { rest: bytes, said: [0; 3], answer: VecDeque::new(), silences: 0 };
    let inflate = |packed: &[u8], into: &mut [u8]| {
        miniz_oxide::inflate::decompress_slice_iter_to_slice(into, core::iter::once(packed), false, true).ok()
    };
    let image = Receiver::new(line, &mut memory, &mut frame, inflate).run();
    assert!(image.length <= 1 << 16);
}
