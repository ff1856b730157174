//! A log of what was shown, each line with the time at which it began.

use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Writes lines with their times, which are UTC as RFC 3339 has it.
#[derive(Debug)]
pub struct Stamped<W> {
    to: W,
    in_line: bool,
}

impl<W: Write> Stamped<W> {
    /// At the beginning of a line.
    pub const fn new(to: W) -> Self {
        Self { to, in_line: false }
    }

    /// Writes what was shown at the moment `now`. Carriage returns are left out.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn write(&mut self, shown: &[u8], now: SystemTime) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(shown.len() + 32);
        for &byte in shown.iter().filter(|&&byte| byte != b'\r') {
            if !self.in_line {
                bytes.extend_from_slice(time(now).as_bytes());
                bytes.push(b' ');
                self.in_line = true;
            }
            bytes.push(byte);
            self.in_line = byte != b'\n';
        }
        self.to.write_all(&bytes)?;
        self.to.flush()
    }
}

/// `2026-11-28T20:25:01.042Z`
fn time(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

/// The date so many days after the first of January 1970.
fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64, ms: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second) + Duration::from_millis(ms)
    }

    #[test]
    fn times_are_those_that_date_prints() {
        // From date(1), --utc --date=@...
        assert_eq!(time(at(0, 0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(at(951_782_399, 7)), "2000-02-28T23:59:59.007Z");
        assert_eq!(time(at(951_782_400, 0)), "2000-02-29T00:00:00.000Z");
        assert_eq!(time(at(1_000_000_000, 999)), "2001-09-09T01:46:40.999Z");
        assert_eq!(time(at(4_107_542_400, 0)), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn a_line_has_the_time_at_which_it_began() {
        let mut log = Stamped::new(Vec::new());
        log.write(b"one\r\nt", at(1, 0)).unwrap();
        log.write(b"wo\r\n\r\n", at(2, 0)).unwrap();
        log.write(b"~ # ", at(3, 0)).unwrap();
        let text = String::from_utf8(log.to).unwrap();
        let expected = "1970-01-01T00:00:01.000Z one\n1970-01-01T00:00:01.000Z two\n1970-01-01T00:00:02.000Z \n\
                        1970-01-01T00:00:03.000Z ~ # ";
        assert_eq!(text, expected);
    }
}
