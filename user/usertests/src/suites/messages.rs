//! Several messages with one call.

use std::time::Duration;

use sys::message::{DONT_WAIT, WAIT_FOR_ONE, receive, send, send_nothing};
use sys::process::Signal;
use sys::signal::{Handler, caught, handle};
use sys::stream::{self, NONBLOCK, command, kind};
use sys::timer::{Interval, Setting, set_interval};
use sys::{Errno, file};

use crate::expect::{Checked, child, ensure, equal, in_child, known, passes, refused};

super::tests!("messages":
    all_go_and_all_come, what_did_not_fit_is_not_sent, what_is_there_is_enough_for_who_does_not_wait,
    the_first_is_waited_for, all_are_waited_for, a_time_is_looked_at_after_each, a_signal_after_one_is_no_error,
    what_was_not_named_well_is_refused);

const LONG: Duration = Duration::from_secs(1000);

fn all_go_and_all_come() -> Checked {
    let (one, other) = stream::socket_pair(kind::DATAGRAM)?;
    equal(known(send(&one, &[b"one", b"", b"three"], 0))?, vec![3, 0, 5])?;
    let (got, left) = receive(&other, (3, 4), 0, None)?;
    equal(got, vec![b"one".to_vec(), vec![], b"thre".to_vec()])?;
    equal(left, None)?;
    equal(send(&one, &[], 0)?, vec![])?;
    equal(receive(&other, (0, 1), 0, None)?.0.len(), 0)
}

fn what_did_not_fit_is_not_sent() -> Checked {
    let (one, other) = stream::socket_pair(kind::DATAGRAM)?;
    let bytes = vec![1; 1000];
    let many = vec![bytes.as_slice(); 1000];
    let sent = known(send(&one, &many, DONT_WAIT))?.len();
    ensure(sent > 0 && sent < many.len(), &format!("{sent} were sent"))?;
    refused(send(&one, &[&bytes], DONT_WAIT), Errno::AGAIN)?;
    equal(receive(&other, (1000, 1000), DONT_WAIT, None)?.0.len(), sent)
}

fn what_is_there_is_enough_for_who_does_not_wait() -> Checked {
    let (one, other) = stream::socket_pair(kind::PACKETS)?;
    known(send(&one, &[], 0))?;
    refused(receive(&other, (2, 9), DONT_WAIT, None), Errno::AGAIN)?;
    send(&one, &[b"a", b"b"], 0)?;
    equal(receive(&other, (3, 9), DONT_WAIT, None)?.0, vec![b"a".to_vec(), b"b".to_vec()])?;
    stream::control(&other, command::SETFL, NONBLOCK)?;
    send(&one, &[b"c"], 0)?;
    equal(receive(&other, (3, 9), 0, None)?.0, vec![b"c".to_vec()])
}

fn the_first_is_waited_for() -> Checked {
    let (one, other) = stream::socket_pair(kind::DATAGRAM)?;
    let sender = child(|| {
        known(send(&one, &[b"x"], 0))?;
        Ok(())
    })?;
    let got = receive(&other, (3, 9), WAIT_FOR_ONE, None);
    passes(sender)?;
    equal(known(got)?.0, vec![b"x".to_vec()])
}

fn all_are_waited_for() -> Checked {
    let (one, other) = stream::socket_pair(kind::DATAGRAM)?;
    let sender = child(|| {
        for _ in 0..3 {
            known(send(&one, &[b"x", b"y"], 0))?;
        }
        Ok(())
    })?;
    let got = receive(&other, (6, 1), 0, Some(LONG));
    passes(sender)?;
    let (got, left) = known(got)?;
    equal(got.concat(), b"xyxyxy".to_vec())?;
    ensure(left.is_some_and(|left| left < LONG && left > LONG / 2), &format!("{left:?} are left"))
}

fn a_time_is_looked_at_after_each() -> Checked {
    let (one, other) = stream::socket_pair(kind::DATAGRAM)?;
    known(send(&one, &[b"a", b"b"], 0))?;
    let (got, left) = receive(&other, (2, 9), 0, Some(Duration::from_nanos(1)))?;
    equal((got.len(), left), (1, Some(Duration::ZERO)))
}

fn a_signal_after_one_is_no_error() -> Checked {
    in_child(|| {
        let (one, other) = stream::socket_pair(kind::DATAGRAM)?;
        known(send(&one, &[b"a"], 0))?;
        handle(Signal::ALRM, Handler::Count)?;
        // Should one come before the wait has begun, the next one ends it.
        set_interval(Interval::Real, Setting::every(Duration::from_millis(5)))?;
        equal(receive(&other, (2, 9), 0, None)?.0, vec![b"a".to_vec()])?;
        ensure(caught() > 0, "no handler ran")?;
        refused(receive(&other, (2, 9), 0, None), Errno::INTR)?;
        ensure(caught() > 0, "no handler ran")
    })
}

fn what_was_not_named_well_is_refused() -> Checked {
    let (one, _other) = stream::socket_pair(kind::DATAGRAM)?;
    known(send(&one, &[b"a"], 0))?;
    refused(send_nothing(&one, 1), Errno::FAULT)?;
    equal(send_nothing(&one, 0)?, 0)?;
    let (reader, _writer) = file::pipe()?;
    refused(send(&reader, &[b"a"], 0), Errno::NOTSOCK)?;
    refused(receive(&reader, (1, 1), 0, None), Errno::NOTSOCK)
}
