//! Whatever is wrong beside them, ordinary documents go out: a night of mixed faults, each of which may stop only itself.
//!
//! Faults come and go at random: documents that ION always refuses, rows that the database refuses, ignores or that
//! somebody holds locked, characters that its encoding lacks, wrong settings, a database that hangs, a clock that jumps,
//! another agent, a document with hundreds of versions, a slow connection point with a backlog; the database is LATIN1, and
//! the gateway before ION ends each connection after 50 requests. Meanwhile the application
//! writes ordinary documents, each of which must be accepted within a bound, once and in order. In the morning every
//! fault is mended, and every row must end explained.

// Clocks are faked by a library that is preloaded, and processes are told by their signals.
#![cfg(target_os = "linux")]

mod gateway;
mod site;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bodrelay::simulator::Options;
use bodrelay::simulator::script::{Fault, What};
use fastrand::Rng;
use gateway::{Ends, Gateway};
use site::{Agent, Entry, Site, cluster, seed};
use tokio_postgres::Client;

/// The longest that an ordinary document may take, on a machine that does other things too.
const BOUND: Duration = Duration::from_secs(30);
/// What is told in the protocol.
const SLOW: Duration = Duration::from_secs(5);
/// How long the faults come and go; BODRELAY_NIGHT_SECONDS says otherwise.
const SECONDS: u64 = 20;
/// Documents that nothing is wrong with.
const ORDINARY: u64 = 6;
const LOGICAL_ID_OF_THE_SLOW: &str = "lid://acme.wms.dc1";

/// A link to a database that stops forwarding, and keeps what it was given, while it is told to.
struct Link {
    port: u16,
    stopped: Arc<AtomicBool>,
}

impl Link {
    fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, stopped) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
        let link_stopped = stopped.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let stopped = link_stopped.clone();
                    std::thread::spawn(move || forward(from, to, &stopped));
                }
            }
        });
        Self { port, stopped }
    }

    fn stop(&self, stop: bool) {
        self.stopped.store(stop, Ordering::SeqCst);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, stopped: &AtomicBool) {
    let mut bytes = [0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        while stopped.load(Ordering::SeqCst) {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// What is wrong for a while.
enum Wrong {
    /// ION refuses one document in the same way each time; its faults are put together anew when one ends.
    Poison(Fault),
    /// A trigger of the site that raises for a row, or drops its update without a word.
    Row(i64),
    /// A transaction that holds a row.
    Locked(Client),
    /// Settings that are not good; a statement takes them back.
    Settings(&'static str),
    Hung,
    Clock,
    Beside(Agent),
}

struct Night<'a> {
    site: &'a Site,
    runtime: tokio::runtime::Runtime,
    random: Rng,
    rows: BTreeMap<i64, Entry>,
    /// Ordinary rows on their way: since when.
    ordinary: BTreeMap<i64, Instant>,
    slowest: Duration,
    wrong: Vec<(&'static str, Instant, Wrong)>,
    next: i64,
    agents: u32,
    link: &'a Link,
    since: Instant,
    done: Vec<String>,
}

impl Night<'_> {
    fn say(&mut self, what: String) {
        let at = self.since.elapsed().as_secs_f32();
        self.done.push(format!("{at:.1} {what}"));
    }

    fn insert(&mut self, entries: &[Entry]) -> Vec<i64> {
        let ids = self.site.insert_all(entries);
        self.rows.extend(ids.iter().copied().zip(entries.iter().cloned()));
        ids
    }

    fn entry(&mut self, document: &str) -> Entry {
        self.next += 1;
        Entry::new(document, self.next)
    }

    fn write_ordinary(&mut self) {
        let document = format!("GOOD-{}", self.random.u64(1..=ORDINARY));
        let entry = self.entry(&document);
        let ids = self.insert(&[entry]);
        self.ordinary.insert(ids[0], Instant::now());
    }

    /// Every ordinary row is accepted within the bound.
    fn look(&mut self, agent: &Agent) {
        let ids: Vec<String> = self.ordinary.keys().map(i64::to_string).collect();
        if ids.is_empty() {
            return;
        }
        let sql = format!(
            "SELECT c_id::text FROM cor_outbox_entry WHERE c_was_processed <> 0 AND c_id IN ({})",
            ids.join(", ")
        );
        for row in self.site.server.as_ref().unwrap().rows(&sql) {
            let id: i64 = row[0].parse().unwrap();
            assert_eq!(self.site.flag(id), Some(1), "ordinary row {id} failed: {:?}", self.site.log_of(id));
            let took = self.ordinary.remove(&id).unwrap().elapsed();
            self.slowest = self.slowest.max(took);
            if took > SLOW {
                self.say(format!("row {id} took {took:?}"));
            }
        }
        for (id, since) in &self.ordinary {
            assert!(
                since.elapsed() < BOUND,
                "ordinary row {id} waits for {:?} beside {:?}\n{}\n{}",
                since.elapsed(),
                self.wrong.iter().map(|(what, since, _)| (what, since.elapsed())).collect::<Vec<_>>(),
                agent.log(),
                self.done.join("\n"),
            );
        }
    }

    fn go_wrong(&mut self) {
        let what = *self
            .random
            .choice(&[
                "poison",
                "poison",
                "poison",
                "a row that raises",
                "a row that is ignored",
                "a locked row",
                "odd characters",
                "a wrong schedule",
                "an overlap",
                "a hung database",
                "a clock that jumps",
                "another agent",
                "many versions",
                "a slow backlog",
            ])
            .unwrap();
        if self.wrong.iter().filter(|(other, ..)| *other == what).count() > usize::from(what == "poison") * 2
        {
            return;
        }
        self.say(format!("wrong: {what}"));
        let wrong = match what {
            "poison" => self.poison(),
            "a row that raises" => self.refuse_row("RAISE EXCEPTION 'not this row'"),
            "a row that is ignored" => self.refuse_row("RETURN NULL"),
            "a locked row" => self.lock_row(),
            "odd characters" => {
                let entry = self.entry("ODD-\u{2019}\u{3a9}-1");
                self.insert(&[entry]);
                return;
            }
            "a wrong schedule" => {
                self.site.sql(
                    "UPDATE bodrelay_connection_point SET poll_seconds = NULL, poll_cron = 'every now and then' \
                     WHERE connection_point = 'CP1'",
                );
                Wrong::Settings(
                    "UPDATE bodrelay_connection_point SET poll_seconds = 1, poll_cron = NULL \
                                 WHERE connection_point = 'CP1'",
                )
            }
            "an overlap" => {
                self.site.sql(
                    "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, \
                     send_mode) SELECT 'CP9', location_name, tenant_id, 'lid://acme.other', 'on' \
                     FROM bodrelay_connection_point WHERE connection_point = 'CP1'",
                );
                Wrong::Settings("DELETE FROM bodrelay_connection_point WHERE connection_point = 'CP9'")
            }
            "a hung database" => {
                self.link.stop(true);
                Wrong::Hung
            }
            "a clock that jumps" => {
                let by = *self.random.choice(&["-3h", "-20m", "+2h", "+30d"]).unwrap();
                set_clock(self.site, by);
                self.say(format!("clock {by}"));
                Wrong::Clock
            }
            "another agent" => {
                self.agents += 1;
                let host = format!("other{}", self.agents);
                Wrong::Beside(self.site.start_beside(&host, &host, "PLANT1"))
            }
            "many versions" => {
                let entries: Vec<_> = (0..250).map(|_| self.entry("MANY-1")).collect();
                self.insert(&entries);
                return;
            }
            _ => {
                let slow = |it: Entry| it.logical_id(LOGICAL_ID_OF_THE_SLOW).padded(20_000);
                let entries: Vec<_> =
                    (0..50).map(|number| slow(self.entry(&format!("SLOW-{number}")))).collect();
                self.insert(&entries);
                return;
            }
        };
        self.wrong.push((what, Instant::now(), wrong));
    }

    fn poison(&mut self) -> Wrong {
        let statuses = [500, 503, 504, 502, 429, 408, 302, 403, 404, 405, 410, 412, 400, 0];
        let status = *self.random.choice(&statuses).unwrap();
        let document = format!("BAD-{}", self.next);
        let entry = self.entry(&document);
        let entry = match self.random.u8(0..3) {
            0 => entry,
            1 => entry.verb("Process"),
            _ => entry.logical_id(LOGICAL_ID_OF_THE_SLOW),
        };
        let fault = match status {
            0 => Fault::new(What::ResetBeforeStore),
            status => Fault::new(What::Refuse {
                status,
                retry_after: None,
                text: Some("{\"errors\": [\"not today\u{2019}s\"]}".into()),
            }),
        };
        self.say(format!("{status} for {document} of {} {}", entry.verb, entry.logical_id));
        let fault = fault.for_document(&document);
        self.site.simulator.add_fault(fault.clone());
        self.insert(&[entry]);
        Wrong::Poison(fault)
    }

    /// A trigger is made and dropped under a lock that a transaction of ours would keep waiting for ever.
    fn unlock(&mut self) {
        while let Some(place) = self.wrong.iter().position(|(_, _, wrong)| matches!(wrong, Wrong::Locked(_)))
        {
            self.mend(place);
        }
    }

    /// A trigger of the site that meets one row when it is flagged.
    fn refuse_row(&mut self, does: &str) -> Wrong {
        self.unlock();
        let entry = self.entry(&format!("ROW-{}", self.next));
        // In the order of all ids: what comes below a far one is found by the sweep only.
        let sequence = "SELECT nextval(pg_get_serial_sequence('public.cor_outbox_entry', 'c_id'))";
        let number = self.site.number(sequence);
        self.site.sql(&format!(
            "CREATE FUNCTION public.site_{number}() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN IF NEW.c_id = {number} AND NEW.c_was_processed <> 0 THEN {does}; END IF; RETURN NEW; END $$; \
             CREATE TRIGGER site_{number} BEFORE UPDATE ON cor_outbox_entry \
             FOR EACH ROW EXECUTE FUNCTION public.site_{number}()"
        ));
        self.insert(&[entry.entry_id(number)]);
        Wrong::Row(number)
    }

    fn lock_row(&mut self) -> Wrong {
        let entry = self.entry(&format!("LOCK-{}", self.next));
        let id = self.insert(&[entry])[0];
        let server = self.site.server.as_ref().unwrap();
        let client = self.runtime.block_on(async {
            let client = server.cluster.connect(server.database()).await;
            client.batch_execute("SET search_path = public; BEGIN").await.unwrap();
            client.query("SELECT 1 FROM cor_outbox_entry WHERE c_id = $1 FOR UPDATE", &[&id]).await.unwrap();
            client
        });
        Wrong::Locked(client)
    }

    /// A start has no last good settings to go by.
    fn mend_settings(&mut self) {
        let is_settings = |(_, _, wrong): &(_, _, Wrong)| matches!(wrong, Wrong::Settings(_));
        while let Some(place) = self.wrong.iter().position(is_settings) {
            self.mend(place);
        }
    }

    /// Starts the agent, and waits until it owns its connection points: nobody else takes them then, until it is gone for
    /// long.
    fn start(&self) -> Agent {
        let life = |point: &str| {
            let started = "SELECT started_at::text FROM bodrelay.bodrelay_status WHERE host = 'host1' AND direction = 'out'";
            self.site.text(&format!("{started} AND connection_point = '{point}'"))
        };
        let before = ["CP1", "CP2"].map(life);
        let mut agent = start(self.site);
        agent.until("it owns its connection points", || {
            let now = ["CP1", "CP2"].map(life);
            now.iter().zip(&before).all(|(now, before)| now.is_some() && now != before)
        });
        agent
    }

    fn mend(&mut self, place: usize) {
        let (what, _, wrong) = self.wrong.swap_remove(place);
        self.say(format!("mended: {what}"));
        match wrong {
            Wrong::Poison(_) => {
                self.site.simulator.clear_faults();
                for (_, _, other) in &self.wrong {
                    if let Wrong::Poison(fault) = other {
                        self.site.simulator.add_fault(fault.clone());
                    }
                }
            }
            Wrong::Row(number) => self.site.sql(&format!(
                "DROP TRIGGER site_{number} ON cor_outbox_entry; DROP FUNCTION public.site_{number}()"
            )),
            Wrong::Locked(client) => self.runtime.block_on(client.batch_execute("COMMIT")).unwrap(),
            Wrong::Settings(back) => self.site.sql(back),
            Wrong::Hung => self.link.stop(false),
            Wrong::Clock => set_clock(self.site, "+0"),
            Wrong::Beside(agent) => agent.kill(),
        }
    }
}

/// The library that fakes clocks, where it is installed.
fn clock_library() -> Option<String> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let mut files = folders.iter().map(|folder| format!("{folder}/faketime/libfaketime.so.1"));
    files.find(|file| Path::new(file).exists())
}

/// The agent's wall clock differs by this from now on.
fn set_clock(site: &Site, by: &str) {
    let file = site.path("clock.new");
    std::fs::write(&file, by).unwrap();
    std::fs::rename(file, site.path("clock")).unwrap();
}

fn start(site: &Site) -> Agent {
    let Some(library) = clock_library() else { return site.start() };
    let clock = site.path("clock");
    site.start_with(&[
        ("LD_PRELOAD", &library),
        ("FAKETIME_TIMESTAMP_FILE", &clock.display().to_string()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ])
}

/// A second connection point in the same outbox, slow, and a second verb.
fn prepare(site: &Site) {
    site.sql(
        "UPDATE bodrelay_connection_point SET source_tenant_id = tenant_id, source_logical_id = logical_id",
    );
    site.sql(&format!(
        "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, source_tenant_id, \
         source_logical_id, send_mode, poll_seconds, parallel_posts, backoff_step_seconds, backoff_max_seconds, \
         max_messages_per_second) SELECT 'CP2', location_name, tenant_id, '{LOGICAL_ID_OF_THE_SLOW}', tenant_id, \
         '{LOGICAL_ID_OF_THE_SLOW}', 'on', 1, 4, 1, 1, 10 FROM bodrelay_connection_point"
    ));
    for (point, verb) in [("CP1", "Process"), ("CP2", "Sync"), ("CP2", "Process")] {
        site.sql(&format!(
            "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
             VALUES ('{point}', 'out', '{verb}', 'ItemMaster')"
        ));
    }
}

/// A second database, reached through a link.
fn second_database(site: &Site, runtime: &tokio::runtime::Runtime) -> Link {
    let server = site.server.as_ref().unwrap();
    site.sql("ALTER ROLE postgres PASSWORD 'wms'");
    let name = runtime.block_on(async {
        let name = server.cluster.database().await;
        let client = server.cluster.connect(&name).await;
        cluster::install(&client).await;
        client
            .batch_execute(&format!(
                "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, send_mode, \
                 poll_seconds) VALUES ('WMS', 'PLANT1', '{}', 'lid://acme.wms.far', 'on', 1); \
                 INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
                 VALUES ('WMS', 'out', 'Sync', 'ItemMaster')",
                site.tenant_id()
            ))
            .await
            .unwrap();
        name
    });
    let link = Link::to(server.cluster.port);
    std::fs::write(site.path("password"), "wms").unwrap();
    std::fs::set_permissions(site.path("password"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    let mut text = std::fs::read_to_string(site.path("bodrelay.toml")).unwrap();
    text.push_str(&format!(
        "[[database]]\nname = \"wms\"\nkind = \"postgres\"\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"{name}\"\n\
         user = \"postgres\"\npassword_file = \"password\"\nencrypt = \"off\"\nstatement_timeout_seconds = 60\n",
        link.port
    ));
    std::fs::write(site.path("bodrelay.toml"), text).unwrap();
    link
}

#[test]
fn ordinary_documents_go_out_beside_every_fault() {
    let seconds = std::env::var("BODRELAY_NIGHT_SECONDS").ok().and_then(|it| it.parse().ok());
    let seconds = seconds.unwrap_or(SECONDS);
    let seed = seed();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let site = Site::on_postgres_in("LATIN1", Options { seed, ..Options::default() });
    let _gateway = Gateway::start(&site.simulator, &site.path(""), Ends::After(50));
    let file = std::fs::read_to_string(site.path("bodrelay.toml")).unwrap();
    let file = file.replace("\"sim.ionapi\"", "\"gateway.ionapi\"\nca_file = \"ca.pem\"");
    std::fs::write(site.path("bodrelay.toml"), file).unwrap();
    prepare(&site);
    let link = second_database(&site, &runtime);
    set_clock(&site, "+0");
    let mut night = Night {
        site: &site,
        runtime,
        random: Rng::with_seed(seed),
        rows: BTreeMap::new(),
        ordinary: BTreeMap::new(),
        slowest: Duration::ZERO,
        wrong: Vec::new(),
        next: 0,
        agents: 0,
        link: &link,
        since: Instant::now(),
        done: Vec::new(),
    };
    let mut agent = night.start();
    let morning = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < morning {
        night.write_ordinary();
        match night.random.u8(0..8) {
            0 | 1 => night.go_wrong(),
            2 if !night.wrong.is_empty() => {
                let place = night.random.usize(..night.wrong.len());
                let is_row = |wrong: &Wrong| matches!(wrong, Wrong::Row(_));
                if is_row(&night.wrong[place].2) {
                    night.unlock();
                    let row = night.wrong.iter().position(|(_, _, wrong)| is_row(wrong));
                    row.into_iter().for_each(|row| night.mend(row));
                } else {
                    night.mend(place);
                }
            }
            _ => {}
        }
        let until = Instant::now() + Duration::from_millis(night.random.u64(50..400));
        agent.until("the next thing", || Instant::now() >= until);
        night.look(&agent);
        if night.random.u8(0..60) == 0 {
            night.say(format!("killed\n{}", agent.log()));
            agent.kill();
            night.mend_settings();
            agent = night.start();
        }
    }
    night.unlock();
    while !night.wrong.is_empty() {
        night.mend(0);
    }
    let deadline = Instant::now() + BOUND;
    while !night.ordinary.is_empty() && Instant::now() < deadline {
        let until = Instant::now() + Duration::from_millis(100);
        agent.until("the ordinary rows", || Instant::now() >= until);
        night.look(&agent);
    }
    let mut waiting = site.waiting();
    while !site.is_drained() {
        let (before, until) = (waiting, Instant::now() + BOUND);
        agent.until("the morning", || site.is_drained() || site.waiting() < before || Instant::now() > until);
        waiting = site.waiting();
        assert!(
            waiting < before || site.is_drained(),
            "{waiting} wait\n{}\n{}",
            agent.log(),
            night.done.join("\n")
        );
    }
    agent.term();
    let verdict = site.judge(&night.rows);
    println!(
        "the slowest ordinary document took {:?}; {verdict:?}; {}",
        night.slowest,
        night.done.join("\n")
    );
}
