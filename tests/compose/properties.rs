//! Any rows become a well-formed document that reads back to the same values, through our own reader and another one.

use std::collections::HashSet;

use bodrelay::bod::compose::{Batch, Failed, Layout, Made, Part, PartRows, Value, Wanted, compose};
use bodrelay::bod::envelope;
use bodrelay::domain::change::Action;
use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::Event;

fn wanted(max_bytes: usize) -> Wanted<'static> {
    Wanted {
        document_no: 1,
        tenant_id: "ACME_TST",
        logical_id: "lid://acme.erp.plant1",
        verb: "Sync",
        noun: "Note",
        document_id: "4711",
        accounting_entity: "100",
        document_location: "",
        action: Action::Replace,
        variation_id: 1_700_000_000_000,
        now: "2026-03-02T08:15:30.120Z".parse().unwrap(),
        namespace: None,
        document_id_path: None,
        max_bytes,
        document_key: "00112233445566778899aabbccddeeff",
    }
}

fn part(part_no: i64, parent: Option<i64>, path: Option<&str>, splits: bool) -> Part {
    Part { part_no, parent_part_no: parent, element_path: path.map(str::to_owned), splits }
}

fn columns(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn make(
    parts: &[(Part, Vec<String>)],
    rows: Vec<Vec<Vec<Value>>>,
    wanted: &Wanted<'_>,
) -> Result<Vec<Made>, Failed> {
    let rows: Vec<PartRows> = rows
        .into_iter()
        .zip(parts)
        .map(|(rows, (_, columns))| PartRows { columns: columns.clone(), rows, milliseconds: 0 })
        .collect();
    let layout = Layout::read(parts)?;
    let batch = Batch::read(&layout, rows.iter().collect(), &HashSet::from([1]))?;
    compose(&batch, wanted)
}

/// The text of an element and its attribute `x`.
type Found = (String, Option<String>);

/// Texts of every `<T>` in order; `None`: it was not closed empty but is not there.
fn texts(xml: &str, name: &str) -> Vec<Found> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_comments = true;
    let (mut found, mut open): (Vec<Found>, Option<Found>) = (Vec::new(), None);
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return found,
            event @ (Event::Start(_) | Event::Empty(_)) => {
                let (tag, is_empty) = match &event {
                    Event::Start(tag) => (tag, false),
                    Event::Empty(tag) => (tag, true),
                    _ => unreachable!(),
                };
                if tag.name().as_ref() == name {
                    let attribute = tag.attributes().find_map(|attribute| {
                        let attribute = attribute.unwrap();
                        (attribute.key.as_ref() == "x")
                            .then(|| quick_xml::escape::unescape(&attribute.value).unwrap().into_owned())
                    });
                    if is_empty {
                        found.push((String::new(), attribute));
                    } else {
                        open = Some((String::new(), attribute));
                    }
                }
            }
            Event::Text(text) => {
                if let Some((so_far, _)) = &mut open {
                    so_far.push_str(&text);
                }
            }
            Event::GeneralRef(reference) => {
                if let Some((so_far, _)) = &mut open {
                    so_far.push_str(&quick_xml::escape::unescape(&format!("&{};", &*reference)).unwrap());
                }
            }
            Event::End(tag) if tag.name().as_ref() == name => found.extend(open.take()),
            _ => {}
        }
    }
}

/// Text that XML can hold, with everything odd in it.
fn any_text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            Just("]]>".to_owned()),
            Just("&amp;".to_owned()),
            Just("<x>\"'\t\n\r\n".to_owned()),
            Just("😀\u{FFFD}\u{D7FF}".to_owned()),
            any::<char>()
                .prop_filter("XML's", |c| *c >= ' ' && !matches!(c, '\u{FFFE}' | '\u{FFFF}'))
                .prop_map(String::from),
        ],
        0..8,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// As many elements as rows, each with its text and attribute, NULL left out, empty kept.
    #[test]
    fn rows_read_back(rows in prop::collection::vec((any_text(), prop::option::of(any_text())), 0..20)) {
        let parts = [
            (part(0, None, None, false), columns(&["document_no", "DocumentID/ID"])),
            (part(1, None, Some("Lines/T"), false), columns(&["document_no", "@x", "text()"])),
        ];
        let lines = rows.iter().map(|(text, attribute)| {
            let attribute = attribute.clone().map_or(Value::Null, Value::Text);
            vec![Value::Integer(1), attribute, Value::Text(text.clone())]
        });
        let first = vec![vec![Value::Integer(1), Value::Text("4711".into())]];
        let made = make(&parts, vec![first, lines.collect()], &wanted(5_000_000)).unwrap();
        prop_assert_eq!(made.len(), 1);
        let xml = &made[0].xml;
        prop_assert_eq!(texts(xml, "T"), rows);
        let read = envelope::read(xml.as_bytes(), None).unwrap();
        prop_assert_eq!(read.document.id.as_deref(), Some("4711"));
        let variation = read.nid.and_then(|nid| nid.variation_id);
        prop_assert_eq!(variation.as_deref(), Some("1700000000000"));
        prop_assert_eq!((read.verb.as_str(), read.noun.as_str()), ("Sync", "Note"));
    }

    /// However small the limit: every member is within it and well-formed by itself, has the rest of the document, and all
    /// rows are there once, in their order.
    #[test]
    fn a_batch_has_every_row_once(lengths in prop::collection::vec(0_usize..600, 1..60), limit in 2_100_usize..4_000) {
        let parts = [
            (part(0, None, None, false), columns(&["document_no", "Head/Title", "DocumentID/ID"])),
            (part(1, None, Some("Lines/T"), true), columns(&["document_no", "text()"])),
        ];
        let first = vec![vec![Value::Integer(1), Value::Text("title".into()), Value::Text("4711".into())]];
        let texts_in: Vec<String> =
            lengths.iter().enumerate().map(|(n, length)| format!("{n}:{}", "x".repeat(*length))).collect();
        let rows = texts_in.iter().map(|text| vec![Value::Integer(1), Value::Text(text.clone())]).collect();
        let made = make(&parts, vec![first, rows], &wanted(limit)).unwrap();
        let mut seen = Vec::new();
        for (member, sequence) in made.iter().zip(1..) {
            prop_assert!(member.xml.len() <= limit, "{} > {limit}", member.xml.len());
            let read = envelope::read(member.xml.as_bytes(), None).unwrap();
            prop_assert_eq!(read.document.id.as_deref(), Some("4711"));
            prop_assert!(member.xml.contains("<Title>title</Title>"));
            seen.extend(texts(&member.xml, "T").into_iter().map(|(text, _)| text));
            let header = |key: &str| member.headers.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
            if made.len() > 1 {
                prop_assert_eq!(header("BatchSequence"), Some(sequence.to_string()));
                prop_assert_eq!(header("BatchSize"), Some(made.len().to_string()));
                let batch = format!("batchID={}&amp;batchSequence={sequence}&amp;batchSize={}", header("BatchId").unwrap(), made.len());
                prop_assert!(member.xml.contains(&batch), "{}", member.xml);
            } else {
                prop_assert_eq!(header("BatchId"), None);
            }
        }
        prop_assert_eq!(seen, texts_in);
    }
}

fn refusal(parts: &[(Part, Vec<String>)], rows: Vec<Vec<Vec<Value>>>) -> String {
    match make(parts, rows, &wanted(5_000)) {
        Err(Failed::Refused(refusal)) => refusal.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_wrong_names_part_row_and_column() {
    let head = || (part(0, None, None, false), columns(&["document_no", "A"]));
    let line = || (part(1, None, Some("Line"), false), columns(&["document_no", "row_key", "Note"]));
    let inner = || (part(2, Some(1), Some("Inner"), false), columns(&["document_no", "parent_key", "N"]));
    let text = |text: &str| Value::Text(text.into());
    let one = |values: Vec<Value>| vec![[vec![Value::Integer(1)], values].concat()];
    let good = || one(vec![text("a")]);

    let lines = vec![
        vec![Value::Integer(1), text("k"), text("fine")],
        vec![Value::Integer(1), text("l"), text("b\u{2}")],
    ];
    let said = refusal(&[head(), line()], vec![good(), lines]);
    assert_eq!(said, "part 1, row 2, column 'Note': the character U+0002 at place 2 is not allowed in XML");

    let said = refusal(&[head()], vec![[good(), good()].concat()]);
    assert!(said.contains("part 0: 2 rows for one document"), "{said}");

    let said = refusal(&[head()], vec![vec![vec![Value::Integer(7), text("a")]]]);
    assert!(said.contains("row 1, column 'document_no': names no document of the batch"), "{said}");
    let said = refusal(&[head()], vec![vec![vec![Value::Null, text("a")]]]);
    assert!(said.contains("names no document of the batch"), "{said}");

    let said = refusal(
        &[head(), line(), inner()],
        vec![good(), one(vec![text("k"), Value::Null]), one(vec![text("no"), text("n")])],
    );
    assert!(
        said.contains("part 2, row 1, column 'parent_key': no row of part 1 has the row_key 'no'"),
        "{said}"
    );
    let twice = [one(vec![text("k"), Value::Null]), one(vec![text("k"), Value::Null])].concat();
    let said = refusal(&[head(), line(), inner()], vec![good(), twice, Vec::new()]);
    assert!(said.contains("part 1, row 2, column 'row_key': has the row_key of an earlier row"), "{said}");

    let said = refusal(&[head()], vec![one(vec![text(&"x".repeat(6_000))])]);
    assert!(said.contains("5000 are allowed") && said.contains("split_batch"), "{said}");
    let splits = (part(1, None, Some("Line"), true), columns(&["document_no", "Note"]));
    let said = refusal(&[head(), splits], vec![good(), one(vec![text(&"x".repeat(6_000))])]);
    assert!(said.contains("part 1, row 1") && said.contains("make the row smaller"), "{said}");

    for (parts, why) in [
        (vec![line()], "part 0: is missing"),
        (vec![head(), (part(1, None, None, false), columns(&["document_no"]))], "element_path is empty"),
        (vec![head(), (part(1, None, Some("A/"), false), columns(&["document_no"]))], "'' is not the name"),
        (
            vec![head(), (part(1, Some(5), Some("L"), false), columns(&["document_no"]))],
            "no such part before it",
        ),
        (
            vec![head(), (part(1, None, Some("L"), false), columns(&["document_no"])), inner()],
            "row_key is missing",
        ),
        (
            vec![head(), line(), (part(2, Some(1), Some("I"), false), columns(&["document_no"]))],
            "0 columns parent_key, but part 1 has 1",
        ),
        (
            vec![head(), line(), (part(2, None, Some("Line/Inner"), false), columns(&["document_no"]))],
            "set parent_part_no = 1",
        ),
        (vec![(part(0, None, None, false), columns(&["document_no", "A/part(3)"]))], "there is no part 3"),
        (
            vec![
                head(),
                line(),
                (part(2, Some(1), Some("I"), true), columns(&["document_no", "parent_key"])),
            ],
            "split_batch",
        ),
    ] {
        let said = Layout::read(&parts).unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn ids_of_every_odd_character() {
    let parts = [(part(0, None, None, false), columns(&["document_no", "DocumentID/ID"]))];
    for id in ["a:b?c&d=e;f#g", "ä😀'\"<>", " 12", "x/../y", "%00\\", "1".repeat(100).as_str()] {
        let wanted = Wanted { document_id: id, ..wanted(50_000) };
        let rows = vec![vec![vec![Value::Integer(1), Value::Text(id.into())]]];
        let made = make(&parts, rows, &wanted).unwrap();
        let read = envelope::read(made[0].xml.as_bytes(), None).unwrap();
        assert_eq!(read.document.id.as_deref(), Some(id.trim()), "{id}");
        assert_eq!(read.nid.unwrap().document_id.as_deref(), Some(id.trim()), "{id}");
    }
    for (id, why) in [("a\u{1}", "U+0001"), ("a\tb", "tab"), ("a\nb", "line end")] {
        let wanted = Wanted { document_id: id, ..wanted(50_000) };
        let rows = vec![vec![vec![Value::Integer(1), Value::Text("x".into())]]];
        match make(&parts, rows, &wanted) {
            Err(Failed::Refused(refusal)) => assert!(refusal.to_string().contains(why), "{refusal}"),
            other => panic!("{id}: {other:?}"),
        }
    }
}

#[test]
fn a_deleted_document_needs_no_row() {
    let parts =
        [(part(0, None, Some("NoteHeader"), false), columns(&["document_no", "DocumentID/ID", "Title"]))];
    let deleted = |path| {
        let wanted = Wanted { action: Action::Delete, document_id_path: path, ..wanted(5_000) };
        make(&parts, vec![Vec::new()], &wanted).unwrap()[0].xml.clone()
    };
    let id =
        "<ID accountingEntity=\"100\" lid=\"lid://acme.erp.plant1\" variationID=\"1700000000000\">4711</ID>";
    let xml = deleted(None);
    assert!(
        xml.contains(&format!("<Note><NoteHeader><DocumentID>{id}</DocumentID></NoteHeader></Note>")),
        "{xml}"
    );
    assert!(xml.contains("actionCode=\"Delete\""), "{xml}");
    let xml = deleted(Some("DataArea/Note/Own/Number"));
    assert!(xml.contains("<Note><Own><Number ") && xml.contains(">4711</Number></Own></Note>"), "{xml}");
    let other = Wanted { action: Action::Replace, ..wanted(5_000) };
    assert_eq!(make(&parts, vec![Vec::new()], &other), Err(Failed::NoRow));
}
