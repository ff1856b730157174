//! defmt frames to lines: the decoder with the kernel's own table, found in its ELF.

use std::path::Path;

use anyhow::Context as _;
use defmt_decoder::{DecodeError, Frame, Locations, StreamDecoder, Table};

/// What a kernel's ELF says about its trace.
pub struct Tables {
    table: Table,
    locations: Locations,
}

/// Decodes one stream of frames, which each end in a zero byte.
pub struct Decoder<'tables> {
    stream: Box<dyn StreamDecoder + Send + Sync + 'tables>,
    tables: &'tables Tables,
}

/// The line for a frame that does not decode: cut short, garbled, or from another build.
const MALFORMED: &str = "(malformed frame)";

impl Tables {
    /// Reads the tables of the kernel in the file `elf`.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or has no trace in it.
    pub fn load(elf: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
        let table = Table::parse(&bytes).with_context(|| format!("cannot use the trace table of {}", elf.display()))?;
        let table = table.with_context(|| format!("{} has no trace table", elf.display()))?;
        let locations = table.get_locations(&bytes)?;
        Ok(Self { table, locations })
    }

    /// A decoder at the start of a stream.
    #[must_use]
    pub fn decoder(&self) -> Decoder<'_> {
        Decoder { stream: self.table.new_stream_decoder(), tables: self }
    }

    /// Time, level, message, and where in the source it was said.
    fn line(&self, frame: &Frame<'_>) -> String {
        let line = frame.display(false).to_string();
        match self.locations.get(&frame.index()) {
            Some(location) => format!("{line} ({}:{})", short(&location.file), location.line),
            None => line,
        }
    }
}

impl Decoder<'_> {
    /// The lines that `bytes` of a plain rzCOBS stream complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.stream.received(bytes);
        let mut lines = Vec::new();
        loop {
            match self.stream.decode() {
                Ok(frame) => lines.push(self.tables.line(&frame)),
                Err(DecodeError::UnexpectedEof) => return lines,
                Err(DecodeError::Malformed) => lines.push(MALFORMED.to_owned()),
            }
        }
    }

    /// The lines of one frame without its end, as a `Demux` hands it out.
    pub fn push_frame(&mut self, frame: &[u8]) -> Vec<String> {
        let mut lines = self.push(frame);
        lines.extend(self.push(&[abi::trace::FRAME_END]));
        lines
    }
}

/// A path from the workspace root on, or from the root of the library or crate it is in, where the compiler noted a
/// longer one.
pub(crate) fn short(file: &Path) -> String {
    let file = file.display().to_string();
    if let Some((_, rest)) = file.split_once("/registry/src/") {
        return rest.split_once('/').map_or(rest, |(_, path)| path).to_owned();
    }
    let roots = ["/kernel/", "/drivers/", "/library/"];
    let start = roots.iter().filter_map(|root| file.rfind(root)).min();
    start.map_or(file.as_str(), |start| &file[start + 1..]).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_from_the_workspace_root_on() {
        assert_eq!(short(Path::new("/home/me/tine/kernel/src/main.rs")), "kernel/src/main.rs");
        assert_eq!(short(Path::new("kernel/core/src/frame.rs")), "kernel/core/src/frame.rs");
        assert_eq!(short(Path::new("/rustc/59807616/library/core/src/fmt/mod.rs")), "library/core/src/fmt/mod.rs");
        let dependency = "/home/me/.cargo/registry/src/index.crates.io-1949cf8c/heapless-0.9.3/src/vec.rs";
        assert_eq!(short(Path::new(dependency)), "heapless-0.9.3/src/vec.rs");
    }
}
