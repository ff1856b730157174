//! `siginfo_t`, byte by byte.

use crate::addr::UserAddr;
use crate::signal::{BadInfo, ChildEvent, Detail, Info, Signal, code};

/// The first 48 bytes in words of 32 bits; the others must be 0.
fn words(info: &Info) -> [u32; 12] {
    let bytes = info.to_linux();
    assert!(bytes[48..].iter().all(|&byte| byte == 0));
    core::array::from_fn(|n| u32::from_le_bytes(core::array::from_fn(|byte| bytes[4 * n + byte])))
}

#[test]
fn senders_are_named() {
    assert_eq!(words(&Info::user(Signal::TERM, 42, 1000)), [15, 0, 0, 0, 42, 1000, 0, 0, 0, 0, 0, 0]);
    let tkill = words(&Info::tkill(Signal::USR1, 42, 1000));
    assert_eq!(tkill, [10, 0, (-6_i32).cast_unsigned(), 0, 42, 1000, 0, 0, 0, 0, 0, 0]);
    assert_eq!(words(&Info::kernel(Signal::HUP)), [1, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_value_comes_after_its_sender() {
    let info = Info::queue(Signal::RTMIN, 42, 1000, 0x1_0000_0002);
    assert_eq!(words(&info), [32, 0, u32::MAX, 0, 42, 1000, 2, 1, 0, 0, 0, 0]);
}

#[test]
fn a_fault_names_its_address() {
    let info = Info::fault(Signal::SEGV, code::ACCESS, UserAddr::new(0x7f_1234_5678));
    assert_eq!(words(&info), [11, 0, 2, 0, 0x1234_5678, 0x7f, 0, 0, 0, 0, 0, 0]);
    assert!(info.is_synchronous());
}

#[test]
fn a_child_tells_what_became_of_it() {
    let info = Info::child(ChildEvent::Exited(3), 42, 1000, 5, 6);
    assert_eq!(words(&info), [17, 0, 1, 0, 42, 1000, 3, 0, 5, 0, 6, 0]);
}

#[test]
fn timers_and_descriptors_have_their_fields() {
    assert_eq!(words(&Info::timer(Signal::ALRM, 3, 2, 9))[2..8], [(-2_i32).cast_unsigned(), 0, 3, 2, 9, 0]);
    let poll = Info::new(Signal::IO, 1, Detail::Poll { band: 0x41, fd: 5 });
    assert_eq!(words(&poll)[2..8], [1, 0, 0x41, 0, 5, 0]);
}

#[test]
fn codes_and_status_words_are_linux_s() {
    let table = [
        (ChildEvent::Exited(3), 1, 3, 0x0300),
        (ChildEvent::Killed { signal: Signal::TERM, core: false }, 2, 15, 0x000f),
        (ChildEvent::Killed { signal: Signal::SEGV, core: true }, 3, 11, 0x008b),
        (ChildEvent::Trapped(Signal::TRAP), 4, 5, 0x057f),
        (ChildEvent::Stopped(Signal::TSTP), 5, 20, 0x147f),
        (ChildEvent::Continued, 6, 18, 0xffff),
    ];
    for (event, code, status, word) in table {
        assert_eq!((event.code(), event.status(), event.wait_status()), (code, status, word), "{event:?}");
    }
}

#[test]
fn what_a_program_makes_up_arrives_as_it_was() {
    let mut bytes = [0; Info::BYTES];
    bytes[..4].copy_from_slice(&99_i32.to_le_bytes());
    bytes[4..8].copy_from_slice(&7_i32.to_le_bytes());
    bytes[8..12].copy_from_slice(&(-3_i32).to_le_bytes());
    for (at, byte) in bytes[16..48].iter_mut().enumerate() {
        *byte = u8::try_from(at).unwrap() + 1;
    }
    let info = Info::from_linux(Signal::RTMIN, &bytes).unwrap();
    assert_eq!((info.signal, info.errno, info.code), (Signal::RTMIN, 7, -3));
    // The number is the one that it was sent as.
    bytes[..4].copy_from_slice(&32_i32.to_le_bytes());
    assert_eq!(info.to_linux(), bytes);
    bytes[48] = 1;
    assert_eq!(Info::from_linux(Signal::RTMIN, &bytes), Ok(info), "nothing is there with a code that is known");
    bytes[8..12].copy_from_slice(&(-8_i32).to_le_bytes());
    assert_eq!(Info::from_linux(Signal::RTMIN, &bytes), Err(BadInfo));
}

#[test]
fn only_the_kernel_makes_synchronous_signals() {
    assert!(!Info::user(Signal::SEGV, 1, 0).is_synchronous());
    assert!(!Info::tkill(Signal::SEGV, 1, 0).is_synchronous());
    assert!(!Info::kernel(Signal::HUP).is_synchronous());
}

#[test]
fn an_info_is_small_enough_to_be_kept_in_every_process() {
    assert!(size_of::<Info>() <= 56, "{}", size_of::<Info>());
}
