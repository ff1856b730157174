//! Users with passwords: a table for init that asks who is there, and busybox's programs for it.

use std::fs;

use anyhow::ensure;
use tests::bench::{Bench, read, scratch};
use tests::console::{Console, ENTER};
use tools::cpio::{Access, Archive, DATA_ALIGN, Entry};

use crate::case::{Case, cases};
use crate::session::Session;
use crate::userland::start_with;

pub(crate) const CASES: &[Case] = cases![Shell only_who_knows_a_password_gets_a_shell_and_it_is_the_users];

/// What is put over the usual files. The hashes are SHA-512's, as `mkpasswd` and OpenSSL make them.
const FILES: [(&str, &str); 4] = [
    (
        "etc/init.conf",
        "wait /bin/chmod 600 /etc/shadow\nwait /bin/chmod 4755 /bin/busybox\nwait /bin/chown ada:ada /home/ada\n\
         respawn /bin/getty -L 115200 ttyAMA0 vt100\n",
    ),
    ("etc/passwd", "root:x:0:0:root:/:/bin/sh\nada:x:1000:1000:Ada:/home/ada:/bin/sh\n"),
    ("etc/group", "root:x:0:\ndialout:x:20:ada\nada:x:1000:\n"),
    (
        "etc/shadow",
        "root:$6$0123456789$VGQUKMsZTt7tWF7hSP5RzFQ1Aa8lloU3x9Umq4uc1ydnbLapVSrXYa8CTQNuUk9rOVV5yhbxb2xI9ivgugMS10:1::::::\n\
         ada:$6$0123456789$oPXb.goYNzbtBCDQwMDivjOvD1rmhG5ClfU5fLKGtWN7xR0aic70oVBEcIs3kE8u.TbCp2N1CMeV3z5rxiyHH1:1::::::\n",
    ),
];
const ADAS: &str = "correct horse";
const ADAS_NEXT: &str = "battery 5taple";
const ROOTS: &str = "root secret";

fn only_who_knows_a_password_gets_a_shell_and_it_is_the_users(bench: &Bench) -> anyhow::Result<()> {
    let directory = scratch()?;
    let initramfs = directory.path().join("login.cpio");
    fs::write(&initramfs, with_users(read(&bench.build.initramfs())?)?)?;
    let mut console = start_with(bench, &initramfs, "quiet")?;
    log_in(&mut console, "ada", "wrong")?;
    console.until("Login incorrect")?;
    log_in(&mut console, "ada", ADAS)?;
    console.until("~ $ ")?;
    let mut shell = Session::begin(console)?;
    shell.expect(
        "id; tty; pwd",
        "uid=1000(ada) gid=1000(ada) groups=20(dialout),1000(ada)\n/dev/ttyAMA0\n/home/ada\n",
    )?;
    shell.expect("stat -c '%U %a' /dev/ttyAMA0 /etc/shadow", "ada 600\nroot 600\n")?;
    for forbidden in [
        "cat /etc/shadow",
        "touch /etc/new",
        "kill 1",
        "poweroff",
        "chroot /tmp /bin/sh",
        "su -c id nobody < /dev/null",
    ] {
        let (said, status) = shell.try_run(forbidden)?;
        ensure!(status != 0, "{forbidden}: {said:?}");
    }
    with_password(&mut shell, "su -c id", "bad", 1, "su: incorrect password")?;
    with_password(&mut shell, "su -c id", ROOTS, 0, "uid=0(root) gid=0(root)")?;
    shell.enter("passwd")?;
    for (question, answer) in
        [("Old password: ", ADAS), ("New password: ", ADAS_NEXT), ("Retype password: ", ADAS_NEXT)]
    {
        shell.until(question)?;
        shell.press(&format!("{answer}{ENTER}"))?;
    }
    let (said, status) = shell.answer()?;
    ensure!(status == 0 && said.contains("changed"), "{status} behind {said:?}");
    // Who logs out is asked again, and the old password is none any more.
    let mut console = shell.leave()?;
    log_in(&mut console, "ada", ADAS)?;
    console.until("Login incorrect")?;
    log_in(&mut console, "ada", ADAS_NEXT)?;
    console.until("~ $ ")?;
    let mut shell = Session::begin(console)?;
    shell.run("cd /")?;
    let mut console = shell.leave()?;
    log_in(&mut console, "root", ROOTS)?;
    console.until("# ")?;
    Session::begin(console)?.power_off()
}

/// Answers both questions.
fn log_in(console: &mut Console, user: &str, password: &str) -> anyhow::Result<()> {
    console.until("tine login: ")?;
    console.send(format!("{user}{ENTER}"))?;
    console.until(&format!("{user}\r\n"))?;
    console.until("Password: ")?;
    console.send(format!("{password}{ENTER}"))
}

/// Runs a command that asks for a password, which is not shown. It asks first and hides then what is typed, so somebody watches
/// the terminal meanwhile.
fn with_password(shell: &mut Session, line: &str, password: &str, status: i32, says: &str) -> anyhow::Result<()> {
    shell.enter(&format!("(until stty -F /dev/tty -a | grep -qwe -echo; do :; done; echo hidden) & {line}"))?;
    shell.until("hidden\r\n")?;
    shell.press(&format!("{password}{ENTER}"))?;
    let (said, found) = shell.answer()?;
    ensure!(found == status && said.contains(says), "{line}: {found} behind {said:?}");
    ensure!(!said.contains(password), "the password is shown: {said:?}");
    Ok(())
}

/// The archive with another behind it, whose files take the place of those with the same names.
fn with_users(mut archive: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let mut users = Archive::default();
    users.add("home/ada", Entry::Directory)?;
    for (path, text) in FILES {
        users.add(path, Entry::File { data: text.into(), access: Access::Plain })?;
    }
    archive.resize(archive.len().next_multiple_of(DATA_ALIGN), 0);
    archive.extend(users.to_bytes()?);
    Ok(archive)
}
