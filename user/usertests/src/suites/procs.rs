//! `/proc`, as programs read it, and what is mounted.

use std::fs;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};

use sys::memory::{Mapping, Protection};
use sys::process::{self, Signal, Which, kill, option, spawn, wait, wait_for, wait_id};
use sys::{Errno, Pid, file, identity};

use crate::expect::{Checked, as_root, child, ensure, equal, in_child, io_refused, known, on_tine, passes, refused};
use crate::meeting::Meeting;

super::tests!("proc":
    a_process_reads_about_itself, a_zombie_is_one_until_it_is_reaped, a_stopped_process_is_one, descriptors_are_links,
    the_arguments_are_the_command_line, its_memory_has_a_stack_a_heap_and_the_vdso, a_stranger_sees_less,
    every_process_is_listed, the_machine_is_described, a_text_is_written_anew_from_its_beginning,
    mapped_files_are_named, tables_that_a_fork_shares_are_counted,
    the_processors_are_counted, the_newest_process_is_named,
    a_file_system_is_mounted_and_taken_away, only_root_mounts, mounts_that_cannot_be);

fn read(path: &str) -> Result<String, Errno> {
    fs::read_to_string(path)
        .map_err(|error| Errno(error.raw_os_error().and_then(|code| u16::try_from(code).ok()).unwrap_or(0)))
}

/// The value of a field of `status`.
fn field(status: &str, name: &str) -> String {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_default().trim().to_owned()
}

fn state(pid: Pid) -> Result<char, Errno> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    Ok(stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or_default())
}

fn a_process_reads_about_itself() -> Checked {
    on_tine()?;
    let status = known(read("/proc/self/status"))?;
    equal(field(&status, "Pid"), process::pid().to_string())?;
    equal(field(&status, "PPid"), process::parent().to_string())?;
    equal(field(&status, "Threads"), "1")?;
    equal(field(&status, "State"), "R (running)")?;
    equal(known(read("/proc/self/stat"))?.split(' ').count(), 52)?;
    let name = known(read("/proc/thread-self/comm"))?;
    equal(name.trim_end(), field(&status, "Name"))
}

fn a_zombie_is_one_until_it_is_reaped() -> Checked {
    on_tine()?;
    let pid = spawn(|| 0)?;
    wait_id(Which::Pid(pid), option::EXITED | option::NOWAIT)?;
    equal(known(state(pid))?, 'Z')?;
    wait(Which::Pid(pid))?;
    refused(state(pid), Errno::NOENT)
}

fn a_stopped_process_is_one() -> Checked {
    on_tine()?;
    let meeting = Meeting::new()?;
    let pid = child(|| {
        meeting.wait(0, 1);
        Ok(())
    })?;
    kill(pid.0, Signal::STOP)?;
    wait_for(Which::Pid(pid), option::UNTRACED)?;
    equal(known(state(pid))?, 'T')?;
    kill(pid.0, Signal::CONT)?;
    meeting.arrive(0);
    passes(pid)
}

fn descriptors_are_links() -> Checked {
    on_tine()?;
    let file = fs::File::open("/etc/motd")?;
    let link = |file: &dyn std::os::fd::AsRawFd| fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    equal(link(&file)?, std::path::Path::new("/etc/motd"))?;
    let mut again = fs::File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)))?;
    let mut text = String::new();
    again.read_to_string(&mut text)?;
    ensure(!text.is_empty(), "the file behind the link is empty")?;
    let (reading, _writing) = known(file::pipe())?;
    ensure(link(&reading)?.to_string_lossy().starts_with("pipe:["), "not a pipe")?;
    equal(fs::read_link("/proc/self/exe")?, std::path::Path::new("/bin/usertests"))?;
    equal(fs::read_link("/proc/self/cwd")?, std::env::current_dir()?)
}

fn the_arguments_are_the_command_line() -> Checked {
    on_tine()?;
    let own: Vec<u8> = std::env::args().flat_map(|word| [word.into_bytes(), vec![0]].concat()).collect();
    equal(fs::read("/proc/self/cmdline")?, own)
}

fn its_memory_has_a_stack_a_heap_and_the_vdso() -> Checked {
    on_tine()?;
    let maps = known(read("/proc/self/maps"))?;
    let stack = 0_u8;
    let address = std::ptr::from_ref(&stack).addr();
    let named = |name: &str| maps.lines().find(|line| line.ends_with(name)).unwrap_or_default();
    let range = named("[stack]").split(' ').next().unwrap_or_default().split_once('-');
    let bound = |text: &str| usize::from_str_radix(text, 16).unwrap_or(0);
    ensure(range.is_some_and(|(from, to)| (bound(from)..bound(to)).contains(&address)), "not the stack's range")?;
    ensure(named("[vdso]").contains(" r-xp "), "no vDSO")
}

/// The line of `maps` with this name.
fn mapped(name: &str) -> Result<Vec<String>, Errno> {
    let maps = read("/proc/self/maps")?;
    let line = maps.lines().find(|line| line.ends_with(name)).unwrap_or_default();
    Ok(line.split_whitespace().map(str::to_owned).collect())
}

fn mapped_files_are_named() -> Checked {
    on_tine()?;
    let program = known(mapped("/bin/usertests"))?;
    ensure(program.len() == 6 && program[3] != "00:00" && program[5] == "/bin/usertests", &program.join(" "))?;
    equal(program[4].clone(), std::os::unix::fs::MetadataExt::ino(&fs::metadata("/bin/usertests")?).to_string())?;
    fs::write("/tmp/mapped", vec![1; 8192])?;
    let file = fs::File::open("/tmp/mapped")?;
    let _mapping = Mapping::file(&file, 4096, 4096, Protection::READ)?;
    fs::rename("/tmp/mapped", "/tmp/renamed")?;
    let line = mapped("/tmp/renamed")?;
    ensure(line.len() == 6 && line[1] == "r--p", &line.join(" "))?;
    fs::remove_file("/tmp/renamed")?;
    ensure(mapped("(deleted)")?.len() == 6, "a file without a name")
}

/// How many tables of level 3 processes have for themselves, and how many they may share.
fn last_tables() -> Result<[u64; 2], Errno> {
    let text = read("/proc/tine/tables")?;
    let line = text.lines().find(|line| line.starts_with("level3 ")).unwrap_or_default();
    let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    Ok([0, 1].map(|at| numbers.get(at).copied().unwrap_or_default()))
}

fn tables_that_a_fork_shares_are_counted() -> Checked {
    on_tine()?;
    // Memory that nobody touches after the fork.
    let memory = Mapping::private(64 << 20)?;
    memory.write_pages(1);
    let meeting = Meeting::new()?;
    let [_, before] = known(last_tables())?;
    let pid = child(|| {
        meeting.wait(0, 1);
        Ok(())
    })?;
    let [own, after] = last_tables()?;
    meeting.arrive(0);
    passes(pid)?;
    ensure(after >= before + 2 * 31, &format!("{before} tables may be shared before a fork and {after} after it"))?;
    ensure(own > 0, "nobody has a table of its own")?;
    let locks = known(read("/proc/tine/locks"))?;
    ensure(locks.starts_with("waits "), &locks)
}

fn a_stranger_sees_less() -> Checked {
    on_tine()?;
    as_root()?;
    let path = format!("/proc/{}", process::pid());
    in_child(move || {
        identity::set_user(1000)?;
        io_refused(fs::read(format!("{path}/environ")), Errno::ACCES)?;
        io_refused(fs::read(format!("{path}/maps")), Errno::ACCES)?;
        io_refused(fs::read_link(format!("{path}/cwd")), Errno::ACCES)?;
        io_refused(fs::read_dir(format!("{path}/fd")).map(drop), Errno::ACCES)?;
        fs::read(format!("{path}/stat"))?;
        fs::read("/proc/self/maps")?;
        Ok(())
    })
}

fn every_process_is_listed() -> Checked {
    on_tine()?;
    let meeting = Meeting::new()?;
    let stays = || {
        meeting.wait(0, 1);
        Ok(())
    };
    let pids = (0..20).map(|_| child(stays)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = fs::read_dir("/proc")?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, _>>()?;
    let all = pids.iter().all(|pid| names.contains(&pid.to_string()));
    meeting.arrive(0);
    pids.iter().try_for_each(|&pid| passes(pid))?;
    ensure(all && names.contains(&"1".to_owned()), "somebody is missing")
}

fn the_machine_is_described() -> Checked {
    on_tine()?;
    for (path, part) in [
        ("/proc/meminfo", "MemTotal:"),
        ("/proc/cpuinfo", "CPU implementer\t: 0x41"),
        ("/proc/version", "Linux version 6.1.0-tine"),
        ("/proc/stat", "btime "),
        ("/proc/mounts", "proc /proc proc rw"),
        ("/proc/sys/kernel/ostype", "Linux"),
        ("/proc/tine/forkstat", "cntfork "),
    ] {
        ensure(known(read(path))?.contains(part), path)?;
    }
    let uptime = known(read("/proc/uptime"))?;
    ensure(uptime.split(' ').next().is_some_and(|seconds| seconds.parse::<f64>().is_ok_and(|s| s > 0.0)), "no uptime")
}

/// The numbers behind a word at the beginning of a line.
fn numbers(text: &str, word: &str) -> Vec<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    line.unwrap_or_default().split_whitespace().map_while(|number| number.parse().ok()).collect()
}

fn the_processors_are_counted() -> Checked {
    on_tine()?;
    let mut last = known(read("/proc/stat"))?;
    let mut grew = [false; 2];
    let begin = std::time::Instant::now();
    // It calls the kernel and computes, and so both grow; the rest of it only must not become less.
    while grew != [true; 2] && begin.elapsed() < std::time::Duration::from_secs(20) {
        let now = read("/proc/stat")?;
        for word in ["cpu ", "cpu0", "cpu1", "cpu2", "cpu3", "intr", "ctxt", "processes"] {
            let (before, after) = (numbers(&last, word), numbers(&now, word));
            ensure(!after.is_empty() && before.len() == after.len(), word)?;
            ensure(before.iter().zip(&after).all(|(before, after)| before <= after), &format!("{before:?} {after:?}"))?;
        }
        let (before, after) = (numbers(&last, "cpu "), numbers(&now, "cpu "));
        grew = [grew[0] || after[0] > before[0], grew[1] || after[2] > before[2]];
        last = now;
    }
    equal(grew, [true; 2])?;
    ensure(numbers(&last, "procs_running").first().is_some_and(|&running| running > 0), "nobody runs")?;
    let interrupts = known(read("/proc/interrupts"))?;
    let timer = interrupts.lines().find(|line| line.ends_with(" timer")).unwrap_or_default();
    ensure(timer.split_whitespace().nth(1).is_some_and(|count| count != "0"), &interrupts)
}

fn the_newest_process_is_named() -> Checked {
    on_tine()?;
    let pid = spawn(|| 0)?;
    let text = known(read("/proc/loadavg"))?;
    wait(Which::Pid(pid))?;
    let words: Vec<_> = text.split_whitespace().collect();
    ensure(words.len() == 5 && words[..3].iter().all(|word| word.parse::<f64>().is_ok_and(|load| load >= 0.0)), &text)?;
    ensure(words[3].split_once('/').is_some_and(|(running, _)| running != "0"), &text)?;
    equal(words[4], pid.to_string().as_str())
}

fn a_text_is_written_anew_from_its_beginning() -> Checked {
    on_tine()?;
    let mut file = fs::File::open("/proc/tine/forkstat")?;
    let mut before = String::new();
    file.read_to_string(&mut before)?;
    in_child(|| Ok(()))?;
    file.seek(SeekFrom::Start(0))?;
    let mut after = String::new();
    file.read_to_string(&mut after)?;
    ensure(before != after, "the same text after a fork")
}

fn a_file_system_is_mounted_and_taken_away() -> Checked {
    on_tine()?;
    as_root()?;
    fs::create_dir("/tmp/mounted")?;
    fs::write("/tmp/mounted/below", "x")?;
    known(file::mount(c"none", c"/tmp/mounted", c"tmpfs"))?;
    ensure(known(read("/proc/mounts"))?.contains("none /tmp/mounted tmpfs rw"), "not listed")?;
    ensure(!fs::exists("/tmp/mounted/below")?, "not covered")?;
    fs::write("/tmp/mounted/inside", "y")?;
    let renamed = fs::rename("/tmp/mounted/inside", "/tmp/inside");
    ensure(renamed.is_err_and(|error| error.kind() == ErrorKind::CrossesDevices), "moved to another file system")?;
    io_refused(fs::remove_dir("/tmp/mounted"), Errno::BUSY)?;
    refused(file::mount(c"none", c"/tmp/mounted/inside", c"tmpfs"), Errno::NOTDIR)?;
    known(file::unmount(c"/tmp/mounted"))?;
    equal(fs::read_to_string("/tmp/mounted/below")?, "x")?;
    Ok(fs::remove_dir_all("/tmp/mounted")?)
}

fn only_root_mounts() -> Checked {
    on_tine()?;
    as_root()?;
    in_child(|| {
        identity::set_user(1000)?;
        refused(file::mount(c"none", c"/tmp", c"tmpfs"), Errno::PERM)?;
        refused(file::unmount(c"/proc"), Errno::PERM)
    })
}

fn mounts_that_cannot_be() -> Checked {
    on_tine()?;
    as_root()?;
    refused(file::mount(c"none", c"/tmp", c"btrfs"), Errno::NODEV)?;
    refused(file::mount(c"none", c"/etc/motd", c"tmpfs"), Errno::NOTDIR)?;
    refused(file::mount(c"none", c"/nowhere", c"tmpfs"), Errno::NOENT)?;
    refused(file::unmount(c"/tmp"), Errno::INVAL)?;
    refused(file::unmount(c"/"), Errno::BUSY)
}
