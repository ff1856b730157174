//! Credentials, against the rules of POSIX and of Linux's man pages, written down a second time.

use proptest::prelude::*;
use std::vec::Vec;

use super::{AccessClass, Credentials, Groups, GroupsError, Ids, NotPermitted, SetIds, TooManyGroups, given};
use crate::signal::Signal;

const ROOT: Credentials = Credentials::ROOT;

/// User 10's program of user 20, who saved user 30.
const MIXED: Ids = Ids { real: 10, effective: 20, saved: 30, fs: 20 };

fn mixed() -> Credentials {
    Credentials { uid: MIXED, ..Credentials::user(0, 10) }
}

#[test]
fn minus_one_is_no_id() {
    assert_eq!((given(u32::MAX), given(0)), (None, Some(0)));
}

#[test]
fn setuid_of_root_is_for_good() {
    let user = ROOT.setuid(10).unwrap();
    assert_eq!(user.uid, Ids::all(10));
    assert_eq!(user.setuid(0), Err(NotPermitted));
    assert_eq!(user.setresuid(None, Some(0), None), Err(NotPermitted));
}

#[test]
fn setuid_of_others_chooses_between_real_and_saved() {
    assert_eq!(mixed().setuid(10).unwrap().uid, Ids { effective: 10, fs: 10, ..MIXED });
    assert_eq!(mixed().setuid(30).unwrap().uid, Ids { effective: 30, fs: 30, ..MIXED });
    assert_eq!(mixed().setuid(20), Err(NotPermitted), "the effective id is not a choice");
    assert_eq!(mixed().setuid(40), Err(NotPermitted));
}

#[test]
fn seteuid_of_root_can_be_taken_back() {
    let lowered = ROOT.seteuid(10).unwrap();
    assert_eq!(lowered.uid, Ids { real: 0, effective: 10, saved: 0, fs: 10 });
    assert!(!lowered.is_root());
    assert_eq!(lowered.seteuid(0).unwrap(), ROOT);
}

#[test]
fn setreuid_exchanges_and_saves() {
    let exchanged = mixed().setreuid(Some(20), Some(10)).unwrap();
    assert_eq!(exchanged.uid, Ids { real: 20, effective: 10, saved: 10, fs: 10 });
    // Only the effective id, and to the real one: the saved id stays.
    assert_eq!(mixed().setreuid(None, Some(10)).unwrap().uid, Ids { effective: 10, fs: 10, ..MIXED });
    // To the saved one: it follows, to what it was.
    assert_eq!(mixed().setreuid(None, Some(30)).unwrap().uid, Ids { effective: 30, fs: 30, ..MIXED });
    // The real id alone: the saved one becomes the effective one.
    assert_eq!(mixed().setreuid(Some(20), None).unwrap().uid, Ids { real: 20, saved: 20, ..MIXED });
    assert_eq!(mixed().setreuid(Some(30), None), Err(NotPermitted), "the real id does not become the saved one");
    assert_eq!(mixed().setreuid(None, None).unwrap(), mixed());
}

#[test]
fn setresuid_permutes() {
    let permuted = mixed().setresuid(Some(30), Some(10), Some(20)).unwrap();
    assert_eq!(permuted.uid, Ids { real: 30, effective: 10, saved: 20, fs: 10 });
    assert_eq!(mixed().setresuid(None, None, Some(40)), Err(NotPermitted));
    let all = ROOT.setresuid(Some(1), Some(2), Some(3)).unwrap();
    assert_eq!(all.uid, Ids { real: 1, effective: 2, saved: 3, fs: 2 });
}

#[test]
fn any_change_takes_the_file_system_id_along() {
    let apart = ROOT.setfsuid(10).unwrap();
    assert_eq!(apart.uid, Ids { fs: 10, ..Ids::all(0) });
    assert!(apart.is_root());
    assert_eq!(apart.setresuid(None, None, None).unwrap().uid.fs, 0);
    assert_eq!(mixed().setfsuid(30).unwrap().uid.fs, 30);
    assert_eq!(mixed().setfsuid(40), Err(NotPermitted));
}

#[test]
fn the_effective_user_decides_about_groups_too() {
    let user = Credentials::user(10, 10);
    assert_eq!(user.setgid(5), Err(NotPermitted));
    assert_eq!(ROOT.setgid(5).unwrap().gid, Ids::all(5));
    let group_root = Credentials::user(10, 0);
    assert!(!group_root.is_root());
    assert_eq!(group_root.setgid(5), Err(NotPermitted), "group 0 is a group like any other");
    assert_eq!(ROOT.setresgid(Some(1), Some(2), Some(3)).unwrap().gid, Ids { real: 1, effective: 2, saved: 3, fs: 2 });
    assert_eq!(ROOT.setregid(Some(1), Some(2)).unwrap().gid, Ids { real: 1, effective: 2, saved: 2, fs: 2 });
    assert_eq!(ROOT.setegid(4).unwrap().gid, Ids { effective: 4, fs: 4, ..Ids::all(0) });
    assert_eq!(ROOT.setfsgid(4).unwrap().gid, Ids { fs: 4, ..Ids::all(0) });
}

#[test]
fn only_root_sets_groups_and_not_too_many() {
    let member = ROOT.setgroups(&[7, 5, 6]).unwrap();
    assert_eq!(member.groups.as_slice(), [5, 6, 7]);
    assert!(member.in_group(5) && member.in_group(0) && !member.in_group(8));
    let user = member.setuid(10).unwrap();
    assert_eq!(user.groups, member.groups, "they stay");
    assert_eq!(user.setgroups(&[]), Err(GroupsError::NotPermitted));
    let many: Vec<u32> = (0..65).collect();
    assert_eq!(ROOT.setgroups(&many), Err(GroupsError::TooMany));
    assert!(ROOT.setgroups(&many[..64]).is_ok());
    assert_eq!(Groups::new(&many), Err(TooManyGroups));
    assert_eq!(member.setgroups(&[]).unwrap().groups, Groups::NONE);
}

#[test]
fn a_set_id_file_changes_who_one_is() {
    assert_eq!(SetIds::of_file(0o755, 1, 2), SetIds::default());
    assert_eq!(SetIds::of_file(0o4755, 1, 2), SetIds { uid: Some(1), gid: None });
    assert_eq!(SetIds::of_file(0o2755, 1, 2), SetIds { uid: None, gid: Some(2) });
    assert_eq!(SetIds::of_file(0o2745, 1, 2), SetIds::default(), "no right to execute: no set-group-id");

    let user = Credentials::user(10, 10);
    let executed = user.executed(SetIds::of_file(0o6755, 0, 3));
    assert_eq!(executed.credentials.uid, Ids { real: 10, effective: 0, saved: 0, fs: 0 });
    assert_eq!(executed.credentials.gid, Ids { real: 10, effective: 3, saved: 3, fs: 3 });
    assert!(executed.changed && executed.secure);
}

#[test]
fn exec_saves_the_effective_id() {
    let executed = mixed().executed(SetIds::default());
    assert_eq!(executed.credentials.uid, Ids { real: 10, effective: 20, saved: 20, fs: 20 });
    assert!(!executed.changed && executed.secure, "nothing new, but still not its user's rights alone");
    assert!(!mixed().are_settled());
    let user = Credentials::user(10, 10);
    assert!(user.are_settled());
    let own = user.executed(SetIds { uid: Some(10), gid: None });
    assert_eq!((own.credentials, own.changed, own.secure), (user, false, false));
}

#[test]
fn who_may_signal_whom() {
    let target = Credentials { uid: Ids { real: 1, effective: 2, saved: 3, fs: 2 }, ..Credentials::user(0, 0) };
    let sender = |real, effective| Credentials {
        uid: Ids { real, effective, saved: 9, fs: effective },
        ..Credentials::user(0, 0)
    };
    let may = |real, effective| sender(real, effective).may_signal(&target, Some(Signal::TERM), true);
    assert!(may(1, 8) && may(8, 1) && may(3, 8) && may(8, 3));
    assert!(!may(2, 2), "the target's effective id does not count");
    assert!(may(7, 0), "root may");
    assert!(!may(0, 7), "once root is not root");
    let stranger = sender(8, 8);
    assert!(stranger.may_signal(&target, Some(Signal::CONT), true));
    assert!(!stranger.may_signal(&target, Some(Signal::CONT), false));
    assert!(!stranger.may_signal(&target, None, true), "not even whether it is there");
}

#[test]
fn the_first_class_that_fits_counts() {
    let user = ROOT.setgroups(&[6, 5]).unwrap().setgid(4).unwrap().setuid(10).unwrap();
    let ids = user.access_ids();
    assert_eq!(ids.class(10, 4), AccessClass::Owner);
    assert_eq!(ids.class(11, 4), AccessClass::Group);
    assert_eq!(ids.class(11, 5), AccessClass::Group);
    assert_eq!(ids.class(11, 7), AccessClass::Other);
}

#[test]
fn access_asks_for_the_user_who_started_the_program() {
    let program = Credentials::user(10, 10).executed(SetIds::of_file(0o6755, 0, 3)).credentials;
    assert_eq!((program.access_ids().uid, program.access_ids().gid), (0, 3));
    assert_eq!((program.real_access_ids().uid, program.real_access_ids().gid), (10, 10));
}

/// A call that changes ids; −1 as `None`.
#[derive(Clone, Copy, Debug)]
enum Call {
    Set(u32),
    SetEffective(u32),
    SetRealEffective(Option<u32>, Option<u32>),
    SetEach(Option<u32>, Option<u32>, Option<u32>),
    SetFs(u32),
}

/// The rules of setuid(2), seteuid(2), setreuid(2), setresuid(2) and setfsuid(2), one by one.
fn by_the_book(old: Ids, call: Call, root: bool) -> Option<Ids> {
    let Ids { real, effective, saved, fs } = old;
    let one_of = |id: u32, them: &[u32]| root || them.contains(&id);
    match call {
        Call::Set(id) if root => Some(Ids { real: id, effective: id, saved: id, fs: id }),
        Call::Set(id) => one_of(id, &[real, saved]).then_some(Ids { effective: id, fs: id, ..old }),
        Call::SetEffective(id) => one_of(id, &[real, effective, saved]).then_some(Ids { effective: id, fs: id, ..old }),
        Call::SetRealEffective(r, e) => {
            let allowed = r.is_none_or(|id| one_of(id, &[real, effective]))
                && e.is_none_or(|id| one_of(id, &[real, effective, saved]));
            let now = e.unwrap_or(effective);
            // A new real id, or an effective one other than the real one was, is saved as well.
            let saves = r.is_some() || (e.is_some() && e != Some(real));
            let saved = if saves { now } else { saved };
            allowed.then_some(Ids { real: r.unwrap_or(real), effective: now, saved, fs: now })
        }
        Call::SetEach(r, e, s) => {
            let allowed = [r, e, s].iter().flatten().all(|&id| one_of(id, &[real, effective, saved]));
            let now = e.unwrap_or(effective);
            allowed.then_some(Ids { real: r.unwrap_or(real), effective: now, saved: s.unwrap_or(saved), fs: now })
        }
        Call::SetFs(id) => one_of(id, &[real, effective, saved, fs]).then_some(Ids { fs: id, ..old }),
    }
}

fn any_id() -> impl Strategy<Value = u32> {
    0..4_u32
}

fn any_call() -> impl Strategy<Value = Call> {
    let maybe = || prop::option::of(any_id());
    prop_oneof![
        any_id().prop_map(Call::Set),
        any_id().prop_map(Call::SetEffective),
        (maybe(), maybe()).prop_map(|(r, e)| Call::SetRealEffective(r, e)),
        (maybe(), maybe(), maybe()).prop_map(|(r, e, s)| Call::SetEach(r, e, s)),
        any_id().prop_map(Call::SetFs),
    ]
}

fn call_uid(who: &Credentials, call: Call) -> Result<Credentials, NotPermitted> {
    match call {
        Call::Set(id) => who.setuid(id),
        Call::SetEffective(id) => who.seteuid(id),
        Call::SetRealEffective(r, e) => who.setreuid(r, e),
        Call::SetEach(r, e, s) => who.setresuid(r, e, s),
        Call::SetFs(id) => who.setfsuid(id),
    }
}

fn call_gid(who: &Credentials, call: Call) -> Result<Credentials, NotPermitted> {
    match call {
        Call::Set(id) => who.setgid(id),
        Call::SetEffective(id) => who.setegid(id),
        Call::SetRealEffective(r, e) => who.setregid(r, e),
        Call::SetEach(r, e, s) => who.setresgid(r, e, s),
        Call::SetFs(id) => who.setfsgid(id),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 1024 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ids_change_by_the_book(
        uids in prop::array::uniform4(any_id()),
        gids in prop::array::uniform4(any_id()),
        calls in prop::collection::vec((any::<bool>(), any_call()), 1..8),
    ) {
        let ids = |[real, effective, saved, fs]: [u32; 4]| Ids { real, effective, saved, fs };
        let mut who = Credentials { uid: ids(uids), gid: ids(gids), groups: Groups::NONE };
        for (user, call) in calls {
            let root = who.uid.effective == 0;
            let (expected, got) = if user {
                let new = by_the_book(who.uid, call, root);
                (new.map(|uid| Credentials { uid, ..who.clone() }), call_uid(&who, call))
            } else {
                let new = by_the_book(who.gid, call, root);
                (new.map(|gid| Credentials { gid, ..who.clone() }), call_gid(&who, call))
            };
            prop_assert_eq!(&got, &expected.ok_or(NotPermitted), "{:?} by {:?}", call, who);
            who = got.unwrap_or(who);
        }
    }

    #[test]
    fn nobody_gains_an_id_that_he_had_not(
        ids in prop::array::uniform3(1..5_u32),
        calls in prop::collection::vec(any_call(), 1..12),
    ) {
        let [real, effective, saved] = ids;
        let mut who = Credentials { uid: Ids { real, effective, saved, fs: effective }, ..Credentials::user(0, 0) };
        for call in calls {
            who = call_uid(&who, call).unwrap_or(who);
            let Ids { real, effective, saved, fs } = who.uid;
            prop_assert!([real, effective, saved, fs].iter().all(|id| ids.contains(id)), "{:?}", who);
        }
    }

    #[test]
    fn groups_are_found(groups in prop::collection::vec(0..100_u32, 0..=64), probe in 0..100_u32) {
        let kept = Groups::new(&groups).unwrap();
        prop_assert_eq!(kept.contains(probe), groups.contains(&probe));
        prop_assert_eq!(kept.as_slice().len(), groups.len());
    }
}
