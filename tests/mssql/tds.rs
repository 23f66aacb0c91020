//! A scripted stand-in for SQL Server that speaks as much TDS 7.4 as the adapter does, and records what it was told.
//!
//! It knows statements by the name on their first line and answers each from its script, else with a plain success. It
//! understands no SQL: what a statement does is not shown here, only what goes over the wire and in which order.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// What a client did, in order, over all its connections; `usize` is the connection's number, from 0.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    Login(usize, Login),
    /// A batch, by its name (`session:begin`), or by its first two words.
    Batch(usize, String),
    /// A statement through sp_executesql: name, text, parameters as text.
    Rpc(usize, String, String, Vec<String>),
    /// A bulk load: table, rows.
    Bulk(usize, String, Vec<Vec<String>>),
    Closed(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    pub client: String,
    pub user: String,
    /// As on the wire: scrambled.
    pub password: Vec<u8>,
    pub program: String,
    pub database: String,
    pub raw: Vec<u8>,
}

#[derive(Clone)]
pub enum Answer {
    Rows(Vec<(&'static str, Type)>, Vec<Vec<Cell>>),
    Changed(u64),
    /// Number, severity, state.
    Error(u32, u8, u8),
    /// This many bytes of the answer, then the connection is gone.
    CutAfter(usize, Box<Answer>),
    /// No answer; the connection stays.
    Silence,
    /// The connection is gone at once.
    Gone,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Type {
    Big,
    Int,
    Numeric19,
    Text,
    TextMax,
    BytesMax,
    DateTime,
    DateTime2,
    DateTimeOffset,
}

#[derive(Clone)]
pub enum Cell {
    Null,
    Number(i64),
    Text(&'static str),
    Bytes(Vec<u8>),
    /// The bytes of a value behind its length.
    Raw(Vec<u8>),
}

#[derive(Default)]
struct Script {
    answers: HashMap<String, VecDeque<Answer>>,
    seen: Vec<Seen>,
    /// The next logins end with these errors.
    refused: VecDeque<u32>,
    connections: usize,
}

pub struct Server {
    pub port: u16,
    script: Arc<(Mutex<Script>, Condvar)>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = Arc::new((Mutex::new(Script::default()), Condvar::new()));
        let shared = Arc::clone(&script);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let number = {
                        let mut script = shared.0.lock().unwrap();
                        script.connections += 1;
                        script.connections - 1
                    };
                    let stream = stream.unwrap();
                    stream.set_nodelay(true).unwrap();
                    let mut line = Line { stream, script: Arc::clone(&shared), number, transaction: None };
                    line.serve();
                    line.see(Seen::Closed(number));
                });
            }
        });
        Self { port, script }
    }

    /// The next answer to a statement; several wait in order.
    pub fn answer(&self, name: &str, answer: Answer) {
        self.script.0.lock().unwrap().answers.entry(name.into()).or_default().push_back(answer);
    }

    pub fn refuse_login(&self, number: u32) {
        self.script.0.lock().unwrap().refused.push_back(number);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.script.0.lock().unwrap().seen.clone()
    }

    pub fn forget(&self) {
        self.script.0.lock().unwrap().seen.clear();
    }

    /// Waits until something was seen.
    pub fn wait_for(&self, what: impl Fn(&Seen) -> bool) {
        let limit = std::time::Duration::from_secs(20);
        let guard = self.script.0.lock().unwrap();
        let waited =
            self.script.1.wait_timeout_while(guard, limit, |script| !script.seen.iter().any(&what)).unwrap();
        assert!(!waited.1.timed_out(), "not seen: {:?}", waited.0.seen);
    }

    /// The names of everything that one connection or all did, without the logins.
    pub fn names(&self) -> Vec<String> {
        let name = |seen: Seen| match seen {
            Seen::Login(..) => None,
            Seen::Batch(_, name) | Seen::Rpc(_, name, ..) => Some(name),
            Seen::Bulk(_, table, rows) => Some(format!("{} rows into {table}", rows.len())),
            Seen::Closed(_) => Some("closed".into()),
        };
        self.seen().into_iter().filter_map(name).collect()
    }
}

struct Line {
    stream: TcpStream,
    script: Arc<(Mutex<Script>, Condvar)>,
    number: usize,
    /// The transaction that is open; every request must name it.
    transaction: Option<[u8; 8]>,
}

const PRELOGIN: u8 = 18;
const LOGIN: u8 = 16;
const BATCH: u8 = 1;
const RPC: u8 = 3;
const BULK: u8 = 7;

impl Line {
    fn see(&self, seen: Seen) {
        self.script.0.lock().unwrap().seen.push(seen);
        self.script.1.notify_all();
    }

    /// One message of the client, its packets put together.
    fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut message = Vec::new();
        loop {
            let mut header = [0; 8];
            self.stream.read_exact(&mut header).ok()?;
            let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
            let start = message.len();
            message.resize(start + length - 8, 0);
            self.stream.read_exact(&mut message[start..]).ok()?;
            if header[1] & 1 == 1 {
                return Some((header[0], message));
            }
        }
    }

    /// One message to the client, in packets of 4 KB, cut off after some bytes of it.
    fn send(&mut self, message: &[u8], cut_after: Option<usize>) -> Option<()> {
        const PACKET: usize = 4096 - 8;
        let chunks: Vec<&[u8]> = message.chunks(PACKET).collect();
        let mut left = cut_after.unwrap_or(usize::MAX);
        for (place, chunk) in chunks.iter().enumerate() {
            let last = u8::from(place + 1 == chunks.len());
            let length = u16::try_from(chunk.len() + 8).unwrap().to_be_bytes();
            let header = [4, last, length[0], length[1], 0, 0, u8::try_from(place % 255).unwrap(), 0];
            self.stream.write_all(&header).ok()?;
            let part = chunk.len().min(left);
            self.stream.write_all(&chunk[..part]).ok()?;
            left -= part;
            if part < chunk.len() {
                self.stream.shutdown(std::net::Shutdown::Both).ok();
                return None;
            }
        }
        Some(())
    }

    fn serve(&mut self) -> Option<()> {
        let mut table = String::new();
        while let Some((kind, message)) = self.receive() {
            let reply = match kind {
                PRELOGIN => prelogin(),
                LOGIN => {
                    self.see(Seen::Login(self.number, login(&message)));
                    let refused = self.script.0.lock().unwrap().refused.pop_front();
                    match refused {
                        Some(number) => {
                            self.send(&error(number, 14, 8), None)?;
                            return None;
                        }
                        None => accepted(),
                    }
                }
                BATCH => {
                    let text = text(&message[all_headers(&message)..]);
                    let name = name(&text);
                    self.see(Seen::Batch(self.number, name.clone()));
                    if let Some(of) = text.strip_prefix("SELECT TOP 0 * FROM ") {
                        columns(&layout(of))
                    } else {
                        if let Some(rest) = text.strip_prefix("INSERT BULK ") {
                            table = rest.split(' ').next().unwrap().to_owned();
                        }
                        let answer = self.scripted(&name, Answer::Changed(0))?;
                        [self.transaction_change(&name, &message), answer].concat()
                    }
                }
                RPC => {
                    self.names_its_transaction(&message);
                    let (text, parameters) = rpc(&message);
                    let name = name(&text);
                    self.see(Seen::Rpc(self.number, name.clone(), text, parameters));
                    let usual = usual(&name);
                    self.scripted(&name, usual)?
                }
                BULK => {
                    let rows = bulk(&message, &layout(&table));
                    let count = rows.len();
                    self.see(Seen::Bulk(self.number, table.clone(), rows));
                    self.scripted(&format!("bulk:{table}"), Answer::Changed(count as u64))?
                }
                other => panic!("a message of type {other}"),
            };
            self.send(&reply, None)?;
        }
        Some(())
    }

    fn names_its_transaction(&self, message: &[u8]) {
        assert_eq!(message[10..18], self.transaction.unwrap_or_default(), "the transaction of the request");
    }

    /// What the server says of a transaction that begins or ends; it comes before the answer.
    fn transaction_change(&mut self, name: &str, message: &[u8]) -> Vec<u8> {
        self.names_its_transaction(message);
        let (kind, former, next) = match (name, self.transaction) {
            ("session:begin" | "session:begin_queries" | "session:begin_snapshot", None) => {
                (8, None, Some([7; 8]))
            }
            ("session:commit", open @ Some(_)) => (9, open, None),
            ("session:rollback" | "session:end_queries", open @ Some(_)) => (10, open, None),
            ("session:begin" | "session:commit", _) => panic!("{name} with {:?} open", self.transaction),
            _ => return Vec::new(),
        };
        self.transaction = next;
        let sized = |descriptor: Option<[u8; 8]>| {
            descriptor.map_or(vec![0], |descriptor| [&[8][..], &descriptor].concat())
        };
        token(0xE3, &[vec![kind], sized(next), sized(former)].concat())
    }

    /// The answer of the script; `None`: the connection ends.
    fn scripted(&mut self, name: &str, usual: Answer) -> Option<Vec<u8>> {
        let scripted = self.script.0.lock().unwrap().answers.get_mut(name).and_then(VecDeque::pop_front);
        match scripted.unwrap_or(usual) {
            Answer::CutAfter(bytes, answer) => {
                let whole = encoded(&answer);
                assert!(bytes < whole.len(), "the answer has only {} bytes", whole.len());
                self.send(&whole, Some(bytes)).map(|()| Vec::new())
            }
            Answer::Silence => {
                // Until the client goes away.
                let mut byte = [0];
                while self.stream.read(&mut byte).is_ok_and(|read| read > 0) {}
                None
            }
            Answer::Gone => {
                self.stream.shutdown(std::net::Shutdown::Both).ok();
                None
            }
            answer => Some(encoded(&answer)),
        }
    }
}

/// What a whole SQL Server would say to the statements of a connect.
fn usual(name: &str) -> Answer {
    match name {
        "agent:survey_product" => product(0),
        "agent:survey_columns" => site("varbinary", "bigint", "datetime2"),
        "agent:survey_receives" => Answer::Rows(vec![("receiving", Type::Big)], vec![vec![Cell::Number(1)]]),
        "agent:inbox_insert"
        | "agent:inbox_insert_1_0"
        | "agent:outbox_insert"
        | "agent:outbox_insert_1_0" => Answer::Rows(vec![("C_ID", Type::Big)], vec![vec![Cell::Number(7)]]),
        "session:owner_lock" => Answer::Rows(
            vec![("granted", Type::Big), ("session_id", Type::Big)],
            vec![vec![Cell::Number(0), Cell::Number(51)]],
        ),
        "session:owner_unlock" | "session:inbox_lock" => {
            Answer::Rows(vec![("granted", Type::Big)], vec![vec![Cell::Number(0)]])
        }
        "agent:outbox_highest" => Answer::Rows(vec![("highest", Type::Big)], vec![vec![Cell::Number(0)]]),
        _ => Answer::Changed(1),
    }
}

/// The answer to survey_product, with or without READ_COMMITTED_SNAPSHOT.
pub fn product(read_committed_snapshot: i64) -> Answer {
    use Cell::{Number, Raw, Text};
    Answer::Rows(
        vec![
            ("now_utc", Type::DateTime2),
            ("version", Type::Text),
            ("server_name", Type::Text),
            ("database_id", Type::Int),
            ("fork", Type::Text),
            ("compatibility_level", Type::Int),
            ("read_committed_snapshot", Type::Int),
        ],
        vec![vec![
            Raw(datetime2()),
            Text("Stand-in for Microsoft SQL Server\n\tline two"),
            Text("SITE\\ERP"),
            Number(7),
            Text("4E1A2D7C-0000-0000-0000-00000000000F"),
            Number(110),
            Number(read_committed_snapshot),
        ]],
    )
}

/// The answer to survey_columns for an outbox with these types.
pub fn site(document: &'static str, id: &'static str, created: &'static str) -> Answer {
    let headers = ["table_name", "column_name", "type_name"].map(|name| (name, Type::Text));
    let numbers = ["max_length", "number_precision", "number_scale"].map(|name| (name, Type::Int));
    let row = |table, column, kind, precision| {
        let texts = [table, column, kind].map(Cell::Text);
        texts.into_iter().chain([Cell::Number(8), Cell::Number(precision), Cell::Number(0)]).collect()
    };
    let entry = |column, kind| row("COR_OUTBOX_ENTRY", column, kind, 19);
    Answer::Rows(
        headers.into_iter().chain(numbers).collect(),
        vec![entry("C_ID", id), entry("C_XML", document), entry("C_CREATED_DATE_TIME", created)],
    )
}

/// 2026-01-31 10:20:30.1234567, as datetime2(7).
pub fn datetime2() -> Vec<u8> {
    let mut bytes = 372_301_234_567_u64.to_le_bytes()[..5].to_vec();
    bytes.extend(&739_646_u32.to_le_bytes()[..3]);
    bytes
}

fn name(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    match first.strip_prefix("-- ") {
        Some(name) => name.to_owned(),
        None => first.split(' ').take(2).collect::<Vec<_>>().join(" "),
    }
}

fn text(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16(&units).unwrap()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn all_headers(message: &[u8]) -> usize {
    u32::from_le_bytes(message[..4].try_into().unwrap()) as usize
}

fn prelogin() -> Vec<u8> {
    // VERSION and ENCRYPTION (2: not supported), each with offset and length, then what they point to.
    let mut bytes = vec![0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF];
    bytes.extend([15, 0, 0x07, 0xD0, 0, 0, 2]);
    bytes
}

fn login(message: &[u8]) -> Login {
    let at = |place: usize| usize::from(u16::from_le_bytes([message[place], message[place + 1]]));
    let field = |place: usize| message[at(place)..at(place) + 2 * at(place + 2)].to_vec();
    Login {
        client: text(&field(36)),
        user: text(&field(40)),
        password: field(44),
        program: text(&field(48)),
        database: text(&field(68)),
        raw: message.to_vec(),
    }
}

fn short(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.encode_utf16().count()).unwrap()];
    bytes.extend(utf16(text));
    bytes
}

fn token(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_le_bytes();
    [&[kind], &length[..], body].concat()
}

fn accepted() -> Vec<u8> {
    let packet_size = [&[4][..], &short("4096"), &short("4096")].concat();
    let ack = [&[1, 0x74, 0, 0, 4][..], &short("Stand-in"), &[15, 0, 7, 208]].concat();
    [token(0xE3, &packet_size), message(0xAB, 5703, 0, 1), token(0xAD, &ack), done(0xFD, 0, 0)].concat()
}

/// An ERROR or INFO token.
fn message(kind: u8, number: u32, class: u8, state: u8) -> Vec<u8> {
    let words = "said in another language";
    let length = u16::try_from(words.len()).unwrap().to_le_bytes();
    let start = [&number.to_le_bytes()[..], &[state, class], &length, &utf16(words)].concat();
    token(kind, &[&start[..], &short("SITE"), &short(""), &1_u32.to_le_bytes()].concat())
}

fn error(number: u32, class: u8, state: u8) -> Vec<u8> {
    [message(0xAA, number, class, state), done(0xFD, 2, 0)].concat()
}

fn done(kind: u8, status: u16, rows: u64) -> Vec<u8> {
    [&[kind][..], &status.to_le_bytes(), &[0, 0], &rows.to_le_bytes()].concat()
}

fn encoded(answer: &Answer) -> Vec<u8> {
    const COUNT: u16 = 16;
    const MORE: u16 = 1;
    match answer {
        Answer::Changed(rows) => done(0xFD, COUNT, *rows),
        Answer::Error(number, class, state) => error(*number, *class, *state),
        Answer::Rows(columns, rows) => {
            let mut bytes =
                metadata(&columns.iter().map(|(name, kind)| (*name, described(*kind))).collect::<Vec<_>>());
            for row in rows {
                bytes.extend(encoded_row(columns, row));
            }
            let count = rows.len() as u64;
            bytes.extend(done(0xFF, COUNT | MORE, count));
            bytes.extend([0x79, 0, 0, 0, 0]);
            bytes.extend(done(0xFE, 0, 0));
            bytes
        }
        Answer::CutAfter(..) | Answer::Silence | Answer::Gone => unreachable!(),
    }
}

fn metadata(columns: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0x81];
    bytes.extend(u16::try_from(columns.len()).unwrap().to_le_bytes());
    for (name, described) in columns {
        bytes.extend([0, 0, 0, 0, 9, 0]); // nullable, may be written
        bytes.extend(described);
        bytes.extend(short(name));
    }
    bytes
}

const COLLATION: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];

fn described(kind: Type) -> Vec<u8> {
    match kind {
        Type::Big => vec![0x26, 8],
        Type::Int => vec![0x26, 4],
        Type::Numeric19 => vec![0x6C, 9, 19, 0],
        Type::Text => [&[0xE7, 0x40, 0x1F][..], &COLLATION].concat(),
        Type::TextMax => [&[0xE7, 0xFF, 0xFF][..], &COLLATION].concat(),
        Type::BytesMax => vec![0xA5, 0xFF, 0xFF],
        Type::DateTime => vec![0x6F, 8],
        Type::DateTime2 => vec![0x2A, 7],
        Type::DateTimeOffset => vec![0x2B, 7],
    }
}

/// A ROW, or where something is NULL an NBCROW.
fn encoded_row(columns: &[(&'static str, Type)], row: &[Cell]) -> Vec<u8> {
    let any_null = row.iter().any(|cell| matches!(cell, Cell::Null));
    let mut bytes = vec![if any_null { 0xD2 } else { 0xD1 }];
    if any_null {
        let mut bits = vec![0_u8; columns.len().div_ceil(8)];
        for (place, _) in row.iter().enumerate().filter(|(_, cell)| matches!(cell, Cell::Null)) {
            bits[place / 8] |= 1 << (place % 8);
        }
        bytes.extend(bits);
    }
    for ((_, kind), cell) in columns.iter().zip(row) {
        match cell {
            Cell::Null => {}
            Cell::Number(number) if *kind == Type::Int => {
                bytes.push(4);
                bytes.extend(i32::try_from(*number).unwrap().to_le_bytes());
            }
            Cell::Number(number) if *kind == Type::Numeric19 => {
                bytes.extend([9, u8::from(*number >= 0)]);
                bytes.extend(number.unsigned_abs().to_le_bytes());
            }
            Cell::Number(number) => {
                bytes.push(8);
                bytes.extend(number.to_le_bytes());
            }
            Cell::Text(text) if *kind == Type::TextMax => bytes.extend(in_pieces(&utf16(text))),
            Cell::Text(text) => {
                let text = utf16(text);
                bytes.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
                bytes.extend(text);
            }
            Cell::Bytes(value) => bytes.extend(in_pieces(value)),
            Cell::Raw(value) => {
                bytes.push(u8::try_from(value.len()).unwrap());
                bytes.extend(value);
            }
        }
    }
    bytes
}

/// A large value, whose length is not said before its pieces.
fn in_pieces(value: &[u8]) -> Vec<u8> {
    let mut bytes = 0xFFFF_FFFF_FFFF_FFFE_u64.to_le_bytes().to_vec();
    for piece in value.chunks(1000) {
        bytes.extend(u32::try_from(piece.len()).unwrap().to_le_bytes());
        bytes.extend(piece);
    }
    bytes.extend([0; 4]);
    bytes
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn word(&mut self) -> u16 {
        u16::from_le_bytes(self.take(2).try_into().unwrap())
    }

    fn whole(&mut self, bytes: usize) -> String {
        let taken = self.take(bytes);
        let sign = if taken[bytes - 1] & 0x80 == 0 { 0 } else { 0xFF };
        let mut wide = [sign; 8];
        wide[..bytes].copy_from_slice(taken);
        i64::from_le_bytes(wide).to_string()
    }

    fn sized(&mut self) -> String {
        match self.byte() {
            0 => "NULL".into(),
            bytes => self.whole(usize::from(bytes)),
        }
    }

    /// A document: bytes of any length, shown as the text that they are.
    fn document(&mut self, max: u16) -> String {
        if max != 0xFFFF {
            let bytes = usize::from(self.word());
            return String::from_utf8_lossy(self.take(bytes)).into_owned();
        }
        let mut bytes = Vec::new();
        self.take(8);
        loop {
            let piece = u32::from_le_bytes(self.take(4).try_into().unwrap()) as usize;
            if piece == 0 {
                return String::from_utf8(bytes).unwrap();
            }
            bytes.extend(self.take(piece));
        }
    }

    fn text(&mut self, max: u16) -> String {
        if max != 0xFFFF {
            return match self.word() {
                0xFFFF => "NULL".into(),
                bytes => text(self.take(usize::from(bytes))),
            };
        }
        let mut bytes = Vec::new();
        self.take(8);
        loop {
            let piece = u32::from_le_bytes(self.take(4).try_into().unwrap()) as usize;
            if piece == 0 {
                return text(&bytes);
            }
            bytes.extend(self.take(piece));
        }
    }
}

/// The text and the parameters of sp_executesql.
fn rpc(message: &[u8]) -> (String, Vec<String>) {
    let mut reader = Reader(&message[all_headers(message)..]);
    assert_eq!((reader.word(), reader.word()), (0xFFFF, 10), "sp_executesql");
    reader.word();
    let mut values = Vec::new();
    while !reader.0.is_empty() {
        let name = usize::from(reader.byte());
        reader.take(2 * name);
        reader.byte();
        values.push(match reader.byte() {
            0xE7 => {
                let max = reader.word();
                reader.take(5);
                reader.text(max)
            }
            0xA5 => {
                let max = reader.word();
                reader.document(max)
            }
            0x26 => {
                reader.byte();
                reader.sized()
            }
            other => panic!("a parameter of type {other:#x}: NULL and other types are not for statements"),
        });
    }
    let mut values = values.into_iter();
    let statement = values.next().unwrap();
    values.next();
    (statement, values.collect())
}

/// Name and description of the columns of a `#` table, from the file that makes it.
fn layout(table: &str) -> Vec<(&'static str, Vec<u8>)> {
    const TABLES: &str = concat!(
        include_str!("../../sql/mssql/session/tables.sql"),
        include_str!("../../sql/mssql/session/inbox_tables.sql")
    );
    let start = TABLES.find(&format!("CREATE TABLE {table} (")).unwrap();
    let body = &TABLES[start..start + TABLES[start..].find("\n);").unwrap()];
    let column = |line: &'static str| {
        let line = line.trim();
        let (name, rest) = line.split_once(' ')?;
        if name == "PRIMARY" {
            return None;
        }
        let described = match rest {
            rest if rest.starts_with("bigint NOT NULL") => vec![0x7F],
            rest if rest.starts_with("smallint NOT NULL") => vec![0x34],
            rest if rest.starts_with("bigint") => vec![0x26, 8],
            rest if rest.starts_with("datetime2(7)") => vec![0x2A, 7],
            rest => {
                let length = rest.strip_prefix("nvarchar(").unwrap().split(')').next().unwrap();
                let bytes = (2 * length.parse::<u16>().unwrap()).to_le_bytes();
                [&[0xE7][..], &bytes, &COLLATION].concat()
            }
        };
        Some((name, described))
    };
    body.lines().skip(1).filter_map(column).collect()
}

fn columns(layout: &[(&'static str, Vec<u8>)]) -> Vec<u8> {
    [metadata(layout), done(0xFD, 16, 0)].concat()
}

fn bulk(message: &[u8], layout: &[(&'static str, Vec<u8>)]) -> Vec<Vec<String>> {
    let mut reader = Reader(message);
    assert_eq!((reader.byte(), usize::from(reader.word())), (0x81, layout.len()));
    for (name, described) in layout {
        reader.take(6);
        assert_eq!(reader.take(described.len()), described, "{name}");
        let letters = usize::from(reader.byte());
        assert_eq!(text(reader.take(2 * letters)), *name);
    }
    let mut rows = Vec::new();
    while reader.byte() == 0xD1 {
        let value = |(_, described): &(&str, Vec<u8>)| match described[0] {
            0x7F => reader.whole(8),
            0x34 => reader.whole(2),
            0xE7 => reader.text(0),
            0x26 => reader.sized(),
            _ => {
                let bytes = reader.byte();
                if bytes == 0 { "NULL".into() } else { format!("{:?}", reader.take(usize::from(bytes))) }
            }
        };
        rows.push(layout.iter().map(value).collect());
    }
    rows
}
