//! Path resolution against the simplest thing that could be right: a list of components that links are spliced into.

use std::collections::{BTreeMap, VecDeque};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::support::{Item, directory, file, symlink, tree};
use crate::fs::{AccessId, Base, FileError, Follow, MAX_LINKS, resolve};

const USER: AccessId<'static> = AccessId { uid: 1, gid: 1, groups: &[] };

#[derive(Clone, Debug)]
enum Thing {
    Directory { searchable: bool },
    File,
    Link(String),
}

/// By canonical path, without the leading slash.
type Model = BTreeMap<String, Thing>;

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_string() } else { format!("{directory}/{name}") }
}

/// A trailing slash becomes an empty component.
fn cut(path: &str) -> VecDeque<String> {
    let mut parts: VecDeque<_> = path.split('/').filter(|part| !part.is_empty()).map(String::from).collect();
    if path.ends_with('/') {
        parts.push_back(String::new());
    }
    parts
}

fn walk(model: &Model, path: &str, follow: Follow, root: bool) -> Result<String, FileError> {
    if path.is_empty() {
        return Err(FileError::NotFound);
    }
    let mut todo = cut(path);
    let mut at = String::new();
    let mut links = 0;
    while let Some(part) = todo.pop_front() {
        let Some(Thing::Directory { searchable }) = model.get(&at) else {
            return Err(FileError::NotDirectory);
        };
        if part.is_empty() {
            continue;
        }
        if !searchable && !root {
            return Err(FileError::Denied);
        }
        match part.as_str() {
            "." => continue,
            ".." => {
                at = at.rsplit_once('/').map_or(String::new(), |(above, _)| above.to_string());
                continue;
            }
            _ => {}
        }
        let child = join(&at, &part);
        match model.get(&child) {
            None => return Err(FileError::NotFound),
            Some(Thing::Link(target)) if !todo.is_empty() || follow == Follow::Yes => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(FileError::TooManyLinks);
                }
                if target.starts_with('/') {
                    at = String::new();
                }
                let mut spliced = cut(target);
                // A slash at the end of a target asks for nothing more than the component behind it does.
                if spliced.back().is_some_and(String::is_empty) && !todo.is_empty() {
                    spliced.pop_back();
                }
                spliced.extend(todo);
                todo = spliced;
            }
            Some(_) => at = child,
        }
    }
    Ok(at)
}

/// Makes a tree of made-up names; what does not fit is left out.
fn grow(things: &[(Vec<usize>, Thing)]) -> Model {
    let mut model = Model::from([(String::new(), Thing::Directory { searchable: true })]);
    for (places, thing) in things {
        let names: Vec<_> = places.iter().map(|place| ["a", "b", "c"][*place]).collect();
        let Some((name, above)) = names.split_last() else { continue };
        let above = above.join("/");
        let child = join(&above, name);
        if matches!(model.get(&above), Some(Thing::Directory { .. })) && !model.contains_key(&child) {
            model.insert(child, thing.clone());
        }
    }
    model
}

fn items(model: &Model) -> Vec<Item> {
    let item = |(path, thing): (&String, &Thing)| match thing {
        _ if path.is_empty() => directory("."),
        Thing::Directory { searchable: true } => directory(path),
        Thing::Directory { searchable: false } => Item::new(path, 0o40_700, b""),
        Thing::File => file(path, path.as_bytes()),
        Thing::Link(target) => symlink(path, target),
    };
    model.iter().map(item).collect()
}

fn path() -> impl Strategy<Value = String> {
    let part =
        prop_oneof![8 => "[abc]", 2 => Just("..".to_string()), 1 => Just(".".to_string()), 1 => Just(String::new())];
    (any::<bool>(), proptest::collection::vec(part, 1..6), any::<bool>()).prop_map(|(absolute, parts, slash)| {
        let (start, end) = (if absolute { "/" } else { "" }, if slash { "/" } else { "" });
        format!("{start}{}{end}", parts.join("/"))
    })
}

fn thing() -> impl Strategy<Value = (Vec<usize>, Thing)> {
    let kind = prop_oneof![
        5 => Just(Thing::Directory { searchable: true }),
        1 => Just(Thing::Directory { searchable: false }),
        2 => Just(Thing::File),
        5 => path().prop_filter("an empty target", |path| !path.is_empty()).prop_map(Thing::Link),
    ];
    (proptest::collection::vec(0_usize..3, 1..4), kind)
}

proptest! {
    #![proptest_config(super::support::doses(4, 1500))]

    #[test]
    #[cfg_attr(miri, ignore = "generating names takes minutes there")]
    fn paths_lead_where_the_naive_walk_leads(
        things in proptest::collection::vec(thing(), 0..30),
        paths in proptest::collection::vec((path(), any::<bool>(), any::<bool>()), 1..30),
    ) {
        let model = grow(&things);
        let context = tree(&items(&model));
        for (path, follows, as_root) in paths {
            let follow = if follows { Follow::Yes } else { Follow::No };
            let id = if as_root { AccessId::ROOT } else { USER };
            let found = resolve(&context, Base::Working, path.as_bytes(), follow, id).map(|inode| inode.id().inode);
            let expected = walk(&model, &path, follow, as_root).map(|canonical| {
                let canonical = format!("/{canonical}");
                let there = resolve(&context, Base::Working, canonical.as_bytes(), Follow::No, AccessId::ROOT);
                there.unwrap().id().inode
            });
            prop_assert_eq!(found, expected, "{} in {:?}", path, model);
        }
    }
}
