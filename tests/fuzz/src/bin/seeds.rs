//! Writes the seeds of each target into `DIRECTORY/TARGET/`, and prints the targets' names.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let directory = env::args().nth(1).unwrap_or_else(|| "corpus".to_string());
    for (name, _) in fuzz::TARGETS {
        let place = Path::new(&directory).join(name);
        fs::create_dir_all(&place)?;
        for (number, seed) in fuzz::seeds::of(name).iter().enumerate() {
            fs::write(place.join(format!("seed-{number:02}")), seed)?;
        }
        println!("{name}");
    }
    Ok(())
}
