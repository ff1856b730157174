//! Other programs, with pipes to and from them. The other program is this one in a role.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead as _, ErrorKind, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    what_a_program_says_is_read,
    what_is_written_to_a_program_comes_back_changed,
    more_than_a_pipe_holds_goes_through_two_programs,
    a_status_is_what_the_program_returned,
    a_program_that_waits_is_killed,
    a_program_that_is_not_there_is_an_error,
    arguments_variables_and_directory_are_passed,
    output_goes_into_a_file,
    threads_run_programs_at_the_same_time,
    a_program_that_aborts_ends_by_a_signal,
    a_stack_that_overflows_is_told,
    a_program_becomes_another,
];

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

/// This program in a role.
fn other(role: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--as", role]);
    Ok(command)
}

/// Plays a role.
pub(crate) fn play(role: &str) -> ExitCode {
    match role {
        "greeter" => {
            println!("hello");
            eprintln!("and goodbye");
        }
        "louder" => {
            for line in io::stdin().lines().map_while(Result::ok) {
                println!("{}", line.to_uppercase());
            }
        }
        "copier" => {
            if io::copy(&mut io::stdin(), &mut io::stdout()).is_err() {
                return ExitCode::FAILURE;
            }
        }
        "teller" => {
            println!("{}", std::env::args().skip(3).collect::<Vec<_>>().join("|"));
            println!("{:?} {:?}", std::env::var("TOLD"), std::env::var("HOME").ok());
            println!("{}", std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default());
        }
        "sleeper" => thread::sleep(Duration::from_secs(1000)),
        "aborter" => std::process::abort(),
        "deep" => println!("{:?}", thread::spawn(|| deep(1)).join()),
        "changeling" => {
            let error = other("greeter").map(|mut command| command.exec());
            eprintln!("{error:?}");
        }
        number => return ExitCode::from(number.parse::<u8>().unwrap_or(99)),
    }
    ExitCode::SUCCESS
}

/// Calls itself without an end that anybody lives to see.
fn deep(count: u64) -> u64 {
    let room = std::hint::black_box([count; 64]);
    if count == 0 { 0 } else { deep(std::hint::black_box(count + 1)) + room[1] }
}

fn what_a_program_says_is_read() -> Result<(), Box<dyn Error>> {
    let output = other("greeter")?.output()?;
    assert!(output.status.success());
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"hello\n"[..], &b"and goodbye\n"[..]));
    Ok(())
}

fn what_is_written_to_a_program_comes_back_changed() -> Result<(), Box<dyn Error>> {
    let mut child = other("louder")?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().ok_or("no pipe")?;
    let mut lines = io::BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
    for word in ["one", "two", "three"] {
        writeln!(input, "{word}")?;
        assert_eq!(lines.next().ok_or("no answer")??, word.to_uppercase());
    }
    drop(input);
    assert!(lines.next().is_none());
    assert!(child.wait()?.success());
    Ok(())
}

fn more_than_a_pipe_holds_goes_through_two_programs() -> Result<(), Box<dyn Error>> {
    const LENGTH: u32 = 1 << 20;
    let mut first = other("copier")?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let between = first.stdout.take().ok_or("no pipe")?;
    let mut second = other("copier")?.stdin(between).stdout(Stdio::piped()).spawn()?;
    let mut input = first.stdin.take().ok_or("no pipe")?;
    let sent: Vec<u8> = (0..LENGTH / 4).flat_map(u32::to_le_bytes).collect();
    let expected = sent.clone();
    let writer = thread::spawn(move || input.write_all(&sent));
    let mut received = Vec::new();
    second.stdout.take().ok_or("no pipe")?.read_to_end(&mut received)?;
    assert!(writer.join().expect("it does not panic").is_ok());
    assert!(first.wait()?.success() && second.wait()?.success());
    assert!(received == expected, "{} bytes came", received.len());
    Ok(())
}

fn a_status_is_what_the_program_returned() -> Result<(), Box<dyn Error>> {
    for status in [0, 1, 7, 255] {
        assert_eq!(other(&status.to_string())?.status()?.code(), Some(status));
    }
    Ok(())
}

fn a_program_that_waits_is_killed() -> Result<(), Box<dyn Error>> {
    let mut child = other("sleeper")?.spawn()?;
    assert_eq!(child.try_wait()?, None);
    child.kill()?;
    let status = child.wait()?;
    assert_eq!((status.code(), status.signal()), (None, Some(SIGKILL)));
    assert_eq!(child.try_wait()?, Some(status));
    Ok(())
}

fn a_program_that_is_not_there_is_an_error() -> Result<(), Box<dyn Error>> {
    let kind = |path: &str| Command::new(path).spawn().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(kind("/no/such/program"), Err(ErrorKind::NotFound));
    assert_eq!(kind("no-such-program"), Err(ErrorKind::NotFound));
    assert_eq!(kind("/etc/passwd"), Err(ErrorKind::PermissionDenied));
    // It is not in the way of the next.
    what_a_program_says_is_read()
}

fn arguments_variables_and_directory_are_passed() -> Result<(), Box<dyn Error>> {
    let mut command = other("teller")?;
    command.args(["", "two words", "*"]).env("TOLD", "ä=b").env_remove("HOME").current_dir("/dev");
    let output = String::from_utf8(command.output()?.stdout)?;
    assert_eq!(output, "|two words|*\nOk(\"ä=b\") None\n/dev\n");
    Ok(())
}

fn output_goes_into_a_file() -> Result<(), Box<dyn Error>> {
    let path = std::env::temp_dir().join(format!("stdtest-{}", std::process::id()));
    let status = other("greeter")?.stdout(File::create(&path)?).stderr(Stdio::null()).status()?;
    let said = std::fs::read_to_string(&path)?;
    std::fs::remove_file(&path)?;
    assert!(status.success());
    assert_eq!(said, "hello\n");
    Ok(())
}

fn threads_run_programs_at_the_same_time() -> Result<(), Box<dyn Error>> {
    let threads: Vec<_> = (0..8_u8)
        .map(|number| {
            thread::spawn(move || -> io::Result<()> {
                for round in 0..4 {
                    let status = number * 4 + round;
                    assert_eq!(other(&status.to_string())?.status()?.code(), Some(i32::from(status)));
                }
                Ok(())
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("it does not panic")?;
    }
    Ok(())
}

fn a_program_that_aborts_ends_by_a_signal() -> Result<(), Box<dyn Error>> {
    assert_eq!(other("aborter")?.stderr(Stdio::null()).status()?.signal(), Some(SIGABRT));
    Ok(())
}

/// The library's handler of the fault runs on a stack of its own, says what it was, and aborts.
fn a_stack_that_overflows_is_told() -> Result<(), Box<dyn Error>> {
    let output = other("deep")?.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("has overflowed its stack"), "{said:?}, {}", output.status);
    assert_eq!(output.status.signal(), Some(SIGABRT));
    Ok(())
}

fn a_program_becomes_another() -> Result<(), Box<dyn Error>> {
    let child = other("changeling")?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let output = child.wait_with_output()?;
    assert_eq!(output.stdout, b"hello\n");
    Ok(())
}
