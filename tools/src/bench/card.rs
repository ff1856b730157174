//! How fast a card was read, and the section of the document that says so.

use std::fmt::Write as _;

/// Begins the section; it ends at the next of its kind.
const SECTION: &str = "## The card\n";
/// The section before which it stands.
const BEHIND: &str = "## The last run\n";

/// What tells the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// The guest's instructions, a nanosecond each, on one processor.
    Instructions,
    /// The host's clock, with four processors.
    Host,
}

/// Seconds for as many MiB.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Row {
    /// What tells them.
    pub clock: Clock,
    /// How much was read.
    pub mib: u32,
    /// Linux by its own device tree: SDHOST, with DMA.
    pub linux_dma: f64,
    /// Linux by the controller that Tine uses: SDHCI, without DMA.
    pub linux_pio: f64,
    /// Tine: SDHCI, without DMA.
    pub tine: f64,
}

/// The section.
#[must_use]
pub fn table(linux: &str, rows: &[Row]) -> String {
    let mut text = format!(
        "{SECTION}\n`make bench-card` reads QEMU's card on raspi3b from its beginning, `dd if=/dev/mmcblk0 of=/dev/null bs=64k`, \
         nothing of it in memory before, in Tine and in `{linux}`, one run each. Linux takes the SDHOST controller, by DMA, where \
         its device tree is Debian's; the third column is the controller that Tine takes (SDHCI, data by the processor). \
         QEMU's own work for each block is in the host's time and not in that of instructions. There is no raspi4b here: Debian's \
         kernel aborts there at devices that QEMU lacks.\n\n\
         | time | Linux, SDHOST, DMA | Linux, SDHCI | Tine, SDHCI | of Linux, DMA | of Linux, SDHCI |\n\
         |---|--:|--:|--:|--:|--:|\n"
    );
    for row in rows {
        let clock = match row.clock {
            Clock::Instructions => "guest instructions, one CPU",
            Clock::Host => "the host's, four CPUs",
        };
        let speed = |seconds: f64| format!("{:.2} s, {:.1} MiB/s", seconds, f64::from(row.mib) / seconds);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} MiB, {clock} | {} | {} | {} | {:.2} | {:.2} |",
            row.mib,
            speed(row.linux_dma),
            speed(row.linux_pio),
            speed(row.tine),
            row.tine / row.linux_dma,
            row.tine / row.linux_pio,
        );
    }
    text
}

/// The document with this section in place of the one it had.
#[must_use]
pub fn record(document: &str, section: &str) -> String {
    let document = document.replace(&kept(document), "");
    let (before, behind) = document.split_once(BEHIND).unwrap_or((&document, ""));
    let rest = if behind.is_empty() { String::new() } else { format!("{BEHIND}{behind}") };
    format!("{before}{}\n\n{rest}", section.trim_end())
}

/// The section that a document has, with the empty line behind it, or nothing.
#[must_use]
pub fn kept(document: &str) -> String {
    let Some((_, section)) = document.split_once(SECTION) else { return String::new() };
    let end = section.find("\n## ").map_or(section.len(), |end| end + 1);
    format!("{SECTION}{}", &section[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# Measured\n\nwords\n\n## The last run\n\nfigures\n\n## All runs\n\nmore\n";

    fn section(tine: f64) -> String {
        let row = Row { clock: Clock::Host, mib: 32, linux_dma: 16.0, linux_pio: 20.0, tine };
        table("linux-image 6.1", &[row])
    }

    #[test]
    fn the_figures_and_their_ratios_are_in_the_table() {
        let text = section(10.0);
        assert!(text.contains("| 32 MiB, the host's, four CPUs | 16.00 s, 2.0 MiB/s | 20.00 s, 1.6 MiB/s | 10.00 s, 3.2 MiB/s | 0.62 | 0.50 |"), "{text}");
        assert!(text.contains("`linux-image 6.1`"));
    }

    #[test]
    fn the_section_stands_before_the_last_run_and_is_there_once() {
        let first = record(DOCUMENT, &section(10.0));
        let second = record(&first, &section(5.0));
        assert_eq!(second.matches(SECTION).count(), 1);
        assert!(second.contains("5.00 s") && !second.contains("10.00 s"));
        assert_eq!(second.replace(&kept(&second), ""), DOCUMENT);
        assert!(second.find(SECTION) < second.find(BEHIND));
    }

    #[test]
    fn a_document_without_it_keeps_nothing() {
        assert_eq!(kept(DOCUMENT), "");
    }
}
