//! Files and directories, and sockets that are named by them.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    what_is_written_is_read,
    places_in_a_file_are_read_and_written,
    a_new_file_must_be_new,
    names_are_moved_linked_and_removed,
    a_directory_has_what_was_put_there,
    permissions_and_times_are_kept,
    a_file_is_copied_with_its_permissions,
    a_locked_file_is_locked_for_others,
    sockets_carry_bytes_and_messages,
];

/// A directory that goes with the value.
struct Place(PathBuf);

impl Place {
    fn make(name: &str) -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("stdtest-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join("a/b"))?;
        Ok(Self(path))
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("what the test has made can be removed");
    }
}

fn kind<T>(result: std::io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

fn what_is_written_is_read() -> Result<(), Box<dyn Error>> {
    let place = Place::make("write")?;
    let mut writer = BufWriter::new(File::create(place.at("lines"))?);
    for number in 0..10_000 {
        writeln!(writer, "line {number}")?;
    }
    writer.into_inner()?.sync_all()?;
    let lines: Vec<String> = BufReader::new(File::open(place.at("lines"))?).lines().collect::<Result<_, _>>()?;
    assert!(lines.len() == 10_000 && lines[9_999] == "line 9999");
    let mut file = OpenOptions::new().append(true).open(place.at("lines"))?;
    file.write_all(b"the last")?;
    assert!(fs::read_to_string(place.at("lines"))?.ends_with("9999\nthe last"));
    Ok(())
}

fn places_in_a_file_are_read_and_written() -> Result<(), Box<dyn Error>> {
    let place = Place::make("seek")?;
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(place.at("f"))?;
    file.write_all(b"0123456789")?;
    assert_eq!(file.seek(SeekFrom::End(-3))?, 7);
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    assert_eq!(rest, "789");
    file.write_at(b"xy", 1 << 20)?;
    assert_eq!(file.metadata()?.len(), (1 << 20) + 2);
    let mut bytes = [1; 4];
    file.read_exact_at(&mut bytes, (1 << 20) - 2)?;
    assert_eq!(&bytes, b"\0\0xy");
    file.set_len(5)?;
    file.rewind()?;
    rest.clear();
    file.read_to_string(&mut rest)?;
    assert_eq!(rest, "01234");
    Ok(())
}

fn a_new_file_must_be_new() -> Result<(), Box<dyn Error>> {
    let place = Place::make("new")?;
    File::create_new(place.at("f"))?;
    assert_eq!(kind(File::create_new(place.at("f"))), Some(ErrorKind::AlreadyExists));
    assert_eq!(kind(File::open(place.at("none"))), Some(ErrorKind::NotFound));
    assert_eq!(kind(File::open(place.at("f/none"))), Some(ErrorKind::NotADirectory));
    assert_eq!(kind(fs::write(place.at("a"), "")), Some(ErrorKind::IsADirectory));
    Ok(())
}

fn names_are_moved_linked_and_removed() -> Result<(), Box<dyn Error>> {
    let place = Place::make("names")?;
    fs::write(place.at("one"), "text")?;
    fs::rename(place.at("one"), place.at("a/two"))?;
    fs::hard_link(place.at("a/two"), place.at("three"))?;
    assert_eq!(fs::metadata(place.at("three"))?.nlink(), 2);
    symlink("a/two", place.at("link"))?;
    assert_eq!(fs::read_link(place.at("link"))?, Path::new("a/two"));
    assert_eq!(fs::canonicalize(place.at("link"))?, fs::canonicalize(place.at("a/b/../two"))?);
    assert!(fs::symlink_metadata(place.at("link"))?.is_symlink());
    let mut open = File::open(place.at("link"))?;
    fs::remove_file(place.at("a/two"))?;
    fs::remove_file(place.at("three"))?;
    assert!(!place.at("link").exists());
    let mut text = String::new();
    open.read_to_string(&mut text)?;
    assert_eq!(text, "text");
    assert_eq!(kind(fs::remove_dir(place.at("a"))), Some(ErrorKind::DirectoryNotEmpty));
    Ok(())
}

fn a_directory_has_what_was_put_there() -> Result<(), Box<dyn Error>> {
    let place = Place::make("directory")?;
    for number in 0..300 {
        fs::write(place.at(&format!("a/file {number}")), [])?;
    }
    let entries: Vec<fs::DirEntry> = fs::read_dir(place.at("a"))?.collect::<Result<_, _>>()?;
    assert_eq!(entries.len(), 301);
    let directories = entries.iter().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    assert_eq!(directories.map(fs::DirEntry::file_name).collect::<Vec<_>>(), ["b"]);
    Ok(())
}

fn permissions_and_times_are_kept() -> Result<(), Box<dyn Error>> {
    let place = Place::make("permissions")?;
    let file = File::create(place.at("f"))?;
    file.set_permissions(fs::Permissions::from_mode(0o640))?;
    let then = UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    file.set_modified(then)?;
    let metadata = fs::metadata(place.at("f"))?;
    assert_eq!((metadata.mode() & 0o7777, metadata.modified()?), (0o640, then));
    Ok(())
}

fn a_file_is_copied_with_its_permissions() -> Result<(), Box<dyn Error>> {
    let place = Place::make("copy")?;
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
    fs::write(place.at("from"), &bytes)?;
    fs::set_permissions(place.at("from"), fs::Permissions::from_mode(0o500))?;
    assert_eq!(fs::copy(place.at("from"), place.at("to"))?, 400_000);
    assert!(fs::read(place.at("to"))? == bytes);
    assert_eq!(fs::metadata(place.at("to"))?.mode() & 0o777, 0o500);
    Ok(())
}

fn a_locked_file_is_locked_for_others() -> Result<(), Box<dyn Error>> {
    let place = Place::make("lock")?;
    let (first, second) = (File::create(place.at("f"))?, File::open(place.at("f"))?);
    first.lock()?;
    assert!(second.try_lock().is_err());
    let waiter = thread::spawn(move || second.lock_shared());
    first.unlock()?;
    waiter.join().expect("it does not panic")?;
    Ok(())
}

fn sockets_carry_bytes_and_messages() -> Result<(), Box<dyn Error>> {
    let place = Place::make("sockets")?;
    let listener = UnixListener::bind(place.at("s"))?;
    let path = place.at("s");
    let client = thread::spawn(move || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(path)?;
        stream.write_all(b"question")?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    let (mut stream, _) = listener.accept()?;
    let mut question = String::new();
    stream.read_to_string(&mut question)?;
    stream.write_all(question.to_uppercase().as_bytes())?;
    drop(stream);
    assert_eq!(client.join().expect("it does not panic")?, "QUESTION");
    let (one, other) = UnixDatagram::pair()?;
    one.send(b"first")?;
    one.send(b"")?;
    let mut buffer = [0; 16];
    assert_eq!((other.recv(&mut buffer)?, other.recv(&mut buffer)?), (5, 0));
    other.set_read_timeout(Some(Duration::from_millis(5)))?;
    assert_eq!(kind(other.recv(&mut buffer)), Some(ErrorKind::WouldBlock));
    Ok(())
}
