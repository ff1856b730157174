//! The first line of a script.

use std::vec::Vec;

use crate::elf::script::{HEAD_BYTES, Script, ScriptError};

fn read(file: &[u8]) -> Result<(&str, Option<&str>), ScriptError> {
    let text = |bytes| str::from_utf8(bytes).unwrap();
    let script = Script::parse(file)?.expect("it begins as one");
    Ok((text(script.interpreter), script.argument.map(text)))
}

/// `#!` and what follows, `bytes` in all, then the end of the line and another line.
fn padded(line: &[u8], bytes: usize) -> Vec<u8> {
    let mut file = [b"#!", line].concat();
    file.resize(bytes, b'x');
    file.extend_from_slice(b"\nanother line");
    file.resize(file.len().max(300), b'y');
    file
}

#[test]
fn the_line_names_an_interpreter_and_at_most_one_argument() {
    assert_eq!(read(b"#!/bin/sh\necho"), Ok(("/bin/sh", None)));
    assert_eq!(read(b"#!/bin/sh"), Ok(("/bin/sh", None)));
    assert_eq!(read(b"#! \t /bin/sh \t \necho"), Ok(("/bin/sh", None)));
    assert_eq!(read(b"#!/bin/env -S a b\t c \n"), Ok(("/bin/env", Some("-S a b\t c"))));
    assert_eq!(read(b"#!/bin/sh\0-x\n"), Ok(("/bin/sh", None)));
    assert_eq!(read(b"#!/bin/sh\r\n"), Ok(("/bin/sh\r", None)));
    assert_eq!(read(b"#!sh\n"), Ok(("sh", None)));
}

#[test]
fn other_files_are_no_scripts() {
    for file in [&b""[..], b"#", b"! /bin/sh", b"\x7fELF", b" #!/bin/sh"] {
        assert_eq!(Script::parse(file), Ok(None));
    }
}

#[test]
fn a_line_without_a_name_is_refused() {
    for file in [&b"#!"[..], b"#!\n/bin/sh", b"#! \t \n/bin/sh", b"#!\0/bin/sh", b"#!   "] {
        assert_eq!(read(file), Err(ScriptError::NoInterpreter));
    }
}

#[test]
fn a_path_that_is_cut_off_might_be_another_one() {
    // The newline is the last byte that is looked at.
    let file = padded(b"/bin/", HEAD_BYTES - 1);
    assert_eq!(read(&file).map(|(path, _)| path.len()), Ok(HEAD_BYTES - 3));
    assert_eq!(read(&padded(b"/bin/", HEAD_BYTES)), Err(ScriptError::TooLong));
    assert_eq!(read(&padded(b"/bin/", HEAD_BYTES + 1)), Err(ScriptError::TooLong));
    // It makes no difference whether more than that was read.
    assert_eq!(read(&file[..HEAD_BYTES]), read(&file));
    assert_eq!(read(&padded(b"/bin/", 299)[..HEAD_BYTES]), Err(ScriptError::TooLong));
}

#[test]
fn an_argument_that_is_cut_off_is_used_as_far_as_it_goes() {
    let file = padded(b"/bin/sh ", 299);
    let (path, argument) = read(&file).unwrap();
    assert_eq!((path, argument.unwrap().len()), ("/bin/sh", HEAD_BYTES - 1 - 10));
}
