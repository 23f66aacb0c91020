//! A night of everything at once: rows late, broken, corrected, withdrawn and set back; ION failing in every way;
//! settings and commands of a hasty DBA; kills. Whatever the order, each row ends explained, and each lane in order.

// Kills are told by their signals.
#![cfg(target_os = "linux")]

mod site;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bodrelay::simulator::Options;
use bodrelay::simulator::script::{Fault, What};
use fastrand::Rng;
use site::{Agent, Entry, Site, seed};

/// Of each connection point.
const DOCUMENTS: u64 = 8;
/// Connection points, their logical ids, and what their documents are called.
const POINTS: [(&str, &str, &str); 2] =
    [("CP1", "lid://acme.erp.plant1", "ITEM"), ("CP2", "lid://acme.wms.dc1", "BIN")];
/// Documents of both share their lanes.
const VERBS: [&str; 2] = ["Sync", "Process"];

/// What the application and the DBA do.
struct Night<'a> {
    site: &'a Site,
    random: Rng,
    /// What is in the outbox now, by `C_ID`; a broken document has none.
    rows: BTreeMap<i64, Option<Entry>>,
    /// Numbers that a transaction under way has taken.
    holes: Vec<i64>,
    /// Rows that lack a header.
    headless: Vec<i64>,
    /// Rows whose header names a type that there is not, and which it should name.
    mistyped: Vec<(i64, &'static str)>,
    token_expired: bool,
    next_id: i64,
    version: i64,
    done: Vec<String>,
}

impl Night<'_> {
    fn entry(&mut self) -> Entry {
        self.version += 1;
        let verb = VERBS[usize::from(self.random.u8(0..4) == 0)];
        let (_, logical_id, name) = *self.random.choice(&POINTS).unwrap();
        let document = format!("{name}-{}", self.random.u64(1..=DOCUMENTS));
        let entry = Entry::new(&document, self.version).verb(verb).logical_id(logical_id);
        match self.random.bool() {
            true => entry.message_id(&format!("erp-{}", self.version)),
            false => entry,
        }
    }

    fn sql(&mut self, sql: &str) {
        self.done.push(sql.chars().take(160).collect());
        self.site.sql(sql);
    }

    /// Rows in the order of their numbers, some of which are left for later.
    fn write(&mut self) {
        let mut batch = Vec::new();
        for _ in 0..self.random.usize(1..=4) {
            if self.random.u8(0..6) == 0 {
                self.holes.push(self.next_id);
                self.next_id += 1;
            }
            batch.push(self.entry().entry_id(self.next_id));
            self.next_id += 1;
        }
        self.insert(batch);
    }

    fn insert(&mut self, batch: Vec<Entry>) {
        let named: Vec<_> = batch.iter().map(|entry| (entry.entry_id, entry.document_id.clone())).collect();
        self.done.push(format!("write {named:?}"));
        let ids = self.site.insert_all(&batch);
        self.rows.extend(ids.into_iter().zip(batch.into_iter().map(Some)));
    }

    fn number(&mut self) -> i64 {
        if !self.holes.is_empty() && self.random.bool() {
            return self.holes.swap_remove(self.random.usize(..self.holes.len()));
        }
        self.next_id += 1;
        self.next_id - 1
    }

    /// A transaction that took its number early commits late.
    fn write_late(&mut self) {
        let number = self.number();
        let entry = self.entry().entry_id(number);
        self.insert(vec![entry]);
    }

    /// A document that ends in its middle, of a lane that others are in.
    fn write_broken(&mut self) {
        let (number, entry) = (self.number(), Entry { verb: "Sync", ..self.entry() });
        self.write_raw(number, &entry, b"<SyncItemMaster>", true);
        self.rows.insert(number, None);
    }

    /// An application that writes its headers in two transactions.
    fn write_without_a_header(&mut self) {
        let number = self.number();
        let entry = Entry { message_id: None, ..self.entry() };
        let document = entry.xml(self.site.tenant_id());
        self.write_raw(number, &entry, document.as_bytes(), false);
        self.rows.insert(number, Some(entry));
        self.headless.push(number);
    }

    /// A header that names a type that nobody lists, or none.
    fn write_mistyped(&mut self) {
        let number = self.number();
        let entry = Entry { message_id: None, ..self.entry() };
        let document = entry.xml(self.site.tenant_id());
        self.write_raw(number, &Entry { verb: "Snyc", ..entry.clone() }, document.as_bytes(), true);
        self.mistyped.push((number, entry.verb));
        self.rows.insert(number, Some(entry));
    }

    /// The DBA does what the finding says. All at once, or one by one.
    fn correct_the_type(&mut self) {
        for _ in 0..self.random.usize(1..=4) {
            if let Some((number, verb)) = self.mistyped.pop() {
                self.sql(&format!(
                    "UPDATE COR_OUTBOX_HEADERS SET C_HEADER_VALUE = '{verb}.ItemMaster' \
                     WHERE C_OUTBOX_ID = {number} AND C_HEADER_KEY = 'BODType'"
                ));
            }
        }
    }

    /// A row of any bytes, with the headers of an entry, but for the last one.
    fn write_raw(&mut self, number: i64, of: &Entry, document: &[u8], whole: bool) {
        let Entry { verb, logical_id, document_id, .. } = of;
        let document_type = format!("{verb}.ItemMaster");
        let headers: String = [
            ("TenantId", self.site.tenant_id()),
            ("BODType", &document_type),
            ("FromLogicalId", logical_id),
            ("AccountingEntity", "100"),
            ("Location", "PLANT1"),
            ("DocumentId", document_id),
            ("ToLogicalId", "lid://default"),
        ]
        .iter()
        .take(if whole { 7 } else { 6 })
        .map(|(key, value)| header(number, key, value))
        .collect();
        let document = self.site.bytes(document);
        self.done.push(format!(
            "write {number} of {document_id}, {verb}, {}",
            if whole { "broken" } else { "no header" }
        ));
        self.site.sql(&format!(
            "BEGIN; INSERT INTO COR_OUTBOX_ENTRY (C_ID, C_TENANT_ID, C_LOGICAL_ID, C_XML) \
             VALUES ({number}, '{}', '{logical_id}', {document}); {headers}COMMIT",
            self.site.tenant_id()
        ));
    }

    fn write_the_header(&mut self) {
        if let Some(number) = self.headless.pop() {
            self.sql(&header(number, "ToLogicalId", "lid://default"));
        }
    }

    fn any_row(&mut self, flag: i64) -> Option<i64> {
        let ids: Vec<i64> = self.rows.keys().copied().collect();
        let from = self.random.usize(..ids.len().max(1));
        ids.iter().cycle().skip(from).take(ids.len()).copied().find(|id| self.site.flag(*id) == Some(flag))
    }

    /// The application mends a failed document and sets its row to 0.
    fn correct(&mut self) {
        let Some(id) = self.any_row(9) else { return };
        let Some(entry) = self.rows[&id].clone() else { return self.mend(id) };
        self.version += 1;
        let mended = Entry::new(&entry.document_id, self.version);
        self.replace(id, mended.verb(entry.verb).logical_id(entry.logical_id));
    }

    fn mend(&mut self, id: i64) {
        let sql = format!(
            "SELECT C_HEADER_VALUE FROM COR_OUTBOX_HEADERS WHERE C_OUTBOX_ID = {id} AND C_HEADER_KEY = 'DocumentId'"
        );
        let document = self.site.text(&sql).unwrap();
        self.version += 1;
        let (_, logical_id, _) = POINTS.iter().find(|(.., name)| document.starts_with(name)).unwrap();
        self.replace(id, Entry::new(&document, self.version).logical_id(logical_id));
    }

    fn replace(&mut self, id: i64, entry: Entry) {
        let bytes = self.site.bytes(entry.xml(self.site.tenant_id()).as_bytes());
        self.done.push(format!("correct {id}"));
        self.site.sql(&format!(
            "BEGIN; UPDATE COR_OUTBOX_ENTRY SET C_XML = {bytes}, C_WAS_PROCESSED = 0 WHERE C_ID = {id}; \
             UPDATE COR_OUTBOX_HEADERS SET C_HEADER_VALUE = '{}' \
             WHERE C_OUTBOX_ID = {id} AND C_HEADER_KEY = 'VariationId'; COMMIT",
            entry.version
        ));
        self.rows.insert(id, Some(entry));
    }

    fn set_back(&mut self, flag: i64) {
        let Some(id) = self.any_row(flag) else { return };
        self.sql(&format!(
            "UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 0 WHERE C_ID = {id} AND C_WAS_PROCESSED = {flag}"
        ));
    }

    fn withdraw(&mut self) {
        let Some(id) = self.any_row(0) else { return };
        self.sql(&format!("DELETE FROM COR_OUTBOX_ENTRY WHERE C_ID = {id}"));
        self.rows.remove(&id);
    }

    fn command(&mut self) {
        let commands = [
            ("resubmit", "'ItemMaster', NULL"),
            ("discard", "'ItemMaster', 'no use'"),
            ("pause", "NULL, 'lunch'"),
            ("resume", "NULL, NULL"),
            ("resume", "NULL, NULL"),
            ("poll_now", "NULL, NULL"),
        ];
        let (command, rest) = *self.random.choice(&commands).unwrap();
        let point = self.random.choice(&POINTS).unwrap().0;
        self.sql(&format!(
            "INSERT INTO bodrelay_command (command, connection_point, noun, reason) \
             VALUES ('{command}', '{point}', {rest})"
        ));
    }

    fn change_settings(&mut self) {
        let (point, ..) = *self.random.choice(&POINTS).unwrap();
        let of_point = |it: &str| {
            format!("UPDATE bodrelay_connection_point SET {it} WHERE connection_point = '{point}'")
        };
        let of_type = |it: &str, verb: &str| {
            format!(
                "UPDATE bodrelay_document SET {it} WHERE connection_point = '{point}' AND verb = '{verb}'"
            )
        };
        let verb = *self.random.choice(&VERBS).unwrap();
        let sql = match self.random.u8(0..18) {
            0 | 1 => of_point("after_failure = 'hold'"),
            2 => of_point("after_failure = 'continue'"),
            3 => of_point(&format!("parallel_posts = {}", self.random.u8(1..=16))),
            4 => of_point(if self.random.bool() { "send_mode = 'observe'" } else { "send_mode = 'off'" }),
            5 => of_point("send_mode = 'on'"),
            6 | 7 => of_type(&format!("enabled = {}", u8::from(self.random.u8(0..3) > 0)), verb),
            8 => format!(
                "DELETE FROM bodrelay_document WHERE connection_point = '{point}' AND verb = '{verb}'"
            ),
            9 | 10 => listed(point, verb),
            11 => of_point("poll_seconds = NULL, poll_cron = '30 3 1 1 *'"),
            12 => of_point("poll_seconds = 1, poll_cron = NULL"),
            13 => of_point(&format!("max_messages_per_second = {}", self.random.u8(5..=50))),
            14 => of_point("max_messages_per_second = NULL"),
            15 | 16 => {
                let order = if self.random.bool() { "connection_point" } else { "document" };
                format!(
                    "UPDATE bodrelay_document SET order_by = '{order}' WHERE connection_point = '{point}'"
                )
            }
            _ => {
                "UPDATE bodrelay_document SET after_failure = CASE WHEN after_failure IS NULL THEN 'hold' END"
                    .to_owned()
            }
        };
        self.sql(&sql);
    }

    fn disturb(&mut self) {
        let faults = [
            Fault::refuse(503),
            Fault::refuse(400),
            Fault::refuse(429),
            Fault::refuse(412),
            Fault::refuse(500),
            Fault::new(What::StoreThenLoseAnswer),
            Fault::new(What::ResetBeforeStore),
            Fault::new(What::Slow { ms: 200 }),
            Fault::new(What::Garbage),
        ];
        // Another token is asked for once a minute, and the night is shorter.
        let (many, expired) = (self.random.u64(1..=4), self.random.u8(0..10) == 0);
        let fault = match expired && !std::mem::replace(&mut self.token_expired, true) {
            true => Fault::new(What::TokenExpired).times(1),
            false => self.random.choice(&faults).unwrap().clone().times(many),
        };
        let fault = match self.random.bool() {
            true => fault.for_document(&self.entry().document_id),
            false => fault,
        };
        self.done.push(format!("{fault:?}"));
        self.site.simulator.add_fault(fault);
    }

    fn one_thing(&mut self) {
        match self.random.u8(0..64) {
            0..20 => self.write(),
            20..28 => self.write_late(),
            28..31 => self.write_broken(),
            31..34 => self.write_without_a_header(),
            34 => self.write_the_header(),
            35 if self.random.bool() => self.write_mistyped(),
            35 => self.correct_the_type(),
            36..40 => self.correct(),
            40..43 => self.set_back(9),
            43 => self.set_back(1),
            44..47 => self.withdraw(),
            47..52 => self.command(),
            52..56 => self.change_settings(),
            56..62 => self.disturb(),
            _ => self.site.simulator.clear_faults(),
        }
    }

    /// What cron starts, while the night goes on.
    fn run_once(&mut self) {
        let mut agent = self.site.start_once();
        for _ in 0..self.random.u8(0..8) {
            self.one_thing();
        }
        if self.random.u8(0..4) == 0 {
            return agent.kill();
        }
        let status = agent.wait();
        self.done.push(format!("once: {status}"));
        assert!([Some(0), Some(1), Some(3), Some(75)].contains(&status.code()), "{status}\n{}", agent.log());
    }

    /// The morning: everything works, nothing is held back any more.
    fn mend_all(&mut self) {
        self.site.simulator.clear_faults();
        self.sql(
            "UPDATE bodrelay_connection_point SET after_failure = 'continue', send_mode = 'on', parallel_posts = 8, \
             poll_seconds = 1, poll_cron = NULL, max_messages_per_second = NULL",
        );
        for verb in VERBS {
            POINTS.iter().for_each(|(point, ..)| self.sql(&listed(point, verb)));
        }
        self.sql("UPDATE bodrelay_document SET enabled = 1, after_failure = NULL, order_by = 'document'");
        while !self.mistyped.is_empty() {
            self.correct_the_type();
        }
        while !self.headless.is_empty() {
            self.write_the_header();
        }
        self.sql("INSERT INTO bodrelay_command (command, connection_point) VALUES ('resume', '*')");
    }

    fn judge(&self) {
        let site = self.site;
        assert!(!site.has_finding("ANOTHER_SENDER"));
        let ledger = site.simulator.ledger();
        assert_eq!(ledger.repeats_different(), [], "an id came with other bytes");
        // The arrival that was answered: an earlier one of the same message may be of a try before it failed.
        let arrived: BTreeMap<_, _> = ledger
            .arrivals()
            .into_iter()
            .map(|arrival| (arrival.message_id.clone(), arrival.sequence))
            .collect();
        let mut lanes: BTreeMap<&str, Vec<(i64, u64, bool)>> = BTreeMap::new();
        for (id, entry) in &self.rows {
            let log = site.log_of(*id);
            let last = log.last().unwrap_or_else(|| panic!("row {id} is not in the log"));
            match (site.flag(*id), entry) {
                (Some(1), Some(entry)) => {
                    let digest = entry.digest(site.tenant_id());
                    assert_eq!(last.state, "accepted", "row {id}: {log:?}");
                    assert_eq!(last.digest.as_deref(), Some(&*digest.to_string()), "row {id}: {log:?}");
                    let (stored, _) =
                        ledger.seen(&last.message_id).unwrap_or_else(|| panic!("row {id}: {log:?}"));
                    assert_eq!(stored, digest, "row {id}: other bytes arrived");
                    let at = arrived[last.message_id.as_str()];
                    lanes.entry(&entry.document_id).or_default().push((*id, at, last.late));
                }
                (Some(9), _) => {
                    assert!(["failed", "discarded"].contains(&last.state.as_str()), "row {id}: {log:?}");
                }
                (flag, entry) => panic!("row {id} {flag:?}, broken {}: {log:?}", entry.is_none()),
            }
        }
        for (lane, arrived) in lanes {
            for (place, (id, at, late)) in arrived.iter().enumerate() {
                let other = arrived[place + 1..].iter().find(|(_, later, _)| later < at);
                if let Some((other, ..)) = other.filter(|_| !late) {
                    let of = |id: &i64| {
                        let log = site.log_of(*id);
                        let arrivals: Vec<_> =
                            log.iter().map(|logged| ledger.by_message_id(&logged.message_id)).collect();
                        format!("{log:#?}\n{arrivals:#?}")
                    };
                    let agent = std::fs::read_to_string(site.path("agent.log")).unwrap();
                    let story = format!("{}\n{}\n{agent}\n{:#?}", of(id), of(other), self.done);
                    panic!("{lane}: {id} came after {other}, unsaid: {arrived:?}\n{story}");
                }
            }
        }
    }
}

/// The document type is listed, whether it was or not.
fn listed(point: &str, verb: &str) -> String {
    format!(
        "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
         SELECT '{point}', 'out', '{verb}', 'ItemMaster' WHERE NOT EXISTS \
         (SELECT 1 FROM bodrelay_document WHERE connection_point = '{point}' AND verb = '{verb}')"
    )
}

/// A second connection point in the same outbox: each has the rows of its logical id.
fn two_points(site: &Site) {
    site.sql(
        "UPDATE bodrelay_connection_point SET source_tenant_id = tenant_id, source_logical_id = logical_id",
    );
    let (point, logical_id, _) = POINTS[1];
    site.sql(&format!(
        "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, \
         source_tenant_id, source_logical_id, send_mode, poll_seconds, parallel_posts, backoff_step_seconds, \
         backoff_max_seconds, headers_grace_seconds, lone_in_doubt_tries, log_attempts) \
         SELECT '{point}', location_name, tenant_id, '{logical_id}', tenant_id, '{logical_id}', send_mode, poll_seconds, \
         4, backoff_step_seconds, backoff_max_seconds, headers_grace_seconds, lone_in_doubt_tries, log_attempts \
         FROM bodrelay_connection_point"
    ));
    for verb in VERBS {
        POINTS.iter().for_each(|(point, ..)| site.sql(&listed(point, verb)));
    }
}

fn header(number: i64, key: &str, value: &str) -> String {
    format!(
        "INSERT INTO COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE) \
         VALUES ({number}, '{key}', '{value}'); "
    )
}

/// What the journal still has to do.
fn open(site: &Site) -> String {
    let text = |what: &str, from: &str| {
        let sql = format!("SELECT coalesce(group_concat({what}, '; '), 'nothing') FROM {from}");
        site.journal().query_row(&sql, [], |row| row.get::<_, String>(0)).unwrap()
    };
    format!(
        "open: {}\nparked: {}\nwaits: {}",
        text(
            "entry_id || ' state ' || state || ' held by ' || coalesce(held_by, 0) || ' lane ' || lane",
            "message WHERE settled = 0"
        ),
        text("entry_id || ' ' || reason || ' lane ' || lane", "parked"),
        text("scope || ' ' || cause || ' until ' || not_before", "scope"),
    )
}

fn night(site: &Site, seed: u64) {
    let seconds = std::env::var("BODRELAY_NIGHT_SECONDS").ok().and_then(|it| it.parse().ok()).unwrap_or(12);
    let mut night = Night {
        site,
        random: Rng::with_seed(seed),
        rows: BTreeMap::new(),
        holes: Vec::new(),
        headless: Vec::new(),
        mistyped: Vec::new(),
        token_expired: false,
        next_id: 1,
        version: 0,
        done: Vec::new(),
    };
    let morning = Instant::now() + Duration::from_secs(seconds);
    two_points(site);
    let mut agent: Option<Agent> = None;
    while Instant::now() < morning {
        if agent.is_none() && night.random.u8(0..3) == 0 {
            night.run_once();
        }
        let mut running = agent.take().unwrap_or_else(|| site.start());
        night.one_thing();
        let until = Instant::now() + Duration::from_millis(night.random.u64(0..80));
        running.until("the next thing", || Instant::now() >= until);
        match night.random.u16(0..200) {
            0..4 => running.kill(),
            4..6 => {
                // 3: ION could not be reached.
                let status = running.stop();
                assert!([Some(0), Some(3)].contains(&status.code()), "{status}\n{}", running.log());
            }
            _ => agent = Some(running),
        }
    }
    night.mend_all();
    let mut agent = agent.unwrap_or_else(|| site.start());
    let noon = Instant::now() + Duration::from_secs(45);
    agent.until("the morning", || site.is_drained() || Instant::now() > noon);
    assert!(site.is_drained(), "{}\n{}\n{:#?}", open(site), agent.log(), night.done);
    agent.term();
    night.judge();
}

#[test]
fn a_night_on_sqlite() {
    let seed = seed();
    night(&Site::with(Options { seed, ..Options::default() }), seed);
}

#[test]
fn a_night_on_postgres() {
    let seed = seed();
    night(&Site::on_postgres(Options { seed, ..Options::default() }), seed);
}
