use super::fake::{FakeCard, Fault, Kind};
use super::{Addressing, BLOCK_BYTES, BusWidth, Card, CardError, HostError, Speed};

const BLOCKS: usize = 1024;
/// As the card counts them.
const END: u64 = BLOCKS as u64;
const KINDS: [Kind; 3] = [Kind::Old, Kind::Standard, Kind::High];

fn card(fake: FakeCard) -> Card<FakeCard> {
    Card::identify(fake).map_err(|(error, _)| error).expect("a good card")
}

fn refusal(fake: FakeCard) -> CardError {
    Card::identify(fake).map(|_| ()).map_err(|(error, _)| error).expect_err("a card that cannot be used")
}

fn expected(fake: &FakeCard, block: usize, count: usize) -> Vec<u8> {
    fake.memory[block * BLOCK_BYTES..(block + count) * BLOCK_BYTES].to_vec()
}

/// Reads and compares with what the card has.
fn reads(card: &mut Card<FakeCard>, block: u64, count: usize) -> Result<(), CardError> {
    let mut buffer = vec![0xee; count * BLOCK_BYTES];
    card.read(block, &mut buffer)?;
    assert!(buffer == expected(card.host(), usize::try_from(block).expect("small"), count));
    Ok(())
}

/// Writes and looks at what the card has then.
fn writes(card: &mut Card<FakeCard>, block: u64, count: usize) -> Result<(), CardError> {
    let mut bytes = vec![0x5a; count * BLOCK_BYTES];
    for (block, number) in bytes.chunks_mut(BLOCK_BYTES).zip(1_u8..) {
        block[..2].copy_from_slice(&[number, 0xc3]);
    }
    card.write(block, &bytes)?;
    assert!(bytes == expected(card.host(), usize::try_from(block).expect("small"), count));
    Ok(())
}

#[test]
fn each_kind_of_card_is_identified_as_what_it_is() {
    let seen = KINDS.map(|kind| {
        let card = card(FakeCard::new(kind, BLOCKS));
        assert_eq!(card.blocks(), END);
        let identity = *card.identity();
        assert_eq!(
            (card.host().width, card.host().clock_hz > 25_000_000),
            (identity.width, identity.speed == Speed::High)
        );
        (identity.addressing, identity.width, identity.speed)
    });
    let expected = [
        (Addressing::Bytes, BusWidth::One, Speed::Default),
        (Addressing::Bytes, BusWidth::Four, Speed::High),
        (Addressing::Blocks, BusWidth::Four, Speed::High),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn every_kind_of_card_is_read_and_written_with_and_without_block_counts() {
    for kind in KINDS {
        for knows_block_count in [false, true] {
            let mut fake = FakeCard::new(kind, BLOCKS);
            fake.knows_block_count = knows_block_count;
            let mut card = card(fake);
            for (block, count) in [(0, 1), (1, 2), (5, 16), (100, 17), (END - 1, 1), (END - 40, 40), (7, 0)] {
                assert_eq!(reads(&mut card, block, count), Ok(()));
                assert_eq!(writes(&mut card, block, count), Ok(()));
                assert_eq!(reads(&mut card, block, count), Ok(()));
            }
            assert_eq!(card.flush(), Ok(()));
            assert_eq!(card.host().log.contains(&23), knows_block_count);
            assert_eq!(card.host().log.contains(&12), !knows_block_count);
        }
    }
}

#[test]
fn an_empty_slot_has_no_card() {
    let mut fake = FakeCard::new(Kind::High, BLOCKS);
    fake.present = false;
    assert_eq!(refusal(fake), CardError::NoCard);
}

#[test]
fn a_card_that_takes_long_to_power_up_is_waited_for_and_one_that_never_does_is_not() {
    let mut fake = FakeCard::new(Kind::High, BLOCKS);
    fake.power_up = 150;
    assert_eq!(card(fake).blocks(), END);
    let mut fake = FakeCard::new(Kind::High, BLOCKS);
    fake.power_up = u32::MAX;
    assert_eq!(refusal(fake), CardError::NotReady);
}

#[test]
fn what_is_no_sd_card_for_this_voltage_is_refused() {
    let mut fake = FakeCard::new(Kind::High, BLOCKS);
    fake.voltages = 0x8000;
    assert_eq!(refusal(fake), CardError::Unusable);
    let mut mmc = FakeCard::new(Kind::Old, BLOCKS);
    mmc.fail(41, 0, Fault::Host(HostError::CommandTimeout));
    assert_eq!(refusal(mmc), CardError::Unusable);
    let mut locked = FakeCard::new(Kind::High, BLOCKS);
    locked.locked = true;
    assert_eq!(refusal(locked), CardError::Locked);
}

#[test]
fn an_error_at_any_command_of_the_identification_is_survived() {
    for kind in [Kind::Standard, Kind::High] {
        let mut commands = card(FakeCard::new(kind, BLOCKS)).host().log.clone();
        commands.sort_unstable();
        commands.dedup();
        for command in commands.into_iter().map(|command| command % 100) {
            for error in [HostError::CommandCrc, HostError::CommandFrame, HostError::Stuck] {
                let mut fake = FakeCard::new(kind, BLOCKS);
                fake.fail(command, 0, Fault::Host(error));
                assert_eq!(reads(&mut card(fake), 3, 4), Ok(()), "{error} at CMD{command}");
            }
        }
    }
}

#[test]
fn an_error_that_passes_is_repeated_until_it_has_passed() {
    let errors = [HostError::CommandTimeout, HostError::CommandCrc, HostError::DataCrc, HostError::DataTimeout];
    for error in errors {
        for times in 1..4 {
            let mut card = card(FakeCard::new(Kind::High, BLOCKS));
            for _ in 0..times {
                card.host_mut().fail(18, 0, Fault::Host(error));
                card.host_mut().fail(25, 0, Fault::Host(error));
                card.host_mut().fail(17, 0, Fault::Host(error));
                card.host_mut().fail(24, 0, Fault::Host(error));
            }
            assert_eq!(reads(&mut card, 8, 8), Ok(()), "{error}, {times} times");
            assert_eq!(writes(&mut card, 8, 8), Ok(()), "{error}, {times} times");
            assert_eq!(reads(&mut card, 8, 1), Ok(()), "{error}, {times} times");
            assert_eq!(writes(&mut card, 8, 1), Ok(()), "{error}, {times} times");
            assert_eq!(card.host().faults, []);
        }
    }
}

#[test]
fn an_error_that_does_not_pass_is_reported_and_the_card_is_used_again_afterwards() {
    let mut card = card(FakeCard::new(Kind::High, BLOCKS));
    for _ in 0..4 {
        card.host_mut().fail(17, 0, Fault::Host(HostError::DataTimeout));
    }
    let error = CardError::Host { command: 17, error: HostError::DataTimeout };
    assert_eq!(reads(&mut card, 0, 1), Err(error));
    assert_eq!(reads(&mut card, 0, 1), Ok(()));
}

#[test]
fn the_second_failure_identifies_the_card_anew_and_the_first_does_not() {
    let mut card = card(FakeCard::new(Kind::High, BLOCKS));
    card.host_mut().log.clear();
    card.host_mut().fail(17, 0, Fault::Host(HostError::DataCrc));
    assert_eq!(reads(&mut card, 0, 1), Ok(()));
    assert!(!card.host().log.contains(&0));
    card.host_mut().fail(17, 0, Fault::Host(HostError::DataCrc));
    card.host_mut().fail(17, 0, Fault::Host(HostError::DataCrc));
    assert_eq!(reads(&mut card, 0, 1), Ok(()));
    assert!(card.host().log.contains(&0));
}

#[test]
fn data_that_is_garbled_at_high_speed_is_moved_more_slowly() {
    let mut card = card(FakeCard::new(Kind::High, BLOCKS));
    assert_eq!(card.identity().speed, Speed::High);
    card.host_mut().good_until_hz = 25_000_000;
    assert_eq!(reads(&mut card, 0, 8), Ok(()));
    assert_eq!(card.identity().speed, Speed::Default);
    assert_eq!(writes(&mut card, 0, 8), Ok(()));
}

#[test]
fn a_card_that_lost_its_power_for_a_moment_is_identified_anew() {
    for command in [17, 18, 24, 25, 13] {
        let mut card = card(FakeCard::new(Kind::High, BLOCKS));
        card.host_mut().fail(command, 0, Fault::Reset);
        assert_eq!((reads(&mut card, 0, 1), reads(&mut card, 0, 2)), (Ok(()), Ok(())), "CMD{command}");
        assert_eq!((writes(&mut card, 0, 1), writes(&mut card, 0, 2)), (Ok(()), Ok(())), "CMD{command}");
        assert_eq!(card.host().faults, []);
    }
}

#[test]
fn a_card_that_is_taken_out_is_gone_and_comes_back_when_it_is_put_in() {
    for command in [17, 18, 24, 25, 12] {
        let mut card = card(FakeCard::new(Kind::High, BLOCKS));
        card.host_mut().fail(command, 0, Fault::Removal);
        let outcomes =
            [reads(&mut card, 0, 1), reads(&mut card, 0, 3), writes(&mut card, 0, 1), writes(&mut card, 0, 3)];
        assert!(outcomes.contains(&Err(CardError::NoCard)), "CMD{command}");
        assert_eq!(card.flush(), Err(CardError::NoCard));
        card.host_mut().present = true;
        assert_eq!(reads(&mut card, 0, 3), Ok(()));
    }
}

#[test]
fn another_card_in_the_slot_is_never_touched() {
    let mut card = card(FakeCard::new(Kind::High, BLOCKS));
    card.host_mut().present = false;
    assert_eq!(writes(&mut card, 0, 1), Err(CardError::NoCard));
    card.host_mut().present = true;
    card.host_mut().serial ^= 1;
    let before = card.host().memory.clone();
    card.host_mut().log.clear();
    assert_eq!(card.write(0, &[0; BLOCK_BYTES]), Err(CardError::Changed));
    assert_eq!(card.read(0, &mut [0; BLOCK_BYTES]), Err(CardError::Changed));
    assert!(!card.host().log.contains(&24) && !card.host().log.contains(&17) && card.host().memory == before);
}

#[test]
fn a_write_protected_card_is_read_and_not_written() {
    let mut fake = FakeCard::new(Kind::High, BLOCKS);
    fake.protected = true;
    let mut whole = card(fake);
    assert!(whole.is_write_protected());
    assert_eq!(writes(&mut whole, 0, 1), Err(CardError::WriteProtected));
    assert_eq!(reads(&mut whole, 0, 1), Ok(()));
    let mut fake = FakeCard::new(Kind::High, BLOCKS);
    fake.protected_blocks = true;
    let mut some = card(fake);
    assert_eq!(writes(&mut some, 0, 4), Err(CardError::WriteProtected));
    assert_eq!(reads(&mut some, 0, 4), Ok(()));
}

#[test]
fn a_write_returns_when_the_card_is_no_longer_busy() {
    let mut card = card(FakeCard::new(Kind::High, BLOCKS));
    card.host_mut().busy = 20;
    assert_eq!(writes(&mut card, 0, 4), Ok(()));
    assert_eq!(card.host().busy, 0);
    let start = card.host().now_us;
    card.host_mut().busy = u32::MAX;
    assert!(matches!(writes(&mut card, 0, 4), Err(CardError::Status { command: 13, .. })));
    assert!(card.host().now_us - start < 20_000_000, "bounded");
}

#[test]
fn errors_that_a_card_reports_are_repeated_if_they_may_pass() {
    for (bits, passes) in [(1 << 21, true), (1 << 19, true), (1 << 23, true), (1 << 30, false), (1 << 31, false)] {
        let mut card = card(FakeCard::new(Kind::High, BLOCKS));
        card.host_mut().fail(17, 0, Fault::Status(bits));
        assert_eq!(reads(&mut card, 0, 1).is_ok(), passes, "{bits:#x}");
        assert_eq!(reads(&mut card, 0, 1), Ok(()));
    }
}

#[test]
fn the_block_behind_the_last_one_is_no_error_of_a_stop() {
    let mut card = card(FakeCard::new(Kind::High, BLOCKS));
    card.host_mut().fail(12, 0, Fault::Status(1 << 31));
    assert_eq!(reads(&mut card, END - 4, 4), Ok(()));
    assert_eq!(card.host().log.iter().filter(|&&command| command == 18).count(), 1);
}

#[test]
fn what_is_not_on_the_card_or_not_whole_blocks_never_reaches_it() {
    let mut card = card(FakeCard::new(Kind::High, BLOCKS));
    card.host_mut().log.clear();
    let mut buffer = [0; 2 * BLOCK_BYTES];
    let out = |block| Err(CardError::OutOfRange { block, count: 2 });
    for block in [END - 1, END, u64::MAX, u64::MAX - 1] {
        assert_eq!(card.read(block, &mut buffer), out(block));
        assert_eq!(card.write(block, &buffer), out(block));
    }
    assert_eq!(card.read(0, &mut buffer[..100]), Err(CardError::BadLength(100)));
    assert_eq!(card.write(0, &buffer[..513]), Err(CardError::BadLength(513)));
    assert_eq!(card.host().log, []);
}
