//! The small device trees that QEMU gets: just what the kernel reads, in the shape of the real ones.
//!
//! QEMU completes them at each reset: it replaces the memory node, sets `/chosen/bootargs` and the initrd's place,
//! and fills every property named `rng-seed` with fresh random bytes, which is the only entropy on raspi4b. For that
//! it wants `#address-cells` and `#size-cells` at the root.

use vm_fdt::{FdtReserveEntry, FdtWriter, FdtWriterResult};

use crate::board::Board;

/// Memory that QEMU reports for both boards; it rewrites the node anyway.
const MEMORY_SIZE: u32 = 0x3c00_0000;
/// Cores of both boards.
const CORES: u8 = 4;
/// Where core 0 finds its spin-table word; the others follow, 8 bytes each. Part of the firmware stub.
const SPIN_TABLE: u64 = 0xd8;
/// The page that holds the firmware stub and the spin table, reserved until all cores have left it.
const STUB_SIZE: u64 = 0x1000;
/// Bytes in `/chosen/rng-seed`.
const SEED_SIZE: usize = 32;
/// Bus address of the peripherals in both boards' trees.
const BUS: u32 = 0x7e00_0000;

/// The device tree blob for `board` in QEMU.
///
/// # Errors
///
/// None that a caller could cause: the writer's own, were a name or an order here wrong.
pub fn blob(board: Board) -> FdtWriterResult<Vec<u8>> {
    let mut fdt = FdtWriter::new_with_mem_reserv(&[FdtReserveEntry::new(0, STUB_SIZE)?])?;
    let root = fdt.begin_node("")?;
    fdt.property_string("model", board.model())?;
    fdt.property_string_list("compatible", board.compatible().map(String::from).to_vec())?;
    fdt.property_u32("#address-cells", board.address_cells())?;
    fdt.property_u32("#size-cells", 1)?;
    aliases(&mut fdt)?;
    chosen(&mut fdt)?;
    memory(&mut fdt, board)?;
    cpus(&mut fdt, board)?;
    soc(&mut fdt, board)?;
    fdt.end_node(root)?;
    fdt.finish()
}

fn aliases(fdt: &mut FdtWriter) -> FdtWriterResult<()> {
    let aliases = fdt.begin_node("aliases")?;
    fdt.property_string("serial0", "/soc/serial@7e201000")?;
    fdt.property_string("serial1", "/soc/serial@7e215040")?;
    fdt.end_node(aliases)
}

fn chosen(fdt: &mut FdtWriter) -> FdtWriterResult<()> {
    let chosen = fdt.begin_node("chosen")?;
    fdt.property_string("stdout-path", "serial0:115200n8")?;
    fdt.property("rng-seed", &[0; SEED_SIZE])?;
    fdt.end_node(chosen)
}

fn memory(fdt: &mut FdtWriter, board: Board) -> FdtWriterResult<()> {
    let memory = fdt.begin_node("memory@0")?;
    fdt.property_string("device_type", "memory")?;
    fdt.property_array_u32("reg", &root_reg(board, 0, MEMORY_SIZE))?;
    fdt.end_node(memory)
}

fn cpus(fdt: &mut FdtWriter, board: Board) -> FdtWriterResult<()> {
    let cpus = fdt.begin_node("cpus")?;
    fdt.property_u32("#address-cells", 1)?;
    fdt.property_u32("#size-cells", 0)?;
    for core in 0..CORES {
        let cpu = fdt.begin_node(&format!("cpu@{core}"))?;
        fdt.property_string("device_type", "cpu")?;
        fdt.property_string("compatible", board.cpu())?;
        fdt.property_u32("reg", u32::from(core))?;
        fdt.property_string("enable-method", "spin-table")?;
        fdt.property_u64("cpu-release-addr", SPIN_TABLE + 8 * u64::from(core))?;
        fdt.end_node(cpu)?;
    }
    fdt.end_node(cpus)
}

fn soc(fdt: &mut FdtWriter, board: Board) -> FdtWriterResult<()> {
    let soc = fdt.begin_node("soc")?;
    fdt.property_string("compatible", "simple-bus")?;
    fdt.property_u32("#address-cells", 1)?;
    fdt.property_u32("#size-cells", 1)?;
    let (base, size) = board.peripherals();
    fdt.property_array_u32("ranges", &[&[BUS][..], &root_reg(board, base, size)].concat())?;
    uart(fdt, "serial@7e201000", &["arm,pl011", "arm,primecell"], &[0x7e20_1000, 0x200])?;
    uart(fdt, "serial@7e215040", &["brcm,bcm2835-aux-uart"], &[0x7e21_5040, 0x40])?;
    fdt.end_node(soc)
}

fn uart(fdt: &mut FdtWriter, name: &str, compatible: &[&str], reg: &[u32]) -> FdtWriterResult<()> {
    let uart = fdt.begin_node(name)?;
    fdt.property_string_list("compatible", compatible.iter().copied().map(String::from).collect())?;
    fdt.property_array_u32("reg", reg)?;
    fdt.property_string("status", "okay")?;
    fdt.end_node(uart)
}

/// An address and a size in the root's cells.
fn root_reg(board: Board, address: u32, size: u32) -> Vec<u32> {
    match board.address_cells() {
        2 => vec![0, address, size],
        _ => vec![address, size],
    }
}

#[cfg(test)]
mod tests {
    use dtoolkit::fdt::{Fdt, FdtNode};
    use dtoolkit::{Node as _, Property as _};

    use super::*;

    fn with_tree(board: Board, check: impl Fn(&Fdt<'_>)) {
        let bytes = blob(board).unwrap();
        check(&Fdt::new(&bytes).unwrap());
    }

    fn property(node: &FdtNode<'_>, name: &str) -> Vec<u8> {
        node.property(name).unwrap_or_else(|| panic!("no {name}")).value().to_vec()
    }

    #[test]
    fn each_board_names_itself_as_the_real_one_does() {
        with_tree(Board::Raspi3b, |fdt| {
            assert_eq!(property(&fdt.root(), "compatible"), b"raspberrypi,3-model-b\0brcm,bcm2837\0");
            assert_eq!(property(&fdt.root(), "model"), b"Raspberry Pi 3 Model B\0");
        });
        with_tree(Board::Raspi4b, |fdt| {
            assert_eq!(property(&fdt.root(), "compatible"), b"raspberrypi,4-model-b\0brcm,bcm2711\0");
        });
    }

    #[test]
    fn qemu_finds_the_cell_counts_and_a_seed_to_refill() {
        for board in Board::ALL {
            with_tree(board, |fdt| {
                assert_eq!(property(&fdt.root(), "#address-cells"), board.address_cells().to_be_bytes());
                assert_eq!(property(&fdt.root(), "#size-cells"), 1u32.to_be_bytes());
                let chosen = fdt.find_node("/chosen").unwrap();
                assert_eq!(property(&chosen, "rng-seed").len(), SEED_SIZE);
            });
        }
    }

    #[test]
    fn every_core_has_its_spin_table_word() {
        for board in Board::ALL {
            with_tree(board, |fdt| {
                for core in 0..u64::from(CORES) {
                    let cpu = fdt.find_node(&format!("/cpus/cpu@{core}")).unwrap();
                    assert_eq!(property(&cpu, "enable-method"), b"spin-table\0");
                    assert_eq!(property(&cpu, "cpu-release-addr"), (0xd8 + 8 * core).to_be_bytes());
                }
            });
        }
    }

    #[test]
    fn the_stub_page_is_reserved() {
        with_tree(Board::Raspi4b, |fdt| {
            let reserved: Vec<_> = fdt.memory_reservations().map(|entry| (entry.address(), entry.size())).collect();
            assert_eq!(reserved, [(0, STUB_SIZE)]);
        });
    }

    #[test]
    fn memory_is_written_in_the_roots_cells() {
        with_tree(Board::Raspi3b, |fdt| {
            let memory = fdt.find_node("/memory@0").unwrap();
            assert_eq!(property(&memory, "reg"), [0, 0, 0, 0, 0x3c, 0, 0, 0]);
        });
        with_tree(Board::Raspi4b, |fdt| {
            let memory = fdt.find_node("/memory@0").unwrap();
            assert_eq!(property(&memory, "reg"), [0, 0, 0, 0, 0, 0, 0, 0, 0x3c, 0, 0, 0]);
        });
    }
}
