//! The way to a target: its addresses, TLS, a proxy, and whether it may be gone at all.
//!
//! Every socket that the harness opens itself is opened by [`Reach::connect`]: the clients', the HTTP requests' to
//! runtime and control service, and those that a fault holds open. What a hook's command does is its own.

pub mod guard;
pub mod names;
pub mod place;
pub mod proxy;
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
    #[error("no TLS with {0}: {1}")]
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
            _ => None,
        }
    }

    /// Whether somebody there said so.
    #[must_use]
    pub fn was_heard(&self) -> bool {
        matches!(self, Self::Tls(_, error) if error.kind() == io::ErrorKind::InvalidData)
    }
}

/// What of TLS went wrong, as far as it is one of the usual mistakes, and what to look at.
fn tls_mistake(error: &io::Error) -> Option<(&'static str, &'static str)> {
    use rustls::{CertificateError, Error};
    Some(match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(why) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
                "TLS: the certificate has expired",
                "it has to be renewed where TLS ends; this machine's own clock may be wrong too",
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                ("TLS: the certificate is not valid yet", "this machine's own clock may be wrong")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                (
                    "TLS: the certificate is for another name",
                    "name the host that it is for in the url, or in target.tls.server_name",
                )
            }
            CertificateError::UnknownIssuer => (
                "TLS: nobody trusted has signed the certificate",
                "target.tls.ca names a file with the authority that has",
            ),
            _ => (
                "TLS: the certificate is not valid",
                "see where TLS ends which certificate it shows",
            ),
        },
        Error::AlertReceived(_) => (
            "TLS: refused by an alert",
            "a server that asks who is there wants target.tls.client_certificate and client_key",
        ),
        Error::InvalidMessage(_) => (
            "TLS: what came is no TLS",
            "a url that begins with http:// is spoken to in clear text",
        ),
        _ => return None,
    })
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

    /// Connects. How long it may take is the caller's to say.
    ///
    /// # Errors
    /// As [`ReachError`] says.
    pub async fn connect(&self, from: Outgoing) -> Result<Link, ReachError> {
        let Shared { place, permit, names, proxy, .. } = &*self.shared;
        let (host, permit, names) = match proxy {
            None => (place, permit, names),
            Some((proxy, proxy_permit, proxy_names)) => {
                permit.connect_through_proxy()?;
                (&proxy.place, proxy_permit, proxy_names)
            }
        };
        let unknown = |error| ReachError::Unknown(host.host.to_string(), error);
        let address = names.next().await.map_err(unknown)?;
        permit.connect(address)?;
        let link = self.connect_to(address, from).await;
        self.shared.count(address, link.is_ok());
        link
    }

    /// Connects to one address, and over a proxy and TLS where they are on the way.
    async fn connect_to(&self, address: SocketAddr, from: Outgoing) -> Result<Link, ReachError> {
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
