//! The reader: good fixtures read whole, bad ones refused with code and place, and the letter of XML.

use std::collections::BTreeMap;

use bodrelay::bod::envelope::read;

use crate::given::*;

#[test]
fn reads_every_good_fixture() {
    let good = good();
    assert!(good.len() >= 15);
    for (name, document) in &good {
        assert!((2000..=6500).contains(&document.len()), "{name} has {} bytes", document.len());
        let envelope = read(document.as_bytes(), None).unwrap();
        assert_eq!(format!("{}.{}", envelope.verb, envelope.noun), *name);
        assert_eq!(envelope.root, name.replace('.', ""));
        assert_eq!(envelope.sender_logical_id.as_deref(), Some(OWN), "{name}");
        assert_eq!(envelope.creation_date_time.as_deref(), Some("2026-03-02T08:15:30.120Z"));
        assert_eq!(envelope.tenant.as_deref(), Some("ACME_TST"));
        assert_eq!(envelope.accounting_entity.as_deref(), Some("AE10"));
        assert_eq!(envelope.location.as_deref(), Some("WH1"));
        let found = &envelope.namespaces;
        for namespace in [&found.root, &found.application_area, &found.data_area, &found.verb, &found.noun] {
            assert_eq!(namespace.as_deref(), Some(NAMESPACE));
        }
        let nid = envelope.nid.unwrap();
        assert_eq!(nid.verb.as_deref(), Some(envelope.verb.as_str()), "{name}");
        assert_eq!(nid.noun.as_deref(), Some(envelope.noun.as_str()), "{name}");
        let replies = ["Acknowledge.SalesOrder", "Show.ItemMaster", "Confirm.BOD", "Process.SalesOrder"];
        if replies.contains(&name.as_str()) {
            assert_eq!(nid.variation_id, None, "{name}");
        } else {
            assert_eq!(nid.variation_id.as_deref(), Some("7"), "{name}");
        }
        assert_eq!(envelope.instances, if name == "Show.ItemMaster" { 5 } else { 1 });
    }
}

#[test]
fn reads_what_the_first_noun_says_of_itself() {
    let purchase_order = read(document("Sync.PurchaseOrder").as_bytes(), None).unwrap();
    let identity = purchase_order.document;
    assert_eq!(identity.id, some("D-100"));
    assert_eq!(identity.accounting_entity, some("AE10"));
    assert_eq!(identity.location, some("WH1"));
    assert_eq!(identity.lid, some(OWN));
    assert_eq!(identity.variation_id, some("7"));
    assert_eq!(identity.revision_id, some("3"));

    // Directly in the noun, without a header.
    let party = read(document("Sync.SupplierPartyMaster").as_bytes(), None).unwrap();
    assert_eq!(party.document.id, some("D-100"));
    assert_eq!(party.document.revision_id, some("1"));

    // References to other documents are no identity.
    for name in ["Confirm.BOD", "Process.SalesOrder", "Sync.ItemMaster", "Show.ItemMaster"] {
        assert_eq!(read(document(name).as_bytes(), None).unwrap().document.id, None, "{name}");
    }
    let lines_only = "<SyncX><DataArea><Sync/><X><XHeader><A/></XHeader>\
                      <XLine><DocumentID><ID>LINE</ID></DocumentID></XLine></X></DataArea></SyncX>";
    assert_eq!(read(lines_only.as_bytes(), None).unwrap().document.id, None);
    let within = lines_only.replace("<A/>", "<DocumentID><ID>H</ID><RevisionID>2</RevisionID></DocumentID>");
    let identity = read(within.as_bytes(), None).unwrap().document;
    assert_eq!((identity.id, identity.revision_id), (some("H"), some("2")));
}

#[test]
fn body_id_arrives_whole() {
    let envelope = read(document("Sync.SalesOrder").as_bytes(), None).unwrap();
    let bod_id = "infor-nid:ACME_TST:AE10:WH1:D-100:?SalesOrder&verb=Sync&variationID=7";
    assert_eq!(envelope.bod_id.as_deref(), Some(bod_id));
    let nid = envelope.nid.unwrap();
    assert_eq!(nid.tenant, some("ACME_TST"));
    assert_eq!(nid.accounting_entity, some("AE10"));
    assert_eq!(nid.location, some("WH1"));
    assert_eq!(nid.document_id, some("D-100"));
    assert_eq!(nid.revision_id, None);

    let odd = "<SyncX><ApplicationArea><BODID>\n infor-nid:T: ::a:b&#x3f;c<!-- x --><![CDATA[&]]>:R?X&amp;Verb=Sync\
               &amp;variationID= </BODID></ApplicationArea><DataArea><Sync/><X/></DataArea></SyncX>";
    let envelope = read(odd.as_bytes(), None).unwrap();
    assert_eq!(envelope.bod_id.as_deref(), Some("infor-nid:T: ::a:b?c&:R?X&Verb=Sync&variationID="));
    let nid = envelope.nid.unwrap();
    assert_eq!(nid.document_id, some("a:b?c&"));
    assert_eq!((nid.accounting_entity, nid.revision_id), (None, some("R")));
    assert_eq!((nid.verb, nid.variation_id), (some("Sync"), None));

    let opaque = odd.replace("infor-nid:", "urn:");
    assert_eq!(read(opaque.as_bytes(), None).unwrap().nid, None);
}

#[test]
fn finds_the_document_id_at_a_path() {
    let at = |path: &str| -> Option<String> {
        read(document("Sync.ItemMaster").as_bytes(), Some(path)).unwrap().path_document_id
    };
    assert_eq!(at("DataArea/ItemMaster/ItemMasterHeader/ItemID/ID"), some("D-100"));
    assert_eq!(at("DataArea/ItemMaster/ItemMasterHeader/ItemID/ID/@variationID"), some("7"));
    assert_eq!(at("ApplicationArea/Sender/LogicalID"), some(OWN));
    assert_eq!(at("@releaseID"), None);
    assert_eq!(at("DataArea/ItemMaster/ItemMasterHeader"), None);
    assert_eq!(at("DataArea/ItemMaster/ItemID/ID"), None);
    assert_eq!(at(""), None);
    let second =
        read(document("Show.ItemMaster").as_bytes(), Some("DataArea/ItemMaster/ItemMasterHeader/ItemID/ID"));
    assert_eq!(second.unwrap().path_document_id, some("IT-4712"));
}

#[test]
fn every_bad_fixture_has_its_code_and_its_place() {
    let places = BTreeMap::from([
        ("dtd_not_allowed", "line 2, column 1, byte 22"),
        ("dtd_not_allowed.entity", "line 8, column 5"),
        ("empty_payload", "byte 0"),
        ("not_utf8", "byte 0xFC is not UTF-8 (line 9, column 57, byte 404"),
        ("not_utf8.declared", "encoding ISO-8859-1"),
        ("not_utf8.utf16", "is UTF-16"),
        ("not_xml", "line 1, column 1"),
        ("root_mismatch", "verb Sync and the noun ItemMaster (line 1, column 1"),
        ("root_mismatch.no_data_area", "has no DataArea"),
        ("root_mismatch.no_noun", "no noun"),
        ("two_noun_types", "ItemMaster and ItemSite in one document (line 10, column 5"),
        ("xml_cut_off", "5 elements still open"),
        ("xml_cut_off.in_attribute", "within the value of an attribute that begins here (line 1"),
        ("xml_cut_off.in_comment", "within a comment that begins here (line 8, column 5"),
        ("xml_malformed.ampersand", "'&' that begins no reference; it is written &amp; (line 5, column 44"),
        ("xml_malformed.attribute_twice", "the attribute lid is there twice (line 9, column 59"),
        ("xml_malformed.cdata_end", "']]>' in text"),
        ("xml_malformed.character_reference", "&#1; is not defined"),
        ("xml_malformed.comment", "'--' within a comment (line 8"),
        ("xml_malformed.control_character", "U+0001"),
        ("xml_malformed.declaration_not_first", "very start only (line 2, column 1"),
        ("xml_malformed.depth", "deeper than 256"),
        ("xml_malformed.end_tag", "</Sink> where </Sync> is due (line 8, column 33"),
        ("xml_malformed.entity", "&nbsp; is not defined"),
        ("xml_malformed.less_than_in_attribute", "'<' in the value of attribute lid (line 9"),
        ("xml_malformed.missing_quote", "line 9"),
        ("xml_malformed.prefix", "the prefix x is not declared (line 9, column 51"),
        ("xml_malformed.text_after_root", "text outside of the root element (line 12, column 1"),
        ("xml_malformed.two_roots", "a second root element, <SyncItemMaster> (line 12, column 1"),
        ("xml_malformed.unquoted_attribute", "attribute lid is not in quotes (line 9"),
    ]);
    let bad = fixture_files("bods/bad");
    assert_eq!(
        bad.keys().map(String::as_str).collect::<Vec<_>>(),
        places.keys().copied().collect::<Vec<_>>()
    );
    for (name, document) in bad {
        let failure = read(&document, None).expect_err(&name);
        let code = name.split('.').next().unwrap().to_uppercase();
        assert_eq!(failure.code, code, "{name}: {}", failure.text);
        let place = places[name.as_str()];
        assert!(failure.text.contains(place), "{name}: {place} is not in: {}", failure.text);
        // The judge says the same of it.
        let by_judge = judged("Sync.ItemMaster", document, &[]);
        assert_eq!(failure.text, crate::given::failure(&by_judge).text);
    }
}

#[test]
fn every_cut_is_cut_off() {
    let document = document("Sync.SalesOrder");
    for end in 1..document.trim_end().len() {
        let failure = read(&document.as_bytes()[..end], None).unwrap_err();
        // Within '<!' and the like nothing else can be told either.
        assert_eq!(failure.code, "XML_CUT_OFF", "{end}: {}", failure.text);
    }
}

#[test]
fn takes_what_xml_allows() {
    let simple = "<SyncX><DataArea><Sync/><X/></DataArea></SyncX>";
    let prefixed = "<p:SyncX xmlns:p='urn:a'><p:DataArea ><p:Sync\n/><p:X a = '>' xml:lang=\"en\"/></p:DataArea></p:SyncX\t>";
    for good in [
        simple.to_owned(),
        format!("\u{FEFF}{simple}"),
        format!(
            "\u{FEFF}<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\r\n{simple}\r\n<!-- end --><?pi x?>"
        ),
        format!("<?xml version=\"1.0\" encoding=\"US-ASCII\"?>{simple}"),
        format!("<!--a--><?p?>{simple}"),
        prefixed.to_owned(),
        simple.replace("<X/>", "<X>&lt;&gt;&amp;&quot;&apos;&#9;&#x10FFFF;]] > \u{85}\u{10000}</X>"),
        simple.replace("<X/>", "<X><![CDATA[ ]] > <a> & ]]></X>"),
        simple.replace("<X/>", "<X><é·à xmlns:q='urn:q' q:a='1' a='2'/></X>"),
    ] {
        let envelope =
            read(good.as_bytes(), None).unwrap_or_else(|failure| panic!("{good}: {}", failure.text));
        assert_eq!((envelope.verb.as_str(), envelope.noun.as_str()), ("Sync", "X"));
    }
    assert_eq!(read(prefixed.as_bytes(), None).unwrap().namespaces.noun.as_deref(), Some("urn:a"));
    // 'Confirm' and 'BOD' as much as longer names; the split is where verb and noun say.
    let odd = "<SyncSyncX><DataArea><SyncSync/><X/></DataArea></SyncSyncX>";
    assert_eq!(read(odd.as_bytes(), None).unwrap().verb, "SyncSync");
}

#[test]
fn refuses_what_xml_forbids() {
    let simple = "<SyncX><DataArea><Sync/><X/></DataArea></SyncX>";
    let within = |text: &str| simple.replace("<X/>", &format!("<X>{text}</X>"));
    for bad in [
        within("&#x0;"),
        within("&#xD800;"),
        within("&#+5;"),
        within("&#X41;"),
        within("&;"),
        within("& amp;"),
        within("\u{FFFE}"),
        within("<a b='1'c='2'/>"),
        within("<a b/>"),
        within("<a b=''/ >"),
        within("<a/b>"),
        within("<a\u{FEFF}/>"),
        within("< a/>"),
        within("<1/>"),
        within("<a:/>"),
        within("<a xmlns:p='u' xmlns:q='u' p:x='' q:x=''/>"),
        within("<a xmlns:p=''/>"),
        within("<a xmlns:xml='urn:x'/>"),
        within("<a xmlns='http://www.w3.org/XML/1998/namespace'/>"),
        within("<a b='&lt'/>"),
        within("<?xml version='1.0'?>"),
        within("<?XML x?>"),
        within("<??>"),
        within("<?a:b?>"),
        within("<? x?>"),
        within("<!x>"),
        within("<!-->"),
        within("<!-- --->"),
        within("<![cdata[ ]]>"),
        within("</X></X><X>"),
        format!("{simple}&amp;"),
        format!("<![CDATA[]]>{simple}"),
        format!("<?xml encoding='UTF-8' version='1.0'?>{simple}"),
        format!("<?xml version='2.0'?>{simple}"),
        format!("<?xml version='1.0' standalone='maybe'?>{simple}"),
        format!("<?xml version='1.0' encoding='UTF-8' more='1'?>{simple}"),
        simple.replace("<SyncX>", "<SyncX >").replace("</SyncX>", "</SyncX a='1'>"),
        simple.replace("</SyncX>", "</ SyncX>"),
    ] {
        let failure = read(bad.as_bytes(), None).expect_err(&bad);
        assert_eq!(failure.code, "XML_MALFORMED", "{bad}: {}", failure.text);
    }
    let ascii = format!("<?xml version='1.0' encoding='US-ASCII'?>{}", within("é"));
    assert_eq!(read(ascii.as_bytes(), None).unwrap_err().code, "NOT_UTF8");
    let twice = simple.replace("</SyncX>", "<DataArea/></SyncX>");
    assert_eq!(read(twice.as_bytes(), None).unwrap_err().code, "ROOT_MISMATCH");
    let foreign = simple.replace("<X/>", "<X/><X xmlns='urn:other'/>");
    assert_eq!(read(foreign.as_bytes(), None).unwrap_err().code, "TWO_NOUN_TYPES");
}

#[test]
fn texts_stay_short_whatever_a_document_holds() {
    let long = "n".repeat(100_000);
    for bad in [
        format!("<{long}></x>"),
        format!("<{long}><DataArea><{long}/><{long}/></DataArea></{long}>"),
        format!("<a b{long}='1' b{long}='2'/>"),
        format!("<a>&{long};</a>"),
        format!("<?xml version='1.0' encoding='{long}'?><a/>"),
        format!("<?{long}:\n?><a/>"),
    ] {
        let failure = read(bad.as_bytes(), None).unwrap_err();
        assert!(failure.text.chars().count() < 500 && !failure.text.contains('\n'), "{}", failure.text);
    }
}
