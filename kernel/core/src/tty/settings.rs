//! What programs can set: `struct termios`, `struct termios2` and `struct winsize`, in Linux's numbers (termios(3)).

use bitflags::bitflags;

bitflags! {
    /// `c_iflag`: what is done to input.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct InputModes: u32 {
        /// `PARMRK`: a byte of 255 is doubled.
        const MARK_ERRORS = 0o10;
        /// `ISTRIP`: the eighth bit goes.
        const STRIP = 0o40;
        /// `INLCR`: a line feed becomes a carriage return.
        const LINE_FEED_TO_RETURN = 0o100;
        /// `IGNCR`: a carriage return goes.
        const IGNORE_RETURN = 0o200;
        /// `ICRNL`: a carriage return becomes a line feed.
        const RETURN_TO_LINE_FEED = 0o400;
        /// `IUCLC`: capitals become small letters.
        const TO_LOWER = 0o1000;
        /// `IXON`: the stop and start characters hold output up.
        const STOP_OUTPUT = 0o2000;
        /// `IXANY`: any character lets stopped output go on.
        const ANY_STARTS = 0o4000;
        /// `IXOFF`: stop and start characters are sent to hold input up.
        const STOP_INPUT = 0o10000;
        /// `IUTF8`: characters may have several bytes.
        const UTF8 = 0o40000;
    }
}

bitflags! {
    /// `c_oflag`: what is done to output.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct OutputModes: u32 {
        /// `OPOST`: anything at all.
        const PROCESS = 0o1;
        /// `OLCUC`: small letters become capitals.
        const TO_UPPER = 0o2;
        /// `ONLCR`: a line feed gets a carriage return.
        const LINE_FEED_GETS_RETURN = 0o4;
        /// `OCRNL`: a carriage return becomes a line feed.
        const RETURN_TO_LINE_FEED = 0o10;
        /// `ONOCR`: no carriage return in column 0.
        const NO_RETURN_IN_FIRST_COLUMN = 0o20;
        /// `ONLRET`: a line feed also goes to the first column by itself.
        const LINE_FEED_RETURNS = 0o40;
        /// `XTABS`: tabs become spaces.
        const EXPAND_TABS = 0o14000;
    }
}

bitflags! {
    /// `c_cflag`: the line. Its speed and its eight bits are what they are.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct ControlModes: u32 {
        /// `CBAUD`: the speed's code.
        const SPEED = 0o10017;
        /// `CSIZE`: bits of a character.
        const SIZE = 0o60;
        /// `CS8`: eight of them.
        const EIGHT_BITS = 0o60;
        /// `CSTOPB`: two stop bits.
        const TWO_STOP_BITS = 0o100;
        /// `CREAD`: the receiver is on.
        const READ = 0o200;
        /// `PARENB`: a parity bit.
        const PARITY = 0o400;
        /// `HUPCL`: hang up with the last close.
        const HANG_UP = 0o2000;
        /// `CLOCAL`: no modem.
        const LOCAL = 0o4000;
        /// `CIBAUD`: the code of another speed for input.
        const INPUT_SPEED = 0o2_003_600_000;
        /// `CRTSCTS`: the line's own flow control.
        const HARDWARE_FLOW = 0o20_000_000_000;
    }
}

bitflags! {
    /// `c_lflag`: editing, echo and signals.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct LocalModes: u32 {
        /// `ISIG`: characters that are signals.
        const SIGNALS = 0o1;
        /// `ICANON`: lines, that can be edited.
        const CANONICAL = 0o2;
        /// `ECHO`: what is typed is shown.
        const ECHO = 0o10;
        /// `ECHOE`: what is erased is erased on the screen.
        const ECHO_ERASE = 0o20;
        /// `ECHOK`: a line feed after the kill character.
        const ECHO_KILL = 0o40;
        /// `ECHONL`: the line feed is shown even without [`ECHO`](Self::ECHO).
        const ECHO_LINE_FEED = 0o100;
        /// `NOFLSH`: a signal leaves input and output alone.
        const NO_FLUSH = 0o200;
        /// `TOSTOP`: output of groups in the background stops them.
        const STOP_BACKGROUND_OUTPUT = 0o400;
        /// `ECHOCTL`: control characters are shown as `^X`.
        const ECHO_CONTROL = 0o1000;
        /// `ECHOKE`: the kill character erases the line on the screen.
        const ECHO_KILL_ERASE = 0o4000;
        /// `IEXTEN`: word erase, reprint, literal next, the second end of line.
        const EXTENDED = 0o100_000;
        /// `EXTPROC`: whoever is at the other end edits.
        const EXTERNAL = 0o200_000;
    }
}

/// The special characters, by their place in `c_cc`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Special {
    Interrupt = 0,
    Quit = 1,
    Erase = 2,
    Kill = 3,
    EndOfFile = 4,
    Time = 5,
    Minimum = 6,
    Start = 8,
    Stop = 9,
    Suspend = 10,
    EndOfLine = 11,
    Reprint = 12,
    WordErase = 14,
    LiteralNext = 15,
    SecondEndOfLine = 16,
}

/// How many special characters there are: `NCCS`.
const SPECIALS: usize = 19;
/// `B115200`, `B38400`.
const CODE_115200: u32 = 0o10002;
const CODE_38400: u32 = 0o17;

/// A terminal's settings. Bits that mean nothing here are kept as they were set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// What is done to input.
    pub input: InputModes,
    /// What is done to output.
    pub output: OutputModes,
    /// The line.
    pub control: ControlModes,
    /// Editing, echo and signals.
    pub local: LocalModes,
    /// `c_line`: the line discipline, 0 whatever is set.
    discipline: u8,
    characters: [u8; SPECIALS],
    /// Bits per second.
    speed: u32,
}

impl Settings {
    /// Bytes of the kernel's `struct termios`.
    pub const BYTES: usize = 36;
    /// Bytes of `struct termios2`.
    pub const BYTES2: usize = 44;

    /// What a serial line begins with: 115,200 baud, no modem.
    #[must_use]
    pub const fn serial() -> Self {
        Self::usual(CODE_115200, 115_200, ControlModes::LOCAL)
    }

    /// What a pseudo-terminal begins with. No line has a speed there, but programs ask for one.
    #[must_use]
    pub const fn pseudo() -> Self {
        Self::usual(CODE_38400, 38_400, ControlModes::empty())
    }

    const fn usual(code: u32, speed: u32, control: ControlModes) -> Self {
        Self {
            input: InputModes::RETURN_TO_LINE_FEED.union(InputModes::STOP_OUTPUT),
            output: OutputModes::PROCESS.union(OutputModes::LINE_FEED_GETS_RETURN),
            control: ControlModes::from_bits_retain(code)
                .union(ControlModes::EIGHT_BITS)
                .union(ControlModes::READ)
                .union(ControlModes::HANG_UP)
                .union(control),
            local: LocalModes::SIGNALS
                .union(LocalModes::CANONICAL)
                .union(LocalModes::ECHO)
                .union(LocalModes::ECHO_ERASE)
                .union(LocalModes::ECHO_KILL)
                .union(LocalModes::ECHO_CONTROL)
                .union(LocalModes::ECHO_KILL_ERASE)
                .union(LocalModes::EXTENDED),
            discipline: 0,
            // Ctrl-C, Ctrl-\, Delete, Ctrl-U, Ctrl-D; no time, one byte; Ctrl-Q, Ctrl-S, Ctrl-Z, none, Ctrl-R, Ctrl-O, Ctrl-W,
            // Ctrl-V, none.
            characters: [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0],
            speed,
        }
    }

    /// As `struct termios`.
    #[must_use]
    pub fn to_linux(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let words = [self.input.bits(), self.output.bits(), self.control.bits(), self.local.bits()];
        let tail = core::iter::once(self.discipline).chain(self.characters);
        let all = words.into_iter().flat_map(u32::to_le_bytes).chain(tail);
        bytes.iter_mut().zip(all).for_each(|(place, byte)| *place = byte);
        bytes
    }

    /// As `struct termios2`, which ends with both speeds.
    #[must_use]
    pub fn to_linux2(&self) -> [u8; Self::BYTES2] {
        let mut bytes = [0; Self::BYTES2];
        let all = self.to_linux().into_iter().chain(self.speed.to_le_bytes()).chain(self.speed.to_le_bytes());
        bytes.iter_mut().zip(all).for_each(|(place, byte)| *place = byte);
        bytes
    }

    /// These settings with what a `struct termios` says, as far as it can be had: the speed and the size of characters stay,
    /// there is no parity and no hardware flow control.
    #[must_use]
    pub fn changed(&self, bytes: &[u8; Self::BYTES]) -> Self {
        let mut words = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
        let mut word = || words.next().unwrap_or(0);
        let [input, output, control, local] = [word(), word(), word(), word()];
        let mut characters = [0; SPECIALS];
        characters.iter_mut().zip(bytes.iter().skip(17)).for_each(|(place, byte)| *place = *byte);
        let fixed = ControlModes::SPEED | ControlModes::SIZE | ControlModes::INPUT_SPEED;
        let absent = ControlModes::PARITY | ControlModes::HARDWARE_FLOW;
        Self {
            input: InputModes::from_bits_retain(input),
            output: OutputModes::from_bits_retain(output),
            control: ControlModes::from_bits_retain(control & !(fixed | absent).bits())
                | ControlModes::from_bits_retain(self.control.bits() & fixed.bits()),
            local: LocalModes::from_bits_retain(local),
            characters,
            ..*self
        }
    }

    /// Whether lines are edited.
    #[must_use]
    pub const fn is_canonical(&self) -> bool {
        self.local.contains(LocalModes::CANONICAL) && !self.local.contains(LocalModes::EXTERNAL)
    }

    /// `VMIN`: as many bytes make a read of what is no lines.
    #[must_use]
    pub fn minimum(&self) -> usize {
        self.character(Special::Minimum).into()
    }

    /// `VTIME`: how long such a read waits, in nanoseconds.
    #[must_use]
    pub fn time_ns(&self) -> u64 {
        u64::from(self.character(Special::Time)).saturating_mul(100_000_000)
    }

    /// A special character; 0 is none.
    pub(super) fn character(&self, special: Special) -> u8 {
        self.characters.get(special as usize).copied().unwrap_or(0)
    }

    /// Whether `byte` is this special character. 0 never is: so a character is taken away (`_POSIX_VDISABLE`).
    pub(super) fn is(&self, special: Special, byte: u8) -> bool {
        byte != 0 && byte == self.character(special)
    }

    /// The same settings with another special character.
    #[cfg(test)]
    pub(super) fn with(mut self, special: Special, byte: u8) -> Self {
        self.characters[special as usize] = byte;
        self
    }

    /// The same settings as a raw terminal has them, `cfmakeraw(3)`.
    #[cfg(test)]
    pub(super) fn raw(mut self) -> Self {
        self.input = InputModes::empty();
        self.output = OutputModes::empty();
        self.local = LocalModes::empty();
        self
    }
}

/// `struct winsize`: rows, columns, and both in pixels, which the kernel only keeps.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct WindowSize(pub [u8; 8]);
