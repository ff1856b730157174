use super::*;

fn shell(script: &str) -> Console {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Console::start(command).unwrap()
}

#[test]
fn text_comes_in_order_and_the_end_brings_the_status() {
    let mut console = shell(r"printf 'one\r\ntwo\r\ntine> '; read line; printf 'bye'; exit 7");
    assert_eq!(console.line().unwrap(), "one");
    assert_eq!(console.until_prompt().unwrap(), "two\r\n");
    console.send("\n").unwrap();
    assert_eq!(console.end().unwrap(), ("bye".to_owned(), 7));
}

#[test]
fn two_prompts_that_arrive_together_are_two() {
    let mut console = shell("printf 'a tine> b tine> '");
    assert_eq!(console.until_prompt().unwrap(), "a ");
    assert_eq!(console.until_prompt().unwrap(), "b ");
}

#[test]
fn frames_are_taken_out_of_the_text() {
    let mut console = shell(r"printf 'he\377\000\021\022\000llo\r\n'");
    assert_eq!(console.line().unwrap(), "hello");
    assert_eq!(console.frames(), [vec![0x11, 0x12]]);
    assert_eq!(console.transcript(), b"he\xff\0\x11\x12\0llo\r\n");
}

#[test]
fn an_error_tells_what_the_board_and_the_emulator_said() {
    let mut console = shell("printf 'half a boot'; echo no such machine >&2");
    let error = console.until_prompt().unwrap_err().to_string();
    for part in ["the prompt", "the board ended", "half a boot", "no such machine"] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
}

#[test]
fn an_echo_that_differs_is_an_error() {
    let mut console = shell(r"read -r line; printf 'hlep\r\n'");
    assert!(console.enter("help\n").unwrap_err().to_string().contains("hlep"));
}

#[test]
fn what_runs_on_a_terminal_sees_one() {
    let mut command = Command::new("sh");
    command.args(["-c", "test -t 0 && test -t 1 && echo yes; exit 3"]);
    let mut console = Console::start_on_terminal(command).unwrap();
    let (words, status) = console.end().unwrap();
    assert!(words.contains("yes"), "{words:?}");
    assert_eq!(status, 3);
}
