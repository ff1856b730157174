//! A start without QEMU's own loader: QEMU reads a device tree before it passes it on, and refuses a broken one, so the
//! test brings firmware of its own. It is what the boards' firmware stub is, at EL3: the first core gets the address
//! that the test chooses in x0, the others wait for an address in the spin table.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use tools::board::Board;
use tools::qemu::Qemu;

/// Where the firmware loads the kernel.
pub const IMAGE_AT: u64 = 0x8_0000;
/// Where QEMU would put a tree, and so does the test.
const TREE_AT: u64 = 0x0800_0000;

/// The stub's code; the 64-bit word behind it is the first core's x0.
const CODE: [u32; 12] = [
    0xd538_00a4, //    mrs  x4, mpidr_el1
    0x9240_0484, //    and  x4, x4, #3
    0xb400_00c4, //    cbz  x4, 2f
    0xd280_1b05, //    mov  x5, #0xd8
    0xd503_205f, // 1: wfe
    0xf864_78a6, //    ldr  x6, [x5, x4, lsl #3]
    0xb4ff_ffc6, //    cbz  x6, 1b
    0xd61f_00c0, //    br   x6
    0x5800_0080, // 2: ldr  x0, 3f
    0xd2a0_0104, //    mov  x4, #0x80000
    0xd61f_0080, //    br   x4
    0xd503_201f, // 3: (aligned)
];

/// Where the code that goes down to EL1 stands: it is not the stub's place, for nobody polls a spin table then.
const DESCENT_AT: u64 = 0x1000;

/// Code that enters the kernel at EL1, as some loaders do: EL2 is left with a 64-bit EL1 and its timers untrapped.
const DESCENT: [u32; 14] = [
    0xd280_b624, // mov  x4, #0x5b1
    0xd51e_1104, // msr  scr_el3, x4
    0xd2b0_0004, // mov  x4, #0x80000000
    0xd51c_1104, // msr  hcr_el2, x4
    0xd280_0064, // mov  x4, #3
    0xd51c_e104, // msr  cnthctl_el2, x4
    0xd51c_e07f, // msr  cntvoff_el2, xzr
    0xd51c_115f, // msr  cptr_el2, xzr
    0xd280_78a4, // mov  x4, #0x3c5         EL1h, everything masked
    0xd51e_4004, // msr  spsr_el3, x4
    0xd2a0_0104, // mov  x4, #0x80000
    0xd51e_4024, // msr  elr_el3, x4
    0xaa1f_03e0, // mov  x0, xzr
    0xd69f_03e0, // eret
];

/// A board whose first core enters the kernel at EL1, without a tree. The file is put into `directory`.
///
/// # Errors
///
/// When the file cannot be written.
pub fn at_el1(qemu: &Qemu, board: Board, image: &Path, directory: &Path) -> anyhow::Result<Command> {
    let descent: Vec<u8> = DESCENT.iter().flat_map(|word| word.to_le_bytes()).collect();
    let path = directory.join("descent.bin");
    fs::write(&path, &descent).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(loaded(qemu, board, &[(image, IMAGE_AT), (&path, DESCENT_AT)]))
}

/// A board that starts from the stub, with `tree` in memory whatever is in it. The files are put into `directory`.
///
/// # Errors
///
/// When the files cannot be written.
pub fn with_tree(qemu: &Qemu, board: Board, image: &Path, tree: &[u8], directory: &Path) -> anyhow::Result<Command> {
    let stub: Vec<u8> = CODE.iter().flat_map(|word| word.to_le_bytes()).chain(TREE_AT.to_le_bytes()).collect();
    let write = |name: &str, bytes: &[u8]| -> anyhow::Result<PathBuf> {
        let path = directory.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    let (stub, tree) = (write("stub.bin", &stub)?, write("tree.dtb", tree)?);
    Ok(loaded(qemu, board, &[(&tree, TREE_AT), (image, IMAGE_AT), (&stub, 0)]))
}

/// A board with files at addresses of RAM, that starts at the last one's: at EL3, with nothing in x0.
#[must_use]
pub fn loaded(qemu: &Qemu, board: Board, files: &[(&Path, u64)]) -> Command {
    let mut command = Command::new(&qemu.program);
    command.args(["-M", board.machine(), "-display", "none", "-no-reboot", "-semihosting"]);
    command.args(["-serial", "stdio", "-monitor", "none"]);
    for (index, (file, address)) in files.iter().enumerate() {
        // In an option's value QEMU takes a doubled comma for a comma.
        let file = file.display().to_string().replace(',', ",,");
        let start = if index + 1 == files.len() { ",cpu-num=0" } else { "" };
        command.arg("-device").arg(format!("loader,force-raw=on,file={file},addr={address:#x}{start}"));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_starts_at_the_last_file() {
        let version = tools::qemu::OLDEST;
        let qemu = Qemu { program: "qemu".into(), version };
        let command = loaded(&qemu, Board::Raspi3b, &[(Path::new("a,b"), 0x1000), (Path::new("b"), 0)]);
        let args: Vec<_> = command.get_args().filter_map(|word| word.to_str()).collect();
        assert!(args.ends_with(&[
            "-device",
            "loader,force-raw=on,file=a,,b,addr=0x1000",
            "-device",
            "loader,force-raw=on,file=b,addr=0x0,cpu-num=0"
        ]));
    }
}
