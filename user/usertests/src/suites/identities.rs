//! Users and groups.

use sys::Errno;
use sys::identity::{
    capabilities, groups, set_capabilities, set_group, set_supplementary, set_user, set_users, supplementary, users,
};

use crate::expect::{Checked, as_root, equal, in_child, known, on_tine, refused};

super::tests!("identity":
    root_can_become_anybody_for_good, the_saved_user_is_a_way_back, an_ordinary_user_cannot_change, groups_follow_the_same_rules,
    supplementary_groups, f9_children_have_their_parents, nobody_has_rights_of_others_here,
    root_has_every_capability_and_others_none, a_part_of_roots_power_cannot_be_given_up);

/// Leaves one of three as it is.
const SAME: u32 = u32::MAX;

fn root_can_become_anybody_for_good() -> Checked {
    as_root()?;
    in_child(|| {
        set_user(1000)?;
        equal(users()?, [1000; 3])?;
        refused(set_user(0), Errno::PERM)?;
        refused(set_users([0, SAME, SAME]), Errno::PERM)?;
        equal(users()?, [1000; 3])
    })?;
    equal(users()?, [0; 3])
}

fn the_saved_user_is_a_way_back() -> Checked {
    as_root()?;
    in_child(|| {
        set_users([SAME, 1000, SAME])?;
        equal(users()?, [0, 1000, 0])?;
        set_users([SAME, 0, SAME])?;
        equal(users()?, [0; 3])?;
        set_users([1000, 1000, 2000])?;
        set_users([SAME, 2000, SAME])?;
        equal(users()?, [1000, 2000, 2000])?;
        // Only the saved user is root's way, not an effective one that was given up.
        refused(set_users([SAME, 0, SAME]), Errno::PERM)?;
        set_user(1000)?;
        equal(users()?, [1000, 1000, 2000])
    })
}

fn an_ordinary_user_cannot_change() -> Checked {
    as_root()?;
    in_child(|| {
        set_group(1000)?;
        set_user(1000)?;
        refused(set_user(1001), Errno::PERM)?;
        refused(set_group(0), Errno::PERM)?;
        refused(set_supplementary(&[0]), Errno::PERM)?;
        set_user(1000)?;
        set_group(1000)?;
        Ok(())
    })
}

fn groups_follow_the_same_rules() -> Checked {
    as_root()?;
    in_child(|| {
        set_group(50)?;
        equal(groups()?, [50; 3])?;
        equal(users()?, [0; 3])
    })
}

fn supplementary_groups() -> Checked {
    as_root()?;
    in_child(|| {
        known(set_supplementary(&[5, 6, 7]))?;
        equal(supplementary()?, vec![5, 6, 7])?;
        in_child(|| equal(supplementary()?, vec![5, 6, 7]))?;
        set_supplementary(&[])?;
        equal(supplementary()?, Vec::<u32>::new())?;
        refused(set_supplementary(&vec![1; 70_000]), Errno::INVAL)
    })
}

fn f9_children_have_their_parents() -> Checked {
    as_root()?;
    in_child(|| {
        set_users([1, 0, 3])?;
        in_child(|| equal(users()?, [1, 0, 3]))?;
        // What a child gives up is its own.
        in_child(|| Ok(set_user(1)?))?;
        equal(users()?, [1, 0, 3])
    })
}

fn nobody_has_rights_of_others_here() -> Checked {
    equal(known(bsd::issetugid())?, false)
}

/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITIES_3: u32 = 0x2008_0522;
const NONE: [[u32; 3]; 2] = [[0; 3]; 2];
/// 41 of them, in two words; none is inherited.
const EVERY: [[u32; 3]; 2] = [[u32::MAX, u32::MAX, 0], [0x1ff, 0x1ff, 0]];

fn root_has_every_capability_and_others_none() -> Checked {
    as_root()?;
    let mut mine = [CAPABILITIES_3, 0];
    equal(known(capabilities(&mut mine))?, EVERY)?;
    in_child(|| {
        set_users([SAME, 1000, SAME])?;
        equal(capabilities(&mut [CAPABILITIES_3, 0])?, EVERY.map(|[_, permitted, _]| [0, permitted, 0]))?;
        set_users([0, 0, 0])?;
        set_user(1000)?;
        equal(capabilities(&mut [CAPABILITIES_3, 0])?, NONE)?;
        // Anybody may know that init has them.
        equal(capabilities(&mut [CAPABILITIES_3, 1])?, EVERY)
    })?;
    let mut unknown = [7, 0];
    refused(capabilities(&mut unknown), Errno::INVAL)?;
    equal(unknown, [CAPABILITIES_3, 0])?;
    refused(capabilities(&mut [CAPABILITIES_3, u32::MAX]), Errno::INVAL)?;
    refused(capabilities(&mut [CAPABILITIES_3, 0x3fff_ffff]), Errno::SRCH)
}

fn a_part_of_roots_power_cannot_be_given_up() -> Checked {
    on_tine()?;
    as_root()?;
    let mut mine = [CAPABILITIES_3, 0];
    known(set_capabilities(&mut mine, &EVERY))?;
    refused(set_capabilities(&mut mine, &NONE), Errno::PERM)?;
    refused(set_capabilities(&mut [CAPABILITIES_3, 1], &EVERY), Errno::PERM)
}
