//! Questions to the firmware on the `VideoCore`, through the mailbox.

use drivers::mailbox::{Mailbox, PropertyChannel, PropertyError, Tag};
use drivers::wait::Polls;
use kcore::sync::{Rank, SpinLock};

use crate::arch::cpu::Arm;
use crate::mem::devices;
use crate::mem::message::Message;

/// How often an answer is looked for: each look takes some 100 ns on a board, where firmware answers within milliseconds.
const PATIENCE: Polls = Polls::new(1_000_000);

static CHANNEL: SpinLock<Option<PropertyChannel<Message>>, Arm> = SpinLock::new(Rank::Firmware, None);

/// Asks firmware one thing.
pub(crate) fn ask<T: Tag>(tag: &T) -> Result<T::Answer, PropertyError> {
    with_channel(|channel| channel.ask(tag, PATIENCE))
}

/// Copies the command line that firmware knows into `line`.
pub(crate) fn command_line(line: &mut [u8]) -> Result<&[u8], PropertyError> {
    with_channel(|channel| channel.command_line(line, PATIENCE))
}

fn with_channel<T>(
    ask: impl FnOnce(&mut PropertyChannel<Message>) -> Result<T, PropertyError>,
) -> Result<T, PropertyError> {
    let mut slot = CHANNEL.lock();
    if slot.is_none() {
        let buffer = Message::take().ok_or(PropertyError::Timeout)?;
        *slot = Some(PropertyChannel::new(Mailbox::new(devices::mailbox()), buffer));
    }
    ask(slot.as_mut().ok_or(PropertyError::Timeout)?)
}
