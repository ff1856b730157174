# Tine: `make help` lists the targets. On a fresh machine `make run` and `make test` work as the first command.

# The board of `run`, `trace` and `gdb`: raspi4b or raspi3b.
BOARD ?= raspi4b
# The initramfs, the kernel's command line, TRACE=1 to print the trace; ADD="FILE[:PATH] ..." and ROOT=DIRECTORY for the
# initramfs: files, and a tree of them that goes over the usual one.
INITRD ?= build/initramfs.cpio
CMDLINE ?=
TRACE ?=
ADD ?=
ROOT ?=
# The packages of `debian`.
DEBIAN ?= bash coreutils libc-bin python3 sqlite3
# The image of an SD card for `run`: SD=build/tine.img.
SD ?=
# For `image`: a directory with firmware (else it is fetched from Debian), the second partition (fat32, none, a file).
FIRMWARE ?=
DATA ?=
# For `image`: LOAD=1 makes a card that waits for a kernel on the serial line. For `push`: the line's speed.
LOAD ?=
BAUD ?=
# For `flash`: the card.
DEVICE ?=
# An initramfs inside the kernel's image, for where neither firmware nor QEMU passes one.
BUILTIN ?=
# The benchmark of `bench` and its arguments; a run with arguments is not recorded. What of it `profile` counts.
BENCH ?= $(USER_BIN)/bench
WORDS ?=
PROFILE ?=
# The serial port of `console`, `push` and `test-board`; the tests that the last one runs, all where none is named.
PORT ?= /dev/ttyUSB0
NAMES ?=
# Miri is the one tool that only a nightly has.
MIRI_TOOLCHAIN ?= nightly

BOARDS := raspi3b raspi4b
KERNEL_TARGET := aarch64-unknown-none-softfloat
USER_TARGET := aarch64-unknown-linux-musl
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
USER_BIN := $(TARGET_DIR)/$(USER_TARGET)/user
# How often `powercut` cuts the power, and the seed of when.
RUNS ?= 200
SEED ?= 1
# Minutes of random calls.
SOAK := 180s 1
# What the kernel image may have at most. The goal is 512 KiB; with files, pipes, sockets, the terminal and the card it is
# nearly three times that.
MAX_SIZE := 1540096
# Seconds after which a board that tests itself is taken for hung.
KTEST_TIMEOUT := 120
HOST_CRATES := -p abi -p kcore -p drivers -p tools
# The programs of the initramfs, in /bin (init: in the root), and the crates they share.
PROGRAMS := init forktree usertests grind bench hello
USER_CRATES := $(PROGRAMS) durable bsd sys

# Panics name files of the crates and of Rust's library: by the same names, whoever builds them where.
PATHS = '--remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=/cargo', \
    '--remap-path-prefix=$$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$$(rustc -vV | sed -n 's/^commit-hash: //p')'
BUILD_KERNEL = cargo build --quiet --target $(KERNEL_TARGET) --config "target.$(KERNEL_TARGET).rustflags=[$(PATHS)]"
BUILD_USER = cargo build --quiet --target $(USER_TARGET) --config "target.$(USER_TARGET).rustflags=[$(PATHS)]"

TINE := cargo run --quiet --package tools --bin tine --
SUITE := tools/suite.sh
KERNEL := --package kernel --bin kernel --target $(KERNEL_TARGET)
LOADER := --package loader --bin loader --target $(KERNEL_TARGET)
RUN = $(TINE) run --board $(BOARD) --initrd $(INITRD) $(if $(CMDLINE),--cmdline "$(CMDLINE)") $(if $(SD),--sd $(SD)) $(if $(TRACE),--trace)

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
.NOTPARALLEL:

##@ Build and run
build: build/kernel8.img build/loader.img build/initramfs.cpio $(BOARDS:%=build/%.dtb) ## everything under build/

run: build $(INITRD) ## run BOARD in QEMU (INITRD=, CMDLINE=, SD=, TRACE=1, ADD="FILE[:PATH] ...", ROOT=); Ctrl-A x ends it
	@$(RUN)

debian: build build/debian.cpio ## run BOARD with programs of Debian and their libraries (DEBIAN="PACKAGE ...")
	@$(TINE) run --board $(BOARD) --initrd build/debian.cpio $(if $(CMDLINE),--cmdline "$(CMDLINE)")

trace: build ## run BOARD and print its trace
	@$(RUN) $(if $(TRACE),,--trace)

board-trace: setup ## the trace of a board with trace=uart2..uart5, at PORT (BAUD=)
	@$(TINE) trace --port $(PORT) $(if $(BAUD),--baud $(BAUD))

gdb: build ## run BOARD under gdb, with commands for Tine (`tine help` there), or print how
	@# Where none can be installed, the script says how to use one elsewhere.
	-@tools/setup.sh --gdb
	@tools/gdb.sh $(RUN)

console: setup ## a terminal on the board at PORT, with names in backtraces
	@$(TINE) console --port $(PORT) $(if $(wildcard build/kernel.elf),--elf build/kernel.elf)

bench: build build/bench.cpio ## size, boot time, and a benchmark beside Linux (BENCH=PROGRAM, WORDS="GROUP ... --quick")
	@$(TINE) bench --program build/bench.cpio --name $(notdir $(BENCH)) $(if $(WORDS),--words="$(WORDS)",--record docs/bench.md)

bench-card: build ## how fast a card is read, beside Debian's Linux, which is fetched: some 60 to 100 MB
	@$(TINE) bench-card --record docs/bench.md

profile: build build/bench.cpio ## its instructions by function of the kernel (BENCH=, WORDS=, PROFILE="--from FUNCTION --with FUNCTION")
	@$(TINE) profile --program build/bench.cpio $(if $(WORDS),--words="$(WORDS)") $(PROFILE)

##@ Cards
image: build $(INITRD) ## the image of an SD card: build/tine.img, .bmap, .xz (FIRMWARE=DIRECTORY, CMDLINE=, DATA=, LOAD=1)
	@$(TINE) image build/tine.img --initrd $(INITRD) --release --date $(or $(shell git log -1 --format=%cs 2>/dev/null),$(shell date -u +%F)) \
	    $(if $(FIRMWARE),--firmware "$(FIRMWARE)") $(if $(CMDLINE),--cmdline "$(CMDLINE)") $(if $(DATA),--data "$(DATA)") $(if $(LOAD),--loader build/loader.img)

flash: named-device image ## write that image to a card and read it back (DEVICE=/dev/sdX)
	@$(TINE) flash "$(DEVICE)" --image build/tine.img

# Asked before the image is made, which takes a while.
named-device:
	@test -n "$(DEVICE)" || { echo 'which card? make flash DEVICE=/dev/sdX' >&2; exit 1; }
	@test -e "$(DEVICE)" || { echo 'there is no $(DEVICE); `lsblk -d -o NAME,SIZE,MODEL,TRAN` shows the disks that there are' >&2; exit 1; }

test-board: build build/ktest.img ## the test programs on a board at PORT with a card made with LOAD=1 (NAMES="TEST ...", BAUD=)
	@$(TINE) test --serial $(PORT) $(if $(BAUD),--baud $(BAUD)) $(NAMES)

push: build ## the kernel over the serial line at PORT, to a card made with LOAD=1, and then a terminal
	@$(TINE) push build/kernel8.img --port $(PORT) $(if $(BAUD),--baud $(BAUD))
	@$(TINE) console --port $(PORT) --elf build/kernel.elf

##@ Tests
test: test-tools clean-logs suite-host $(BOARDS:%=suite-ktest-%) $(BOARDS:%=suite-serial-%) ## tests on the host, in the kernel and over the serial line
	@$(TINE) summary build/test/*.log

test-long: test-tools build build/ktest.img build/debian.cpio build/fallback.cpio ## tests on both boards of what a build has to fetch (Debian's programs, a shell of a crate), and of `tine test` whole
	cargo test --no-fail-fast --package tests --test serial debian
	cargo test --no-fail-fast --package tests --test serial fallback
	TINE_LONG=1 cargo test --no-fail-fast --package tests --test serial the_test_programs_run

powercut: test-tools build build/programs.cpio ## the power cut while files are written and synced, again and again (RUNS=200 SEED=1); some four seconds each
	@cargo run --quiet --package tests --bin powercut -- $(RUNS) $(SEED) --record docs/powercut.md

ktest: $(BOARDS:%=ktest-%) ## the kernel's own tests on both boards

soak: $(BOARDS:%=soak-%) ## random calls from many processes on both boards (SOAK="COUNT|SECONDSs [SEED]")

fuzz: setup ## the parsers under libFuzzer; wants a C++ compiler (TARGET="name ...", SECONDS= for each)
	@sh tests/fuzz/run.sh $(or $(SECONDS),60) $(TARGET)

check: setup ## format, lints, documentation, layers
	cargo fmt --all --check
	cargo clippy --quiet --workspace --exclude kernel --exclude loader --exclude stdtest $(USER_CRATES:%=--exclude %) --all-targets -- -D warnings
	cargo clippy --quiet $(KERNEL) -- -D warnings
	cargo clippy --quiet $(LOADER) -- -D warnings
	cargo clippy --quiet $(KERNEL) --features ktest -- -D warnings
	cargo clippy --quiet $(USER_CRATES:%=--package %) --package stdtest --target $(USER_TARGET) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps $(HOST_CRATES) -p tests
	RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps $(KERNEL)
	RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps $(LOADER)
	RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps $(USER_CRATES:%=--package %) --target $(USER_TARGET)
	$(TINE) layers

# What Miri is asked by default: the unsafe code (`tine layers` knows where it may be), what is built right on top of it,
# and drivers. The rest is safe code, hours of it under Miri; of the tests of tables, those that read, write and free them.
MIRI_ONLY := mmio:: gic:: mailbox:: hal::fake frame:: sync:: util::list util::place util::ring $(addprefix sched::tests::,run_queue waiting)
MIRI_TREES := time::queue $(addprefix paging::tests::basic::,a_block a_damaged a_kernel)

miri: setup ## the unsafe code of kcore and drivers under Miri; MIRI_ONLY= runs all of both, for hours (MIRI_TOOLCHAIN=)
	@cargo +$(MIRI_TOOLCHAIN) miri --version >/dev/null 2>&1 || rustup toolchain install $(MIRI_TOOLCHAIN) --profile minimal --component miri --component rust-src
	MIRIFLAGS="-Zmiri-strict-provenance" CARGO_TARGET_DIR=$(TARGET_DIR)/miri cargo +$(MIRI_TOOLCHAIN) miri test --no-fail-fast -p kcore -p drivers --lib -- $(MIRI_ONLY)
	@# The red-black tree of intrusive-collections keeps pointers in integers, so its users run with permissive provenance.
	MIRIFLAGS="-Zmiri-permissive-provenance" CARGO_TARGET_DIR=$(TARGET_DIR)/miri cargo +$(MIRI_TOOLCHAIN) miri test --no-fail-fast -p kcore --lib -- --include-ignored $(MIRI_TREES)

loom: setup ## every interleaving of the lock-free code that three preemptions can make
	RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 CARGO_TARGET_DIR=$(TARGET_DIR)/loom cargo test --no-fail-fast -p kcore --lib loom

# Miri, and loom after it, keep one core busy for minutes, so they run beside everything else and are shown afterwards.
prepush: test-tools clean-logs ## all that CI does
	@# Where it cannot be had, the test that wants it says so.
	-@tools/setup.sh --cross --gdb
	@$(MAKE) --no-print-directory suite-miri suite-loom >/dev/null & $(MAKE) --no-print-directory suites-in-front; wait; \
	    cat build/test/miri.log build/test/loom.log
	@$(TINE) summary --out build/test/total build/test/*.log

suites-in-front: suite-check suite-host $(BOARDS:%=suite-ktest-%) $(BOARDS:%=suite-serial-%)

##@ House
setup: ## install what is missing: Rust toolchain and targets, QEMU 9 or newer; asked for by itself, the tests' tools, too
	@tools/setup.sh $(if $(filter setup,$(MAKECMDGOALS)),--tests)

# Where they cannot be had, the tests that want them say so.
test-tools: setup
	-@tools/setup.sh --tests

cross: ## install a C compiler for the board, for the programs of the tests (Debian)
	@tools/setup.sh --cross

clean: ## delete build/ and target/
	rm -rf build
	cargo clean

help: ## this list
	@awk -F ':.*## ' '/^##@/{print substr($$0, 5)} /^[a-z-]+:.*## /{printf "  %-11s %s\n", $$1, $$2}' Makefile

# ---- what a build makes ----

# Cargo knows better than make what is out of date, so it is asked each time; only a change is copied.
build/kernel.elf: $(BUILTIN) FORCE | setup
	@TINE_BUILTIN=$(abspath $(BUILTIN)) $(BUILD_KERNEL) --release --package kernel --bin kernel
	@$(call copy,$(TARGET_DIR)/$(KERNEL_TARGET)/release/kernel)

build/loader.img: FORCE | setup
	@$(BUILD_KERNEL) --release --package loader --bin loader
	@mkdir -p build; $(TINE) raw $(TARGET_DIR)/$(KERNEL_TARGET)/release/loader $@

build/ktest.elf: FORCE | setup
	@$(BUILD_KERNEL) --profile ktest --features ktest --package kernel --bin kernel
	@$(call copy,$(TARGET_DIR)/$(KERNEL_TARGET)/ktest/kernel)

copy = mkdir -p $(@D); cmp -s $(1) $@ || cp $(1) $@

build/kernel8.img: build/kernel.elf
	@$(TINE) raw $< $@ $(if $(BUILTIN),,--max-size $(MAX_SIZE))

build/ktest.img: build/ktest.elf
	@$(TINE) raw $< $@

build/initramfs.cpio: build/busybox FORCE | setup
	@$(BUILD_USER) --profile user $(PROGRAMS:%=--package %)
	@test -s build/busybox || $(FALLBACK_SHELL)
	@$(USUAL) $$(test -s build/busybox || echo "--add $(FALLBACK):bin/sh")

# Where no busybox could be had: a shell of a crate.
FALLBACK = $(TARGET_DIR)/fallback/$(USER_TARGET)/release/shell
FALLBACK_SHELL = $(BUILD_USER) --locked --release --manifest-path user/shell/Cargo.toml --target-dir $(TARGET_DIR)/fallback

# The usual one as it is without a busybox.
build/fallback.cpio: build/initramfs.cpio FORCE
	@$(FALLBACK_SHELL)
	@$(TINE) initramfs $@ --base user/root --add $(USER_BIN)/init:init \
	    $(foreach program,$(filter-out init,$(PROGRAMS)),--add $(USER_BIN)/$(program):bin/$(program)) --add $(FALLBACK):bin/sh

USUAL = $(TINE) initramfs $@ --base user/root $(ROOT:%=--root %) --busybox build/busybox --add $(USER_BIN)/init:init \
    $(foreach program,$(filter-out init,$(PROGRAMS)),--add $(USER_BIN)/$(program):bin/$(program)) $(ADD:%=--add %)

# The usual one with programs of Debian, which are fetched once; `make clean`, or delete the second file, to fetch them anew.
build/debian.cpio: build/initramfs.cpio build/debian-packages.cpio FORCE
	@$(USUAL) --over build/debian-packages.cpio

build/debian-packages.cpio: | setup
	@$(TINE) debian $@ $(DEBIAN)

# The usual one and the programs of the serial tests, which have the stack unwound, a C library, and are not in the usual one.
build/programs.cpio: build/initramfs.cpio FORCE
	@$(BUILD_USER) --profile unwind --package stdtest
	@$(BUILD_USER) --profile user --package durable
	@tests/programs/c/build.sh build/programs
	@$(TINE) initramfs $@ --base user/root --root build/programs --busybox build/busybox --add $(USER_BIN)/init:init \
	    --add $(TARGET_DIR)/$(USER_TARGET)/unwind/stdtest --add $(USER_BIN)/durable

# A shell, from Debian; empty where it cannot be had.
build/busybox: tools/src/busybox.rs | setup
	@$(TINE) busybox $@

build/bench.cpio: build/initramfs.cpio FORCE
	@$(TINE) initramfs $@ --add $(BENCH):init

build/%.dtb: FORCE | setup
	@$(TINE) dtb --board $* $@

# ---- the test runners: each by itself, and as a suite that leaves a log for the summary ----

ktest-%: build/ktest.img build/%.dtb
	@$(TINE) run --board $* --kernel build/ktest.img --elf build/ktest.elf --timeout $(KTEST_TIMEOUT) </dev/null

soak-%: build
	@mkdir -p build/soak
	$(TINE) run --board $* --initrd build/initramfs.cpio --timeout 900 --cmdline "quiet -- /bin/grind $(SOAK)" </dev/null | tee build/soak/$*.log
	@grep -q '^grind: ok' build/soak/$*.log

host: setup
	cargo test --no-fail-fast $(HOST_CRATES)

# The serial tests take the board from the environment and find the rest under build/.
serial-%: build build/programs.cpio build/ktest.img
	TINE_BOARD=$* cargo test --no-fail-fast --package tests

suite-%: setup
	@$(SUITE) $(if $(filter check,$*),check,tests) $* $(MAKE) --no-print-directory $*

clean-logs:
	@rm -rf build/test

FORCE:
.PHONY: build run powercut trace board-trace gdb console image flash named-device push bench bench-card test test-board ktest soak fuzz check miri loom prepush suites-in-front setup test-tools cross debian test-long clean help host clean-logs FORCE
