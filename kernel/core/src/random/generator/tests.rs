use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

use super::*;

fn key(byte: u8) -> Key {
    [byte; KEY_BYTES]
}

fn bytes_of(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal")).collect()
}

/// RFC 8439, appendix A.1, test vectors 1 and 2: the key stream of the all-zero key and nonce, blocks 0 and 1.
#[test]
fn the_cipher_is_chacha20_as_in_rfc_8439() {
    let block_0 = bytes_of(
        "76 b8 e0 ad a0 f1 3d 90 40 5d 6a e5 53 86 bd 28 bd d2 19 b8 a0 8d ed 1a a8 36 ef cc 8b 77 0d c7 \
         da 41 59 7c 51 57 48 8d 77 24 e0 3f b8 d8 4a 37 6a 43 b8 f4 15 18 a1 1c c3 87 b6 69 b2 ee 65 86",
    );
    let block_1 = bytes_of(
        "9f 07 e7 be 55 51 38 7a 98 ba 97 7c 73 2d 08 0d cb 0f 29 a0 48 e3 65 69 12 c6 53 3e 32 ee 7a ed \
         29 b7 21 76 9c e6 4e 43 d5 71 33 b0 74 d8 39 d5 31 ed 1f 28 51 0a fb 45 ac e1 0a 1f 4b 79 4d 6f",
    );
    let mut found = [0; 128];
    stream(key(0), &mut [&mut found]);
    assert_eq!(found, [block_0, block_1].concat()[..]);
}

/// RFC 8439, appendix A.1, test vector 3: key 00…01, block 1. The key's last byte is set, so all of it counts.
#[test]
fn the_cipher_uses_the_whole_key() {
    let mut last_byte = key(0);
    last_byte[31] = 1;
    let mut found = [0; 128];
    stream(last_byte, &mut [&mut found]);
    let block_1 =
        bytes_of("3a eb 52 24 ec f8 49 92 9b 9d 82 8d b1 ce d4 dd 83 20 25 e8 01 8b 81 60 b8 22 84 f3 c9 49 aa 5a");
    assert_eq!(found[64..96], block_1[..]);
}

#[test]
fn the_first_output_follows_the_next_key_in_the_stream() {
    let mut whole = [0; STREAM_BYTES];
    stream(key(7), &mut [&mut whole]);
    let mut generator = Generator::new(key(7));
    let mut out = [0; BUFFER_BYTES];
    generator.fill(&mut out);
    assert_eq!(out, whole[KEY_BYTES..]);
    assert_eq!(generator.key, whole[..KEY_BYTES]);
}

#[test]
fn nothing_in_the_state_tells_earlier_output() {
    let mut generator = Generator::new(key(7));
    let before = generator.key;
    let mut out = [0; 32];
    generator.fill(&mut out);
    assert_ne!(generator.key, before, "the key is gone");
    assert_eq!(generator.buffer[..32], [0; 32], "what was handed out is erased");
    assert!(!generator.buffer.windows(8).any(|window| out.windows(8).any(|piece| piece == window)));
    // Whoever takes the state now cannot make the same output again: the key leads on, not back.
    let mut again = [0; 32];
    Generator::new(generator.key).fill(&mut again);
    assert_ne!(again, out);
}

#[test]
fn a_long_request_leaves_no_trace_either() {
    let mut generator = Generator::new(key(7));
    let mut out = vec![0; 1000];
    generator.fill(&mut out);
    assert!(!out.windows(KEY_BYTES).any(|window| window == generator.key));
    assert_eq!(generator.buffer[..KEY_BYTES], [0; KEY_BYTES], "the key of the request is erased");
    let mut more = [0; 16];
    generator.fill(&mut more);
    assert!(!out.windows(16).any(|window| window == more));
}

#[test]
fn a_child_and_its_parent_go_different_ways() {
    let mut parent = Generator::new(key(7));
    let mut child = Generator::new(parent.child_key());
    let streams = [parent.next_u64(), parent.next_u64(), child.next_u64(), child.next_u64()];
    let distinct: std::collections::HashSet<_> = streams.into_iter().collect();
    assert_eq!(distinct.len(), streams.len());
}

#[test]
fn a_new_key_makes_the_buffer_worthless() {
    let (mut a, mut b) = (Generator::new(key(1)), Generator::new(key(1)));
    assert_eq!(a.next_u64(), b.next_u64());
    b.rekey(key(2));
    assert_ne!(a.next_u64(), b.next_u64());
}

#[test]
fn the_generator_speaks_rand_core() {
    let mut ours = Generator::new(key(3));
    let mut theirs = Generator::new(key(3));
    assert_eq!(ours.next_u64(), Rng::next_u64(&mut theirs));
    let _: u32 = Rng::next_u32(&mut theirs);
}

#[test]
fn uniform_of_nothing_is_zero() {
    let mut generator = Generator::new(key(3));
    assert_eq!((generator.uniform(0), generator.uniform(1)), (0, 0));
}

/// Six sides, 6000 throws, each side within five standard deviations (29) of 1000. The key is fixed, so the outcome is.
#[test]
fn uniform_throws_every_side_of_a_die_as_often() {
    const THROWS: u64 = if cfg!(miri) { 60 } else { 6000 };
    let mut generator = Generator::new(key(9));
    let mut sides = [0_u64; 6];
    for _ in 0..THROWS {
        sides[usize::try_from(generator.uniform(6)).unwrap()] += 1;
    }
    if !cfg!(miri) {
        assert!(sides.iter().all(|&count| (855..=1145).contains(&count)), "{sides:?}");
    }
}

/// With a bound of 3 × 2⁶² a plain multiplication would hit every third value twice as often as its neighbours.
#[test]
fn uniform_is_not_biased_for_bounds_near_the_top() {
    const DRAWS: u64 = if cfg!(miri) { 30 } else { 6000 };
    let bound = 3 << 62;
    let mut generator = Generator::new(key(9));
    let mut classes = [0_u64; 3];
    for _ in 0..DRAWS {
        let value = generator.uniform(bound);
        assert!(value < bound);
        classes[usize::try_from(value % 3).unwrap()] += 1;
    }
    if !cfg!(miri) {
        // Expected 2000 each, standard deviation 37.
        assert!(classes.iter().all(|&count| (1815..=2185).contains(&count)), "{classes:?}");
    }
}

/// 2²⁰ bits: ones within five standard deviations (512) of half. Every byte value within six (16) of 512.
#[test]
fn the_output_looks_random() {
    if cfg!(miri) {
        return;
    }
    let mut generator = Generator::new(key(5));
    let mut out = vec![0_u8; 1 << 17];
    for chunk in out.chunks_mut(100) {
        generator.fill(chunk);
    }
    let ones: u32 = out.iter().map(|byte| byte.count_ones()).sum();
    assert!(ones.abs_diff(1 << 19) < 5 * 512, "{ones}");
    let mut counts = [0_i32; 256];
    for byte in &out {
        counts[usize::from(*byte)] += 1;
    }
    assert!(counts.iter().all(|count| count.abs_diff(512) < 6 * 23), "{counts:?}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 500 }, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn short_requests_cut_one_stream(lengths in prop::collection::vec(0..=BUFFER_BYTES, 0..12)) {
        let total: usize = lengths.iter().sum();
        let mut pieces = Vec::new();
        let mut generator = Generator::new(key(4));
        for length in lengths {
            let mut piece = vec![0; length];
            generator.fill(&mut piece);
            pieces.extend(piece);
        }
        let mut bytewise = Generator::new(key(4));
        let mut whole = vec![0; total];
        whole.iter_mut().for_each(|byte| bytewise.fill(core::slice::from_mut(byte)));
        prop_assert_eq!(pieces, whole);
    }

    /// Numbers come from the same stream as everything else, wherever in the buffer they begin.
    #[test]
    fn numbers_cut_the_same_stream(before in 0..=BUFFER_BYTES, halves in prop::collection::vec(any::<bool>(), 0..70)) {
        let mut generator = Generator::new(key(6));
        let mut pieces = vec![0; before];
        generator.fill(&mut pieces);
        for half in halves {
            if half {
                pieces.extend(Rng::next_u32(&mut generator).to_le_bytes());
            } else {
                pieces.extend(generator.next_u64().to_le_bytes());
            }
            let used = generator.used;
            prop_assert_eq!(&generator.buffer[..used], &vec![0; used], "what was handed out is erased");
        }
        let mut bytewise = Generator::new(key(6));
        let mut whole = vec![0; pieces.len()];
        whole.iter_mut().for_each(|byte| bytewise.fill(core::slice::from_mut(byte)));
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn uniform_stays_below_its_bound(bound in 1..=u64::MAX, seed in any::<u8>()) {
        prop_assert!(Generator::new(key(seed)).uniform(bound) < bound);
    }
}
