//! TLS: whom the harness trusts, and what it shows of itself.
//!
//! The system's roots, or the scenario's own. Each client has its own memory of sessions, as each real client
//! has, so that the second connect resumes and the first of another client does not.

use std::path::Path;
use std::sync::Arc;

use khala_plan::model::TlsKeys;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::place::{Host, Place};
use crate::error::SetupError;

/// Sessions that one client remembers: those of its target and its control service.
const SESSIONS: usize = 4;
/// What is spoken within.
const ALPN: &[u8] = b"http/1.1";

/// How a place is spoken to over TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// That of a place by the scenario's keys.
    ///
    /// # Errors
    /// When a file cannot be read or holds something else, or the system has no roots.
    pub fn of(place: &Place, keys: &TlsKeys) -> Result<Self, SetupError> {
        let written = keys.server_name.clone().unwrap_or_else(|| match &place.host {
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name.clone(),
        });
        let name = ServerName::try_from(written.clone())
            .map_err(|error| wrong("target.tls.server_name", &written, error.to_string()))?;
        Ok(Self { config: Arc::new(config(keys)?), name })
    }

    /// The same for one client, which remembers its own sessions alone.
    #[must_use]
    pub fn for_client(&self) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Self { config: Arc::new(config), name: self.name.clone() }
    }

    /// How to connect.
    #[must_use]
    pub fn connector(&self) -> tokio_rustls::TlsConnector {
        Arc::clone(&self.config).into()
    }

    /// Whose certificate must come.
    #[must_use]
    pub fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }
}

fn wrong(what: &str, from: &str, why: String) -> SetupError {
    SetupError::Tls { what: what.to_owned(), from: from.to_owned(), why }
}

fn config(keys: &TlsKeys) -> Result<ClientConfig, SetupError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS", "the build", error.to_string()))?;
    let builder = match keys.insecure {
        true => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        false => builder.with_root_certificates(roots(keys)?),
    };
    let mut config = match &keys.client {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let (what, from) = ("target.tls.client_key", key.display().to_string());
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| wrong(what, &from, error.to_string()))?;
            builder
                .with_client_auth_cert(certificates("target.tls.client_certificate", chain)?, key)
                .map_err(|error| wrong(what, &from, error.to_string()))?
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

fn roots(keys: &TlsKeys) -> Result<RootCertStore, SetupError> {
    let mut store = RootCertStore::empty();
    let Some(ca) = &keys.ca else {
        let system = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(system.certs);
        if store.is_empty() {
            let why = system
                .errors
                .first()
                .map_or_else(|| "there are none".to_owned(), ToString::to_string);
            return Err(wrong("the system's certificate authorities", "this machine", why));
        }
        return Ok(store);
    };
    for certificate in certificates("target.tls.ca", ca)? {
        store.add(certificate).map_err(|error| {
            wrong("target.tls.ca", &ca.display().to_string(), error.to_string())
        })?;
    }
    Ok(store)
}

/// The certificates of a PEM file, at least one.
fn certificates(what: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let from = path.display().to_string();
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(wrong(what, &from, "it holds no certificate in PEM".to_owned()))
        }
        read => read.map_err(|error| wrong(what, &from, error.to_string())),
    }
}

/// Takes whatever certificate comes; only what is signed with its key must fit. Stamped on every report.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
