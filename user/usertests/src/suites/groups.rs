//! Process groups and sessions.

use sys::process::{self, Which, group, new_session, session, set_group, spawn, wait};
use sys::{Errno, Pid};

use crate::expect::{Checked, child, equal, in_child, passes, refused};
use crate::helper::become_helper;
use crate::meeting::Meeting;

super::tests!("group":
    a_child_is_in_its_parents_group_and_session, a_process_can_lead_a_group, a_leader_cannot_start_a_session,
    a_session_leader_cannot_change_group, groups_do_not_span_sessions, a_child_can_be_moved_until_it_execs,
    strangers_cannot_be_moved, a_group_outlives_its_leader);

/// This process itself.
const SELF: Pid = Pid(0);

fn a_child_is_in_its_parents_group_and_session() -> Checked {
    let (own_group, own_session) = (group(SELF)?, session(SELF)?);
    in_child(|| {
        equal(group(SELF)?, own_group)?;
        equal(session(SELF)?, own_session)?;
        equal(group(process::parent())?, own_group)
    })
}

fn a_process_can_lead_a_group() -> Checked {
    in_child(|| {
        let old = group(SELF)?;
        set_group(SELF, SELF)?;
        equal(group(SELF)?, process::pid())?;
        // Back into the other one, which still has members.
        set_group(SELF, old)?;
        equal(group(SELF)?, old)?;
        refused(set_group(SELF, Pid(-1)), Errno::INVAL)?;
        // The group that this process led has nobody left, so it is gone.
        let gone = child(|| Ok(()))?;
        passes(gone)?;
        refused(set_group(SELF, gone), Errno::PERM)
    })
}

fn a_leader_cannot_start_a_session() -> Checked {
    in_child(|| {
        set_group(SELF, SELF)?;
        refused(new_session(), Errno::PERM)
    })
}

fn a_session_leader_cannot_change_group() -> Checked {
    in_child(|| {
        equal(new_session()?, process::pid())?;
        equal(session(SELF)?, process::pid())?;
        equal(group(SELF)?, process::pid())?;
        refused(set_group(SELF, SELF), Errno::PERM)?;
        refused(new_session(), Errno::PERM)
    })
}

fn groups_do_not_span_sessions() -> Checked {
    let other = group(SELF)?;
    let meeting = Meeting::new()?;
    in_child(|| {
        new_session()?;
        let member = child(|| refused(set_group(SELF, other), Errno::PERM))?;
        passes(member)?;
        // A child in another session cannot be moved either.
        let far = child(|| {
            new_session()?;
            meeting.set(0, 1);
            meeting.wait(1, 1);
            Ok(())
        })?;
        meeting.wait(0, 1);
        let answer = refused(set_group(far, far), Errno::PERM);
        meeting.set(1, 1);
        passes(far)?;
        answer
    })
}

fn a_child_can_be_moved_until_it_execs() -> Checked {
    let meeting = Meeting::new()?;
    let pid = child(|| {
        meeting.wait(0, 1);
        equal(group(SELF)?, process::pid())
    })?;
    set_group(pid, pid)?;
    equal(group(pid)?, pid)?;
    meeting.set(0, 1);
    passes(pid)?;
    // A program of its own shows by its end that it has been executed: until then the move is allowed.
    let pid = spawn(|| {
        become_helper(&[c"exit", c"0"], &[]);
        1
    })?;
    process::wait_id(Which::Pid(pid), process::option::EXITED | process::option::NOWAIT)?;
    let answer = set_group(pid, pid);
    wait(Which::Pid(pid))?;
    match answer {
        // A zombie may be taken for gone, or for what it was.
        Err(Errno::ACCES | Errno::SRCH) => Ok(()),
        other => equal(other, Err(Errno::ACCES)),
    }
}

fn strangers_cannot_be_moved() -> Checked {
    let parent = process::pid();
    in_child(|| {
        refused(set_group(parent, parent), Errno::SRCH)?;
        refused(set_group(Pid(99_999_999), SELF), Errno::SRCH)?;
        refused(group(Pid(99_999_999)), Errno::SRCH)?;
        refused(session(Pid(99_999_999)), Errno::SRCH)
    })
}

fn a_group_outlives_its_leader() -> Checked {
    let meeting = Meeting::new()?;
    in_child(|| {
        let leader = child(|| {
            set_group(SELF, SELF)?;
            spawn(|| {
                meeting.wait(0, 1);
                let same = group(SELF).map(|group| group.0.cast_unsigned());
                meeting.set(1, same.unwrap_or(u32::MAX));
                0
            })?;
            Ok(())
        })?;
        passes(leader)?;
        process::kill(leader.0.wrapping_neg(), process::Signal::NONE)?;
        meeting.set(0, 1);
        meeting.wait(1, 1);
        equal(meeting.get(1), leader.0.cast_unsigned())
    })
}
