//! The system as a whole: its name, what its kernel says, what it does not have.

use std::fs::File;

use sys::machine::{clear_kernel_lines, kernel_lines, names, set_node_name};
use sys::{Errno, file, identity};

use crate::expect::{Checked, as_root, ensure, equal, in_child, known, on_tine, refused};

super::tests!("system":
    root_names_the_machine_and_nobody_else, the_kernels_lines_have_a_level_and_a_moment,
    lines_that_were_cleared_are_not_shown_again, the_end_of_the_lines_fits_a_small_buffer, advice_about_files_is_checked, a_range_of_a_file_is_synced,
    a_file_has_no_extended_attributes);

fn root_names_the_machine_and_nobody_else() -> Checked {
    as_root()?;
    let [_, before, ..] = known(names())?;
    known(set_node_name("another.name"))?;
    let [_, after, ..] = known(names())?;
    equal(after, "another.name")?;
    refused(set_node_name(&"x".repeat(65)), Errno::INVAL)?;
    in_child(|| {
        identity::set_user(1000)?;
        refused(set_node_name("mine"), Errno::PERM)
    })?;
    let [_, still, ..] = known(names())?;
    equal(still, "another.name")?;
    known(set_node_name(&before))
}

fn lines() -> Result<String, Errno> {
    let mut buffer = vec![0; 64 << 10];
    let length = kernel_lines(&mut buffer)?;
    buffer.truncate(length);
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

fn the_kernels_lines_have_a_level_and_a_moment() -> Checked {
    on_tine()?;
    let text = known(lines())?;
    ensure(!text.is_empty(), "the kernel said nothing")?;
    // Programs may have logged something, too.
    text.lines().try_for_each(|line| {
        let level = line.strip_prefix('<').and_then(|rest| rest.split_once(">["));
        ensure(level.is_some_and(|(level, _)| level.parse::<u16>().is_ok()), line)?;
        let moment = level.and_then(|(_, rest)| rest.split_once("] "));
        let number = moment.and_then(|(moment, _)| moment.trim_start().parse::<f64>().ok());
        ensure(number.is_some(), line)
    })
}

fn lines_that_were_cleared_are_not_shown_again() -> Checked {
    on_tine()?;
    as_root()?;
    in_child(|| {
        identity::set_user(1000)?;
        refused(clear_kernel_lines(), Errno::PERM)
    })?;
    known(clear_kernel_lines())?;
    // Other processors may say something meanwhile, but not what was said at boot.
    ensure(!known(lines())?.contains("Tine "), "still there")
}

fn the_end_of_the_lines_fits_a_small_buffer() -> Checked {
    on_tine()?;
    let mut buffer = [0xff_u8; 8];
    let length = known(kernel_lines(&mut buffer[..4]))?;
    ensure(length <= 4 && buffer[4..] == [0xff; 4], "more than there was room for")
}

fn advice_about_files_is_checked() -> Checked {
    let file = File::open("/etc/motd")?;
    (0..6).try_for_each(|advice| file::advise(&file, advice))?;
    refused(file::advise(&file, 6), Errno::INVAL)?;
    let (reading, _writing) = known(file::pipe())?;
    refused(file::advise(&reading, 0), Errno::SPIPE)
}

fn a_range_of_a_file_is_synced() -> Checked {
    let file = File::open("/etc/motd")?;
    (0..8).try_for_each(|flags| file::sync_range(&file, 100, flags))?;
    refused(file::sync_range(&file, 100, 8), Errno::INVAL)?;
    refused(file::sync_range(&file, -1, 7), Errno::INVAL)?;
    let (reading, _writing) = known(file::pipe())?;
    refused(file::sync_range(&reading, 0, 7), Errno::SPIPE)
}

fn a_file_has_no_extended_attributes() -> Checked {
    on_tine()?;
    refused(file::attribute(c"/etc/motd", c"user.colour"), Errno::OPNOTSUPP)?;
    refused(file::attribute(c"/etc/none", c"user.colour"), Errno::NOENT)?;
    refused(file::attribute(c"/etc/motd", c""), Errno::RANGE)?;
    equal(known(file::attributes(&File::open("/etc/motd")?))?, 0)
}
