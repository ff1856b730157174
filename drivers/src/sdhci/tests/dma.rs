//! A controller that reads its list and moves the data, and a CPU whose view of memory is its own until it is cleaned or
//! forgotten.

use std::sync::{Arc, Mutex};

use super::*;
use crate::sdhci::{Dma, SharedMemory};

const CAPABILITIES: usize = 0x40;
const ADMA_ADDRESS: usize = 0x58;
const ADMA_ADDRESS_HIGH: usize = 0x5c;
const ADMA2: u32 = 1 << 19;
const ADMA_ERROR: u32 = 1 << 25;
const LIST: u32 = 0xc123_0000;
const DATA_AT: u32 = 0xc200_0000;

type Bytes = Arc<Mutex<Vec<u8>>>;

#[derive(Debug)]
struct Block {
    bus: u32,
    memory: Bytes,
    view: Vec<u8>,
}

impl SharedMemory for Block {
    fn bus_address(&self) -> u32 {
        self.bus
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.view
    }

    fn clean(&mut self, bytes: usize) {
        self.memory.lock().unwrap()[..bytes].copy_from_slice(&self.view[..bytes]);
    }

    fn invalidate(&mut self, bytes: usize) {
        self.view[..bytes].copy_from_slice(&self.memory.lock().unwrap()[..bytes]);
    }
}

/// Memory at `bus`, and the device's view of it. What the CPU sees at first is in no memory.
fn block(bus: u32, bytes: usize) -> (&'static mut dyn SharedMemory, Bytes) {
    let memory = Bytes::new(Mutex::new(vec![0xee; bytes]));
    let block = Block { bus, memory: Arc::clone(&memory), view: vec![0x11; bytes] };
    (Box::leak(Box::new(block)), memory)
}

/// What the card has, or gets.
type Card = Rc<RefCell<Vec<u8>>>;

/// What the lines of a list say: where and how much, up to the one that is the last.
fn lines(list: &[u8]) -> Option<Vec<(u32, usize)>> {
    let mut found = Vec::new();
    for line in list.chunks(8) {
        let (words, address) = line.split_at(4);
        let words = u32::from_le_bytes(words.try_into().unwrap());
        if words & 0x31 != 0x21 {
            return None;
        }
        let length = (words >> 16) as usize;
        found.push((u32::from_le_bytes(address.try_into().unwrap()), if length == 0 { 65_536 } else { length }));
        if words & 2 != 0 {
            return Some(found);
        }
    }
    None
}

/// A running controller with `bytes` for data, that moves them from or to a card.
fn moving(bytes: usize, list_bytes: usize) -> (Bench, Card, Bytes) {
    let mut bench = bench(Chip::Emmc2, 100_000_000);
    bench.device.set(CAPABILITIES, ADMA2);
    let ((list, list_memory), (data, data_memory)) = (block(LIST, list_bytes), block(DATA_AT, bytes));
    let (card, acting) = (Card::default(), bench.behaviour.clone());
    let (cards, at_device) = (Rc::clone(&card), Arc::clone(&data_memory));
    bench.device.script(move |registers, offset, access| {
        acting.act(registers, offset, access);
        let (CMDTM, Access::Write(word)) = (offset, access) else { return };
        if word & 1 == 0 || acting.events.get() & !1 != 0 {
            return;
        }
        assert_eq!(registers.get(CONTROL0) >> 3 & 3, 2, "ADMA2 is chosen");
        assert_eq!((registers.get(ADMA_ADDRESS), registers.get(ADMA_ADDRESS_HIGH)), (LIST, 0));
        let wanted = (registers.get(BLKSIZECNT) >> 16) as usize * 512;
        let list = lines(&list_memory.lock().unwrap());
        let event = match list {
            Some(list) if list.iter().map(|(_, length)| length).sum::<usize>() == wanted => {
                let mut memory = at_device.lock().unwrap();
                let mut bytes = cards.borrow_mut();
                let mut done = 0;
                for (address, length) in list {
                    let at = (address - DATA_AT) as usize;
                    if word & 1 << 4 == 0 {
                        bytes.extend_from_slice(&memory[at..at + length]);
                    } else {
                        memory[at..at + length].copy_from_slice(&bytes[done..done + length]);
                    }
                    done += length;
                }
                2
            }
            _ => ADMA_ERROR,
        };
        acting.events.set(acting.events.get() | event);
        registers.set(INTERRUPT, acting.events.get());
    });
    assert_eq!(bench.host.reset(), Ok(()));
    assert_eq!(bench.host.set_clock(50_000_000, true), Ok(()));
    assert!(bench.host.knows_dma());
    bench.host.set_dma(Some(Dma::new(list, data)));
    (bench, card, data_memory)
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| u8::try_from((at * 7 + at / 512) % 256).unwrap()).collect()
}

fn read(bench: &mut Bench, into: &mut [u8]) -> Result<Response, HostError> {
    bench.host.command(command(18, Reply::Short), Data::Read { block: 512, into })
}

#[test]
fn only_emmc2_that_says_so_moves_data_itself() {
    for (chip, capabilities, knows) in
        [(Chip::Emmc2, ADMA2, true), (Chip::Emmc2, !ADMA2, false), (Chip::Arasan, ADMA2, false)]
    {
        let bench = bench(chip, 100_000_000);
        bench.device.set(CAPABILITIES, capabilities);
        assert_eq!(bench.host.knows_dma(), knows);
    }
}

#[test]
fn blocks_come_by_the_list_and_none_through_the_data_port() {
    for bytes in [512, 4096, 32 << 10, (32 << 10) + 512, 128 << 10] {
        let (mut bench, card, _) = moving(128 << 10, 4096);
        *card.borrow_mut() = pattern(bytes);
        let mut into = vec![0; bytes];
        assert_eq!(read(&mut bench, &mut into), Ok(Response::Short(0)));
        assert!(into == *card.borrow(), "{bytes}");
        assert_eq!(bench.device.get(CMDTM) & 1, 1);
        // Again, with other bytes: what the CPU saw of the first ones is forgotten.
        card.borrow_mut().reverse();
        assert_eq!(read(&mut bench, &mut into), Ok(Response::Short(0)));
        assert!(into == *card.borrow(), "{bytes} again");
    }
}

#[test]
fn blocks_go_by_the_list() {
    for bytes in [512, 40 << 10, 128 << 10] {
        let (mut bench, card, _) = moving(128 << 10, 4096);
        let from = pattern(bytes);
        let response = bench.host.command(command(25, Reply::Short), Data::Write { block: 512, from: &from });
        assert_eq!(response, Ok(Response::Short(0)));
        assert!(from == *card.borrow(), "{bytes}");
        assert!(bench.behaviour.written.borrow().is_empty(), "nothing through the data port");
    }
}

#[test]
fn what_the_memory_has_no_room_for_and_what_is_no_block_go_through_the_data_port() {
    for (bytes, list_bytes, block, count) in [(1024, 4096, 512, 3), (128 << 10, 8, 512, 65), (4096, 4096, 64, 1)] {
        let (mut bench, _, _) = moving(bytes, list_bytes);
        let (size, words) = (block * count, u32::try_from(block * count / 4).unwrap());
        bench.behaviour.words.borrow_mut().extend(0..words);
        let mut into = vec![0; size];
        let response = bench.host.command(command(18, Reply::Short), Data::Read { block, into: &mut into });
        assert_eq!((response, bench.device.get(CMDTM) & 1), (Ok(Response::Short(0)), 0));
        assert_eq!(into[size - 4..], (words - 1).to_le_bytes());
    }
}

#[test]
fn memory_looks_untouched_until_something_comes() {
    let (_bench, _, memory) = moving(4096, 4096);
    assert_eq!(*memory.lock().unwrap(), vec![0xa5; 4096]);
}

#[test]
fn an_error_of_the_list_is_told_and_the_cpu_moves_the_data_from_then_on() {
    let (mut bench, _, _) = moving(4096, 4096);
    assert_eq!(bench.device.get(IRPT_MASK), 0x03ff_0033);
    bench.behaviour.answers.borrow_mut().push(1 | ADMA_ERROR);
    let mut into = [0; 512];
    assert_eq!(read(&mut bench, &mut into), Err(HostError::Other(ADMA_ERROR)));
    assert!(!bench.host.has_dma());
    bench.behaviour.words.borrow_mut().extend([0x0101_0101; 128]);
    assert_eq!(read(&mut bench, &mut into), Ok(Response::Short(0)));
    assert_eq!((into, bench.device.get(CMDTM) & 1), ([1; 512], 0));
}

#[test]
fn an_end_that_never_comes_is_not_waited_for_twice() {
    let (mut bench, _, _) = moving(4096, 4096);
    let acting = bench.behaviour.clone();
    bench.device.script(move |registers, offset, access| acting.act(registers, offset, access));
    let mut into = [0; 512];
    assert_eq!(read(&mut bench, &mut into), Err(HostError::Stuck));
    assert!(!bench.host.has_dma());
    assert!(bench.pace.now_us.get() < 11_000_000);
}

#[test]
fn an_error_of_the_lines_leaves_it_as_it_is() {
    let (mut bench, _, _) = moving(4096, 4096);
    bench.behaviour.answers.borrow_mut().push(1 | 1 << 21);
    assert_eq!(read(&mut bench, &mut [0; 512]), Err(HostError::DataCrc));
    assert!(bench.host.has_dma());
}
