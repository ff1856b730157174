use std::sync::Arc;
use std::vec::Vec;

use crate::fs::block::queue::{Completion, Kind, Queue, Request};

fn queue(requests: &[(Kind, u64, u64)]) -> Queue {
    let mut queue = Queue::new();
    for &(kind, first, end) in requests {
        queue.push(Request { kind, pages: first..end, completion: Arc::new(Completion::new()) }).unwrap();
    }
    queue
}

/// All transfers, as kind, pages, and how many requests.
fn transfers(mut queue: Queue) -> Vec<(Kind, u64, u64, usize)> {
    let next = || queue.take(16).map(|batch| (batch.kind, batch.pages.start, batch.pages.end, batch.requests.len()));
    core::iter::from_fn(next).collect()
}

#[test]
fn neighbours_of_one_kind_become_one_transfer() {
    use Kind::{Read, Write};
    let queue = queue(&[(Read, 4, 6), (Read, 0, 2), (Write, 6, 7), (Read, 2, 4), (Write, 7, 9), (Read, 20, 21)]);
    assert_eq!(transfers(queue), [(Read, 0, 6, 3), (Write, 6, 9, 2), (Read, 20, 21, 1)]);
}

#[test]
fn a_transfer_has_only_so_many_pages_but_for_one_request_that_has_more() {
    use Kind::Write;
    let pages = queue(&[(Write, 0, 10), (Write, 10, 16), (Write, 16, 17), (Write, 17, 50), (Write, 50, 51)]);
    assert_eq!(transfers(pages), [(Write, 0, 16, 2), (Write, 16, 17, 1), (Write, 17, 50, 1), (Write, 50, 51, 1)]);
}

#[test]
fn who_asks_for_the_same_or_part_of_it_gets_one_transfer() {
    use Kind::Read;
    let pages = queue(&[(Read, 3, 9), (Read, 3, 4), (Read, 5, 8), (Read, 8, 12)]);
    assert_eq!(transfers(pages), [(Read, 3, 12, 4)]);
}

#[test]
fn a_sweep_goes_on_where_it_is_and_begins_again_at_the_lowest() {
    use Kind::Read;
    let mut queue = queue(&[(Read, 50, 51), (Read, 100, 101)]);
    assert_eq!(queue.take(16).unwrap().pages, 50..51);
    for first in [10, 70] {
        let completion = Arc::new(Completion::new());
        queue.push(Request { kind: Read, pages: first..first + 1, completion }).unwrap();
    }
    let order: Vec<u64> = transfers(queue).iter().map(|transfer| transfer.1).collect();
    assert_eq!(order, [70, 100, 10]);
}

#[test]
fn a_completion_tells_the_first_page_that_failed() {
    let completion = Completion::new();
    assert_eq!((completion.is_done(), completion.failed()), (false, None));
    completion.fail(7);
    completion.fail(3);
    completion.fail(5);
    completion.finish();
    assert_eq!((completion.is_done(), completion.failed()), (true, Some(3)));
}
