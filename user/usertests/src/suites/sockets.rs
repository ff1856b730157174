//! Sockets between programs.

use std::fs::{File, create_dir_all, metadata, remove_file};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use sys::identity::users;
use sys::process::{self, Signal};
use sys::signal::{self, Handler};
use sys::stream::{self, FILES_TRUNCATED, NONBLOCK, PollFile, TRUNCATED, kind, ready};
use sys::{Errno, file};

use crate::expect::{Checked, Failure, child, dies, ensure, equal, io_refused, passes, refused};

super::tests!("socket":
    a_pair_talks_both_ways, a_side_can_be_shut, nobody_reads, what_was_left_is_a_reset, messages_keep_their_borders,
    packets_keep_their_borders_and_order, a_full_inbox, a_listener_accepts, nobody_listens, a_path_is_a_name, names, datagrams_by_name,
    a_wait_has_a_limit, a_reader_waits, a_file_goes_with_a_message, files_of_a_stream_end_a_read,
    files_without_room_are_closed, files_that_nobody_reads_are_closed, no_socket_is_in_its_own_inbox,
    sockets_in_sockets_are_closed, what_poll_tells, other_families, a_command_that_changes_its_user);

fn a_pair_talks_both_ways() -> Checked {
    let (mut one, mut other) = UnixStream::pair()?;
    one.write_all(b"there")?;
    other.write_all(b"and back")?;
    let mut bytes = [0; 5];
    other.read_exact(&mut bytes)?;
    equal(bytes, *b"there")?;
    equal(stream::available(&one)?, 8)?;
    let mut bytes = [0; 8];
    one.read_exact(&mut bytes)?;
    equal(bytes, *b"and back")?;
    equal(stream::peer(&one)?[0].cast_signed(), process::pid().0)
}

fn a_side_can_be_shut() -> Checked {
    let (mut one, mut other) = UnixStream::pair()?;
    one.write_all(b"last")?;
    one.shutdown(Shutdown::Write)?;
    let mut text = String::new();
    other.read_to_string(&mut text)?;
    equal(text, "last")?;
    io_refused(one.write(b"x"), Errno::PIPE)?;
    other.write_all(b"answer")?;
    drop(other);
    let mut text = String::new();
    one.read_to_string(&mut text)?;
    equal(text, "answer")
}

fn nobody_reads() -> Checked {
    let (one, other) = stream::socket_pair(kind::STREAM)?;
    drop(other);
    signal::handle(Signal::PIPE, Handler::Ignore)?;
    refused(file::write(&one, b"x"), Errno::PIPE)?;
    dies(Signal::PIPE, || {
        let handled = signal::handle(Signal::PIPE, Handler::Default);
        i32::from(handled.is_err() || file::write(&one, b"x").is_ok())
    })?;
    signal::handle(Signal::PIPE, Handler::Default)?;
    // `std` asks for no signal.
    io_refused(UnixStream::from(one).write(b"x"), Errno::PIPE)
}

fn what_was_left_is_a_reset() -> Checked {
    let (mut one, other) = UnixStream::pair()?;
    one.write_all(b"unread")?;
    drop(other);
    io_refused(one.read(&mut [0]), Errno::CONNRESET)?;
    equal(one.read(&mut [0])?, 0)
}

fn messages_keep_their_borders() -> Checked {
    let (one, other) = UnixDatagram::pair()?;
    equal(one.send(b"first")?, 5)?;
    equal(one.send(b"")?, 0)?;
    equal(one.send(b"third")?, 5)?;
    let mut bytes = [0; 10];
    equal(other.recv(&mut bytes)?, 5)?;
    equal(other.recv(&mut bytes)?, 0)?;
    let got = stream::receive_files(&other, 3, 0)?;
    equal((got.bytes.as_slice(), got.flags & TRUNCATED), (&b"thi"[..], TRUNCATED))?;
    let got = one.send(&vec![0; 1 << 20]);
    ensure(got.is_err_and(|error| error.raw_os_error() == Some(90)), "a megabyte went whole")
}

fn packets_keep_their_borders_and_order() -> Checked {
    let (one, other) = stream::socket_pair(kind::PACKETS)?;
    let pid = child(|| {
        for number in 0..500_u32 {
            equal(file::write(&one, &number.to_le_bytes())?, 4)?;
        }
        Ok(())
    })?;
    for number in 0..500_u32 {
        let mut bytes = [0; 100];
        equal(file::read(&other, &mut bytes)?, 4)?;
        equal(&bytes[..4], &number.to_le_bytes()[..])?;
    }
    passes(pid)?;
    drop(one);
    equal(file::read(&other, &mut [0; 8])?, 0)
}

fn a_full_inbox() -> Checked {
    let (one, other) = stream::socket_pair(kind::STREAM | NONBLOCK)?;
    let piece = vec![1; 4096];
    let mut total = 0;
    let end = loop {
        match file::write(&one, &piece) {
            Ok(count) => total += count,
            Err(errno) => break errno,
        }
    };
    equal(end, Errno::AGAIN)?;
    ensure(total >= 65536, "too little")?;
    equal(found(&one, ready::OUT)?, 0)?;
    let mut got = 0;
    let mut buffer = vec![0; 10_000];
    while got < total {
        got += file::read(&other, &mut buffer)?;
    }
    equal(found(&one, ready::OUT)?, ready::OUT)?;
    refused(file::read(&other, &mut buffer), Errno::AGAIN)
}

/// A name that no other test has.
fn name(of: &str) -> Result<SocketAddr, Failure> {
    Ok(SocketAddr::from_abstract_name(format!("usertests {of} {}", process::pid().0))?)
}

fn a_listener_accepts() -> Checked {
    let address = name("listener")?;
    let listener = UnixListener::bind_addr(&address)?;
    let mut children = Vec::new();
    for number in 0..3_u8 {
        children.push(child(|| {
            let mut socket = UnixStream::connect_addr(&address)?;
            equal(socket.peer_addr()?.as_abstract_name(), address.as_abstract_name())?;
            socket.write_all(&[number])?;
            let mut answer = [0];
            socket.read_exact(&mut answer)?;
            equal(answer, [number + 1])
        })?);
    }
    for _ in 0..3 {
        let (mut socket, from) = listener.accept()?;
        ensure(from.is_unnamed(), "a name")?;
        let mut number = [0];
        socket.read_exact(&mut number)?;
        socket.write_all(&[number[0] + 1])?;
        let pid = stream::peer(&socket)?[0].cast_signed();
        ensure(children.iter().any(|child| child.0 == pid), "somebody else")?;
    }
    children.into_iter().try_for_each(passes)
}

fn nobody_listens() -> Checked {
    let address = name("nobody")?;
    io_refused(UnixStream::connect_addr(&address).map(drop), Errno::CONNREFUSED)?;
    let listener = UnixListener::bind_addr(&address)?;
    io_refused(UnixListener::bind_addr(&address).map(drop), Errno::ADDRINUSE)?;
    let datagrams = UnixDatagram::unbound()?;
    io_refused(datagrams.connect_addr(&address), Errno::PROTOTYPE)?;
    listener.set_nonblocking(true)?;
    io_refused(listener.accept().map(drop), Errno::AGAIN)?;
    let mut waiting = UnixStream::connect_addr(&address)?;
    drop(listener);
    io_refused(waiting.read(&mut [0]), Errno::CONNRESET)?;
    io_refused(UnixStream::connect_addr(&address).map(drop), Errno::CONNREFUSED)?;
    io_refused(UnixStream::connect("/nowhere").map(drop), Errno::NOENT)?;
    io_refused(UnixStream::connect("/etc/motd").map(drop), Errno::CONNREFUSED)
}

fn a_path_is_a_name() -> Checked {
    create_dir_all(std::env::temp_dir())?;
    let path = std::env::temp_dir().join(format!("socket-{}", process::pid()));
    let listener = UnixListener::bind(&path)?;
    equal(listener.local_addr()?.as_pathname(), Some(path.as_path()))?;
    ensure(metadata(&path)?.file_type().is_socket(), "no socket")?;
    io_refused(UnixListener::bind(&path).map(drop), Errno::ADDRINUSE)?;
    io_refused(File::open(&path).map(drop), Errno::NXIO)?;
    let mut here = UnixStream::connect(&path)?;
    let (mut there, _) = listener.accept()?;
    equal(here.peer_addr()?.as_pathname(), Some(path.as_path()))?;
    here.write_all(b"x")?;
    there.read_exact(&mut [0])?;
    drop(listener);
    io_refused(UnixStream::connect(&path).map(drop), Errno::CONNREFUSED)?;
    remove_file(&path)?;
    io_refused(UnixStream::connect(&path).map(drop), Errno::NOENT)
}

fn names() -> Checked {
    let address = name("names")?;
    let socket = UnixDatagram::bind_addr(&address)?;
    equal(socket.local_addr()?.as_abstract_name(), address.as_abstract_name())?;
    io_refused(socket.peer_addr().map(drop), Errno::NOTCONN)?;
    drop(socket);
    let again = UnixDatagram::bind_addr(&address)?;
    ensure(!again.local_addr()?.is_unnamed(), "no name")
}

fn datagrams_by_name() -> Checked {
    let (here, there) = (name("here")?, name("there")?);
    let (one, other) = (UnixDatagram::bind_addr(&here)?, UnixDatagram::bind_addr(&there)?);
    equal(one.send_to_addr(b"to there", &there)?, 8)?;
    let mut bytes = [0; 20];
    let (count, from) = other.recv_from(&mut bytes)?;
    equal((count, from.as_abstract_name()), (8, here.as_abstract_name()))?;
    io_refused(one.send(b"to nobody"), Errno::NOTCONN)?;
    one.connect_addr(&there)?;
    equal(one.send(b"again")?, 5)?;
    let third = UnixDatagram::unbound()?;
    io_refused(third.send_to_addr(b"x", &here), Errno::PERM)?;
    drop(other);
    io_refused(one.send(b"gone"), Errno::CONNREFUSED)?;
    // Nobody reads these, and they are not forgotten.
    one.set_nonblocking(true)?;
    io_refused(one.recv(&mut bytes), Errno::AGAIN)
}

fn a_wait_has_a_limit() -> Checked {
    let (mut one, _other) = UnixStream::pair()?;
    one.set_read_timeout(Some(Duration::from_millis(10)))?;
    equal(one.read_timeout()?, Some(Duration::from_millis(10)))?;
    io_refused(one.read(&mut [0]), Errno::AGAIN)
}

fn a_reader_waits() -> Checked {
    let (mut one, mut other) = UnixStream::pair()?;
    let pid = child(|| {
        for number in 0..100_u8 {
            let mut byte = [0];
            other.read_exact(&mut byte)?;
            equal(byte, [number])?;
            other.write_all(&byte)?;
        }
        Ok(())
    })?;
    for number in 0..100_u8 {
        one.write_all(&[number])?;
        one.read_exact(&mut [0])?;
    }
    passes(pid)
}

fn a_file_goes_with_a_message() -> Checked {
    for kind in [kind::STREAM, kind::DATAGRAM, kind::PACKETS] {
        let ((one, other), (reader, writer)) = (stream::socket_pair(kind)?, stream::pipe(0)?);
        let motd = File::open("/etc/motd")?;
        let pid = child(|| {
            let got = stream::receive_files(&other, 10, 4)?;
            equal((got.bytes.as_slice(), got.files.len(), got.flags), (&b"two"[..], 2, 0))?;
            equal(file::write(&got.files[0], b"through it")?, 10)?;
            let mut text = [0; 4];
            equal(file::read(&got.files[1], &mut text)?, 4)
        })?;
        equal(stream::send_files(&one, b"two", &[&writer, &motd])?, 3)?;
        drop(writer);
        let mut text = String::new();
        File::from(reader).read_to_string(&mut text)?;
        equal(text, "through it")?;
        passes(pid)?;
    }
    Ok(())
}

fn files_of_a_stream_end_a_read() -> Checked {
    let ((one, other), (reader, _writer)) = (stream::socket_pair(kind::STREAM)?, stream::pipe(0)?);
    stream::send_files(&one, b"a", &[])?;
    stream::send_files(&one, b"b", &[&reader])?;
    stream::send_files(&one, b"c", &[])?;
    let got = stream::receive_files(&other, 10, 2)?;
    equal((got.bytes.as_slice(), got.files.len()), (&b"ab"[..], 1))?;
    let got = stream::receive_files(&other, 10, 2)?;
    equal((got.bytes.as_slice(), got.files.len()), (&b"c"[..], 0))
}

fn files_without_room_are_closed() -> Checked {
    let ((one, other), (reader, writer)) = (stream::socket_pair(kind::STREAM)?, stream::pipe(0)?);
    stream::send_files(&one, b"x", &[&one, &writer])?;
    drop(writer);
    let got = stream::receive_files(&other, 1, 1)?;
    equal((got.files.len(), got.flags & FILES_TRUNCATED), (1, FILES_TRUNCATED))?;
    equal(file::read(&reader, &mut [0])?, 0)?;
    refused(stream::send_files(&reader, b"x", &[]), Errno::NOTSOCK)
}

fn files_that_nobody_reads_are_closed() -> Checked {
    let ((one, other), (reader, writer)) = (stream::socket_pair(kind::DATAGRAM)?, stream::pipe(0)?);
    stream::send_files(&one, b"x", &[&writer, &writer])?;
    drop((one, other, writer));
    equal(file::read(&reader, &mut [0])?, 0)
}

fn no_socket_is_in_its_own_inbox() -> Checked {
    let (one, other) = stream::socket_pair(kind::STREAM)?;
    refused(stream::send_files(&one, b"x", &[&other]), Errno::TOOMANYREFS)?;
    equal(stream::send_files(&one, b"x", &[&one])?, 1)?;
    // Not through another one either.
    let (third, fourth) = stream::socket_pair(kind::STREAM)?;
    equal(stream::send_files(&third, b"x", &[&other])?, 1)?;
    refused(stream::send_files(&one, b"x", &[&fourth]), Errno::TOOMANYREFS)?;
    equal(stream::receive_files(&fourth, 1, 1)?.files.len(), 1)?;
    equal(stream::send_files(&one, b"x", &[&fourth])?, 1)
}

fn sockets_in_sockets_are_closed() -> Checked {
    let (reader, writer) = stream::pipe(0)?;
    let (near, far) = stream::socket_pair(kind::STREAM)?;
    stream::send_files(&near, b"x", &[&writer])?;
    drop((near, writer));
    let mut inner: OwnedFd = far;
    for _ in 0..500 {
        let (near, far) = stream::socket_pair(kind::STREAM)?;
        stream::send_files(&near, b"x", &[&inner])?;
        inner = far;
    }
    drop(inner);
    equal(file::read(&reader, &mut [0])?, 0)
}

fn found(socket: &OwnedFd, events: u16) -> Result<u16, Failure> {
    let mut files = [PollFile::new(socket, events)];
    stream::poll(&mut files, Some(Duration::ZERO), None).0?;
    Ok(files[0].found)
}

fn what_poll_tells() -> Checked {
    let all = ready::IN | ready::OUT | ready::RDHUP;
    let (one, other) = stream::socket_pair(kind::STREAM)?;
    equal(found(&one, all)?, ready::OUT)?;
    file::write(&other, b"x")?;
    equal(found(&one, all)?, ready::IN | ready::OUT)?;
    file::read(&one, &mut [0])?;
    let other = UnixStream::from(other);
    let pid = child(|| Ok(other.shutdown(Shutdown::Write)?))?;
    let mut files = [PollFile::new(&one, ready::IN | ready::RDHUP)];
    equal(stream::poll(&mut files, None, None).0, Ok(1))?;
    equal(files[0].found, ready::IN | ready::RDHUP)?;
    passes(pid)?;
    drop(other);
    equal(found(&one, all)?, all | ready::HUP)
}

fn other_families() -> Checked {
    refused(stream::socket(2, kind::STREAM, 0), Errno::AFNOSUPPORT)?;
    refused(stream::socket(10, kind::DATAGRAM, 0), Errno::AFNOSUPPORT)?;
    refused(stream::socket(1 << 20, kind::STREAM, 0), Errno::AFNOSUPPORT)?;
    refused(stream::socket(stream::AF_UNIX, kind::STREAM | 1 << 20, 0), Errno::INVAL)?;
    stream::socket(stream::AF_UNIX, kind::STREAM, 0).map(drop)?;
    Ok(())
}

fn a_command_that_changes_its_user() -> Checked {
    // It is forked, and its child tells through a socket why it failed.
    let [user, ..] = users()?;
    io_refused(Command::new("/bin/none").uid(user).spawn().map(drop), Errno::NOENT)?;
    let status = Command::new("/bin/hello").uid(user).stdout(Stdio::null()).status()?;
    ensure(status.success(), "it failed")
}
