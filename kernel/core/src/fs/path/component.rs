//! A path, cut at its slashes.

/// What stands behind a component.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tail {
    /// Nothing.
    End,
    /// Slashes, then nothing.
    Slashes,
    /// More components.
    More,
}

/// A component of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Component<'a> {
    pub(super) name: &'a [u8],
    pub(super) tail: Tail,
    /// Where the next one begins.
    pub(super) next: usize,
}

/// The component at `from`, where a component or slashes before one stand; `None` when only slashes are left.
pub(super) fn component(path: &[u8], from: usize) -> Option<Component<'_>> {
    let rest = path.get(from..)?;
    let start = rest.iter().position(|&byte| byte != b'/')?;
    let rest = rest.get(start..)?;
    let end = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
    let (name, behind) = rest.split_at_checked(end)?;
    let slashes = behind.iter().position(|&byte| byte != b'/');
    let (tail, skipped) = match (slashes, behind) {
        (Some(slashes), _) => (Tail::More, slashes),
        (None, []) => (Tail::End, 0),
        (None, slashes) => (Tail::Slashes, slashes.len()),
    };
    let next = from.saturating_add(start).saturating_add(end).saturating_add(skipped);
    Some(Component { name, tail, next })
}
