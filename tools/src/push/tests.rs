//! Both sides against each other, over a line that makes errors.

use std::collections::VecDeque;
use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use abi::push::frame::MAX_ENCODED;
use abi::push::{Line, Receiver};

use super::*;

/// The speeds of the two ends, and what the line does to bytes.
struct Wire {
    host_baud: u32,
    board_baud: u32,
    /// Damages, loses or doubles every so manieth byte; 0 for none.
    every: u32,
    /// It does so at this speed and above.
    errors_from: u32,
    count: u32,
    /// The most that the wire carries.
    fastest: u32,
    /// Cuts the line once, after so many bytes: nothing arrives until the host begins anew.
    cut_after: Option<u32>,
}

impl Wire {
    /// What arrives of a byte.
    fn carry(&mut self, byte: u8) -> Vec<u8> {
        self.count = self.count.wrapping_add(1);
        if self.host_baud != self.board_baud || self.host_baud > self.fastest {
            return vec![byte ^ 0x55];
        }
        if self.cut_after.is_some_and(|after| self.count > after) {
            return Vec::new();
        }
        let is_bad = self.every > 0 && self.host_baud >= self.errors_from;
        match (is_bad && self.count.is_multiple_of(self.every), self.count / self.every.max(1) % 3) {
            (false, _) => vec![byte],
            (true, 0) => vec![byte ^ 0x08],
            (true, 1) => Vec::new(),
            (true, _) => vec![byte, 0, byte],
        }
    }
}

/// What came to an end of the line, and what is being waited for there.
#[derive(Default)]
struct Side {
    heard: VecDeque<u8>,
    /// Until when somebody waits for a byte.
    waits: Option<Duration>,
    /// Nobody says anything there any more.
    is_silent: bool,
    is_gone: bool,
}

/// The line with its two sides, and a time of its own: it stands still as long as one side has something to do, and goes on to
/// the end of the shorter wait where both wait. So nothing depends on how fast this machine is.
struct Between {
    wire: Wire,
    now: Duration,
    sides: [Side; 2],
}

/// One end of the line.
struct Lead {
    between: Arc<(Mutex<Between>, Condvar)>,
    side: usize,
    began: Instant,
}

impl Lead {
    /// The host's and the board's.
    fn pair(wire: Wire) -> [Self; 2] {
        let between = Between { wire, now: Duration::ZERO, sides: Default::default() };
        let between = Arc::new((Mutex::new(between), Condvar::new()));
        let began = Instant::now();
        [0, 1].map(|side| Self { between: Arc::clone(&between), side, began })
    }

    fn lock(&self) -> MutexGuard<'_, Between> {
        self.between.0.lock().unwrap()
    }

    fn send(&self, byte: u8) {
        let mut between = self.lock();
        let arrived = between.wire.carry(byte);
        between.sides[1 - self.side].heard.extend(arrived);
        self.between.1.notify_all();
    }

    fn receive(&self, patience: Duration) -> Option<u8> {
        let mut between = self.lock();
        let end = between.now + patience;
        loop {
            let now = between.now;
            let [mine, other] = between.sides.get_disjoint_mut([self.side, 1 - self.side]).unwrap();
            mine.waits = None;
            let byte = mine.heard.pop_front();
            if byte.is_some() || end <= now {
                return byte;
            }
            mine.waits = Some(end);
            match other.waits.filter(|&other_end| other_end > now && other.heard.is_empty()) {
                Some(other_end) => between.now = end.min(other_end),
                None if other.is_silent => between.now = end,
                None => {}
            }
            if between.now > now {
                self.between.1.notify_all();
            } else {
                between = self.between.1.wait(between).unwrap();
            }
        }
    }

    /// Says nothing any more, and listens to nothing.
    fn fall_silent(&self) {
        self.lock().sides[self.side].is_silent = true;
        self.between.1.notify_all();
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.lock().sides[self.side].is_gone = true;
        self.fall_silent();
    }
}

impl Port for Lead {
    fn read(&mut self, patience: Duration) -> io::Result<Option<u8>> {
        Ok(self.receive(patience))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        bytes.iter().for_each(|&byte| self.send(byte));
        Ok(())
    }

    fn set_baud(&mut self, baud: u32) -> io::Result<()> {
        self.lock().wire.host_baud = baud;
        Ok(())
    }

    fn now(&self) -> Instant {
        self.began + self.lock().now
    }
}

/// The board's end.
struct BoardLead(Lead);

impl Line for BoardLead {
    fn read(&mut self, patience_ms: u32) -> Option<u8> {
        // A board asks for ever.
        if self.0.lock().sides[1 - self.0.side].is_gone {
            resume_unwind(Box::new("the host is gone"));
        }
        self.0.receive(Duration::from_millis(patience_ms.into()))
    }

    fn write(&mut self, byte: u8) {
        self.0.send(byte);
    }

    fn set_baud(&mut self, baud: u32) -> bool {
        let possible = baud <= 3_000_000;
        if possible {
            self.0.lock().wire.board_baud = baud;
        }
        possible
    }
}

fn wire(every: u32) -> Wire {
    Wire {
        host_baud: FIRST_BAUD,
        board_baud: FIRST_BAUD,
        every,
        errors_from: 0,
        count: 0,
        fastest: u32::MAX,
        cut_after: None,
    }
}

fn inflate(packed: &[u8], room: &mut [u8]) -> Option<usize> {
    let bytes = miniz_oxide::inflate::decompress_to_vec(packed).ok().filter(|bytes| bytes.len() <= room.len())?;
    room[..bytes.len()].copy_from_slice(&bytes);
    Some(bytes.len())
}

/// An image of some blocks: text, zeros, and what cannot be packed.
fn image() -> Vec<u8> {
    let noise =
        std::iter::successors(Some(1_u32), |word| Some(word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)));
    let noise = noise.map(|word| word.to_be_bytes()[0]);
    let mut image: Vec<u8> = b"kernel ".iter().copied().cycle().take(70_000).collect();
    image.resize(140_000, 0);
    image.extend(noise.take(50_001));
    image
}

/// The loader of the board at this end, and what it has in its memory when it starts the image.
fn loader(board: Lead) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let (mut memory, mut frame) = (vec![0xaa; 300_000], [0; MAX_ENCODED]);
        let started = Receiver::new(BoardLead(board), &mut memory, &mut frame, inflate).run();
        memory.truncate(started.length);
        memory
    })
}

/// What the loader has in its memory when it starts the image, and what happened on the way.
fn exchange(wire: Wire, image: &[u8], baud: u32) -> (anyhow::Result<()>, Vec<u8>, Vec<Event>) {
    let [mut host, board] = Lead::pair(wire);
    let between = Arc::clone(&host.between);
    let loader = loader(board);
    let mut events = Vec::new();
    let outcome = push(&mut host, &Order { image, baud, patience: Duration::from_secs(10) }, &mut |event| {
        if event == Event::Lost {
            between.0.lock().unwrap().wire.cut_after = None;
        }
        events.push(event);
    });
    if outcome.is_err() {
        return (outcome, Vec::new(), events);
    }
    host.fall_silent();
    (outcome, loader.join().unwrap(), events)
}

#[test]
fn an_image_arrives_as_it_was_sent_and_at_the_speed_that_both_can() {
    let image = image();
    let (outcome, memory, events) = exchange(wire(0), &image, 921_600);
    outcome.unwrap();
    assert!(memory == image);
    assert!(events.contains(&Event::Found { baud: 921_600, there: 0 }), "{events:?}");
    assert!(!events.contains(&Event::Again) && events.ends_with(&[Event::Arrived(image.len())]));
}

#[test]
fn a_speed_that_the_loader_cannot_have_is_not_taken() {
    let (outcome, memory, events) = exchange(wire(0), &image(), 4_000_000);
    outcome.unwrap();
    assert!(memory == image());
    assert!(events.contains(&Event::Found { baud: FIRST_BAUD, there: 0 }), "{events:?}");
}

#[test]
fn where_a_speed_does_not_work_both_go_back_to_the_first() {
    let (outcome, memory, events) = exchange(Wire { fastest: 500_000, ..wire(0) }, &image(), 921_600);
    outcome.unwrap();
    assert!(memory == image());
    assert!(events.contains(&Event::TooFast(921_600)), "{events:?}");
}

/// A probe passes there, and a block never does.
#[test]
fn where_only_short_frames_pass_at_a_speed_the_first_one_is_used() {
    let wire = Wire { errors_from: FIRST_BAUD + 1, ..wire(5_003) };
    let (outcome, memory, events) = exchange(wire, &image(), 921_600);
    outcome.unwrap();
    assert!(memory == image());
    assert!(events.contains(&Event::Found { baud: 921_600, there: 0 }), "{events:?}");
    assert!(events.contains(&Event::TooFast(921_600)), "{events:?}");
}

#[test]
fn bytes_that_are_changed_lost_or_doubled_do_not_matter() {
    for every in [20_011, 50_021] {
        let (outcome, memory, events) = exchange(wire(every), &image(), 921_600);
        outcome.unwrap();
        assert!(memory == image(), "every {every}");
        assert!(events.contains(&Event::Again), "every {every}");
    }
}

#[test]
fn after_a_break_it_goes_on_where_it_was() {
    let (outcome, memory, events) = exchange(Wire { cut_after: Some(30_000), ..wire(0) }, &image(), FIRST_BAUD);
    outcome.unwrap();
    assert!(memory == image());
    let resumed = events.iter().any(|event| matches!(event, Event::Found { there, .. } if *there > 10_000));
    assert!(events.contains(&Event::Lost) && resumed, "{events:?}");
}

#[test]
fn an_image_that_is_too_large_is_refused() {
    let error = exchange(wire(0), &[7; 300_001], FIRST_BAUD).0.unwrap_err().to_string();
    assert!(error.contains("no room"), "{error}");
}

/// A loader as others write them.
fn foreign_loader(board: &mut BoardLead, limit: u32) -> Vec<u8> {
    loop {
        REQUEST.into_iter().for_each(|byte| board.write(byte));
        let mut length = [0; 4];
        for slot in &mut length {
            *slot = board.read(20_000).unwrap();
        }
        let length = u32::from_le_bytes(length);
        let answer = if length > limit { RAW_TOO_LARGE } else { RAW_OK };
        answer.into_iter().for_each(|byte| board.write(byte));
        if answer == RAW_OK {
            return (0..length).map_while(|_| board.read(20_000)).collect();
        }
    }
}

#[test]
fn a_loader_of_another_kind_gets_the_image_in_its_own_way() {
    let [mut host, board] = Lead::pair(wire(0));
    let loader = thread::spawn(move || foreign_loader(&mut BoardLead(board), 1_000_000));
    let mut found = false;
    let order = Order { image: &image(), baud: 921_600, patience: Duration::from_secs(10) };
    push(&mut host, &order, &mut |event| found |= event == Event::FoundRaw).unwrap();
    assert!(found && loader.join().unwrap() == image());
}

#[test]
fn a_loader_that_refuses_no_length_is_told_from_one_that_is_silent_and_gets_the_image_where_that_is_said() {
    for known in [false, true] {
        let [mut host, board] = Lead::pair(wire(0));
        let loader = thread::spawn(move || foreign_loader(&mut BoardLead(board), u32::MAX));
        let order = Order { image: &image(), baud: 921_600, patience: Duration::from_secs(10) };
        let push = if known { raspbootin } else { push };
        let outcome = push(&mut host, &order, &mut |_| ());
        host.fall_silent();
        assert_eq!(loader.join().unwrap() == image(), known);
        match outcome {
            Ok(()) => assert!(known),
            Err(error) => assert!(!known && error.to_string().contains("--raspbootin"), "{error}"),
        }
    }
}

#[test]
fn our_loader_takes_the_image_of_a_host_of_another_kind() {
    let [mut host, board] = Lead::pair(wire(0));
    let loader = loader(board);
    let order = Order { image: &image(), baud: FIRST_BAUD, patience: Duration::from_secs(10) };
    raspbootin(&mut host, &order, &mut |_| ()).unwrap();
    host.fall_silent();
    assert!(loader.join().unwrap() == image());
}

#[test]
fn where_nobody_asks_that_is_an_error_in_time() {
    let [mut host, _] = Lead::pair(wire(0));
    let order = Order { image: b"x", baud: FIRST_BAUD, patience: Duration::from_millis(20) };
    let error = push(&mut host, &order, &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("no loader asks"), "{error}");
}
