//! Questions to the firmware on the `VideoCore`, through the mailbox.

use drivers::mailbox::{Mailbox, PropertyChannel, PropertyError, Tag};
use drivers::wait::Polls;
use kcore::sync::{Rank, SpinLock};

use crate::arch::cpu::Arm;
use crate::mem::devices;
use crate::mem::message::Message;

/// How often an answer is looked for: each look takes some 100 ns on a board, where firmware answers within milliseconds.
pub(super) const PATIENCE: Polls = Polls::new(1_000_000);

static CHANNEL: SpinLock<Option<PropertyChannel<Message>>, Arm> = SpinLock::new(Rank::Firmware, None);

/// Asks firmware one thing.
pub(crate) fn ask<T: Tag>(tag: &T) -> Result<T::Answer, PropertyError> {
    with_channel(|channel| channel.ask(tag, PATIENCE))
}

/// Copies the command line that firmware knows into `line`.
pub(crate) fn command_line(line: &mut [u8]) -> Result<&[u8], PropertyError> {
    with_channel(|channel| channel.command_line(line, PATIENCE))
}

/// Shows the channel to `ask`, which asks what it likes.
pub(super) fn with_channel<T>(
    ask: impl FnOnce(&mut PropertyChannel<Message>) -> Result<T, PropertyError>,
) -> Result<T, PropertyError> {
    let mut slot = CHANNEL.lock();
    ask(open(&mut slot).ok_or(PropertyError::Timeout)?)
}

/// The same for a CPU that panics: where somebody was asking something, nothing happens.
pub(super) fn try_with_channel(ask: impl FnOnce(&mut PropertyChannel<Message>)) {
    if let Some(mut slot) = CHANNEL.try_lock()
        && let Some(channel) = open(&mut slot)
    {
        ask(channel);
    }
}

fn open(slot: &mut Option<PropertyChannel<Message>>) -> Option<&mut PropertyChannel<Message>> {
    if slot.is_none() {
        *slot = Some(PropertyChannel::new(Mailbox::new(devices::mailbox()), Message::take()?));
    }
    slot.as_mut()
}
