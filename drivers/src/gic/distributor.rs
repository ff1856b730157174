//! The distributor: one for all cores.

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::{register_bitfields, register_structs};

use super::int_id::INTID_LIMIT;
use super::{IntId, PRIORITY, Sgi};
use crate::core_id::CoreMask;
use crate::mmio::{Mmio, ReadOnly, ReadWrite, WriteOnly};

register_bitfields! {
    u32,
    CTLR [
        /// Forward interrupts of the accessor's own group.
        ENABLE OFFSET(0) NUMBITS(1) []
    ],
    TYPER [
        /// The distributor has 32 * (n + 1) interrupts.
        IT_LINES_NUMBER OFFSET(0) NUMBITS(5) []
    ],
    SGIR [
        TARGET_LIST_FILTER OFFSET(24) NUMBITS(2) [
            TargetList = 0,
            AllOthers = 1,
            Myself = 2
        ],
        TARGET_LIST OFFSET(16) NUMBITS(8) [],
        SGI_INT_ID OFFSET(0) NUMBITS(4) []
    ]
}

register_structs! {
    /// The GICD registers, at 0xff841000 on a Pi 4 (IHI 0048B, section 4.3). The gap at 0x80 is IGROUPR: see the
    /// module's opening.
    pub DistributorRegisters {
        (0x000 => ctlr: ReadWrite<u32, CTLR::Register>),
        (0x004 => typer: ReadOnly<u32, TYPER::Register>),
        (0x008 => _reserved_0),
        (0x100 => isenabler: [ReadWrite<u32>; 32]),
        (0x180 => icenabler: [ReadWrite<u32>; 32]),
        (0x200 => _reserved_1),
        (0x280 => icpendr: [ReadWrite<u32>; 32]),
        (0x300 => _reserved_2),
        (0x380 => icactiver: [ReadWrite<u32>; 32]),
        (0x400 => ipriorityr: [ReadWrite<u8>; 1024]),
        (0x800 => itargetsr: [ReadWrite<u8>; 1024]),
        (0xc00 => icfgr: [ReadWrite<u32>; 64]),
        (0xd00 => _reserved_3),
        (0xf00 => sgir: WriteOnly<u32, SGIR::Register>),
        (0xf04 => _reserved_4),
        (0xf10 => cpendsgir: [ReadWrite<u32>; 4]),
        (0xf20 => _reserved_5),
        (0x1000 => @END),
    }
}

/// Whom a software-generated interrupt reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SgiTarget {
    /// The cores of a set; the sender too if it is a member.
    Cores(CoreMask),
    /// All cores but the sender.
    AllOthers,
    /// The sender alone.
    Myself,
}

/// The distributor.
#[derive(Debug)]
pub struct Distributor {
    registers: Mmio<DistributorRegisters>,
}

impl Distributor {
    /// Takes the registers. Nothing is touched before [`init`](Self::init).
    #[must_use]
    pub const fn new(registers: Mmio<DistributorRegisters>) -> Self {
        Self { registers }
    }

    /// Brings all shared interrupts to a known state (disabled, not pending, level-triggered, one priority, sent to
    /// `targets`) and lets the distributor forward. The boot core calls this once, then
    /// [`init_core`](Self::init_core) like every other core.
    ///
    /// The stub does not enable the distributor on the boot core's behalf: its write of `GICD_CTLR` = 3 happens on the
    /// secondary cores only.
    pub fn init(&mut self, targets: CoreMask) {
        let registers = &self.registers;
        let lines = self.interrupt_count();
        registers.ctlr.write(CTLR::ENABLE::CLEAR);
        for word in 1..lines / 32 {
            registers.icenabler[word].set(u32::MAX);
            registers.icpendr[word].set(u32::MAX);
            registers.icactiver[word].set(u32::MAX);
        }
        for word in 2..lines / 16 {
            registers.icfgr[word].set(0);
        }
        for line in 32..lines.min(usize::from(INTID_LIMIT)) {
            registers.ipriorityr[line].set(PRIORITY);
            registers.itargetsr[line].set(targets.bits());
        }
        registers.ctlr.write(CTLR::ENABLE::SET);
    }

    /// Brings the calling core's private interrupts to a known state: all disabled but the software-generated ones,
    /// none pending, one priority. These registers are banked: each core reaches its own copy at the same address.
    pub fn init_core(&self) {
        let registers = &self.registers;
        registers.icenabler[0].set(u32::MAX);
        registers.icpendr[0].set(u32::MAX);
        registers.icactiver[0].set(u32::MAX);
        for sgis in &registers.cpendsgir {
            sgis.set(u32::MAX);
        }
        for priority in &registers.ipriorityr[..32] {
            priority.set(PRIORITY);
        }
        registers.isenabler[0].set(0xffff);
    }

    /// How many interrupts the hardware has: 224 in QEMU, 256 on a board.
    #[must_use]
    pub fn interrupt_count(&self) -> usize {
        let groups = self.registers.typer.read(TYPER::IT_LINES_NUMBER).to_le_bytes()[0];
        32 * (usize::from(groups) + 1)
    }

    /// Lets `id` through; for a private interrupt, on the calling core.
    pub fn enable(&self, id: IntId) {
        let (word, bit) = id.bit();
        self.registers.isenabler[word].set(bit);
    }

    /// Holds `id` back; for a private interrupt, on the calling core.
    pub fn disable(&self, id: IntId) {
        let (word, bit) = id.bit();
        self.registers.icenabler[word].set(bit);
    }

    /// Whether `id` is let through.
    #[must_use]
    pub fn is_enabled(&self, id: IntId) -> bool {
        let (word, bit) = id.bit();
        self.registers.isenabler[word].get() & bit != 0
    }

    /// Sends the shared interrupt `id` to `cores` from now on; exactly one of them gets each occurrence. Private
    /// interrupts have a fixed target and ignore this.
    ///
    /// One byte stands for one interrupt, so cores that direct different interrupts do not disturb each other.
    pub fn set_targets(&self, id: IntId, cores: CoreMask) {
        self.registers.itargetsr[usize::from(id.number())].set(cores.bits());
    }

    /// Raises `sgi` on other cores. What they shall find in memory must be visible before: the caller issues
    /// `dsb ishst` first.
    pub fn send_sgi(&self, sgi: Sgi, target: SgiTarget) {
        let to = match target {
            SgiTarget::Cores(cores) => {
                SGIR::TARGET_LIST_FILTER::TargetList + SGIR::TARGET_LIST.val(u32::from(cores.bits()))
            }
            SgiTarget::AllOthers => SGIR::TARGET_LIST_FILTER::AllOthers,
            SgiTarget::Myself => SGIR::TARGET_LIST_FILTER::Myself,
        };
        self.registers.sgir.write(to + SGIR::SGI_INT_ID.val(u32::from(sgi.number())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core_id::Core;
    use crate::mmio::fake::FakeDevice;

    fn distributor(typer: u32) -> (FakeDevice<DistributorRegisters>, Distributor) {
        let device = FakeDevice::new();
        device.set(0x004, typer);
        let distributor = Distributor::new(device.mmio());
        (device, distributor)
    }

    #[test]
    fn the_number_of_interrupts_is_what_typer_says() {
        assert_eq!(distributor(0x66).1.interrupt_count(), 224);
        assert_eq!(distributor(0x67).1.interrupt_count(), 256);
    }

    #[test]
    fn initialisation_works_on_a_stopped_distributor_and_starts_it_last() {
        let (device, mut distributor) = distributor(0x66);
        distributor.init(CoreMask::only(Core::all().next().expect("there is a first core")));
        let writes = device.writes();
        assert_eq!(writes.first(), Some(&(0x000, 0)));
        assert_eq!(writes.last(), Some(&(0x000, 1)));
        for word in 1..7 {
            for bank in [0x180, 0x280, 0x380] {
                assert!(writes.contains(&(bank + 4 * word, u32::MAX)), "bank {bank:#x}, word {word}");
            }
        }
        for line in 32..224 {
            assert_eq!(device.get_byte(0x400 + line), 0xa0);
            assert_eq!(device.get_byte(0x800 + line), 0x01);
        }
        assert_eq!(device.get_byte(0x400 + 224), 0, "a line that does not exist was written");
    }

    #[test]
    fn a_distributor_with_every_line_stays_below_the_special_numbers() {
        let (device, mut distributor) = distributor(0x1f);
        distributor.init(CoreMask::ALL);
        assert_eq!(device.get_byte(0x400 + 1019), 0xa0);
        assert_eq!(device.get_byte(0x400 + 1020), 0);
    }

    #[test]
    fn nothing_ever_writes_the_group_registers() {
        let (device, mut distributor) = distributor(0x66);
        distributor.init(CoreMask::ALL);
        distributor.init_core();
        distributor.enable(IntId::UART0);
        assert!(device.writes().iter().all(|&(offset, _)| !(0x080..0x100).contains(&offset)));
    }

    #[test]
    fn a_core_starts_with_its_software_interrupts_only() {
        let (device, distributor) = distributor(0x66);
        distributor.init_core();
        let writes = device.writes();
        assert_eq!(writes.first(), Some(&(0x180, u32::MAX)));
        assert_eq!(writes.last(), Some(&(0x100, 0xffff)));
        for sgis in 0..4 {
            assert!(writes.contains(&(0xf10 + 4 * sgis, u32::MAX)));
        }
        assert!((0..32).all(|line| device.get_byte(0x400 + line) == 0xa0));
        assert!(writes.iter().all(|&(offset, _)| !(0x800..0xc00).contains(&offset)), "private targets are fixed");
    }

    #[test]
    fn an_interrupt_is_enabled_and_disabled_by_its_own_bit() {
        let (device, distributor) = distributor(0x66);
        distributor.enable(IntId::UART0);
        assert!(distributor.is_enabled(IntId::UART0));
        distributor.disable(IntId::VIRTUAL_TIMER);
        distributor.set_targets(IntId::UART0, CoreMask::from_bits(0b0110));
        assert_eq!(device.writes(), [(0x110, 1 << 25), (0x180, 1 << 27), (0x800 + 153, 0b0110)]);
    }

    #[test]
    fn a_software_interrupt_names_its_targets() {
        let (device, distributor) = distributor(0x66);
        let sgi = Sgi::new(3).expect("below 16");
        distributor.send_sgi(sgi, SgiTarget::Cores(CoreMask::from_bits(0b1010)));
        distributor.send_sgi(sgi, SgiTarget::AllOthers);
        distributor.send_sgi(sgi, SgiTarget::Myself);
        assert_eq!(device.writes(), [(0xf00, 0x000a_0003), (0xf00, 0x0100_0003), (0xf00, 0x0200_0003)]);
    }
}
