//! The way to a target: its addresses, TLS, a proxy, and whether it may be gone at all.
//!
//! Every socket that the harness opens itself is opened by [`Reach::connect`]: the clients', the HTTP requests' to
//! runtime and control service, and those that a fault holds open. What a hook's command does is its own.

pub mod guard;
pub mod names;
pub mod place;
pub mod proxy;
mod rate;
pub mod stream;
pub mod tls;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use hyper::Uri;
use hyper_util::rt::TokioIo;
use khala_evidence::facts::{Connects, Way};
use khala_evidence::record::Resource;
use khala_plan::model::{self as keys, Target as Keys, TargetKind};
use tokio::net::{TcpSocket, TcpStream};
use tower_service::Service;

use self::guard::{Guard, Permit, Refused};
use self::names::Names;
use self::place::Place;
use self::proxy::Proxy;
use self::stream::Stream;
use self::tls::Tls;
use crate::answer::connection_status;
use crate::clock;
use crate::error::SetupError;

/// Addresses of a target that are told apart.
const ADDRESSES_MAX: usize = 64;

/// The way to one place. Clones share its names and its allowance.
#[derive(Clone, Debug)]
pub struct Reach {
    shared: Arc<Shared>,
    tls: Option<Tls>,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    permit: Permit,
    names: Names,
    /// With the addresses of its own.
    proxy: Option<(Proxy, Permit, Names)>,
    insecure: bool,
    /// By address: connections that came about, and that did not.
    came: Mutex<BTreeMap<SocketAddr, (u64, u64)>>,
}

impl Shared {
    fn new(
        place: Place,
        permit: Permit,
        proxy: Option<(Proxy, Permit, Names)>,
        insecure: bool,
    ) -> Self {
        let names = Names::of(&place);
        Self { place, permit, names, proxy, insecure, came: Mutex::default() }
    }

    /// Counts what came of a connect.
    fn count(&self, address: SocketAddr, made: bool) {
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        // As many as a name may stand for in a run are told; a name that turns forever is not kept.
        if came.len() < ADDRESSES_MAX || came.contains_key(&address) {
            let (good, bad) = came.entry(address).or_default();
            *(if made { good } else { bad }) += 1;
        }
    }
}

/// From where, and with what, a connection is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing {
    /// Address to connect from; `None` leaves it to the kernel.
    pub source: Option<Ipv4Addr>,
    /// `SO_RCVBUF` in bytes, set before connect; `None` leaves it to the kernel.
    pub receive_buffer: Option<u32>,
}

/// Leave to connect once.
#[derive(Debug)]
pub struct Turn(());

/// A connection that is there.
#[derive(Debug)]
pub struct Link {
    /// What is read and written.
    pub stream: Stream,
    /// When TLS began and was there; `None` in clear text.
    pub tls: Option<(Instant, Instant)>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// It may not be made.
    #[error(transparent)]
    Forbidden(#[from] Refused),
    /// The name has no address.
    #[error("cannot look {0} up: {1}")]
    Unknown(String, io::Error),
    /// It could not be made.
    #[error("cannot connect to {0}: {1}")]
    Connection(SocketAddr, io::Error),
    /// The address to connect from could not be taken.
    #[error("cannot connect from {0}: {1}")]
    Unbound(Ipv4Addr, io::Error),
    /// The proxy gave no way.
    #[error("no way through the proxy {0}: {1}")]
    Proxy(String, proxy::Error),
    /// TLS did not come about.
    #[error("no TLS with {0}: {why}", why = tls_told(.1))]
    Tls(String, io::Error),
}

impl ReachError {
    /// In what way, in a word or two.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            Self::Forbidden(refused) if refused.is_for_now() => "more than the allow file grants",
            Self::Forbidden(_) => "not allowed",
            Self::Unknown(..) => "no address",
            Self::Connection(_, error) => connection_status(error),
            Self::Unbound(..) => "no address to connect from",
            Self::Proxy(_, proxy::Error::Io(error)) => connection_status(error),
            Self::Proxy(..) => "refused by the proxy",
            Self::Tls(_, error) => match error.kind() {
                io::ErrorKind::InvalidData => {
                    tls_mistake(error).map_or("TLS: failed", |(what, _)| what)
                }
                _ => connection_status(error),
            },
        }
    }

    /// What of the generator's own has run out.
    #[must_use]
    pub fn exhausted(&self) -> Option<Resource> {
        match self {
            // Whatever the reason: it is the harness that does not go.
            Self::Forbidden(_) => Some(Resource::Allowance),
            Self::Connection(_, error) | Self::Proxy(_, proxy::Error::Io(error)) => {
                crate::transport::exhausted(error)
            }
            Self::Unbound(_, error) => {
                Some(crate::transport::exhausted(error).unwrap_or(Resource::Addresses))
            }
            Self::Unknown(..) => Some(Resource::Names),
            Self::Proxy(..) | Self::Tls(..) => None,
        }
    }

    /// What to look at, in a clause, where that is known.
    #[must_use]
    pub fn mend(&self) -> Option<&'static str> {
        match self {
            Self::Tls(_, error) => tls_mistake(error).map(|(_, mend)| mend),
            Self::Proxy(..) => Some(
                "target.proxy, or the variables HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, name it",
            ),
            Self::Unknown(..) => Some(
                "see whether the name is written as it should be, and whether this machine's name server knows it",
            ),
            Self::Connection(_, error) => Some(match error.kind() {
                io::ErrorKind::ConnectionRefused => {
                    "nobody listens there: see whether the server is up, and whether host and port are its own"
                }
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                    "there is no route from this machine: see its network, and whether the address is right"
                }
                io::ErrorKind::TimedOut => {
                    "see whether host and port are right, and what a firewall lets through"
                }
                _ => return None,
            }),
            // What to do is in its words.
            Self::Forbidden(_) | Self::Unbound(..) => None,
        }
    }

    /// Whether somebody there said so.
    #[must_use]
    pub fn was_heard(&self) -> bool {
        matches!(self, Self::Tls(_, error) if error.kind() == io::ErrorKind::InvalidData)
    }
}

/// What of TLS went wrong: in plain words, where it is one of the usual mistakes, and as the library says it.
pub(crate) fn tls_told(error: &io::Error) -> String {
    match tls_mistake(error) {
        Some((what, _)) => format!("{} ({error})", what.trim_start_matches("TLS: ")),
        None => error.to_string(),
    }
}

/// What of TLS went wrong, as far as it is one of the usual mistakes, and what to look at.
pub(crate) fn tls_mistake(error: &io::Error) -> Option<(&'static str, &'static str)> {
    use rustls::Error;
    Some(match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(why) => certificate_mistake(why),
        Error::AlertReceived(alert) => alert_mistake(*alert),
        Error::InvalidMessage(_) => (
            "TLS: what came is no TLS",
            "a url that begins with http:// is spoken to in clear text",
        ),
        _ => return None,
    })
}

fn certificate_mistake(why: &rustls::CertificateError) -> (&'static str, &'static str) {
    use rustls::CertificateError;
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "TLS: the certificate has expired",
            "it has to be renewed where TLS ends; this machine's own clock may be wrong too",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("TLS: the certificate is not valid yet", "this machine's own clock may be wrong")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "TLS: the certificate is for another name",
            "name the host that it is for in the url, or in target.tls.server_name",
        ),
        CertificateError::UnknownIssuer => (
            "TLS: nobody trusted has signed the certificate",
            "name a file with the authority that has signed it as target.tls.ca",
        ),
        // Which is what `openssl req -x509` makes unless it is told otherwise.
        CertificateError::Other(why) if why.to_string().contains("CaUsedAsEndEntity") => (
            "TLS: the certificate is self-signed, an authority's own, which vouches for others and for no server",
            "give the server a certificate that it has signed, and name it as target.tls.ca; or make a self-signed \
             one with basicConstraints=CA:FALSE",
        ),
        _ => ("TLS: the certificate is not valid", "see where TLS ends which certificate it shows"),
    }
}

fn alert_mistake(alert: rustls::AlertDescription) -> (&'static str, &'static str) {
    use rustls::AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => (
            "TLS: the server asks who is there, and no certificate was shown",
            "a server that asks who is there wants target.tls.client_certificate and client_key",
        ),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => (
            "TLS: the server does not take the certificate that it was shown, or wants one",
            "see target.tls.client_certificate and client_key: who signed it, and until when it is good",
        ),
        Alert::ProtocolVersion => (
            "TLS: the server speaks none of 1.2 and 1.3",
            "it has to be taught TLS 1.2 or 1.3, or spoken to where something before it does",
        ),
        Alert::UnrecognisedName => (
            "TLS: the server knows no host of that name",
            "name the host that it knows in the url, or in target.tls.server_name",
        ),
        Alert::HandshakeFailure => (
            "TLS: refused by an alert",
            "a server that asks who is there wants target.tls.client_certificate and client_key; else see which \
             ciphers it takes",
        ),
        _ => ("TLS: refused by an alert", "the server's log says why"),
    }
}

impl Reach {
    /// The way to the target of a scenario by URL: `url` is its runtime or its control service.
    ///
    /// # Errors
    /// When it cannot or may not be gone.
    pub fn of(url: &str, keys: &Keys, guard: &Guard) -> Result<Self, SetupError> {
        Self::to(url, &keys.way, guard)
    }

    /// The way to a place that is no target, such as who is told of a decision.
    ///
    /// # Errors
    /// When it cannot or may not be gone.
    pub fn elsewhere(url: &str, guard: &Guard) -> Result<Self, SetupError> {
        Self::to(url, &keys::Way::default(), guard)
    }

    fn to(url: &str, way: &keys::Way, guard: &Guard) -> Result<Self, SetupError> {
        let place = Place::of(url)?;
        let permit = guard.permit(&place)?;
        let proxy = match Proxy::to(&place, way.proxy.as_deref())? {
            None => None,
            Some(proxy) => {
                let (permit, names) = (guard.permit(&proxy.place)?, Names::of(&proxy.place));
                Some((proxy, permit, names))
            }
        };
        if !place.secure && !place.is_loopback() && !way.clear_text {
            return Err(SetupError::ClearText { url: url.to_owned() });
        }
        let tls = place.secure.then(|| Tls::of(&place, &way.tls)).transpose()?;
        let insecure = place.secure && way.tls.insecure;
        Ok(Self { shared: Arc::new(Shared::new(place, permit, proxy, insecure)), tls })
    }

    /// The way to a server on this machine, in clear text.
    ///
    /// # Errors
    /// When the URL says something else.
    pub fn here(url: &str) -> Result<Self, SetupError> {
        let place = Place::of(url)?;
        let permit = Guard::default().permit(&place)?;
        Ok(Self { shared: Arc::new(Shared::new(place, permit, None, false)), tls: None })
    }

    /// Where it leads.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.shared.place
    }

    /// What may be sent there.
    #[must_use]
    pub fn permit(&self) -> &Permit {
        &self.shared.permit
    }

    /// The proxy on the way, by its base URL.
    #[must_use]
    pub fn proxy(&self) -> Option<String> {
        self.shared.proxy.as_ref().map(|(proxy, ..)| proxy.place.origin())
    }

    /// How it was reached so far, for the evidence.
    #[must_use]
    pub fn told(&self) -> Way {
        let came = self.shared.came.lock().unwrap_or_else(PoisonError::into_inner);
        let addresses = came.iter().map(|(address, (made, failed))| Connects {
            address: address.to_string(),
            made: *made,
            failed: *failed,
        });
        Way {
            tls: self.tls.is_some(),
            insecure: self.shared.insecure,
            proxy: self.proxy(),
            addresses: addresses.collect(),
        }
    }

    /// The same for one client, with a memory of TLS sessions of its own.
    #[must_use]
    pub fn for_client(&self) -> Self {
        let tls = self.tls.as_ref().map(Tls::for_client);
        Self { shared: Arc::clone(&self.shared), tls }
    }

    /// Its addresses; empty where a proxy looks them up.
    ///
    /// # Errors
    /// When the name has none.
    pub async fn addresses(&self) -> Result<Vec<SocketAddr>, ReachError> {
        if self.shared.proxy.is_some() {
            return Ok(Vec::new());
        }
        let unknown = |error| ReachError::Unknown(self.shared.place.host.to_string(), error);
        self.shared.names.all().await.map_err(unknown)
    }

    /// A turn to connect, which counts as a connect. Where who asks waits for it, that is none of the connect's own time.
    ///
    /// # Errors
    /// When it may not be connected to now.
    pub async fn turn(&self) -> Result<Turn, ReachError> {
        let Shared { permit, proxy, .. } = &*self.shared;
        if let Some((_, proxy, _)) = proxy {
            permit.through_proxy()?;
            proxy.connect().await?;
        }
        permit.connect().await?;
        Ok(Turn(()))
    }

    /// Connects. How long it may take is the caller's to say.
    ///
    /// # Errors
    /// As [`ReachError`] says.
    pub async fn connect(&self, from: Outgoing) -> Result<Link, ReachError> {
        let turn = self.turn().await?;
        self.connect_in(turn, from).await
    }

    /// The same, by a turn that was taken.
    ///
    /// # Errors
    /// As [`ReachError`] says.
    pub async fn connect_in(&self, _: Turn, from: Outgoing) -> Result<Link, ReachError> {
        let Shared { place, permit, names, proxy, .. } = &*self.shared;
        let (host, permit, names) = match proxy {
            None => (place, permit, names),
            Some((proxy, permit, names)) => (&proxy.place, permit, names),
        };
        let unknown = |error| ReachError::Unknown(host.host.to_string(), error);
        let (address, others) = names.next().await.map_err(unknown)?;
        let mut link = self.connect_to(address, permit, from).await;
        for other in others {
            if !matches!(link, Err(ReachError::Connection(..))) {
                break;
            }
            link = self.connect_to(other, permit, from).await.or(link);
        }
        link
    }

    /// Connects to one address, if the host may stand for it, and counts what came of it.
    async fn connect_to(
        &self,
        address: SocketAddr,
        permit: &Permit,
        from: Outgoing,
    ) -> Result<Link, ReachError> {
        permit.stands_for(address)?;
        let link = self.open(address, from).await;
        self.shared.count(address, link.is_ok());
        link
    }

    /// Connects to one address, and over a proxy and TLS where they are on the way.
    async fn open(&self, address: SocketAddr, from: Outgoing) -> Result<Link, ReachError> {
        let place = &self.shared.place;
        let mut tcp = tcp(address, from).await?;
        if let Some((proxy, ..)) = &self.shared.proxy {
            let no_way = |error| ReachError::Proxy(proxy.place.origin(), error);
            proxy.connect(&mut tcp, place).await.map_err(no_way)?;
        }
        let Some(tls) = &self.tls else {
            return Ok(Link { stream: Stream::Plain(tcp), tls: None });
        };
        let began = clock::system_now();
        let failed = |error| ReachError::Tls(place.authority(), error);
        let stream = tls.connector().connect(tls.name(), tcp).await.map_err(failed)?;
        let tls = Some((began, clock::system_now()));
        Ok(Link { stream: Stream::Tls(Box::new(stream)), tls })
    }
}

async fn tcp(address: SocketAddr, from: Outgoing) -> Result<TcpStream, ReachError> {
    let connection = |error| ReachError::Connection(address, error);
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
    .map_err(connection)?;
    if let Some(bytes) = from.receive_buffer {
        socket.set_recv_buffer_size(bytes).map_err(connection)?;
    }
    if let Some(source) = from.source {
        let unbound = |error| ReachError::Unbound(source, error);
        socket.bind(SocketAddr::from((source, 0))).map_err(unbound)?;
    }
    let stream = socket.connect(address).await.map_err(connection)?;
    stream.set_nodelay(true).map_err(connection)?;
    Ok(stream)
}

/// Where a plan's target is, before anything is asked: `None` of the embedded runtime.
///
/// # Errors
/// When it cannot or may not be gone.
pub fn planned(keys: &Keys, guard: &Guard) -> Result<Option<Reach>, SetupError> {
    match &keys.kind {
        TargetKind::Reference { .. } => Ok(None),
        TargetKind::Url { base_url } => Reach::of(base_url, keys, guard).map(Some),
    }
}

/// Connections for a client of HTTP.
#[derive(Clone, Debug)]
pub struct Connector(pub Reach);

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = ReachError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    /// Whatever the URI says: a client of HTTP has one base URL.
    fn call(&mut self, _uri: Uri) -> Self::Future {
        let reach = self.0.clone();
        Box::pin(async move { Ok(TokioIo::new(reach.connect(Outgoing::default()).await?.stream)) })
    }
}

#[cfg(test)]
mod tests;
