use super::*;

/// What is typed first, for the file `a file`.
const FIRST: &str = "(n='a file'; if [ -e \"$n\" ] && [ ! -f \"$n\" ]; then echo \"$n: no regular file\" >&2; false; \
    else { echo tine''-ready >&2; base64 -d | cat || { echo tine''-failed >&2; cat >/dev/null; false; }; } >\"$n.part\"; fi); \
    echo tine''-end $?";

#[test]
fn base64_is_that_of_rfc_4648() {
    for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
    assert_eq!(base64(&[0xff, 0xef, 0xbe]), "/+++");
}

/// A shell that echoes what is typed and does what it should, or says something else. What is typed comes back, a line each,
/// and the last step.
fn play(bytes: &[u8], answer: impl Fn(&str) -> Option<String>) -> (Step, Vec<String>) {
    let now = Instant::now();
    let (mut sending, mut typed) = Sending::new("a file", bytes, now).unwrap();
    let mut lines = Vec::new();
    loop {
        let mut said = String::new();
        for line in String::from_utf8(typed).unwrap().split_inclusive(['\r', '\x04']) {
            let line = line.trim_end_matches('\r').to_owned();
            // The end of the input is not shown.
            let echo = if line == "\x04" { String::new() } else { format!("{line}\r\n") };
            said += &format!("{echo}{}", answer(&line).unwrap_or_else(|| usual(&line, bytes)));
            lines.push(line);
        }
        typed = Vec::new();
        // In pieces, as it comes.
        for piece in said.as_bytes().chunks(7) {
            match sending.hear(piece, now) {
                Step::Wait => {}
                Step::Send(bytes) => typed.extend(bytes),
                end => return (end, lines),
            }
        }
        if typed.is_empty() {
            return (sending.hear(b"", now + 2 * PATIENCE), lines);
        }
    }
}

/// What a shell says when all goes well.
fn usual(line: &str, bytes: &[u8]) -> String {
    match line {
        FIRST => "tine-ready\r\n".to_owned(),
        "\x04" => "tine-end 0\r\n~ # ".to_owned(),
        line if line.starts_with("sha256sum < 'a file.part'") => format!("{}  -\r\ntine-end 0\r\n~ # ", digest(bytes)),
        line if line.contains("mv -f") || line.starts_with("rm -f") => "tine-end 0\r\n~ # ".to_owned(),
        _ => String::new(),
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn failure(step: Step) -> (String, String, String) {
    let Step::Failed { why, typed, said } = step else { panic!("{step:?}") };
    (why, String::from_utf8(typed).unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn a_file_goes_in_lines_and_its_checksum_is_compared() {
    let bytes: Vec<u8> = (0..2000_u32).flat_map(u32::to_le_bytes).collect();
    let (step, lines) = play(&bytes, |_| None);
    assert!(matches!(step, Step::Done(_)));
    let [first, body @ .., end, sum, name] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((first.as_str(), end.as_str()), (FIRST, "\x04"));
    assert_eq!(body.concat(), base64(&bytes));
    assert_eq!(sum, "sha256sum < 'a file.part'; echo tine''-end $?");
    assert!(name.contains("n='a file'") && name.contains("mv -f -- \"$n.part\" \"$n\""), "{name}");
}

#[test]
fn an_empty_file_is_one_too() {
    let (step, lines) = play(b"", |_| None);
    assert!(matches!(step, Step::Done(_)) && lines.len() == 4);
}

#[test]
fn another_checksum_is_told_and_the_file_keeps_what_it_had() {
    let others = format!("{}  -\r\ntine-end 0\r\n", digest(b"others"));
    let (step, lines) = play(b"bytes", |line| line.starts_with("sha256sum").then(|| others.clone()));
    let (why, typed, _) = failure(step);
    assert!(why.contains("checksum") && typed.is_empty(), "{why} {typed:?}");
    assert_eq!(lines.last().unwrap(), "rm -f -- 'a file.part'; echo tine''-end $?");
    assert!(!lines.iter().any(|line| line.contains("mv -f")));
}

#[test]
fn a_board_without_a_shell_is_given_up_and_what_it_said_is_shown() {
    let (step, lines) = play(b"bytes", |_| Some("panic on cpu 1: oh\r\n".to_owned()));
    let (why, typed, said) = failure(step);
    assert!(why.contains("answer") && typed == "\x03" && said.contains("panic on cpu 1"), "{why} {typed:?} {said}");
    assert_eq!(lines.len(), 1);
}

#[test]
fn a_place_where_no_file_can_be_gets_no_line() {
    let says = "sh: can't create /none/x.part: nonexistent directory\r\ntine-end 1\r\n";
    let (step, lines) = play(b"bytes", |line| (line == FIRST).then(|| says.to_owned()));
    let (why, _, _) = failure(step);
    assert!(why.contains("nonexistent directory"), "{why}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn where_there_is_no_room_the_rest_is_not_sent() {
    let bytes = [7; 4000];
    let third = base64(&bytes[..LINE_BYTES]);
    let (step, lines) = play(&bytes, |line| match line {
        _ if line == third => Some("cat: write error: No space left on device\r\ntine-failed\r\n".to_owned()),
        "\x04" => Some("tine-end 1\r\n~ # ".to_owned()),
        _ => None,
    });
    let (why, ..) = failure(step);
    assert!(why.contains("No space left on device"), "{why}");
    // The failure comes behind the line's echo, so that one line more is on its way.
    let [.., end, remove] = &lines[..] else { panic!("{lines:?}") };
    assert!(lines.len() <= 5 && end == "\x04" && remove.starts_with("rm -f"), "{lines:?}");
}

#[test]
fn a_failure_may_come_into_the_middle_of_a_lines_echo() {
    let now = Instant::now();
    let (mut sending, _) = Sending::new("f", &[7; 1000], now).unwrap();
    let Step::Send(first) = sending.hear(b"tine-ready\r\n", now) else { panic!() };
    let (begin, end) = first[..first.len() - 1].split_at(100);
    assert_eq!(sending.hear(&[begin, b"cat: write error: No space left on device\r\n"].concat(), now), Step::Wait);
    let typed = sending.hear(&[&end[..50], b"tine-failed\r\n", &end[50..], b"\r\n"].concat(), now);
    assert_eq!(typed, Step::Send(END.to_vec()));
    assert!(matches!(sending.hear(b"tine-end 1\r\n~ # ", now), Step::Send(typed) if typed.starts_with(b"rm -f")));
    let (why, _, said) = failure(sending.hear(b"rm...\r\ntine-end 0\r\n~ # ", now));
    // The prompt is the user's.
    assert_eq!(said.trim_start(), "~ # ");
    assert_eq!(why, "the board says: cat: write error: No space left on device");
}

#[test]
fn lines_of_the_kernels_and_trace_records_are_no_answers() {
    let bytes = [7; 1000];
    let now = Instant::now();
    let (mut sending, _) = Sending::new("f", &bytes, now).unwrap();
    let Step::Send(first) = sending.hear(b"mmcblk0: slow\r\ntine-ready\r\n", now) else { panic!() };
    let (begin, end) = first[..first.len() - 1].split_at(100);
    let noise = [begin, b"\xff\x00\x11\x12\x00mmcblk0: slow\r\n"].concat();
    // The kernel's line ends what was shown of ours.
    assert_eq!(sending.hear(&noise, now), Step::Wait);
    assert!(matches!(sending.hear(&[end, b"\r\n"].concat(), now), Step::Send(_)));
}

#[test]
fn whoever_ends_it_gets_the_shell_back() {
    let (mut sending, _) = Sending::new("f", b"bytes", Instant::now()).unwrap();
    assert_eq!(failure(sending.give_up("interrupted")).1, "\x03");
    assert!(matches!(sending.hear(b"tine-ready\r\n", Instant::now()), Step::Send(_)));
    assert_eq!(failure(sending.give_up("interrupted")).1, "\x03rm -f -- 'f.part'\r");
}

#[test]
fn a_name_is_one_word_to_a_shell_and_one_that_cannot_be_typed_is_refused() {
    assert_eq!(quoted("a'b c"), "'a'\\''b c'");
    for name in ["", "dir/", "tab\there", &"x".repeat(NAME_MAX)] {
        assert!(Sending::new(name, b"", Instant::now()).is_err(), "{name:?}");
    }
}
