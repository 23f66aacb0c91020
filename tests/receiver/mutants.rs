//! Requests that were right until something changed: each is taken or refused, none hangs, none is a 5xx.

use std::collections::BTreeSet;

use super::*;

#[test]
fn a_changed_request_is_taken_or_refused() {
    const MUTANTS: usize = 600;
    let seed = site::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let inbox = Inbox::new("body_seconds = 5");
    let _agent = inbox.start();
    let mut caller = inbox.caller();
    let mut taken = BTreeSet::new();
    let mut refused = 0;
    for number in 0..MUTANTS {
        let id = ion_id(&format!("m{number}"));
        let mut body = message(&item(&id), document(&format!("IT-{number}"), 7));
        for _ in 0..random.usize(1..4) {
            let (at, other) = (random.usize(..body.len()), random.usize(..body.len()));
            match random.u8(..6) {
                0 => body[at] = random.u8(..),
                1 => body.truncate(at.max(1)),
                2 => body.insert(at, random.u8(..)),
                3 => drop(body.remove(at)),
                4 => body.swap(at, other),
                // A piece twice.
                _ => {
                    let end = (at + random.usize(1..80)).min(body.len());
                    let piece = body[at..end].to_vec();
                    body.splice(at..at, piece);
                }
            }
        }
        let answer = caller.post(V3, &[TENANT], &body);
        let answer = answer.unwrap_or_else(|error| panic!("seed {seed}, mutant {number}: {error}"));
        match answer.status {
            202 => {
                taken.insert(body);
            }
            400 | 412 => {
                answer.code();
                refused += 1;
            }
            _ => panic!("seed {seed}, mutant {number}: {answer:?}"),
        }
    }
    assert!(refused > MUTANTS / 4, "{refused} refused");
    assert!(!taken.is_empty());
    // A changed id may make two of them one; nothing else makes fewer rows, and nothing makes more.
    assert!(inbox.rows() <= i64::try_from(taken.len()).unwrap());
    assert!(inbox.rows() * 10 >= i64::try_from(taken.len()).unwrap() * 9);
}
