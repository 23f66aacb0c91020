//! Who may call, by real requests: three kinds of credentials, their change, and what a wrong one costs.

use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bodrelay::clock::{Clock, SystemClock};
use bodrelay::ims::oauth1::{Method, Signed, query_parameters, write_header};

use super::*;

const CALLERS: &str = "
[[listen.caller]]
name = \"ec\"
auth = \"oauth1\"
key = \"consumer\"
secret_file = \"oauth\"
[[listen.caller]]
name = \"old\"
auth = \"basic\"
key = \"ion\"
secret_file = \"old\"
[[listen.caller]]
name = \"new\"
auth = \"basic\"
key = \"ion\"
secret_file = \"new\"
[[listen.caller]]
name = \"gateway\"
auth = \"bearer\"
secret_file = \"token\"
";

fn write_secret(inbox: &Inbox, file: &str, secret: &str) {
    bodrelay::platform::replace_file(&inbox.site.path(file), format!("{secret}\n").as_bytes()).unwrap();
}

pub(super) fn guarded(listen: &str) -> Inbox {
    let inbox = Inbox::new(&format!("{listen}\n{CALLERS}"));
    for (file, secret) in
        [("oauth", "s3cret & more"), ("old", "first"), ("new", "second"), ("token", "t0ken")]
    {
        write_secret(&inbox, file, secret);
    }
    inbox
}

/// Waits for the listener: with callers there is no 412 to be had without a credential.
pub(super) fn start(inbox: &Inbox) -> Agent {
    let mut agent = inbox.site.start();
    agent.until_says("receives what ION sends");
    agent.until("everything to receive was read", || {
        let answer =
            inbox.caller().post(V3, &[TENANT, basic("second")], &message(&json("Sync.Nothing", "x"), "<a/>"));
        answer.is_ok_and(|answer| answer.status == 412)
    });
    agent
}

pub(super) fn basic(password: &str) -> (&'static str, &'static str) {
    let value = format!("Basic {}", STANDARD.encode(format!("ion:{password}")));
    ("Authorization", value.leak())
}

fn signed(inbox: &Inbox, method: Method, path: &str, secret: &str, off: i64, nonce: &str) -> String {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let origin = format!("http://LOCALHOST:{}", inbox.port);
    let parameters = query_parameters(query);
    let request = Signed { http_method: "POST", origin: &origin, path, parameters: &parameters };
    write_header(&request, method, "consumer", secret, (SystemClock.now().timestamp() + off, nonce))
}

#[test]
fn each_credential_lets_in_and_can_be_changed_while_it_runs() {
    let inbox = guarded("");
    let mut agent = start(&inbox);
    let host = format!("localhost:{}", inbox.port);
    let mut caller = inbox.caller();
    let ping =
        |authorization: (&str, &str)| inbox.caller().get("/service/ping", &[authorization]).unwrap().status;

    assert_eq!(
        (ping(basic("first")), ping(basic("second")), ping(("Authorization", "Bearer t0ken"))),
        (200, 200, 200)
    );
    let answer = caller.get("/service/ping", &[]).unwrap();
    assert_eq!((answer.status, &*answer.code()), (401, "CREDENTIAL_REFUSED"));
    assert!(answer.header("www-authenticate").unwrap().starts_with("OAuth realm="), "{answer:?}");

    // Signed over host, path and query; the multipart body is no part of it.
    for (number, method) in [Method::HmacSha1, Method::HmacSha256].into_iter().enumerate() {
        let path = "/service/v3/multipartMessage?company=8%2F0";
        let header = signed(&inbox, method, path, "s3cret & more", -200, "n1");
        let body = message(&item(&ion_id("m")), document(&format!("IT-{number}"), 7));
        let mut send = |path: &str| {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {header}\r\nX-TenantId: DEMO_TST\r\nContent-Type: \
                 multipart/form-data; boundary=b0undary\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            caller.write(head.as_bytes()).unwrap();
            caller.write(&body).unwrap();
            caller.answer().unwrap()
        };
        if number == 0 {
            assert_eq!(send(path).status, 202);
            let again = send(path);
            assert_eq!(again.status, 401, "the same nonce twice: {again:?}");
        }
        assert_eq!(send("/service/v3/multipartMessage?company=9").status, 401, "another query");
    }
    for (secret, off) in [("s3cret", 0), ("s3cret & more", 400), ("s3cret & more", -400)] {
        let header = signed(&inbox, Method::HmacSha1, V3, secret, off, "n2");
        let answer = inbox
            .caller()
            .post(V3, &[TENANT, ("Authorization", &header)], &message(&item("m"), document("IT-9", 7)))
            .unwrap();
        assert_eq!(answer.status, 401, "{secret} {off}");
    }
    assert_eq!(inbox.rows(), 1);

    // The password changes: the new one counts, the other caller is not disturbed, a broken file changes nothing.
    write_secret(&inbox, "old", "third");
    agent.until("the new password counts", || ping(basic("third")) == 200);
    assert_eq!((ping(basic("first")), ping(basic("second"))), (401, 200));
    std::fs::write(inbox.site.path("old"), "").unwrap();
    agent.until("the finding names the file", || {
        let text = inbox
            .site
            .text("SELECT finding_text FROM bodrelay_finding WHERE code = 'LISTENER_FILES_UNUSABLE'");
        text.is_some_and(|text| text.contains("old is empty"))
    });
    assert_eq!((ping(basic("third")), ping(basic("second"))), (200, 200));
    assert!(inbox.site.has_finding("CALLER_REFUSED"));
    let log = agent.log();
    for secret in ["s3cret", "t0ken", "first", "third"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn a_wrong_credential_costs_its_peer_time_and_nobody_else() {
    let inbox = guarded("");
    let _agent = start(&inbox);
    let mut caller = inbox.caller();
    let mut took = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        assert_eq!(caller.get("/service/ping", &[basic("wrong")]).unwrap().status, 401);
        took.push(begun.elapsed());
    }
    assert!(took[4] >= Duration::from_millis(1_500), "{took:?}");
    // The right one is let in at once, from the same address.
    let begun = Instant::now();
    assert_eq!(inbox.caller().get("/service/ping", &[basic("second")]).unwrap().status, 200);
    assert!(begun.elapsed() < Duration::from_millis(500));
}

#[test]
fn many_wrong_logins_at_once_are_few_refusals_and_few_lines() {
    let inbox = guarded("");
    let mut agent = start(&inbox);
    let port = inbox.port;
    let begun = Instant::now();
    let patience = Duration::from_secs(6);
    let tries: Vec<_> = (0..150)
        .map(|_| {
            std::thread::spawn(move || {
                let (mut refused, mut closed) = (0, 0);
                while begun.elapsed() < patience {
                    let answer = crate::Caller::connect(port)
                        .and_then(|mut caller| caller.get("/service/ping", &[basic("wrong")]));
                    match answer {
                        Ok(answer) => refused += usize::from(answer.status == 401),
                        Err(_) => closed += 1,
                    }
                    std::thread::yield_now();
                }
                (refused, closed)
            })
        })
        .collect();
    // Somebody with the right one is let in meanwhile, from the same address.
    let answer = inbox.caller().get("/service/ping", &[basic("second")]);
    let (mut refused, mut closed) = (0, 0);
    for one in tries {
        let (more, none) = one.join().unwrap();
        (refused, closed) = (refused + more, closed + none);
    }
    // 64 wait at once, 3 s each but for the first few.
    assert!(refused < 600, "{refused} refusals, {closed} connections closed");
    assert!(answer.is_ok_and(|answer| answer.status == 200) || closed > 0);
    agent.until("both findings", || {
        inbox.site.has_finding("CALLER_REFUSED") && inbox.site.has_finding("LISTENER_CROWDED")
    });
    let lines = agent
        .log()
        .lines()
        .filter(|line| line.contains("turned away") || line.contains("connections were closed"))
        .count();
    assert!(lines <= 8, "{lines} lines");
}

#[test]
fn a_signature_does_not_count_again_after_a_restart() {
    let inbox = guarded("");
    let mut agent = start(&inbox);
    let send = |header: &str, id: &str| {
        let body = message(&item(&ion_id(id)), document(&format!("IT-{id}"), 7));
        let request = format!(
            "POST {V3} HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {header}\r\nX-TenantId: DEMO_TST\r\nContent-Type: \
             multipart/form-data; boundary=b0undary\r\nContent-Length: {}\r\n\r\n",
            inbox.port,
            body.len()
        );
        let mut caller = inbox.caller();
        caller.write(request.as_bytes()).unwrap();
        caller.write(&body).unwrap();
        caller.answer().unwrap()
    };
    // A caller whose clock is ahead, and one at the same time.
    let signatures: Vec<String> = [0, 100]
        .iter()
        .map(|off| signed(&inbox, Method::HmacSha256, V3, "s3cret & more", *off, &format!("n{off}")))
        .collect();
    for (number, header) in signatures.iter().enumerate() {
        assert_eq!(send(header, &format!("a{number}")).status, 202);
    }
    agent.kill();
    agent = start(&inbox);
    for (number, header) in signatures.iter().enumerate() {
        let answer = send(header, &format!("b{number}"));
        assert_eq!((answer.status, &*answer.code()), (503, "SIGNED_BEFORE_RESTART"), "{answer:?}");
        assert!(answer.header("retry-after").is_some());
    }
    let later = signed(&inbox, Method::HmacSha256, V3, "s3cret & more", 150, "n3");
    assert_eq!(send(&later, "c").status, 202);
    assert_eq!(send(&later, "d").status, 401);
    assert_eq!(inbox.rows(), 3);
    agent.term();
}

#[test]
fn idle_connections_do_not_keep_a_caller_out() {
    let inbox = guarded("");
    let mut agent = start(&inbox);
    let idle: Vec<_> =
        (0..300).map(|_| std::net::TcpStream::connect(("127.0.0.1", inbox.port)).unwrap()).collect();
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(inbox.caller().get("/service/ping", &[basic("second")]).unwrap().status, 200);
    }
    // An idle connection lives for 30 s.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    agent.until("the finding", || inbox.site.has_finding("LISTENER_CROWDED"));
    drop(idle);
}

#[test]
fn an_open_listener_is_said_loudly() {
    let inbox = Inbox::new("");
    let mut agent = inbox.start();
    agent.until_says("there is no [[listen.caller]]");
    agent.until("the finding is there", || inbox.site.has_open_finding("LISTENER_OPEN"));
    let (code, out, _) = inbox.site.command_output("check", &[]);
    assert!(out.contains("LISTENER_OPEN") && out.contains("somebody listens at"), "{code} {out}");
}

#[test]
fn files_that_cannot_be_used_keep_the_agent_from_starting() {
    let inbox = Inbox::new(CALLERS);
    let mut agent = inbox.site.start();
    assert_eq!(agent.wait().code(), Some(2), "{}", agent.log());
    assert!(agent.log().contains("[[listen.caller]] ec: secret_file"), "{}", agent.log());
    let (code, out, _) = inbox.site.command_output("check", &[]);
    assert_eq!(code, 2);
    assert!(out.contains("LISTENER_FILES_UNUSABLE"), "{out}");
    // A port that somebody has.
    let inbox = Inbox::new("");
    let _other = std::net::TcpListener::bind(("127.0.0.1", inbox.port)).unwrap();
    let mut agent = inbox.site.start();
    assert_eq!(agent.wait().code(), Some(2), "{}", agent.log());
    assert!(agent.log().contains("nothing can listen there"), "{}", agent.log());
}

/// Other machines reach it, and nothing is encrypted; then an address that this machine does not have.
#[test]
fn addresses_of_the_network_are_looked_at() {
    let inbox = guarded("");
    let listen = |address: &str| {
        let port = inbox.port;
        inbox.site.write_configuration(&format!(
            "[listen]\naddress = \"{address}:{port}\"\nallow_plain = true\n{CALLERS}"
        ));
    };
    listen("0.0.0.0");
    let mut agent = inbox.site.start();
    agent.until("the finding is there", || inbox.site.has_open_finding("LISTENER_PLAIN"));
    drop(agent);
    listen("192.0.2.1");
    let (_, out, _) = inbox.site.command_output("check", &[]);
    assert!(out.contains("LISTENER_ADDRESS_WRONG") && !out.contains("somebody listens at"), "{out}");
    listen("127.0.0.1");
    let mut agent = start(&inbox);
    agent.until("it is over", || !inbox.site.has_open_finding("LISTENER_PLAIN"));
}

/// A certificate for localhost in the two files, and the authority that signed it.
fn write_certificate(inbox: &Inbox, ends_soon: bool) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut own = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    if ends_soon {
        use chrono::Datelike;
        let end = SystemClock.now() + chrono::TimeDelta::days(5);
        own.not_before = rcgen::date_time_ymd(2020, 1, 1);
        own.not_after = rcgen::date_time_ymd(
            end.year(),
            u8::try_from(end.month()).unwrap(),
            u8::try_from(end.day()).unwrap(),
        );
    }
    let certificate = own.self_signed(&key).unwrap();
    let write = |file: &str, text: String| {
        bodrelay::platform::replace_file(&inbox.site.path(file), text.as_bytes()).unwrap();
    };
    // As a renewal does it: one file after the other, so that they do not go together for a moment.
    write("key.pem", key.serialize_pem());
    write("cert.pem", certificate.pem());
}

fn curl_ping(inbox: &Inbox) -> String {
    let output = Command::new("curl")
        .args(["-sS", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", "-u", "ion:second", "--cacert"])
        .arg(inbox.site.path("cert.pem"))
        .args(["--resolve", &format!("localhost:{}:127.0.0.1", inbox.port)])
        .arg(format!("https://localhost:{}/service/ping", inbox.port))
        .output()
        .unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn tls_follows_its_files() {
    let inbox = guarded("certificate_file = \"cert.pem\"\nkey_file = \"key.pem\"");
    write_certificate(&inbox, false);
    let mut agent = inbox.site.start();
    agent.until_says("receives what ION sends");
    assert_eq!(curl_ping(&inbox), "200");
    assert!(inbox.caller().get("/service/ping", &[basic("second")]).is_err(), "plain HTTP is no TLS");
    // Another certificate, which ends soon: it is used without a restart, and somebody hears of its end.
    write_certificate(&inbox, true);
    agent.until("the new certificate is shown", || curl_ping(&inbox) == "200");
    agent.until("its end is a finding", || inbox.site.has_open_finding("CERTIFICATE_EXPIRES"));
    let (_, out, _) = inbox.site.command_output("check", &[]);
    assert!(out.contains("CERTIFICATE_EXPIRES"), "{out}");
    // A broken one is not.
    std::fs::write(inbox.site.path("key.pem"), "nothing").unwrap();
    agent.until("the finding is there", || inbox.site.has_open_finding("LISTENER_FILES_UNUSABLE"));
    assert_eq!(curl_ping(&inbox), "200");
}
