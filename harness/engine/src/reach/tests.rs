//! Real sockets, real certificates: who is taken, who is not, and what is said of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use khala_plan::model::{Target as Keys, TlsKeys};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::testing::mentions;

/// An authority with a folder for its files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = tempfile::tempdir().expect("a folder");
        // Two authorities of one name would be one whose signature is wrong.
        let name = folder.path().display().to_string();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("written");
        Self { issuer, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate for a name, and its key; written down too.
    fn signed(&self, name: &str, valid: bool) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        if !valid {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
            params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        std::fs::write(self.file("leaf.pem"), certificate.pem()).expect("written");
        std::fs::write(self.file("leaf.key"), key.serialize_pem()).expect("written");
        (certificate, key)
    }

    /// What a server shows; `asks` says that it asks who is there.
    fn server(&self, name: &str, valid: bool, asks: bool) -> ServerConfig {
        let (certificate, key) = self.signed(name, valid);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if asks {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).expect("an authority");
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        builder.with_single_cert(vec![certificate.der().clone()], key).expect("a certificate")
    }

    /// Keys of a target that trusts it.
    fn trusted(&self) -> TlsKeys {
        TlsKeys { ca: Some(self.file("ca.pem")), ..TlsKeys::default() }
    }
}

/// A server that says what it hears, over TLS.
async fn echo(config: ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(tcp).await?;
                let mut byte = [0; 1];
                while stream.read(&mut byte).await? > 0 {
                    stream.write_all(&byte).await?;
                    stream.flush().await?;
                }
                std::io::Result::Ok(())
            });
        }
    });
    address
}

fn keys(tls: TlsKeys) -> Keys {
    let mut keys = crate::testing::plan(include_str!("../../../../scenarios/smoke.toml")).target;
    keys.way.tls = tls;
    keys
}

fn way(url: &str, tls: TlsKeys) -> Reach {
    Reach::of(url, &keys(tls), &Guard::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// Says a byte and hears it again.
async fn speaks(reach: &Reach) -> Link {
    let mut link =
        reach.connect(Outgoing::default()).await.unwrap_or_else(|error| panic!("{error}"));
    link.stream.write_all(b"k").await.expect("sent");
    link.stream.flush().await.expect("sent");
    assert_eq!(link.stream.read_u8().await.expect("it comes back"), b'k');
    link
}

fn kind(link: &Link) -> Option<HandshakeKind> {
    match &link.stream {
        Stream::Tls(tls) => tls.get_ref().1.handshake_kind(),
        Stream::Plain(_) => None,
    }
}

#[tokio::test]
async fn whom_a_trusted_authority_has_signed_is_spoken_to() {
    let authority = Authority::new();
    for name in ["localhost", "127.0.0.1"] {
        let port = echo(authority.server(name, true, false)).await.port();
        let link = speaks(&way(&format!("https://{name}:{port}"), authority.trusted())).await;
        let (began, there) = link.tls.expect("over TLS");
        assert!(began <= there);
    }
}

#[tokio::test]
async fn who_shows_a_wrong_certificate_is_refused_with_what_is_wrong() {
    let authority = Authority::new();
    let expired = echo(authority.server("localhost", false, false)).await.port();
    let other = echo(authority.server("other.example.com", true, false)).await.port();
    let right = echo(authority.server("localhost", true, false)).await.port();
    let stranger = Authority::new();
    let plain = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let no_tls = plain.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = plain.accept().await {
            let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    for (port, tls, status) in [
        (expired, authority.trusted(), "TLS: the certificate has expired"),
        (other, authority.trusted(), "TLS: the certificate is for another name"),
        (right, stranger.trusted(), "TLS: nobody trusted has signed the certificate"),
        (no_tls, authority.trusted(), "TLS: what came is no TLS"),
    ] {
        let reach = way(&format!("https://localhost:{port}"), tls);
        let error = reach.connect(Outgoing::default()).await.expect_err(status);
        assert_eq!(error.status(), status, "{error}");
        assert!(error.was_heard() && error.exhausted().is_none(), "{error}");
    }
    // Only who says so takes whatever comes.
    let anybody = TlsKeys { insecure: true, ..TlsKeys::default() };
    speaks(&way(&format!("https://localhost:{expired}"), anybody)).await;
    let renamed =
        TlsKeys { server_name: Some("other.example.com".to_owned()), ..authority.trusted() };
    speaks(&way(&format!("https://localhost:{other}"), renamed)).await;
}

#[tokio::test]
async fn a_server_that_asks_who_is_there_is_shown_a_certificate() {
    let authority = Authority::new();
    let port = echo(authority.server("localhost", true, true)).await.port();
    let url = format!("https://localhost:{port}");
    let client = Some((authority.file("leaf.pem"), authority.file("leaf.key")));
    speaks(&way(&url, TlsKeys { client, ..authority.trusted() })).await;
    // A server of TLS 1.3 refuses after the client's handshake: it shows at the first read.
    let mut link = way(&url, authority.trusted())
        .connect(Outgoing::default())
        .await
        .expect("as far as it goes");
    let refused = link.stream.read_u8().await.expect_err("nobody was shown");
    let (what, mend) = tls_mistake(&refused).expect("a usual mistake");
    assert_eq!(what, "TLS: the server asks who is there, and no certificate was shown");
    assert!(mend.contains("target.tls.client_certificate"), "{mend}");
    let told = crate::transport::DialError::Connection("sync.example.com".to_owned(), refused);
    assert_eq!(told.mend(), Some(mend));
    assert!(told.to_string().contains("no certificate was shown"), "{told}");
}

#[tokio::test]
async fn a_self_signed_authority_as_a_servers_certificate_is_told_as_one() {
    let authority = Authority::new();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let own = params.self_signed(&key).expect("signed by itself");
    std::fs::write(authority.file("own.pem"), own.pem()).expect("written");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![own.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .expect("a certificate");
    let port = echo(server).await.port();
    for ca in ["ca.pem", "own.pem"] {
        let tls = TlsKeys { ca: Some(authority.file(ca)), ..TlsKeys::default() };
        let reach = way(&format!("https://localhost:{port}"), tls);
        let error = reach.connect(Outgoing::default()).await.expect_err("it vouches for no server");
        assert!(error.to_string().contains("the certificate is self-signed"), "{error}");
        assert!(error.mend().is_some_and(|mend| mend.contains("CA:FALSE")), "{error}");
    }
}

#[tokio::test]
async fn each_client_resumes_its_own_session_and_no_others() {
    let authority = Authority::new();
    let port = echo(authority.server("localhost", true, false)).await.port();
    let reach = way(&format!("https://localhost:{port}"), authority.trusted());
    let (one, two) = (reach.for_client(), reach.for_client());
    assert_eq!(kind(&speaks(&one).await), Some(HandshakeKind::Full));
    assert_eq!(kind(&speaks(&one).await), Some(HandshakeKind::Resumed));
    assert_eq!(kind(&speaks(&two).await), Some(HandshakeKind::Full));
}

#[tokio::test]
async fn a_proxy_gives_a_way_to_tls() {
    let authority = Authority::new();
    let port = echo(authority.server("localhost", true, false)).await.port();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let proxy = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await?;
        let mut tcp = BufReader::new(tcp);
        let mut first = String::new();
        tcp.read_line(&mut first).await?;
        let mut line = String::new();
        while tcp.read_line(&mut line).await? > 2 {
            line.clear();
        }
        let to = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut there = TcpStream::connect(to).await?;
        tcp.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        tokio::io::copy_bidirectional(&mut tcp, &mut there).await.map(drop)
    });
    let mut keys = keys(authority.trusted());
    keys.way.proxy = Some(proxy.clone());
    let url = format!("https://localhost:{port}");
    let reach = Reach::of(&url, &keys, &Guard::default()).expect("this machine");
    assert_eq!(reach.proxy(), Some(proxy));
    speaks(&reach).await;
    assert!(reach.addresses().await.expect("nobody is asked").is_empty());
}

#[tokio::test]
async fn localhost_is_whichever_of_its_addresses_somebody_listens_at() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
    let port = listener.local_addr().expect("an address").port();
    let reach = way(&format!("http://by-six.localhost:{port}"), TlsKeys::default());
    for _ in 0..3 {
        reach.connect(Outgoing::default()).await.unwrap_or_else(|error| panic!("{error}"));
    }
    drop(listener);
    let nobody = reach.connect(Outgoing::default()).await.expect_err("nobody listens");
    assert!(nobody.to_string().contains(&format!("127.0.0.1:{port}")), "{nobody}");
}

#[tokio::test]
async fn a_file_that_holds_nothing_of_use_is_named() {
    let authority = Authority::new();
    std::fs::write(authority.file("empty.pem"), "nothing\n").expect("written");
    for (tls, what) in [
        (TlsKeys { ca: Some(authority.file("empty.pem")), ..TlsKeys::default() }, "target.tls.ca"),
        (TlsKeys { ca: Some(authority.file("gone.pem")), ..TlsKeys::default() }, "gone.pem"),
        (
            TlsKeys {
                client: Some((authority.file("ca.pem"), authority.file("empty.pem"))),
                ..authority.trusted()
            },
            "target.tls.client_key",
        ),
        (
            TlsKeys { server_name: Some("no name".to_owned()), ..authority.trusted() },
            "target.tls.server_name",
        ),
    ] {
        let error =
            Reach::of("https://localhost:1", &keys(tls), &Guard::default()).expect_err(what);
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn secrets_go_to_another_host_in_clear_text_only_where_that_may_be() {
    let allowed = "[[host]]\nname = \"sync.example.com\"\naddresses = [\"192.0.2.0/24\"]\nclients = 1\n\
                   connects_per_second = 1\nmessages_per_second = 1\nowner = \"jo\"\nexpires = \"2999-12-31\"\n";
    let guard = Guard::parse(allowed).expect("an allow file");
    let mut keys = keys(TlsKeys::default());
    let url = "http://sync.example.com";
    assert!(matches!(Reach::of(url, &keys, &guard), Err(SetupError::ClearText { .. })));
    keys.way.clear_text = true;
    assert!(Reach::of(url, &keys, &guard).is_ok());
    let refused = Reach::of(url, &keys, &Guard::default());
    assert!(matches!(refused, Err(SetupError::Forbidden(Refused::NoEntry(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_name_that_stands_for_another_address_is_refused_at_the_connect() {
    // `localhost` is no name of another host: the entry's own addresses are.
    let allowed = "[[host]]\nname = \"192.0.2.1\"\naddresses = [\"198.51.100.0/24\"]\nclients = 1\n\
                   connects_per_second = 9\nmessages_per_second = 1\nowner = \"jo\"\nexpires = \"2999-12-31\"\n";
    let mut keys = keys(TlsKeys::default());
    keys.way.clear_text = true;
    let guard = Guard::parse(allowed).expect("an allow file");
    let reach = Reach::of("http://192.0.2.1:4000", &keys, &guard).expect("an entry names it");
    let refused = tokio::time::timeout(Duration::from_secs(60), reach.connect(Outgoing::default()));
    let refused = refused.await.expect("at once").expect_err("another address");
    assert!(matches!(refused, ReachError::Forbidden(Refused::Address(..))), "{refused}");
}

/// What the guard promises holds of what is opened here alone.
#[test]
fn nothing_else_in_the_engine_connects() {
    let opens = ["TcpSocket", "TcpStream::connect", "connect_async", "HttpConnector", "UdpSocket"];
    let engine = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found = mentions(&engine, &opens, &["reach"]);
    assert_eq!(found, [""; 0], "open it by `Reach::connect`");
}
