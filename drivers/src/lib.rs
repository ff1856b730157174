//! `drivers`: the devices of the Raspberry Pi 3 and 4, as registers and protocols.
//!
//! A driver here owns one window of device registers and knows the order in which they want to be touched. It knows
//! no kernel types, no locks, no interrupt routing and no board: where a window lies comes in at run time, so that
//! one binary drives both boards, and what the CPU must do beside it (barriers, cache maintenance) is asked of the
//! caller through a trait.
//!
//! How a device is reached: the kernel maps the registers, makes an [`mmio::Mmio`] of them (the one unsafe step), and
//! gives that to the driver for good.
//!
//! * [`mmio`]: register windows, and the fake device that the tests play against; all unsafe code of the crate
//! * [`wait`]: bounded waits; no loop in this crate depends on hardware for its end
//! * [`core_id`]: the cores as interrupt controllers number them
//! * interrupts: [`gic`] (Pi 4), [`bcm2836_local`] and [`bcm2835_irq`] (Pi 3)
//! * time: [`generic_timer`], [`system_timer`]
//! * consoles: [`pl011`], [`mini_uart`], with [`serial`] for what they share; [`extra_uart`], the Pi 4's other PL011s
//! * firmware: [`mailbox`], with the property tags
//! * the rest of the board: [`gpio`], [`act_led`], [`pm`] (reset, power-off, watchdog)
//! * cards: [`sd`], the protocol; [`sdhci`], the controllers
//! * entropy: [`bcm2835_rng`] (Pi 3), [`rng200`] (Pi 4), with [`entropy`] for what they share
//!
//! **Sharing.** A method that takes `&self` touches one register, or registers that only the calling core sees, and
//! may run on several cores at once. A method that reads, changes and writes back, or that needs several writes in
//! order, takes `&mut self`: the lock around it is the caller's.

#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

pub mod act_led;
pub mod bcm2835_irq;
pub mod bcm2835_rng;
pub mod bcm2836_local;
pub mod core_id;
pub mod entropy;
pub mod extra_uart;
pub mod generic_timer;
pub mod gic;
pub mod gpio;
pub mod mailbox;
pub mod mini_uart;
pub mod mmio;
pub mod pl011;
pub mod pm;
pub mod rng200;
pub mod sd;
pub mod sdhci;
pub mod serial;
pub mod system_timer;
pub mod wait;
