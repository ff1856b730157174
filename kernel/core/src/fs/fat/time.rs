//! Dates and times of directory entries: two seconds, minutes, hours; days, months, years since 1980.

use crate::fs::metadata::Timestamp;

const SECONDS_PER_DAY: i64 = 86_400;
/// The first of January of 1980, and the last second of 2107.
const FIRST: i64 = 315_532_800;
const LAST: i64 = 4_354_819_199;

/// The moment, taken for UTC. Numbers that no date has count as the nearest that one has.
pub(super) fn timestamp(date: u16, time: u16, tenths: u8) -> Timestamp {
    let (day, month) = (i64::from(date & 31).max(1), i64::from(date >> 5 & 15).clamp(1, 12));
    let year = i64::from(date >> 9).saturating_add(1980);
    let (hours, minutes, pairs) = (time >> 11, time >> 5 & 63, time & 31);
    let hundredths = u32::from(tenths).min(199);
    let in_day = i64::from(hours)
        .saturating_mul(3600)
        .saturating_add(i64::from(minutes).saturating_mul(60))
        .saturating_add(i64::from(pairs).saturating_mul(2))
        .saturating_add((hundredths / 100).into());
    let seconds = days(year, month, day).saturating_mul(SECONDS_PER_DAY).saturating_add(in_day);
    Timestamp { seconds, nanoseconds: (hundredths % 100).saturating_mul(10_000_000) }
}

/// A moment as an entry has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    pub(super) date: u16,
    pub(super) time: u16,
    /// Hundredths of a second behind the even second.
    pub(super) tenths: u8,
}

impl Stamp {
    /// What is nearest to it, and not later.
    pub(super) fn of(at: Timestamp) -> Self {
        let seconds = at.seconds.clamp(FIRST, LAST);
        let (day, in_day) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        let (year, month, day) = date(day);
        let number = |number: i64| u16::try_from(number).unwrap_or(0);
        let (hours, minutes, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
        let hundredths = u8::try_from(at.nanoseconds / 10_000_000).unwrap_or(0).min(99);
        Self {
            date: number(year.saturating_sub(1980)) << 9 | number(month) << 5 | number(day),
            time: number(hours) << 11 | number(minutes) << 5 | number(second / 2),
            tenths: if second % 2 == 0 { hundredths } else { hundredths.saturating_add(100) },
        }
    }

    /// When it last changed, as an entry can tell.
    pub(super) fn modified(self) -> Timestamp {
        timestamp(self.date, self.time, 0)
    }

    /// When it was last read: the day.
    pub(super) fn accessed(self) -> Timestamp {
        timestamp(self.date, 0, 0)
    }
}

/// Days from 1970 to this one, which is 1980 or later. Years begin in March here, so that leap days are their last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) =
        if month > 2 { (year, month.saturating_sub(3)) } else { (year.saturating_sub(1), month.saturating_add(9)) };
    let in_year = month.saturating_mul(153).saturating_add(2) / 5;
    let leap_days = (year / 4).saturating_sub(year / 100).saturating_add(year / 400);
    // The first of March of year 0 is 719,468 days before 1970.
    let whole = year.saturating_mul(365).saturating_add(leap_days);
    whole.saturating_add(in_year).saturating_add(day).saturating_sub(719_469)
}

/// The year, month and day that are `days` behind the first of 1970: the inverse of [`days`], for the years of entries.
fn date(day: i64) -> (i64, i64, i64) {
    let mut year = 1980_i64.saturating_add(day.saturating_sub(days(1980, 1, 1)) / 366);
    while days(year.saturating_add(1), 1, 1) <= day {
        year = year.saturating_add(1);
    }
    let mut month = 1_i64;
    while month < 12 && days(year, month.saturating_add(1), 1) <= day {
        month = month.saturating_add(1);
    }
    (year, month, day.saturating_sub(days(year, month, 1)).saturating_add(1))
}
