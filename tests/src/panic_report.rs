//! The report of a dying kernel, taken apart.

use anyhow::Context as _;
use tools::symbols::Symbols;

/// The first line's beginning, and the last line.
const START: &str = "panic on cpu ";
const END: &str = "end of panic";

/// A report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PanicReport {
    /// The CPU that reported.
    pub cpu: u8,
    /// What it says has happened.
    pub message: String,
    /// `FILE:LINE:COLUMN` of a Rust panic.
    pub location: Option<String>,
    /// The return addresses, innermost first.
    pub backtrace: Vec<u64>,
    /// Everything behind the message.
    pub lines: Vec<String>,
}

impl PanicReport {
    /// Finds the report in what a board said.
    ///
    /// # Errors
    ///
    /// When there is none, or it is cut short.
    pub fn find(text: &str) -> anyhow::Result<Self> {
        let inner = || -> Option<Self> {
            let (_, report) = text.split_once(START)?;
            let (report, _) = report.split_once(END)?;
            let (head, rest) = report.split_once("\r\n")?;
            let (cpu, message) = head.split_once(": ")?;
            let lines: Vec<String> = rest.lines().map(str::to_owned).collect();
            let location = lines.iter().find_map(|line| line.strip_prefix("at ")).map(str::to_owned);
            let backtrace = lines.iter().filter_map(|line| number(line.strip_prefix("bt ")?)).collect();
            Some(Self { cpu: cpu.parse().ok()?, message: message.to_owned(), location, backtrace, lines })
        };
        inner().with_context(|| format!("no whole panic report in {text:?}"))
    }

    /// What stands behind the word `name` at the start of a line.
    ///
    /// # Errors
    ///
    /// When no line starts with it.
    pub fn field(&self, name: &str) -> anyhow::Result<&str> {
        let found = self.lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.with_context(|| format!("no {name} in {self:#?}"))
    }

    /// The functions of the backtrace, innermost first, with those that were inlined.
    #[must_use]
    pub fn functions(&self, symbols: &Symbols) -> Vec<String> {
        // A return address stands behind its call, which may be the last instruction of its function.
        let places = self.backtrace.iter().flat_map(|&address| symbols.find(address.saturating_sub(1)));
        places.map(|place| place.function).collect()
    }
}

/// The hexadecimal number that `text` starts with.
fn number(text: &str) -> Option<u64> {
    let digits = text.split_ascii_whitespace().next()?.strip_prefix("0x")?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rust_panic_has_a_place_and_a_backtrace() {
        let report = PanicReport::find(
            "tine> panic\r\n\r\npanic on cpu 2: oh: no\r\nat kernel/src/main.rs:7:5\r\n\
             bt 0xffffffff80081234\r\nbt 0xffffffff80085678\r\nend of panic\r\n",
        );
        let report = report.unwrap();
        assert_eq!((report.cpu, report.message.as_str()), (2, "oh: no"));
        assert_eq!(report.location.as_deref(), Some("kernel/src/main.rs:7:5"));
        assert_eq!(report.backtrace, [0xffff_ffff_8008_1234, 0xffff_ffff_8008_5678]);
    }

    #[test]
    fn an_exception_has_fields() {
        let report = PanicReport::find(
            "panic on cpu 0: data abort\r\nesr 0x9600004f (class 0x25: data abort)\r\nfar 0x0\r\nend of panic",
        );
        let report = report.unwrap();
        assert_eq!(report.field("esr").unwrap(), "0x9600004f (class 0x25: data abort)");
        assert!(report.field("elr").is_err());
        assert_eq!(report.location, None);
    }

    #[test]
    fn a_report_without_its_end_is_none() {
        assert!(PanicReport::find("panic on cpu 0: oh\r\nbt 0xffffffff80081234\r\n").is_err());
        assert!(PanicReport::find("tine> ").is_err());
    }
}
