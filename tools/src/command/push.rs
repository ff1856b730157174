//! `tine push`: a kernel over the serial line.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tools::push::port::Serial;
use tools::push::{Event, Order};

use super::out::say;

/// Send a kernel over the serial line to a board whose card has the loader, and start it
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The kernel's raw image
    #[arg(default_value = "build/kernel8.img")]
    image: PathBuf,
    /// The serial port
    #[arg(long, value_name = "DEVICE", default_value = "/dev/ttyUSB0")]
    port: PathBuf,
    /// The speed to send with, if both sides can have it
    #[arg(long, default_value_t = 921_600, value_parser = super::baud())]
    baud: u32,
    /// How long to wait for the board to ask, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = super::seconds())]
    wait: u64,
    /// Do as raspbootin does, at once: for loaders of other kinds that refuse no length
    #[arg(long, conflicts_with = "baud")]
    raspbootin: bool,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let image = super::read_kernel(&arguments.image)?;
    let mut port = Serial::open(&arguments.port)?;
    say!("waiting for a loader at {}; switch the board on, or press its reset", arguments.port.display())?;
    let mut shown = Shown::new(image.len())?;
    let order = Order { image: &image, baud: arguments.baud, patience: Duration::from_secs(arguments.wait) };
    let push = if arguments.raspbootin { tools::push::raspbootin } else { tools::push::push };
    push(&mut port, &order, &mut |event| shown.tell(event))?;
    shown.end()?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a terminal shows it as it is.
const fn is_text(byte: u8) -> bool {
    byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// What a person sees of it.
struct Shown {
    bar: ProgressBar,
    again: u32,
    begun: Option<Instant>,
    length: usize,
}

impl Shown {
    fn new(length: usize) -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template("[{bar:40}] {bytes}/{total_bytes} {bytes_per_sec} {eta}")?;
        let bar = ProgressBar::new(length as u64).with_style(style.progress_chars("=> "));
        Ok(Self { bar, again: 0, begun: None, length })
    }

    fn tell(&mut self, event: Event) {
        match event {
            // What a loader said to a push that was killed is for no eyes.
            Event::Text(byte) if !is_text(byte) => {}
            // A banner. Who cannot print cannot show it.
            Event::Text(byte) => drop(io::stdout().write_all(&[byte]).and_then(|()| io::stdout().flush())),
            Event::Found { baud, there } => {
                self.begun.get_or_insert_with(Instant::now);
                let already = if there > 0 { format!("; {there} bytes are there already") } else { String::new() };
                self.say(format!("found the loader; sending at {baud} baud{already}"));
            }
            Event::FoundRaw => {
                self.begun.get_or_insert_with(Instant::now);
                self.say("found a loader of another kind; sending without checksums");
            }
            Event::Arrived(bytes) => self.bar.set_position(bytes as u64),
            Event::Again => self.again += 1,
            Event::TooFast(baud) => {
                self.say(format!("nothing more arrives at {baud} baud; going on at the first speed"))
            }
            Event::Lost => self.say("the loader does not answer; waiting for it to ask again"),
        }
    }

    /// Says something above the bar; where there is no terminal there is none. Whether anybody reads it makes no difference to
    /// the board.
    fn say(&self, text: impl AsRef<str>) {
        if self.bar.is_hidden() { drop(say!("{}", text.as_ref())) } else { self.bar.println(text) }
    }

    fn end(&self) -> anyhow::Result<()> {
        self.bar.finish();
        let seconds = self.begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
        say!("started {} bytes after {seconds:.1} s; {} frames were sent again", self.length, self.again)
    }
}
