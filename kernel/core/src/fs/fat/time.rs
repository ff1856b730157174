//! Dates and times of directory entries: two seconds, minutes, hours; days, months, years since 1980.

use crate::fs::metadata::Timestamp;

const SECONDS_PER_DAY: i64 = 86_400;

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
