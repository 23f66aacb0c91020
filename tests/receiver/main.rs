//! The receiver by real sockets: the built agent beside a real database, called as ION calls an application.

// Kills and stops of a process are told by their signals.
#![cfg(target_os = "linux")]

mod bad_input;
mod callers;
mod crashes;
mod http;
mod load;
mod mutants;
mod storing;

#[path = "../site/mod.rs"]
mod site;

use std::sync::atomic::{AtomicU64, Ordering};

use bodrelay::simulator::Options;
use http::{Caller, Response, multipart};
use site::{Agent, Site};

/// A site whose connection point CP1 receives Sync.ItemMaster and sends nothing, and its listener's port.
pub struct Inbox {
    pub site: Site,
    pub port: u16,
}

impl Inbox {
    pub fn new(listen: &str) -> Self {
        Self::on(Site::with(Options::default()), listen)
    }

    pub fn on_postgres(listen: &str) -> Self {
        Self::on(Site::on_postgres(Options::default()), listen)
    }

    fn on(site: Site, listen: &str) -> Self {
        let inbox = Self { site, port: free_port() };
        inbox.write_configuration(listen);
        inbox.site.sql(
            "UPDATE bodrelay_connection_point SET send_mode = 'off', receive_mode = 'on'; \
             INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
             VALUES ('CP1', 'in', 'Sync', 'ItemMaster')",
        );
        inbox
    }

    /// `listen` adds keys to `[listen]`.
    pub fn write_configuration(&self, listen: &str) {
        let port = self.port;
        self.site.write_configuration(&format!("[listen]\naddress = \"127.0.0.1:{port}\"\n{listen}\n"));
    }

    /// Starts the agent, and waits until it has read what to receive.
    pub fn start(&self) -> Agent {
        self.ready(self.site.start())
    }

    pub fn ready(&self, mut agent: Agent) -> Agent {
        agent.until_says("receives what ION sends");
        let answered = || {
            let caller = Caller::connect(self.port);
            // An unlisted document is refused for good only when everything was read.
            let answer = caller.and_then(|mut caller| {
                caller.post(V3, &[TENANT], &message(&json("Sync.Nothing", "x"), "<a/>"))
            });
            answer.is_ok_and(|answer| answer.status == 412)
        };
        agent.until("everything to receive was read", answered);
        agent
    }

    pub fn caller(&self) -> Caller {
        Caller::connect(self.port).unwrap()
    }

    /// One document, on a connection of its own.
    pub fn send(&self, json: &str, document: &str) -> Response {
        self.caller().post(V3, &[TENANT], &message(json, document)).unwrap()
    }

    pub fn rows(&self) -> i64 {
        self.site.number("SELECT count(*) FROM COR_INBOX_ENTRY")
    }

    /// Nothing that came is anywhere.
    pub fn is_empty(&self) -> bool {
        let of = |table: &str| self.site.number(&format!("SELECT count(*) FROM {table}"));
        of("COR_INBOX_ENTRY") + of("COR_INBOX_HEADERS") + of("bodrelay_receipt") == 0
    }
}

pub const V3: &str = "/ims/service/v3/multipartMessage";
pub const TENANT: (&str, &str) = ("X-TenantId", "demo_tst");
const BOD: &str = include_str!("../../fixtures/bods/Sync.ItemMaster.xml");

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A document that ION could send.
pub fn document(document_id: &str, variation_id: i64) -> String {
    BOD.replace("{{tenant}}", "DEMO_TST")
        .replace("{{logical_id}}", "lid://infor.ln.shop")
        .replace("{{created}}", "2026-03-02T08:15:30.120Z")
        .replace("{{entity}}", "100")
        .replace("{{location}}", "PLANT1")
        .replace("{{document_id}}", document_id)
        .replace("{{variation_id}}", &variation_id.to_string())
}

/// A message id as ION makes it.
pub fn ion_id(source: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("{source}:-ION-:{:032x}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Parameters of a message with this id.
pub fn json(document_name: &str, message_id: &str) -> String {
    format!(
        "{{\"documentName\":\"{document_name}\",\"messageId\":\"{message_id}\",\"fromLogicalId\":\"lid://infor.ln.shop\",\
         \"toLogicalId\":\"lid://default\",\"encoding\":\"NONE\",\"characterSet\":\"UTF-8\"}}"
    )
}

pub fn item(message_id: &str) -> String {
    json("Sync.ItemMaster", message_id)
}

/// A multipart body of both parts.
pub fn message(json: &str, document: impl AsRef<[u8]>) -> Vec<u8> {
    multipart(&[("ParameterRequest", json.as_bytes()), ("MessagePayload", document.as_ref())])
}
