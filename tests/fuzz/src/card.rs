//! A card that answers anything: its registers, its state, the data of its commands.

use drivers::sd::{BusWidth, Card, Command, Data, Host, HostError, Reply, Response};

/// What the card says, from the front; then it is silent.
struct Any<'a> {
    rest: &'a [u8],
    now_us: u64,
}

impl Any<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }
}

impl Host for Any<'_> {
    fn reset(&mut self) -> Result<(), HostError> {
        Ok(())
    }

    fn set_clock(&mut self, most_hz: u32, _high_speed: bool) -> Result<(), HostError> {
        assert!(most_hz > 0);
        Ok(())
    }

    fn set_bus_width(&mut self, _width: BusWidth) {}

    fn command(&mut self, command: Command, data: Data<'_>) -> Result<Response, HostError> {
        self.now_us += 100;
        let [fails] = self.take().ok_or(HostError::CommandTimeout)?;
        match fails {
            0xff => return Err(HostError::CommandTimeout),
            0xfe => return Err(HostError::Stuck),
            _ => {}
        }
        if let Data::Read { into, .. } = data {
            let count = into.len().min(self.rest.len());
            let (now, then) = self.rest.split_at(count);
            into[..count].copy_from_slice(now);
            self.rest = then;
        }
        Ok(match command.reply {
            Reply::None => Response::None,
            Reply::Long => Response::Long(u128::from_be_bytes(self.take().ok_or(HostError::CommandTimeout)?) & !0xff),
            Reply::Short | Reply::Busy | Reply::Plain => {
                Response::Short(u32::from_be_bytes(self.take().ok_or(HostError::CommandTimeout)?))
            }
        })
    }

    fn most_blocks(&self) -> usize {
        64
    }

    fn now_us(&mut self) -> u64 {
        self.now_us += 1000;
        self.now_us
    }

    fn pause_us(&mut self, us: u32) {
        self.now_us += u64::from(us);
    }
}

/// The input is what the card says.
pub(crate) fn card(bytes: &[u8]) {
    let Ok(mut card) = Card::identify(Any { rest: bytes, now_us: 0 }) else { return };
    let blocks = card.blocks();
    let _protected = card.is_write_protected();
    let mut data = [0; 1024];
    for block in [0, blocks.saturating_sub(2)] {
        if blocks >= 2 {
            let _read = card.read(block, &mut data);
            let _written = card.write(block, &data);
        }
    }
    let _flushed = card.flush();
}
