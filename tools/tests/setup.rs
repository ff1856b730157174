//! What `tools/setup.sh` decides, by its `--dry-run` on made-up systems.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A system with this `/etc/os-release`, and a QEMU that says it is `qemu`.
struct System {
    root: TempDir,
}

impl System {
    fn new(os_release: &str, qemu: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/apt/sources.list.d")).unwrap();
        fs::write(root.path().join("etc/os-release"), os_release).unwrap();
        let program = root.path().join("qemu");
        fs::write(&program, format!("#!/bin/sh\necho 'QEMU emulator version {qemu}'\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { root }
    }

    fn with_sources(self, name: &str, text: &str) -> Self {
        fs::write(self.root.path().join("etc/apt").join(name), text).unwrap();
        self
    }

    fn with_tools(self, names: &[&str]) -> Self {
        let tools = self.root.path().join("tools");
        fs::create_dir_all(&tools).unwrap();
        for name in names {
            fs::write(tools.join(name), "#!/bin/sh\n").unwrap();
            fs::set_permissions(tools.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        self
    }

    /// Whether the script succeeds as user `uid`, and what it says.
    fn setup(&self, uid: &str) -> (bool, String) {
        self.setup_with(uid, &[])
    }

    /// The same with options, where there is no C compiler and no debugger for the board.
    fn setup_with(&self, uid: &str, options: &[&str]) -> (bool, String) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("setup.sh");
        let output = Command::new("sh")
            .arg(script)
            .arg("--dry-run")
            .args(options)
            .env("CROSS_CC", "/no/such/compiler")
            .env("SETUP_GDB", "/no/such/debugger")
            .env("SETUP_SEARCH", self.root.path().join("tools"))
            .env("SETUP_ROOT", self.root.path())
            .env("SETUP_UNAME", "Linux")
            .env("SETUP_UID", uid)
            .env_remove("TINE_QEMU")
            .env("SETUP_QEMU", self.root.path().join("qemu"))
            .output()
            .unwrap();
        assert!(output.stdout.is_empty());
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    }
}

const BOOKWORM: &str = "ID=debian\nVERSION_CODENAME=bookworm\n";

#[test]
fn nothing_is_said_where_nothing_is_missing() {
    assert_eq!(System::new(BOOKWORM, "9.0.0").setup("0"), (true, String::new()));
    assert_eq!(System::new(BOOKWORM, "10.0.2 (Debian)").setup("1000"), (true, String::new()));
}

#[test]
fn a_compiler_for_the_board_is_installed_when_asked_for() {
    let (success, said) = System::new(BOOKWORM, "9.0.0").setup_with("0", &["--cross"]);
    assert!(success && said.contains("install -y -q --no-install-recommends gcc-aarch64-linux-gnu"), "{said}");
    let (success, said) = System::new("ID=arch\n", "9.0.0").setup_with("0", &["--cross"]);
    assert!(!success && said.contains("CROSS_CC"), "{said}");
}

#[test]
fn a_debugger_for_the_board_is_installed_when_asked_for() {
    let (success, said) = System::new(BOOKWORM, "9.0.0").setup_with("0", &["--gdb"]);
    assert!(success && said.contains("install -y -q --no-install-recommends gdb-multiarch"), "{said}");
    let (success, said) = System::new(BOOKWORM, "9.0.0").setup_with("1000", &["--gdb"]);
    assert!(success || said.contains("gdb-multiarch"), "{said}");
}

#[test]
fn tools_that_tests_look_at_cards_with_are_installed_when_asked_for_and_those_that_are_there_are_not() {
    let install = "install -y -q --no-install-recommends";
    let (success, said) = System::new(BOOKWORM, "9.0.0").setup_with("0", &["--tests"]);
    assert!(success && said.contains(&format!("{install} dosfstools mtools fdisk bmap-tools e2fsprogs\n")), "{said}");
    let some = System::new(BOOKWORM, "9.0.0").with_tools(&["fsck.fat", "sfdisk", "mke2fs"]);
    let (success, said) = some.setup_with("0", &["--tests"]);
    assert!(success && said.contains(&format!("{install} mtools bmap-tools\n")), "{said}");
    let all = some.with_tools(&["mcopy", "bmaptool"]);
    assert_eq!(all.setup_with("0", &["--tests"]), (true, String::new()));
    let (success, said) = System::new("ID=fedora\n", "9.0.0").setup_with("0", &["--tests"]);
    assert!(success && said.contains("dnf install -y dosfstools mtools util-linux bmap-tools e2fsprogs\n"), "{said}");
    let (success, said) = System::new("ID=plan9\n", "9.0.0").setup_with("0", &["--tests"]);
    assert!(!success && said.contains("some tests are left out"), "{said}");
}

#[test]
fn debian_12_gets_its_backports_from_the_mirror_it_uses() {
    let sources = "deb [arch=amd64] http://mirror.example/debian bookworm main\n";
    let (success, said) = System::new(BOOKWORM, "7.2.19").with_sources("sources.list", sources).setup("0");
    assert!(success);
    assert!(said.contains("QEMU 7 is too old"), "{said}");
    assert!(said.contains("http://mirror.example/debian"), "{said}");
    assert!(said.contains("install -y -q --no-install-recommends -t bookworm-backports qemu-system-arm"), "{said}");
}

#[test]
fn a_suite_that_is_there_already_is_not_added_again() {
    let sources = "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-backports\n";
    let (_, said) = System::new(BOOKWORM, "7.2.19").with_sources("sources.list.d/debian.sources", sources).setup("0");
    assert!(!said.contains("tee"), "{said}");
    assert!(said.contains("-t bookworm-backports"), "{said}");
}

#[test]
fn later_releases_need_no_backports() {
    let (_, said) = System::new("ID=debian\nVERSION_CODENAME=trixie\n", "8.0.0").setup("0");
    assert!(
        said.contains("install -y -q --no-install-recommends qemu-system-arm") && !said.contains("backports"),
        "{said}"
    );
    let (_, said) = System::new("ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=plucky\n", "8.0.0").setup("0");
    assert!(said.contains("install -y -q --no-install-recommends qemu-system-arm"), "{said}");
}

#[test]
fn fedora_uses_dnf() {
    let (_, said) = System::new("ID=fedora\n", "8.0.0").setup("0");
    assert!(said.contains("dnf install -y qemu-system-aarch64"), "{said}");
}

#[test]
fn an_unknown_system_is_told_what_is_needed() {
    let (success, said) = System::new("ID=plan9\n", "8.0.0").setup("0");
    assert!(!success);
    assert!(said.contains("install QEMU 9 or newer"), "{said}");
}
