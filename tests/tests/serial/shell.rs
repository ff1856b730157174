//! A shell on the console and its tools, as a person uses them.

use anyhow::ensure;
use tests::bench::Bench;
use tests::console::ENTER;

use crate::case::{Case, cases};
use crate::session::{Session, key};

pub(crate) const CASES: &[Case] = cases![
    Shell a_shell_has_job_control_and_comes_back_and_switches_the_board_off,
    Shell a_long_paste_arrives_whole_and_lines_can_be_edited,
    Shell pipelines_documents_and_subshells_do_what_they_say,
    Shell many_forks_and_much_data_go_through_the_shell,
    Shell archives_come_out_as_they_went_in_and_every_file_is_found,
];

/// What a job says when it runs: keys that come before would be the shell's.
const BEGUN: &str = "begun\r\n";

fn a_shell_has_job_control_and_comes_back_and_switches_the_board_off(bench: &Bench) -> anyhow::Result<()> {
    let mut shell = Session::boot(bench)?;
    let job = "sh -c 'echo begun; exec sleep 1000'";
    shell.enter(job)?;
    shell.until(BEGUN)?;
    shell.press(key::CTRL_C)?;
    let (said, status) = shell.answer()?;
    ensure!(status == 128 + 2, "an interrupted program: {status} behind {said:?}");
    shell.enter(job)?;
    shell.until(BEGUN)?;
    shell.press(key::CTRL_Z)?;
    let (said, _) = shell.answer()?;
    ensure!(said.contains("Stopped"), "{said:?}");
    let said = shell.run("bg; kill %1; wait")?;
    ensure!(said.contains("Terminated"), "{said:?}");
    a_program_in_the_background_may_not_read(&mut shell)?;
    a_stopped_pipeline_goes_on_and_is_killed(&mut shell)?;
    let mut console = shell.leave()?;
    console.until("# ")?;
    Session::begin(console)?.power_off()
}

/// It is stopped until it is in the foreground, and reads then what is typed.
fn a_program_in_the_background_may_not_read(shell: &mut Session) -> anyhow::Result<()> {
    shell.run("cat > /tmp/typed &")?;
    // The shell tells of it before the first prompt behind it; a job's process is stopped when its state says so.
    shell.run("until grep -q 'State:.T' /proc/$!/status; do :; done")?;
    let said = shell.run("jobs")?;
    ensure!(said.contains("Stopped"), "{said:?}");
    shell.enter("fg")?;
    shell.until("/tmp/typed\r\n")?;
    shell.press(&format!("for cat{ENTER}{}", key::CTRL_D))?;
    let (said, status) = shell.answer()?;
    ensure!(status == 0, "{status} behind {said:?}");
    shell.expect("cat /tmp/typed", "for cat\n")
}

/// All its processes are stopped by one key, and go on; a signal that comes while they are stopped ends them when they go on.
fn a_stopped_pipeline_goes_on_and_is_killed(shell: &mut Session) -> anyhow::Result<()> {
    // A shell's children ignore the key until they are the programs that they shall be, and a shell says what it takes to the
    // foreground before it does. So the last one tells when something has come through all, and when it goes on.
    let first = "sh -c 'echo line; exec sleep 1000'";
    let last = "sh -c 'trap \"echo again\" CONT; read line; echo begun; while :; do :; done'";
    let job = &format!("{first} | cat | {last}");
    shell.enter(job)?;
    shell.until(BEGUN)?;
    shell.press(key::CTRL_Z)?;
    let (said, status) = shell.answer()?;
    ensure!(said.contains("Stopped") && status == 128 + 20, "{status} behind {said:?}");
    shell.enter("fg")?;
    shell.until("again\r\n")?;
    shell.press(key::CTRL_Z)?;
    let (said, _) = shell.answer()?;
    ensure!(said.contains("Stopped"), "{said:?}");
    let stopped = shell.run("kill %1; jobs")?;
    ensure!(stopped.contains("Stopped"), "a signal does not let it go on: {stopped:?}");
    shell.enter("fg; jobs")?;
    let (said, _) = shell.answer()?;
    ensure!(said.contains("Terminated") && !said.contains("Stopped"), "{said:?}");
    Ok(())
}

fn a_long_paste_arrives_whole_and_lines_can_be_edited(bench: &Bench) -> anyhow::Result<()> {
    const LINE: usize = 64;
    const LINES: usize = 1024;
    let mut shell = Session::boot(bench)?;
    shell.enter("sh -c 'stty -echo; echo ready; wc -c; stty echo'")?;
    shell.until("ready\r\n")?;
    shell.press(&format!("{}{ENTER}", "x".repeat(LINE - 1)).repeat(LINES))?;
    shell.press(key::CTRL_D)?;
    let (said, _) = shell.answer()?;
    ensure!(said.trim() == format!("{}", LINE * LINES), "{said:?}");
    shell.enter("sh -c 'echo ready; cat'")?;
    shell.until("ready\r\n")?;
    shell.press(&format!("helx{}lo{ENTER}", key::DELETE))?;
    shell.until("hello\r\n")?;
    shell.press(key::CTRL_D)?;
    shell.answer()?;
    shell.power_off()
}

fn pipelines_documents_and_subshells_do_what_they_say(bench: &Bench) -> anyhow::Result<()> {
    let mut shell = Session::boot(bench)?;
    shell.expect("seq 9 | sed s/3/x/ | sort -r | head -n 7 | tr '\\n' ,; echo", "x,9,8,7,6,5,4,\n")?;
    // A pipeline's status is its last command's; a writer whose reader has gone is ended by the signal for it.
    shell.expect(
        "grep Sig[BI] /proc/self/status; yes | head -n 1; (exit 3) | cat",
        "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\ny\n",
    )?;
    shell.expect("true | (exit 3); echo $?; ! true; echo $?", "3\n1\n")?;
    // The shell asks for each further line.
    shell.press(&format!("w=document; cat <<E | wc -lw{ENTER}"))?;
    for line in ["one $w", "two $(echo lines)", "E"] {
        shell.until("> ")?;
        shell.press(&format!("{line}{ENTER}"))?;
    }
    shell.until("E\r\n")?;
    let (said, _) = shell.answer()?;
    ensure!(said.split_whitespace().eq(["2", "4"]), "{said:?}");
    shell.expect("(cd /tmp; v=inner; echo $v $PWD); echo ${v-unset} $PWD", "inner /tmp\nunset /\n")?;
    shell.expect("({ sleep 0.2; echo second; } & echo first; wait; echo third)", "first\nsecond\nthird\n")?;
    shell.expect(
        "x=$(for i in 1 2 3; do (echo $i; exit $i) & done; wait); echo $(echo $x | xargs -n1 | sort)",
        "1 2 3\n",
    )?;
    shell.expect("mkfifo /tmp/f; (seq 1000 > /tmp/f & wc -l < /tmp/f; wait)", "1000\n")?;
    shell.expect("trap 'echo caught' USR1; kill -USR1 $$; trap - USR1", "caught\n")?;
    shell.expect(
        "ls /none 2>&1 >/dev/null | cut -d: -f3; echo a > /tmp/a; echo b >> /tmp/a; cat /tmp/a",
        " No such file or directory\na\nb\n",
    )?;
    let said = shell.run("ps")?;
    ensure!(said.contains("PID   USER") && said.contains("/init") && said.contains("ps"), "{said:?}");
    shell.expect("ps -o pid,args | grep -c '^ *1 /init'; pidof init", "1\n1\n")?;
    let said = shell.run("sleep 100 & top -b -n1; kill $!")?;
    for part in ["Mem:", "CPU:", "Load average:", "sleep 100", "/init"] {
        ensure!(said.contains(part), "no {part:?} in {said:?}");
    }
    shell.power_off()
}

fn many_forks_and_much_data_go_through_the_shell(bench: &Bench) -> anyhow::Result<()> {
    let mut shell = Session::boot(bench)?;
    let script = ["#!/bin/sh", "n=0", "while [ $n -lt 1000 ]; do", "  n=$((n + $(echo 1)))", "done", "echo $n forks"];
    shell.press(&format!("cat > /tmp/forks <<'E'{ENTER}"))?;
    for line in script.into_iter().chain(["E"]) {
        shell.until("> ")?;
        shell.press(&format!("{line}{ENTER}"))?;
    }
    shell.until("E\r\n")?;
    shell.answer()?;
    shell.run("chmod +x /tmp/forks; before=$(grep ^processes /proc/stat | cut -d' ' -f2)")?;
    shell.expect("/tmp/forks", "1000 forks\n")?;
    let said = shell.run("echo $(($(grep ^processes /proc/stat | cut -d' ' -f2) - before))")?;
    let forks: u32 = said.trim().parse()?;
    ensure!((1001..1020).contains(&forks), "{forks} forks");
    shell.run(&format!(
        "yes tine | head -c {PIECE} > /tmp/piece; for i in $(seq {PIECES}); do cat /tmp/piece; done > /tmp/much"
    ))?;
    shell.expect("sha256sum < /tmp/much", &format!("{}  -\n", sha256_of_much()))?;
    let through = "dd if=/tmp/much bs=64k count=64 | dd bs=4k | dd bs=999 | cmp -n 4194304 - /tmp/much && echo same";
    let said = shell.run(through)?;
    ensure!(said.ends_with("same\n") && said.contains("64+0 records out"), "{said:?}");
    shell.power_off()
}

/// 64 MiB, a piece after the other.
const PIECE: usize = 1 << 20;
const PIECES: usize = 64;

/// The hash of so many pieces that say `tine` in each line, as the host finds it.
fn sha256_of_much() -> String {
    let piece: Vec<u8> = b"tine\n".iter().copied().cycle().take(PIECE).collect();
    tests::host::sha256(&piece.repeat(PIECES))
}

fn archives_come_out_as_they_went_in_and_every_file_is_found(bench: &Bench) -> anyhow::Result<()> {
    let mut shell = Session::boot(bench)?;
    shell.run("mkdir -p /tmp/in/d /tmp/out; cp /bin/busybox /etc/* /tmp/in; seq 5000 > /tmp/in/d/seq")?;
    shell.run("cd /tmp/in; ln -s d/seq link; ln busybox second; mkfifo fifo; chmod 640 d/seq; chmod 4755 busybox")?;
    shell.run("tar cf - . | gzip > /tmp/a.tgz; cd /tmp/out; gunzip < /tmp/a.tgz | tar xf -; cd /")?;
    shell.expect("(cd /tmp/in; find . -type f | sort | xargs sha256sum) > /tmp/sums; wc -l < /tmp/sums", "8\n")?;
    let said = shell.run("cd /tmp/out; sha256sum -c /tmp/sums; cd /")?;
    ensure!(said.lines().count() == 8 && said.lines().all(|line| line.ends_with(": OK")), "{said:?}");
    shell.run(
        "list() (cd $1; find . | sort | xargs stat -c '%N %A %h'); list /tmp/in > /tmp/1; list /tmp/out > /tmp/2",
    )?;
    shell.expect("cmp /tmp/1 /tmp/2; grep -c second /tmp/2; readlink /tmp/out/link", "1\nd/seq\n")?;
    // Counted by the shell's own patterns; what is in /proc comes and goes.
    shell.run("one() { [ -e $1 -o -L $1 ] || return; n=$((n + 1)); [ ! -d $1 -o -L $1 ] || count $1; }")?;
    shell.run("n=1; count() { for f in $1/* $1/.[!.]*; do one $f; done; true; }")?;
    shell.run("for d in /*; do n=$((n + 1)); [ $d = /proc ] || [ ! -d $d ] || count $d; done")?;
    let said = shell.run("echo $n; find / -name proc -prune -o -print | wc -l; find / | wc -l")?;
    let counts: Vec<usize> = said.lines().map(str::parse).collect::<Result<_, _>>()?;
    let least = tools::busybox::APPLETS.len();
    ensure!(counts.len() == 3 && counts[0] == counts[1] + 1, "counted are {counts:?}");
    ensure!(counts[1] > least && counts[2] > counts[1], "counted are {counts:?}, there must be {least}");
    shell.power_off()
}
