//! Mutants: whatever a document or its headers hold, reader and judge answer and never panic.
//!
//! `BODRELAY_FUZZ_SECONDS` (3) bounds the time, `BODRELAY_FUZZ_SEED` repeats a run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bodrelay::bod::envelope::{Envelope, read};
use bodrelay::bod::judge::judge;
use bodrelay::domain::failure::Failure;
use bodrelay::domain::message::Verdict;
use bodrelay::domain::plan::ConnectionPoint;
use proptest::prelude::*;
use quick_xml::events::Event;

use crate::given::*;

/// One random change: flip a byte, cut, repeat or drop a piece, insert a token that parsers stumble over.
fn mutate(random: &mut fastrand::Rng, document: &mut Vec<u8>) {
    const TOKENS: &[&[u8]] = &[
        b"<",
        b">",
        b"&",
        b";",
        b"'",
        b"\"",
        b"=",
        b"/",
        b"<!--",
        b"-->",
        b"--",
        b"<![CDATA[",
        b"]]>",
        b"<?",
        b"?>",
        b"<?xml version='1.0'?>",
        b"<!DOCTYPE a>",
        b"&amp;",
        b"&#0;",
        b"&x;",
        b"\0",
        b"\xFF",
        b"\xEF\xBB\xBF",
        b"\xEF\xBF\xBF",
        b" xmlns:a=''",
        b" xmlns='u'",
        b" a='1'",
        b"<a:b/>",
        b"</",
        b"/>",
        b"<DataArea>",
        b":",
    ];
    let at = random.usize(..=document.len());
    let to = (at + random.usize(..64)).min(document.len());
    match random.u8(..6) {
        0 if at < document.len() => document[at] = random.u8(..),
        1 if at < document.len() => document[at] ^= 1 << random.u8(..8),
        2 => document.truncate(at),
        3 => {
            let piece = document[at..to].to_vec();
            let target = random.usize(..=document.len());
            document.splice(target..target, piece);
        }
        4 => drop(document.drain(at..to)),
        _ => {
            let token = TOKENS[random.usize(..TOKENS.len())];
            document.splice(at..at, token.iter().copied());
        }
    }
}

/// The event reader that all of XML is left to where it is not plain: whether it can read a document to its end, and how
/// many elements it finds.
fn elements_by_the_event_reader(document: &str) -> Option<usize> {
    let mut reader = quick_xml::Reader::from_str(document);
    reader.config_mut().check_comments = true;
    let mut elements = 0;
    loop {
        match reader.read_event().ok()? {
            Event::Start(_) | Event::Empty(_) => elements += 1,
            Event::Eof => return Some(elements),
            _ => {}
        }
    }
}

/// What holds for every document whatsoever.
fn hold(document: &[u8], point: &ConnectionPoint, bod_type: &str) {
    let result: Result<Envelope, Failure> =
        read(document, Some("DataArea/SalesOrder/SalesOrderHeader/DocumentID/ID"));
    if let Ok(envelope) = &result {
        assert_eq!(envelope.root, format!("{}{}", envelope.verb, envelope.noun));
        let elements = elements_by_the_event_reader(std::str::from_utf8(document).unwrap());
        // Root, data area, verb and nouns at least.
        assert!(
            envelope.instances > 0 && elements.is_some_and(|elements| elements >= 3 + envelope.instances)
        );
    }
    let entry = entry(bod_type, document.to_vec(), &[]);
    let judged = judge(&entry, point);
    match judged.verdict {
        Verdict::Send(parcel) => assert!(result.is_ok() && parcel.payload == document),
        Verdict::Fail(failure) => assert!(failure.text.chars().count() <= 2000),
        Verdict::Park(park) => panic!("parked: {park:?}"),
    }
    let deflated = crate::given::entry(bod_type, document.to_vec(), &[("Compression", "DEFLATE")]);
    judge(&deflated, point);
}

#[test]
fn mutants_are_judged_and_never_panic() {
    let seed = std::env::var("BODRELAY_FUZZ_SEED").ok().map(|seed| seed.parse().unwrap());
    let seconds = std::env::var("BODRELAY_FUZZ_SECONDS").ok().map_or(3, |seconds| seconds.parse().unwrap());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("BODRELAY_FUZZ_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let point = point();
    let good: Vec<_> = good().into_iter().collect();
    let bad: Vec<_> = fixture_files("bods/bad").into_values().collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut rounds = 0_u64;
    while Instant::now() < end {
        let (name, document) = &good[random.usize(..good.len())];
        let mut mutant = if random.u8(..8) == 0 {
            bad[random.usize(..bad.len())].clone()
        } else {
            document.clone().into_bytes()
        };
        for _ in 0..random.u8(1..4) {
            mutate(&mut random, &mut mutant);
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| hold(&mutant, &point, name)));
        assert!(outcome.is_ok(), "seed {seed}, round {rounds}: {}", String::from_utf8_lossy(&mutant));
        rounds += 1;
    }
    println!("{rounds} mutants");
    assert!(rounds > 100);
}

proptest! {
    #[test]
    fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        hold(&bytes, &point(), "Sync.SalesOrder");
    }

    #[test]
    fn any_headers_are_judged(
        headers in proptest::collection::vec(("[A-Za-z_ ]{0,20}|DocumentId|MessageId|BODType", ".{0,300}"), 0..8),
    ) {
        let mut entry = entry("Sync.SalesOrder", document("Sync.SalesOrder"), &[]);
        entry.headers.extend(headers);
        let judged = judge(&entry, &point());
        prop_assert!(judged.message_id.chars().count() <= 128);
        prop_assert!(judged.facts.document_id.as_ref().is_none_or(|id| id.chars().count() <= 100));
    }
}
