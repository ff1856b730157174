//! Programs of Debian with their libraries: `make test-long` fetches them, and tests them.

use anyhow::{Context as _, ensure};
use tests::bench::Bench;
use tests::console::ENTER;

use crate::case::{Case, cases};
use crate::session::Session;
use crate::userland::start_with;

pub(crate) const CASES: &[Case] = cases![Debian debians_bash_python_and_sqlite_do_their_work];

const BASH: &str = r#"declare -A words=([one]=1 [two]=2); for w in "${!words[@]}"; do echo $w=${words[$w]}; done | sort
coproc louder { while read -r line; do echo "${line^^}"; done; }; echo loud >&${louder[1]}; read -r answer <&${louder[0]}; echo $answer; kill $louder_PID
paste <(seq 2) <(seq 3 4); for i in {1..50}; do (exit $i) & done; wait; [[ abc =~ b(.) ]] && echo ${BASH_REMATCH[1]}
"#;
const BASH_SAYS: &str = "one=1\ntwo=2\nLOUD\n1\t3\n2\t4\nc\n";

const PYTHON: &str = r#"import subprocess, threading, json, os, multiprocessing, tempfile, hashlib, queue
print(subprocess.run(["sort", "-n"], input="3\n1\n2\n", text=True, capture_output=True).stdout.split())
print(subprocess.Popen("exit 7", shell=True).wait())
q, total = queue.Queue(), []
threads = [threading.Thread(target=lambda: total.append(sum(iter(q.get, None)))) for _ in range(4)]
[t.start() for t in threads]; [q.put(i) for i in range(1000)]; [q.put(None) for _ in threads]; [t.join() for t in threads]
print(sum(total), json.loads(json.dumps({"a": [1, 2.5, None, "\u00e4"]})))
for i in range(20):
    pid = os.fork()
    if pid == 0: os._exit(i)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == i
def square(n): return n * n
with multiprocessing.get_context("fork").Pool(3) as pool: print(pool.map(square, range(10)))
with tempfile.TemporaryDirectory() as d:
    open(d + "/f", "wb").write(b"x" * 1000000)
    print(hashlib.sha256(open(d + "/f", "rb").read()).hexdigest()[:8], os.listdir(d))
try: subprocess.run(["sleep", "100"], timeout=0.2)
except subprocess.TimeoutExpired: print("timed out")
"#;

/// The hash is that of a million letters, as the host finds it.
fn python_says() -> String {
    let hash = tests::host::sha256(&[b'x'; 1_000_000]);
    format!(
        "['1', '2', '3']\n7\n499500 {{'a': [1, 2.5, None, 'ä']}}\n[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]\n{} ['f']\ntimed out\n",
        &hash[..8]
    )
}

const SQL: &str = "create table t(n integer primary key, w text);
with recursive c(n) as (select 1 union all select n + 1 from c where n < 20000) insert into t select n, 'w' || (n % 7) from c;
create index i on t(w);
begin; delete from t where n > 100; rollback;
update t set w = 'none' where n % 2 = 0;
select w, count(*) from t group by w order by w;
pragma integrity_check;
";
const SQL_SAYS: &str = "none|10000\nw0|1429\nw1|1429\nw2|1428\nw3|1429\nw4|1428\nw5|1429\nw6|1428\nok\n";

fn debians_bash_python_and_sqlite_do_their_work(bench: &Bench) -> anyhow::Result<()> {
    let initramfs = bench.build.debian().context("build/debian.cpio is gone")?;
    let mut console = start_with(bench, &initramfs, "quiet")?;
    console.until("# ")?;
    // Debian's shell itself; on a terminal of which it expects no more than that it shows what it is sent.
    let mut shell = Session::begin(console)?;
    shell.enter("PS1=; exec env TERM=dumb PATH=/usr/bin:/bin LC_ALL=C.UTF-8 PS1='bash$ ' bash --norc")?;
    let mut console = shell.into_console();
    console.until("bash$ ")?;
    let mut shell = Session::begin(console)?;
    shell.expect(
        "sort --version | head -n 1 | cut -d' ' -f1-3; echo ${BASH_VERSION%%.*}",
        "sort (GNU coreutils)\n5\n",
    )?;
    shell.run("cmp <(seq 100000 | shuf | sort -n --parallel=4 | sha256sum) <(seq 100000 | sha256sum)")?;
    write(&mut shell, "/tmp/t.bash", BASH)?;
    shell.expect("bash /tmp/t.bash 2>&1", BASH_SAYS)?;
    write(&mut shell, "/tmp/t.py", PYTHON)?;
    shell.expect("python3 /tmp/t.py 2>&1", &python_says())?;
    write(&mut shell, "/tmp/t.sql", SQL)?;
    shell.expect(
        "sqlite3 /tmp/base < /tmp/t.sql 2>&1; sqlite3 /tmp/base 'select count(*) from t'",
        &format!("{SQL_SAYS}20000\n"),
    )?;
    // Two that write at the same time wait for each other's lock.
    shell.run("for i in 1 2; do (for n in $(seq 20); do sqlite3 -cmd '.timeout 20000' /tmp/base \"insert into t(w) values('$i')\"; done) & done; wait")?;
    shell.expect("sqlite3 /tmp/base 'select count(*) from t; pragma integrity_check'", "20040\nok\n")?;
    shell.power_off()
}

/// Writes a file by a here-document, whose lines the shell asks for one by one.
fn write(shell: &mut Session, path: &str, text: &str) -> anyhow::Result<()> {
    shell.press(&format!("cat > {path} <<'END-OF-IT'{ENTER}"))?;
    for line in text.lines().chain(["END-OF-IT"]) {
        shell.until("> ")?;
        shell.press(&format!("{line}{ENTER}"))?;
    }
    shell.until("END-OF-IT\r\n")?;
    let (said, status) = shell.answer()?;
    ensure!(status == 0, "{status} behind {said:?}");
    Ok(())
}
