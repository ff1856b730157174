//! The CPUs and how to start them.

use dtoolkit::Node;
use dtoolkit::fdt::FdtNode;

use super::{TreeFacts, address_of, bytes_of};
use crate::addr::{MAX_CPUS, PhysAddr};

/// The most CPUs that are listed one by one: no more can be used.
pub const MAX_LISTED_CPUS: usize = MAX_CPUS;

/// How a CPU is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EnableMethod {
    /// It waits until an address is stored at `release` (the Pi's firmware and QEMU).
    SpinTable {
        /// Where the entry address goes.
        release: PhysAddr,
    },
    /// By a call to firmware (a Pi started through TF-A or UEFI).
    Psci,
    /// Not told, or told in a way that this kernel does not know.
    Unknown,
}

/// One CPU of the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuFacts {
    /// The affinity bits of its `MPIDR_EL1`.
    pub affinity: u64,
    /// How to start it.
    pub enable: EnableMethod,
}

impl TreeFacts<'_> {
    pub(super) fn read_cpus(&mut self, node: &FdtNode<'_>) {
        for cpu in node.children() {
            if cpu.name_without_address() != "cpu" {
                continue;
            }
            self.cpu_count = self.cpu_count.saturating_add(1);
            let Some(affinity) = bytes_of(&cpu, "reg").and_then(address_of) else {
                self.note("cpu/reg");
                continue;
            };
            let enable = self.enable_method(node, &cpu);
            // More CPUs than can be used are counted only.
            let _ = self.cpus.push(CpuFacts { affinity, enable });
        }
    }

    /// A property that all CPUs share may stand in their parent (Devicetree Specification, section 3.8).
    fn enable_method(&mut self, cpus: &FdtNode<'_>, cpu: &FdtNode<'_>) -> EnableMethod {
        match bytes_of(cpu, "enable-method").or_else(|| bytes_of(cpus, "enable-method")) {
            Some(b"spin-table\0" | b"brcm,bcm2836-smp\0") => {
                if let Some(release) = bytes_of(cpu, "cpu-release-addr").and_then(address_of) {
                    return EnableMethod::SpinTable { release: PhysAddr::new(release) };
                }
                self.note("cpu-release-addr");
                EnableMethod::Unknown
            }
            Some(b"psci\0") => EnableMethod::Psci,
            _ => EnableMethod::Unknown,
        }
    }
}
