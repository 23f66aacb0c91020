//! The network: what is not connected and what is in doubt, time-outs, TLS, proxies, addresses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::*;

#[tokio::test]
async fn a_restarted_endpoint_is_reached_again() {
    let Site { simulator, folder, client } = Site::new();
    assert_eq!(status(&client.post(V3, &parcel("1")).await), 202);
    let address = simulator.address();
    simulator.stop();
    // A kept connection may break under the post: nobody knows then. The next one finds nobody there.
    let mut answer = client.post(V3, &parcel("2")).await;
    if matches!(answer, Answer::Unanswered { .. }) {
        answer = client.post(V3, &parcel("2")).await;
    }
    let Answer::NotConnected { what } = &answer else { panic!("{answer:?}") };
    assert!(what.contains(&address.to_string()) && what.contains("refused"), "{what}");

    let simulator = Simulator::start(Options { listen: address, ..Options::default() }).unwrap();
    assert_eq!(status(&client.post(V3, &parcel("3")).await), 202);
    assert_eq!(simulator.ledger().counts().posts, 1);
    drop(folder);
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_not_connected() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let site = Site::new();
    let settings = format!("base_url = 'https://localhost:{port}/x'\nconnect_timeout_seconds = 1");
    let begin = Instant::now();
    let answer = client(site.folder.path(), &settings).unwrap().post(V3, &parcel("1")).await;
    let Answer::NotConnected { what } = &answer else { panic!("{answer:?}") };
    assert!(what.contains(&format!("localhost:{port}")) && what.contains("timed out"), "{what}");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_name_that_is_not_found_says_so() {
    let site = Site::new();
    let client = client(site.folder.path(), "base_url = 'https://nowhere.invalid/x'").unwrap();
    let answer = client.post(V3, &parcel("1")).await;
    let Answer::NotConnected { what } = &answer else { panic!("{answer:?}") };
    assert!(what.contains("nowhere.invalid:443") && what.contains("DNS"), "{what}");
}

/// TLS in front of the simulator, with a certificate for localhost and a credential file for it; answers its port.
/// The certificate ends in so many days, or in some thousand years.
pub async fn tls_front(simulator: &Simulator, folder: &Path, ends_in_days: Option<i64>) -> u16 {
    let acceptor = tokio_rustls::TlsAcceptor::from(certificate::localhost(folder, ends_in_days));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = simulator.address();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut inner = TcpStream::connect(target).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut inner).await;
                }
            });
        }
    });
    let file =
        simulator.ionapi_json().replace(&format!("http://{target}"), &format!("https://localhost:{port}"));
    std::fs::write(folder.join("x.ionapi"), file).unwrap();
    port
}

#[tokio::test]
async fn tls_trusts_the_ca_file_and_says_what_is_wrong_with_a_certificate() {
    let site = Site::new();
    let folder = site.folder.path();
    let port = tls_front(&site.simulator, folder, None).await;
    let trusted = format!("ca_file = {:?}\nmin_tls = '1.3'", folder.join("ca.pem"));
    let answer = client(folder, &trusted).unwrap().post(V3, &parcel("1")).await;
    assert_eq!(status(&answer), 202, "{answer:?}");

    // The token is kept from the first run; without the CA the post itself fails.
    let answer = client(folder, "").unwrap().post(V3, &parcel("2")).await;
    let Answer::NotConnected { what } = &answer else { panic!("{answer:?}") };
    assert!(what.contains(&format!("localhost:{port}")), "{what}");
    assert!(what.contains("put its certificate into ca_file"), "{what}");
    let shown = client(folder, "").unwrap().certificates_shown(&answer).await.unwrap();
    assert!(shown.contains("(issued by CN=") && shown.contains("rcgen self signed cert"), "{shown}");

    let port = tls_front(&site.simulator, folder, Some(-9)).await;
    let answer = client(folder, &trusted).unwrap().post(V3, &parcel("3")).await;
    let Answer::NoToken { what, .. } = &answer else { panic!("{answer:?}") };
    assert!(what.contains(&format!("localhost:{port}")), "{what}");
    assert!(what.contains("certificate has expired"), "{what}");

    std::fs::write(folder.join("ca.pem"), "nothing").unwrap();
    let error = format!("{:#}", client(folder, &trusted).unwrap_err());
    assert!(error.contains("holds no PEM certificate"), "{error}");
}

/// A proxy that wants `user:pass-w0rd`, for CONNECT and for absolute requests; counts what it let through.
pub(crate) async fn proxy() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let passed = Arc::new(AtomicUsize::new(0));
    let counter = passed.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(carry(stream, counter.clone()));
        }
    });
    (port, passed)
}

async fn carry(mut stream: TcpStream, counter: Arc<AtomicUsize>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let text = String::from_utf8(head.clone()).unwrap();
    // user:pass-w0rd
    if !text.contains("dXNlcjpwYXNzLXcwcmQ=") {
        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        let _ = stream.write_all(refusal).await;
        return;
    }
    counter.fetch_add(1, Ordering::SeqCst);
    let target = text.split(' ').nth(1).unwrap().trim_start_matches("http://");
    let target = target.split('/').next().unwrap().replace("localhost", "127.0.0.1");
    let mut inner = TcpStream::connect(target).await.unwrap();
    match text.starts_with("CONNECT") {
        true => stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap(),
        false => inner.write_all(&head).await.unwrap(),
    }
    let _ = copy_bidirectional(&mut stream, &mut inner).await;
}

#[tokio::test]
async fn a_proxy_is_used_for_posts_and_tokens() {
    let site = Site::new();
    let folder = site.folder.path();
    let (port, passed) = proxy().await;
    let setting = format!("proxy = 'http://user:pass-w0rd@127.0.0.1:{port}'");
    let answer = client(folder, &setting).unwrap().post(V3, &parcel("1")).await;
    assert_eq!(status(&answer), 202, "{answer:?}");
    assert!(passed.swap(0, Ordering::SeqCst) >= 1);

    tls_front(&site.simulator, folder, None).await;
    let ca = format!("ca_file = {:?}", folder.join("ca.pem"));
    let answer = client(folder, &format!("{setting}\n{ca}")).unwrap().post(V3, &parcel("2")).await;
    assert_eq!(status(&answer), 202, "{answer:?}");
    assert!(passed.swap(0, Ordering::SeqCst) >= 1);

    let around = format!("{setting}\n{ca}\nno_proxy = 'localhost'");
    let answer = client(folder, &around).unwrap().post(V3, &parcel("3")).await;
    assert_eq!(status(&answer), 202, "{answer:?}");
    assert_eq!(passed.load(Ordering::SeqCst), 0);

    let wrong = format!("proxy = 'http://user:wrong-w0rd@127.0.0.1:{port}'\n{ca}");
    let answer = client(folder, &wrong).unwrap().post(V3, &parcel("4")).await;
    let Answer::NotConnected { what } = &answer else { panic!("{answer:?}") };
    assert!(what.contains(&format!("proxy 127.0.0.1:{port}")), "{what}");
    assert!(what.contains("HTTP 407") && what.contains("user:password@"), "{what}");
    assert!(!what.contains("wrong-w0rd"), "{what}");
    let error = format!("{:#}", client(folder, "proxy = 'user:pass-w0rd'").unwrap_err());
    assert!(error.contains("http://host:port") && !error.contains("pass-w0rd"), "{error}");
}

/// A proxy that answers everything with this, and reads no more than the head.
async fn refusing_proxy(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 512];
                let _ = stream.read(&mut head).await;
                let _ = stream
                    .write_all(format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").as_bytes())
                    .await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_its_status() {
    let site = Site::new();
    let folder = site.folder.path();
    // The token first, so that it is the post that goes through the proxy.
    assert_eq!(status(&site.post("0").await), 202);
    for answer in ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"] {
        let port = refusing_proxy(answer).await;
        let proxy = format!("proxy = 'http://127.0.0.1:{port}'");
        let https = format!("{proxy}\nbase_url = 'https://localhost:9/x'");
        let found = client(folder, &https).unwrap().ping().await;
        assert!(matches!(found, Answer::NotConnected { .. } | Answer::NoToken { .. }), "{found:?}");
        let what = found.text();
        assert!(what.contains(&format!("HTTP {answer}")), "{what}");
        assert_eq!(what.contains("user:password@"), answer.starts_with("407"), "{what}");
    }
    // Plain HTTP, to this machine only: the proxy answers itself, and may close before it has read everything.
    let port = refusing_proxy("407 Proxy Authentication Required").await;
    let plain = client(folder, &format!("proxy = 'http://127.0.0.1:{port}'")).unwrap();
    let mut large = parcel("1");
    large.payload = vec![b'x'; 4_000_000].into();
    for answer in [plain.ping().await, plain.post(V3, &large).await] {
        assert!(!matches!(answer, Answer::Http { .. }), "{answer:?}");
        assert!(answer.text().contains("HTTP 407"), "{answer:?}");
    }
}

/// A server that shows this certificate; its port.
async fn shows(certificate: &rcgen::Certificate, key: &rcgen::KeyPair) -> u16 {
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut bytes = [0; 512];
                    let _ = stream.read(&mut bytes).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said_with_what_helps() {
    let site = Site::new();
    let folder = site.folder.path();
    assert_eq!(status(&site.post("0").await), 202);
    let file = folder.join("own.pem");
    let ask = async |certificate: &rcgen::Certificate, key: &rcgen::KeyPair| {
        let port = shows(certificate, key).await;
        let settings = format!("base_url = 'https://localhost:{port}/x'\nca_file = {file:?}");
        client(folder, &settings).unwrap().ping().await
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let make = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        change(&mut parameters);
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(&file, certificate.pem()).unwrap();
        certificate
    };
    // As 'openssl req -x509' makes it: trusted or not, it stands for no server.
    let authority = make(&|it| it.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    let answer = ask(&authority, &key).await;
    assert!(answer.text().contains("CA:FALSE") && !answer.text().contains("OtherError"), "{answer:?}");
    // And the remedy helps.
    let own = make(&|_| {});
    assert_eq!(status(&ask(&own, &key).await), 200);
    let later = make(&|it| {
        it.not_before = rcgen::date_time_ymd(3000, 1, 1);
        it.not_after = rcgen::date_time_ymd(3001, 1, 1);
    });
    let answer = ask(&later, &key).await;
    assert!(answer.text().contains("not valid yet: this machine's clock"), "{answer:?}");
    let other =
        make(&|it| it.subject_alt_names = vec![rcgen::SanType::DnsName("elsewhere".try_into().unwrap())]);
    let answer = ask(&other, &key).await;
    assert!(answer.text().contains("check base_url"), "{answer:?}");
    let client_only = make(&|it| it.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth]);
    let answer = ask(&client_only, &key).await;
    assert!(answer.text().contains("not one for servers"), "{answer:?}");
}

#[tokio::test]
async fn only_https_leaves_this_machine() {
    let site = Site::new();
    for (base, is_right) in [
        ("http://ion.example.com/x", false),
        ("https://user:secret@ion.example.com/x", false),
        ("nonsense", false),
        ("http://[::1]:1/x", true),
        ("http://127.0.0.2:1/x", true),
        ("https://ion.example.com/x", true),
    ] {
        let client = client(site.folder.path(), &format!("base_url = '{base}'"));
        assert_eq!(client.is_ok(), is_right, "{base}");
    }
    for (base, wanted) in [
        ("https://h/a/", "https://h/a/service/"),
        ("https://h/a/service", "https://h/a/service/"),
        ("https://h/c4ws/api/ion/messaging/service/550", "https://h/c4ws/api/ion/messaging/service/550/"),
    ] {
        let client = client(site.folder.path(), &format!("base_url = '{base}'")).unwrap();
        assert_eq!(client.endpoint(), wanted);
    }
}
