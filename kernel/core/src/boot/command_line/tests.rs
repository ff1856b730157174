use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;

fn texts(words: &[Word<'_>]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

#[test]
fn an_empty_line_is_the_defaults() {
    assert_eq!(CommandLine::parse(""), CommandLine::default());
    assert_eq!(CommandLine::parse("  \t "), CommandLine::default());
}

#[test]
fn every_known_word_is_followed() {
    let line =
        "init=/bin/sh console=ttyAMA0,115200 maxproc=64 maxthread=256 pids=sequential trace=uart1 quiet panic=exit";
    let parsed = CommandLine::parse(line);
    assert_eq!(parsed.init, Some("/bin/sh"));
    assert_eq!(parsed.console, Some(Console::Pl011));
    assert_eq!(parsed.max_processes, Some(64));
    assert_eq!(parsed.max_threads, Some(256));
    assert_eq!(parsed.pids, Pids::Sequential);
    assert_eq!(parsed.trace, Trace::Uart1);
    assert_eq!(parsed.verbosity, Verbosity::Quiet);
    assert_eq!(parsed.on_panic, PanicAction::Exit);
    assert!(parsed.problems.is_empty() && parsed.arguments.is_empty() && parsed.environment.is_empty());
}

#[test]
fn a_bad_value_is_told_and_the_default_stays() {
    let parsed =
        CommandLine::parse("maxproc=lots trace=loud panic quiet=yes init=sh maxthread=0 console=tty1 pids=odd");
    let names: Vec<_> = parsed
        .problems
        .iter()
        .map(|problem| match problem {
            Problem::BadValue { name, .. } => *name,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, ["maxproc", "trace", "panic", "quiet", "init", "maxthread", "console", "pids"]);
    assert_eq!(parsed.problems[0], Problem::BadValue { name: "maxproc", value: "lots" });
    let unharmed = CommandLine { problems: heapless::Vec::new(), ..parsed };
    assert_eq!(unharmed, CommandLine::default());
}

#[test]
fn every_place_for_the_trace_has_a_name_of_its_own() {
    for (number, place) in Trace::ALL.into_iter().enumerate() {
        assert_eq!(place as usize, number);
        let line = std::format!("trace={}", place.name());
        let parsed = CommandLine::parse(&line);
        assert_eq!((parsed.trace, parsed.problems.len()), (place, 0), "{line}");
    }
    for name in ["uart0", "uart6", "uart", "uart3,115200", "UART3", ""] {
        let line = std::format!("trace={name}");
        let parsed = CommandLine::parse(&line);
        assert_eq!((parsed.trace, parsed.problems.len()), (Trace::Uart1, 1), "{line}");
    }
}

#[test]
fn a_bad_value_does_not_undo_a_good_one() {
    let parsed = CommandLine::parse("console=ttyS0 console=tty1 maxproc=10 maxproc=x");
    assert_eq!((parsed.console, parsed.max_processes), (Some(Console::MiniUart), Some(10)));
    assert_eq!(parsed.problems.len(), 2);
}

#[test]
fn unknown_words_go_to_init_as_in_linux() {
    let parsed = CommandLine::parse("single HOME=/root usbcore.debug=1 HOME=/ 3");
    assert_eq!(texts(&parsed.arguments), ["single", "3"]);
    assert_eq!(texts(&parsed.environment), ["HOME=/"]);
}

#[test]
fn all_words_after_two_dashes_are_arguments() {
    let parsed = CommandLine::parse("init=/bin/sh -- -c \"echo hi there\" init=/x quiet -- A=\"b c\"");
    assert_eq!(parsed.init, Some("/bin/sh"));
    assert_eq!(parsed.verbosity, Verbosity::Normal);
    assert_eq!(texts(&parsed.arguments), ["-c", "echo hi there", "init=/x", "quiet", "--", "A=b c"]);
}

#[test]
fn quotes_protect_spaces_around_a_word_or_a_value() {
    let parsed = CommandLine::parse("\"init=/a b\" X=\"1 2\" \"Y=3 4\"");
    assert_eq!(parsed.init, Some("/a b"));
    assert_eq!(texts(&parsed.environment), ["X=1 2", "Y=3 4"]);
    assert!(parsed.problems.is_empty());
}

#[test]
fn an_unclosed_quote_is_told() {
    let parsed = CommandLine::parse("quiet X=\"1 2");
    assert_eq!(parsed.problems, [Problem::UnclosedQuote(Word::Pair { name: "X", value: "1 2" })]);
    assert_eq!(texts(&parsed.environment), ["X=1 2"]);
}

#[test]
fn words_beyond_the_room_are_told_not_lost_in_silence() {
    let line = "w ".repeat(MAX_INIT_WORDS + 1);
    let parsed = CommandLine::parse(&line);
    assert_eq!(parsed.arguments.len(), MAX_INIT_WORDS);
    assert_eq!(parsed.problems, [Problem::TooManyWords(Word::Plain("w"))]);
}

#[test]
fn the_line_ends_at_a_nul() {
    assert_eq!(CommandLine::parse("a\0quiet").verbosity, Verbosity::Normal);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    #[cfg_attr(miri, ignore = "compiling the pattern takes Miri minutes")]
    fn no_line_panics(line in "([a-z=\" \0.-]|init=/|maxproc=|ü){0,80}") {
        let _ = CommandLine::parse(&line);
    }

    #[test]
    #[cfg_attr(miri, ignore = "compiling the pattern takes Miri minutes")]
    fn words_without_quotes_reach_init_in_order(words in prop::collection::vec("[A-Z]{1,8}(=[a-z0-9]{0,8})?", 0..20)) {
        let line = std::format!("-- {}", words.join(" "));
        prop_assert_eq!(texts(&CommandLine::parse(&line).arguments), words);
    }
}
