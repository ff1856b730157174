//! The cache of names, against the directories whose names it keeps.

use core::cell::Cell;
use std::collections::BTreeMap;
use std::format;
use std::string::String;

use proptest::prelude::*;

use crate::fs::FileError;
use crate::fs::name_cache::NameCache;
use crate::hal::fake::FakeCpu;

/// What a lookup says, and whether the directory was searched for it.
fn find(cache: &NameCache<FakeCpu>, directory: u64, name: &str, there: Option<u64>) -> (Option<u64>, bool) {
    let is_searched = Cell::new(false);
    let found = cache.find(directory, name.as_bytes(), || {
        is_searched.set(true);
        Ok::<_, FileError>(there)
    });
    (found.unwrap(), is_searched.get())
}

#[test]
fn a_directory_is_searched_once_for_a_name_whether_it_has_it_or_not() {
    let cache = NameCache::new();
    for (name, file) in [("there", Some(7)), ("not there", None)] {
        assert_eq!(find(&cache, 1, name, file), (file, true));
        assert_eq!(find(&cache, 1, name, Some(99)), (file, false));
    }
    assert_eq!(find(&cache, 2, "there", None), (None, true), "another directory");
}

#[test]
fn a_changed_directory_is_searched_again_and_others_are_not() {
    let cache = NameCache::new();
    find(&cache, 1, "name", None);
    find(&cache, 2, "name", Some(20));
    cache.forget(1);
    assert_eq!(find(&cache, 1, "name", Some(10)), (Some(10), true));
    assert_eq!(find(&cache, 2, "name", None), (Some(20), false));
}

#[test]
fn what_was_found_before_a_change_is_not_kept_after_it() {
    let cache = NameCache::<FakeCpu>::new();
    let found = cache.find(1, b"name", || {
        cache.forget(1);
        Ok::<_, FileError>(Some(10))
    });
    assert_eq!(found, Ok(Some(10)));
    assert_eq!(find(&cache, 1, "name", None), (None, true));
}

#[test]
fn a_search_that_fails_is_done_again() {
    let cache = NameCache::<FakeCpu>::new();
    assert_eq!(cache.find(1, b"name", || Err(FileError::Io)), Err(FileError::Io));
    assert_eq!(find(&cache, 1, "name", Some(3)), (Some(3), true));
}

#[test]
fn a_name_that_is_asked_for_again_and_again_stays_while_thousands_pass() {
    let cache = NameCache::new();
    find(&cache, 1, "often", Some(1));
    for number in 0..5000 {
        assert_eq!(find(&cache, 1, &format!("once {number}"), Some(number)), (Some(number), true));
        assert_eq!(find(&cache, 1, "often", None), (Some(1), false), "after {number} others");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn names_stand_for_what_the_directories_say(steps in prop::collection::vec((0..3_u64, 0..40_u8, 0..4_u8), 1..400)) {
        let cache = NameCache::new();
        let mut directories = BTreeMap::<(u64, String), u64>::new();
        for (number, (directory, name, what)) in (100..).zip(steps) {
            let key = (directory, format!("file {name}"));
            let change = match what {
                0 => directories.insert(key.clone(), number) != Some(number),
                1 => directories.remove(&key).is_some(),
                _ => false,
            };
            if change {
                cache.forget(directory);
            }
            let there = directories.get(&key).copied();
            prop_assert_eq!(find(&cache, directory, &key.1, there).0, there);
        }
    }
}
