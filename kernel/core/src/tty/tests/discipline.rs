//! Editing, echo, signals and flow control, byte by byte.

use std::vec::Vec;

use crate::signal::Signal;
use crate::tty::discipline::{Asked, Discipline};
use crate::tty::settings::Special;
use crate::tty::{InputModes, LocalModes, OutputModes, Settings};

/// A line discipline, and what it has shown and asked for.
struct Line {
    discipline: Discipline,
    shown: Vec<u8>,
    signals: Vec<Signal>,
}

impl Line {
    fn new() -> Self {
        Self::with(Settings::serial())
    }

    fn with(settings: Settings) -> Self {
        Self { discipline: Discipline::new(settings).unwrap(), shown: Vec::new(), signals: Vec::new() }
    }

    fn changed(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::serial();
        change(&mut settings);
        Self::with(settings)
    }

    fn type_in(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            if let Asked::Signal { signal, .. } = self.discipline.receive(byte) {
                self.signals.push(signal);
            }
            self.shown.extend(self.discipline.echoes().drain(..));
        }
        self
    }

    /// What the next read gets; `None` if it would wait.
    fn read(&mut self, room: usize) -> Option<Vec<u8>> {
        if !self.discipline.has_input(false) {
            return None;
        }
        let mut buffer = std::vec![0; room];
        let piece = self.discipline.look(&mut buffer);
        self.discipline.input.skip(piece.read);
        buffer.truncate(piece.bytes);
        Some(buffer)
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        self.read(5000)
    }

    fn write(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut written = Vec::new();
        bytes.iter().for_each(|&byte| self.discipline.write(byte, &mut |bytes| written.extend(bytes)));
        written
    }
}

/// What a screen of one line shows after these bytes.
fn screen(bytes: &[u8]) -> Vec<u8> {
    let (mut screen, mut column) = (Vec::new(), 0_usize);
    for &byte in bytes {
        match byte {
            0x08 => column -= 1,
            b'\r' => column = 0,
            b'\t' => column = column / 8 * 8 + 8,
            _ => {
                screen.resize(screen.len().max(column + 1), b' ');
                screen[column] = byte;
                column += 1;
            }
        }
    }
    screen.truncate(column);
    screen
}

#[test]
fn a_line_is_read_when_it_ends_and_only_one_at_a_time() {
    let mut line = Line::new();
    assert_eq!(line.type_in(b"one").line(), None);
    assert_eq!(line.type_in(b"\rtwo\nth").line().unwrap(), b"one\n");
    assert_eq!(line.line().unwrap(), b"two\n");
    assert_eq!(line.line(), None);
    assert_eq!(line.shown, b"one\r\ntwo\r\nth");
}

#[test]
fn a_small_buffer_gets_a_line_in_pieces() {
    let mut line = Line::new();
    line.type_in(b"hello\nx\n");
    assert_eq!(line.read(3).unwrap(), b"hel");
    assert_eq!(line.read(3).unwrap(), b"lo\n");
    assert_eq!(line.read(3).unwrap(), b"x\n");
}

#[test]
fn end_of_file_ends_a_line_and_is_not_read() {
    let mut line = Line::new();
    assert_eq!(line.type_in(b"\x04").line().unwrap(), b"");
    assert_eq!(line.type_in(b"ab\x04").line().unwrap(), b"ab");
    assert_eq!(line.type_in(b"ab\x04").read(2).unwrap(), b"ab", "the end goes with what it ends");
    assert_eq!(line.line(), None);
    assert_eq!(line.shown, b"abab");
}

#[test]
fn the_erase_characters_take_back_characters_words_and_the_line() {
    let mut line = Line::new();
    assert_eq!(line.type_in(b"helo\x7f\x7flp\r").line().unwrap(), b"help\n");
    assert_eq!(line.type_in(b"cat one two  \x17\x17x\r").line().unwrap(), b"cat x\n");
    assert_eq!(line.type_in(b"nonsense\x15ls\r").line().unwrap(), b"ls\n");
    assert_eq!(line.type_in(b"\x7f\x15\x17a\r").line().unwrap(), b"a\n", "nothing is left to erase");
}

#[test]
fn what_is_erased_leaves_the_screen() {
    for (typed, seen) in [
        (&b"helo\x7f\x7flp"[..], &b"help"[..]),
        (b"a\x01b\x7f\x7f\x7f", b""),
        (b"a\tb\x7f\x7f\x7f", b""),
        (b"ab\t\tc\x7f\x7f\x7fc", b"abc"),
        (b"one two\x17", b"one "),
        (b"abc\x15", b""),
        (b"\x16\tx\x7f\x7f", b""),
    ] {
        let mut line = Line::new();
        line.type_in(typed);
        let shown: Vec<u8> = screen(&line.shown);
        assert_eq!(shown, seen, "{:?}", typed.escape_ascii().to_string());
    }
}

#[test]
fn a_prompt_before_the_line_counts_for_its_tabs() {
    let mut line = Line::new();
    let prompt = line.write(b"$ ");
    line.type_in(b"\tx\x7f\x7fls");
    let all: Vec<u8> = [prompt, line.shown.clone()].concat();
    assert_eq!(screen(&all), b"$ ls");
}

#[test]
fn characters_of_several_bytes_are_erased_whole() {
    let mut line = Line::changed(|settings| settings.input |= InputModes::UTF8);
    assert_eq!(line.type_in("aé\u{20ac}\x7f\x7fb\n".as_bytes()).line().unwrap(), b"ab\n");
    assert_eq!(line.shown, "aé\u{20ac}\x08 \x08\x08 \x08b\r\n".as_bytes());
}

#[test]
fn kill_without_erasing_shows_itself_and_a_new_line() {
    let mut line = Line::changed(|settings| settings.local.remove(LocalModes::ECHO_KILL_ERASE));
    assert_eq!(line.type_in(b"ab\x15c\n").line().unwrap(), b"c\n");
    assert_eq!(line.shown, b"ab^U\r\nc\r\n");
}

#[test]
fn without_echo_only_the_line_feed_shows_if_it_shall() {
    let mut line = Line::changed(|settings| {
        settings.local.remove(LocalModes::ECHO);
        settings.local.insert(LocalModes::ECHO_LINE_FEED);
    });
    assert_eq!(line.type_in(b"secret\x7f\n").line().unwrap(), b"secre\n");
    assert_eq!(line.shown, b"\r\n");
}

#[test]
fn control_characters_show_as_letters_unless_they_shall_not() {
    let mut line = Line::new();
    line.type_in(b"\x01\x1b\t");
    assert_eq!(line.shown, b"^A^[\t");
    let mut line = Line::changed(|settings| settings.local.remove(LocalModes::ECHO_CONTROL));
    line.type_in(b"\x01\x7f");
    assert_eq!(line.shown, b"\x01");
}

#[test]
fn the_literal_next_character_is_only_itself() {
    let mut line = Line::new();
    assert_eq!(line.type_in(b"a\x16\x03\x16\x7f\x16\x04\n").line().unwrap(), b"a\x03\x7f\x04\n");
    assert!(line.signals.is_empty());
    assert_eq!(line.shown, b"a^\x08^C^\x08^?^\x08^D\r\n");
}

#[test]
fn reprint_shows_the_line_again() {
    let mut line = Line::new();
    assert_eq!(line.type_in(b"ab\x12c\n").line().unwrap(), b"abc\n");
    assert_eq!(line.shown, b"ab^R\r\nabc\r\n");
}

#[test]
fn other_ends_of_line_end_lines_and_are_read() {
    let mut line = Line::with(Settings::serial().with(Special::EndOfLine, b';').with(Special::SecondEndOfLine, b'!'));
    line.type_in(b"a;b!c\n");
    assert_eq!([line.line().unwrap(), line.line().unwrap(), line.line().unwrap()].concat(), b"a;b!c\n");
    assert_eq!(line.line(), None);
}

#[test]
fn a_zero_is_typed_like_any_other_byte() {
    let mut line = Line::new();
    assert_eq!(line.type_in(b"a\0b\n").line().unwrap(), b"a\0b\n");
}

#[test]
fn signals_forget_input_and_show_their_character() {
    let mut line = Line::new();
    line.type_in(b"abc\nx\x03\x1c\x1a");
    assert_eq!(line.signals, [Signal::INT, Signal::QUIT, Signal::TSTP]);
    assert_eq!(line.line(), None);
    assert!(line.shown.ends_with(b"^C^\\^Z"));
}

#[test]
fn signals_leave_input_alone_if_told_so() {
    let mut line = Line::changed(|settings| settings.local |= LocalModes::NO_FLUSH);
    assert_eq!(line.type_in(b"ab\x03c\n").line().unwrap(), b"abc\n");
    assert_eq!(line.signals, [Signal::INT]);
}

#[test]
fn without_signals_their_characters_are_input() {
    let mut line = Line::changed(|settings| settings.local.remove(LocalModes::SIGNALS));
    assert_eq!(line.type_in(b"\x03\x1a\n").line().unwrap(), b"\x03\x1a\n");
    assert!(line.signals.is_empty());
}

#[test]
fn a_character_that_is_set_to_none_is_input() {
    let mut line = Line::with(Settings::serial().with(Special::Interrupt, 0));
    assert_eq!(line.type_in(b"\x03\0\n").line().unwrap(), b"\x03\0\n");
    assert!(line.signals.is_empty());
}

#[test]
fn input_is_translated_as_asked() {
    let typed = b"a\rB\n\xe1";
    let with = |modes: InputModes| {
        let mut line = Line::changed(|settings| {
            *settings = settings.raw();
            settings.input = modes;
        });
        line.type_in(typed).line().unwrap()
    };
    assert_eq!(with(InputModes::empty()), typed);
    assert_eq!(with(InputModes::RETURN_TO_LINE_FEED), b"a\nB\n\xe1");
    assert_eq!(with(InputModes::LINE_FEED_TO_RETURN), b"a\rB\r\xe1");
    assert_eq!(with(InputModes::IGNORE_RETURN | InputModes::RETURN_TO_LINE_FEED), b"aB\n\xe1");
    assert_eq!(with(InputModes::STRIP), b"a\rB\na");
    let mut line = Line::changed(|settings| settings.input |= InputModes::TO_LOWER);
    assert_eq!(line.type_in(b"ABC\n").line().unwrap(), b"abc\n");
    let mut line = Line::changed(|settings| settings.input |= InputModes::MARK_ERRORS);
    assert_eq!(line.type_in(b"\xff\n").line().unwrap(), b"\xff\xff\n");
}

#[test]
fn output_is_processed_as_asked() {
    let with = |output, bytes: &[u8]| Line::changed(|settings| settings.output = output).write(bytes);
    let process = OutputModes::PROCESS;
    assert_eq!(with(process | OutputModes::LINE_FEED_GETS_RETURN, b"a\nb"), b"a\r\nb");
    assert_eq!(with(OutputModes::LINE_FEED_GETS_RETURN, b"a\nb"), b"a\nb", "nothing without OPOST");
    assert_eq!(with(process | OutputModes::RETURN_TO_LINE_FEED, b"a\rb"), b"a\nb");
    assert_eq!(with(process | OutputModes::NO_RETURN_IN_FIRST_COLUMN, b"\ra\r\r"), b"a\r");
    assert_eq!(with(process | OutputModes::TO_UPPER, b"aB"), b"AB");
    assert_eq!(with(process | OutputModes::EXPAND_TABS, b"\tab\tc\x08\x08\td"), b"        ab      c\x08\x08 d");
}

#[test]
fn the_stop_character_holds_output_up_and_start_lets_it_go() {
    let mut line = Line::new();
    assert!(line.type_in(b"\x13").discipline.is_stopped());
    assert!(line.type_in(b"a").discipline.is_stopped());
    assert!(!line.type_in(b"\x11").discipline.is_stopped());
    assert_eq!(line.type_in(b"\n").line().unwrap(), b"a\n", "neither is input");
    let mut line = Line::changed(|settings| settings.input |= InputModes::ANY_STARTS);
    assert!(!line.type_in(b"\x13x").discipline.is_stopped());
    let mut line = Line::changed(|settings| settings.input.remove(InputModes::STOP_OUTPUT));
    assert_eq!(line.type_in(b"\x13\x11\n").line().unwrap(), b"\x13\x11\n");
}

#[test]
fn a_signal_lets_stopped_output_go_on() {
    let mut line = Line::new();
    assert!(!line.type_in(b"\x13\x03").discipline.is_stopped());
}

#[test]
fn a_line_has_4096_bytes_with_its_end_and_more_replaces_the_last() {
    let mut line = Line::new();
    line.type_in(&[b'a'; 4095]).type_in(b"bcd\n");
    let read = line.line().unwrap();
    assert_eq!((read.len(), &read[4093..]), (4096, &b"aa\n"[..]));
    assert_eq!(line.line(), None);
    assert_eq!(line.type_in(b"next\n").line().unwrap(), b"next\n");
}

#[test]
fn unread_lines_leave_no_room_but_a_line_being_edited_always_ends() {
    let mut line = Line::new();
    line.type_in(b"\n");
    while line.discipline.has_room() {
        line.type_in(b"x");
    }
    assert_eq!(line.line().unwrap(), b"\n");
    assert!(line.discipline.has_room());
    line.type_in(b"\n");
    assert_eq!(line.line().unwrap().len(), 4095);
}

#[test]
fn without_lines_all_that_was_typed_can_be_read() {
    let mut line = Line::with(Settings::serial().raw());
    assert_eq!(line.type_in(b"a\x7f\x04\r").read(3).unwrap(), b"a\x7f\x04");
    assert_eq!(line.line().unwrap(), b"\r");
    assert_eq!(line.line(), None);
    while line.discipline.has_room() {
        line.type_in(b"x");
    }
    assert_eq!(line.line().unwrap().len(), 4095);
}

#[test]
fn what_was_typed_before_lines_begin_is_a_line_and_what_is_edited_when_they_end_can_be_read() {
    let mut line = Line::with(Settings::serial().raw());
    line.type_in(b"abc");
    line.discipline.set(Settings::serial());
    line.type_in(b"d\x7f\x7fe\n");
    assert_eq!(line.line().unwrap(), b"abc");
    assert_eq!(line.line().unwrap(), b"e\n");
    line.type_in(b"half");
    line.discipline.set(Settings::serial().raw());
    assert_eq!(line.line().unwrap(), b"half");
}

#[test]
fn the_readable_bytes_are_those_of_whole_lines_without_ends_of_file() {
    let mut line = Line::new();
    line.type_in(b"ab\ncd\x04ef");
    assert_eq!(line.discipline.readable(), 5);
    line.discipline.set(Settings::serial().raw());
    assert_eq!(line.discipline.readable(), 8);
}

#[test]
fn settings_come_back_as_they_were_set_but_for_the_line() {
    let usual = Settings::serial();
    let bytes = usual.to_linux();
    assert_eq!(usual.changed(&bytes), usual);
    assert_eq!(&bytes[..16], [0o2400_u32, 0o5, 0o10002 | 0o6260, 0o105_073].map(u32::to_le_bytes).as_flattened());
    let mut other = [0xff; Settings::BYTES];
    other[8..12].copy_from_slice(&(0o15_u32 | 0o20 | 0o400 | 0o100).to_le_bytes());
    let changed = usual.changed(&other).to_linux();
    assert_eq!(changed[8..12], (0o10002_u32 | 0o60 | 0o100).to_le_bytes(), "speed and size stay, there is no parity");
    assert_eq!((&changed[..8], changed[16], &changed[17..]), (&[0xff; 8][..], 0, &[0xff; 19][..]));
    assert_eq!(usual.to_linux2()[36..], [115_200_u32.to_le_bytes(); 2].concat());
}

#[test]
fn many_echoes_that_cannot_leave_are_bounded() {
    let mut discipline = Discipline::new(Settings::serial()).unwrap();
    for _ in 0..9000 {
        let _nothing = discipline.receive(b'x');
    }
    assert!(discipline.echoes().len() <= 4096);
}

mod model {
    //! Against a model that keeps lines in the simplest way.

    use proptest::prelude::*;

    use super::*;

    /// What a person can do.
    #[derive(Clone, Debug)]
    enum Key {
        Byte(u8),
        Erase,
        Word,
        Kill,
        End,
        File,
        Read(usize),
    }

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![
            8 => prop::sample::select(b"abc _-\xe9".to_vec()).prop_map(Key::Byte),
            2 => Just(Key::Erase),
            1 => Just(Key::Word),
            1 => Just(Key::Kill),
            2 => Just(Key::End),
            1 => Just(Key::File),
            2 => (1..9_usize).prop_map(Key::Read),
        ]
    }

    #[derive(Default)]
    struct Model {
        lines: std::collections::VecDeque<(Vec<u8>, bool)>,
        edited: Vec<u8>,
    }

    impl Model {
        fn erase_word(&mut self) {
            let of_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
            while self.edited.last().is_some_and(|&byte| !of_word(byte)) {
                self.edited.pop();
            }
            while self.edited.last().is_some_and(|&byte| of_word(byte)) {
                self.edited.pop();
            }
        }

        fn read(&mut self, room: usize) -> Option<Vec<u8>> {
            let (mut line, file) = self.lines.pop_front()?;
            if line.len() <= room {
                return Some(line);
            }
            let rest = line.split_off(room);
            self.lines.push_front((rest, file));
            Some(line)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        // Nothing here is unsafe, and Miri would take minutes.
        #[cfg_attr(miri, ignore)]
        #[test]
        fn whatever_is_typed_and_read_lines_are_what_a_simple_editor_makes(keys in prop::collection::vec(key(), 0..300)) {
            let (mut line, mut model) = (Line::new(), Model::default());
            for key in keys {
                match key {
                    Key::Byte(byte) => {
                        line.type_in(&[byte]);
                        model.edited.push(byte);
                    }
                    Key::Erase => {
                        line.type_in(b"\x7f");
                        model.edited.pop();
                    }
                    Key::Word => {
                        line.type_in(b"\x17");
                        model.erase_word();
                    }
                    Key::Kill => {
                        line.type_in(b"\x15");
                        model.edited.clear();
                    }
                    Key::End => {
                        line.type_in(b"\n");
                        model.edited.push(b'\n');
                        model.lines.push_back((core::mem::take(&mut model.edited), false));
                    }
                    Key::File => {
                        line.type_in(b"\x04");
                        model.lines.push_back((core::mem::take(&mut model.edited), true));
                    }
                    Key::Read(room) => prop_assert_eq!(line.read(room), model.read(room)),
                }
                let readable: usize = model.lines.iter().map(|(line, _)| line.len()).sum();
                prop_assert_eq!(line.discipline.readable(), readable);
            }
        }
    }
}
