#!/bin/sh
# Makes sure that what a build needs is there: a C linker, the pinned Rust toolchain with its targets, QEMU 9 or newer.
#
#   tools/setup.sh [--dry-run] [--cross] [--gdb] [--tests]
#
# With --cross a C compiler for the board, too, which only the serial tests' C program wants: some 50 MB on Debian. With --gdb
# a gdb that knows AArch64. With --tests the tools that tests look at cards with; tests that miss one are left out and say so.
#
# Every make target that needs it runs it first. Where nothing is missing it is silent and takes a few hundredths of a
# second. What is missing is installed, with a word about it before; where that is not possible without asking
# (another user's machine, an unknown system), the exact commands are printed instead and the script fails.
#
# For its own tests: SETUP_ROOT stands before /etc, SETUP_UNAME, SETUP_UID, SETUP_QEMU and SETUP_GDB
# answer for uname, id, qemu and gdb, and SETUP_SEARCH is where tools for tests are looked for.
set -eu

OLDEST_QEMU=9
QEMU=${SETUP_QEMU:-${TINE_QEMU:-qemu-system-aarch64}}
ROOT=${SETUP_ROOT:-}
DRY_RUN=
CROSS=
GDB=
TESTS=
for option; do
    case $option in
        --dry-run) DRY_RUN=$option ;;
        --cross) CROSS=$option ;;
        --gdb) GDB=$option ;;
        --tests) TESTS=$option ;;
        *) echo "usage: tools/setup.sh [--dry-run] [--cross] [--gdb] [--tests]" >&2; exit 2 ;;
    esac
done
cd "$(dirname "$0")/.."

# What root has to do, one command a line.
PLAN=

main() {
    check_linker
    check_qemu
    [ -z "$CROSS" ] || check_cross
    [ -z "$GDB" ] || check_gdb
    [ -z "$TESTS" ] || check_tests
    carry_out
    check_rust
}

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# ---- what is there ----

check_linker() {
    have cc && have make && return
    say "a C linker (cc), which Rust needs for the host tools, or make is missing"
    case $(system) in
        debian) plan "${SUDO:+$SUDO }apt-get install -y -q gcc libc6-dev make" ;;
        fedora) plan "${SUDO:+$SUDO }dnf install -y gcc make" ;;
        macos) run xcode-select --install ;;
        *) fail "install a C compiler and make, and start again" ;;
    esac
}

check_rust() {
    if ! have rustup; then
        # rustup may be installed, but not yet in this shell's PATH.
        if [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/rustup" ]; then
            fail "rustup is installed but not in PATH; start a new shell, or: . \"${CARGO_HOME:-$HOME/.cargo}/env\""
        fi
        have cargo && say "there is a cargo without rustup, but the kernel needs the toolchain that rust-toolchain.toml pins"
        fail "install rustup, see https://rustup.rs:  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    fi
    channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
    have_toolchain "$channel" && return
    say "installing Rust $channel with its components and targets, as rust-toolchain.toml says"
    # One word for each component and target.
    # shellcheck disable=SC2046
    run rustup toolchain install "$channel" --profile minimal $(wanted components --component) $(wanted targets --target)
}

# Looks into the toolchain's directory: asking rustup takes longer than all the rest.
have_toolchain() {
    for home in "${RUSTUP_HOME:-$HOME/.rustup}"/toolchains/"$1"-*; do
        [ -x "$home/bin/cargo" ] || continue
        for target in $(list targets); do
            [ -d "$home/lib/rustlib/$target/lib" ] || return 1
        done
        [ -x "$home/bin/rustfmt" ] && [ -x "$home/bin/cargo-clippy" ] && return 0
    done
    return 1
}

# The words of one list in rust-toolchain.toml.
list() { sed -n "s/^$1 = \[\(.*\)\]/\1/p" rust-toolchain.toml | tr -d '",'; }
# The same, each behind an option.
wanted() { for word in $(list "$1"); do echo "$2 $word"; done; }

check_qemu() {
    found=$(qemu_major)
    [ "${found:-0}" -ge "$OLDEST_QEMU" ] && return
    [ -z "${TINE_QEMU:-}" ] || fail "TINE_QEMU=$TINE_QEMU is no QEMU $OLDEST_QEMU or newer"
    if [ -n "$found" ]; then
        say "QEMU $found is too old: raspi4b needs $OLDEST_QEMU"
    else
        say "qemu-system-aarch64 is missing"
    fi
    case $(system) in
        debian) install_qemu_debian ;;
        fedora) plan "${SUDO:+$SUDO }dnf install -y qemu-system-aarch64" ;;
        macos)
            have brew || fail "install Homebrew (https://brew.sh), then: brew install qemu"
            run brew install qemu
            ;;
        *) fail "install QEMU $OLDEST_QEMU or newer, or name one with TINE_QEMU=/path/to/qemu-system-aarch64" ;;
    esac
}

# The major version of QEMU, or nothing.
qemu_major() { "$QEMU" --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9]*\)\..*/\1/p'; }

check_cross() {
    have "${CROSS_CC:-aarch64-linux-gnu-gcc}" && return
    say "a C compiler for the board (aarch64-linux-gnu-gcc) is missing"
    [ "$(system)" = debian ] || fail "no package of this system is known; name one that makes programs for Linux with CROSS_CC"
    plan "${SUDO:+$SUDO }apt-get update -q"
    plan "${SUDO:+$SUDO }env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
}

check_gdb() {
    for debugger in ${SETUP_GDB:-gdb-multiarch aarch64-elf-gdb aarch64-none-elf-gdb aarch64-linux-gnu-gdb}; do
        have "$debugger" && return
    done
    # Elsewhere the usual gdb knows all architectures.
    case $(system) in
        debian)
            say "a gdb that knows AArch64 (gdb-multiarch) is missing"
            plan "${SUDO:+$SUDO }apt-get update -q"
            plan "${SUDO:+$SUDO }env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends gdb-multiarch"
            ;;
        fedora) have gdb || plan "${SUDO:+$SUDO }dnf install -y gdb" ;;
        macos) run brew install aarch64-elf-gdb ;;
        *) have gdb || fail "install a gdb that knows AArch64" ;;
    esac
}

# A tool that tests look at cards with, and the package that it is in; for Debian, and if it has another name for Fedora.
TEST_TOOLS='fsck.fat dosfstools
mcopy mtools
sfdisk fdisk util-linux
bmaptool bmap-tools
mke2fs e2fsprogs'

check_tests() {
    packages=$(echo "$TEST_TOOLS" | while read -r tool package other; do
        # Root has some of them where others do not look.
        (PATH=${SETUP_SEARCH:-$PATH:/usr/sbin:/sbin}; have "$tool") && continue
        [ "$(system)" != fedora ] && echo "$package" || echo "${other:-$package}"
    done)
    [ -n "$packages" ] || return 0
    # One word for each.
    # shellcheck disable=SC2086
    packages=$(echo $packages)
    say "tools that tests look at cards with are missing: $packages"
    case $(system) in
        debian)
            plan "${SUDO:+$SUDO }apt-get update -q"
            plan "${SUDO:+$SUDO }env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages"
            ;;
        fedora) plan "${SUDO:+$SUDO }dnf install -y $packages" ;;
        *) fail "install what of this there is; without it some tests are left out" ;;
    esac
}

# ---- which system ----

system() {
    case ${SETUP_UNAME:-$(uname -s)} in
        Darwin) echo macos; return ;;
        Linux) ;;
        *) echo other; return ;;
    esac
    case " $(os_release ID) $(os_release ID_LIKE) " in
        *" debian "* | *" ubuntu "*) echo debian ;;
        *" fedora "*) echo fedora ;;
        *) echo other ;;
    esac
}

os_release() { sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}$/\1/p" "$ROOT/etc/os-release" 2>/dev/null || true; }

# ---- Debian ----

install_qemu_debian() {
    suite=
    # Debian 12 has QEMU 7.2, its backports 9 or newer. Later releases are new enough.
    if [ "$(os_release VERSION_CODENAME)" = bookworm ] && [ "$(os_release ID)" = debian ]; then
        suite=bookworm-backports
        have_suite "$suite" || add_suite "$suite"
    fi
    plan "${SUDO:+$SUDO }apt-get update -q"
    plan "${SUDO:+$SUDO }env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends ${suite:+-t $suite }qemu-system-arm"
}

# Whether a suite is configured already, in either of apt's formats.
have_suite() {
    cat "$ROOT"/etc/apt/sources.list "$ROOT"/etc/apt/sources.list.d/*.list "$ROOT"/etc/apt/sources.list.d/*.sources \
        2>/dev/null | grep -v '^[[:space:]]*#' | grep -qw -- "$1"
}

# Adds a suite as a file of its own, from the mirror that this machine uses already.
add_suite() {
    file=$ROOT/etc/apt/sources.list.d/$1.sources
    text="Types: deb\nURIs: $(debian_mirror)\nSuites: $1\nComponents: main\n"
    text="${text}Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    plan "printf '$text' | ${SUDO:+$SUDO }tee $file >/dev/null"
}

debian_mirror() {
    {
        sed -n 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p' "$ROOT"/etc/apt/sources.list.d/*.sources 2>/dev/null || true
        sed -n 's/^deb[[:space:]]\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]*\).*/\2/p' \
            "$ROOT"/etc/apt/sources.list "$ROOT"/etc/apt/sources.list.d/*.list 2>/dev/null || true
        echo http://deb.debian.org/debian
    } | grep -v security | grep 'debian/*$' | head -n 1
}

# ---- doing it ----

# Runs a command, or with --dry-run only says it.
run() {
    say "+ $*"
    [ "$DRY_RUN" = --dry-run ] || "$@" >&2
}

# Notes what root has to do.
plan() {
    PLAN="$PLAN
$1"
}

# Does what was planned, where nobody has to be asked for a password; else says what to run.
carry_out() {
    [ -n "$PLAN" ] || return 0
    if [ "$MAY" = no ]; then
        fail "this needs root; please run, then start again:$PLAN"
    fi
    say "running:$PLAN"
    [ "$DRY_RUN" = --dry-run ] && return
    sh -ec "$PLAN" >&2
    found=$(qemu_major)
    [ "${found:-0}" -ge "$OLDEST_QEMU" ] && return
    fail "the QEMU of this release is ${found:-missing}, raspi4b needs $OLDEST_QEMU;" \
        "build a newer one and name it with TINE_QEMU=/path/to/qemu-system-aarch64"
}

# How to become root.
if [ "${SETUP_UID:-$(id -u)}" = 0 ]; then
    SUDO='' MAY=yes
elif sudo -n true 2>/dev/null; then
    SUDO='sudo -n' MAY=yes
else
    SUDO=sudo MAY=no
fi

main
