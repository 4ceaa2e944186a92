//! Who we are and whom we trust: certificates and keys, read once, checked at the door.
//!
//! A fault names the file and the reason. A key is never shown, not even by Debug. Only our own
//! authority is trusted: the certificates that the operating system trusts are not asked.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Once},
};

use jiff::Timestamp;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

/// Installs ring as the one crypto provider. Call it first in `main`; calling it again does nothing.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that somebody installed a provider already; rustls then keeps that one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Where an identity is kept. All three are PEM; the key is PKCS#8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The authority that signs everyone we talk to.
    pub ca: PathBuf,
    /// Our certificate, followed by its intermediates if there are any.
    pub certificate: PathBuf,
    /// The key of our certificate.
    pub key: PathBuf,
}

/// What is wrong with an identity, and in which file.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// The file cannot be read.
    #[error("cannot read the {what} {path}: {source}")]
    Unreadable {
        /// Which of the three.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason the system gave.
        source: io::Error,
    },
    /// The file was read and is not what it should be.
    #[error("the {what} {path} {because}")]
    Unusable {
        /// Which of the three.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        because: String,
    },
}

/// A certificate that cannot name its owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate {because}")]
pub struct Unnamed {
    because: &'static str,
}

/// Our own certificate and key, and the authority we trust. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    parts: Arc<Parts>,
}

struct Parts {
    ca_pem: Vec<u8>,
    certificate_pem: Vec<u8>,
    key_pem: Vec<u8>,
    client: Arc<ClientConfig>,
    common_name: String,
    not_after: Timestamp,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("common_name", &self.parts.common_name).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads and checks all three files, so that a bad certificate is found at start and not at the first call.
    pub fn load(files: &Files) -> Result<Identity, TlsFault> {
        install_crypto();
        let ca_pem = read("certificate of the authority", &files.ca)?;
        let certificate_pem = read("certificate", &files.certificate)?;
        let key_pem = read("key", &files.key)?;

        let authorities = certificates("certificate of the authority", &files.ca, &ca_pem)?;
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).map_err(|fault| TlsFault::Unusable {
                what: "certificate of the authority",
                path: files.ca.clone(),
                because: format!("is not one that can be trusted: {fault}"),
            })?;
        }

        let chain = certificates("certificate", &files.certificate, &certificate_pem)?;
        let unusable = |because: String| TlsFault::Unusable { what: "certificate", path: files.certificate.clone(), because };
        let leaf = chain.first().ok_or_else(|| unusable("holds no certificate".into()))?;
        let common_name = common_name(leaf).map_err(|fault| unusable(fault.because.into()))?;
        let not_after = not_after(leaf).map_err(|fault| unusable(fault.because.into()))?;

        let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|fault| TlsFault::Unusable {
            what: "key",
            path: files.key.clone(),
            because: format!("is not a PEM key: {fault}"),
        })?;
        let client =
            ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(chain, key).map_err(|fault| {
                TlsFault::Unusable {
                    what: "key",
                    path: files.key.clone(),
                    because: format!("does not fit the certificate {}: {fault}", files.certificate.display()),
                }
            })?;

        Ok(Identity {
            parts: Arc::new(Parts { ca_pem, certificate_pem, key_pem, client: Arc::new(client), common_name, not_after }),
        })
    }

    /// The authority's certificate as PEM, for a server that checks its callers.
    pub fn ca_pem(&self) -> &[u8] {
        &self.parts.ca_pem
    }

    /// Our certificate as PEM.
    pub fn certificate_pem(&self) -> &[u8] {
        &self.parts.certificate_pem
    }

    /// Our key as PEM. Hand it to a TLS library and to nothing else.
    pub fn key_pem(&self) -> &[u8] {
        &self.parts.key_pem
    }

    /// What a client of ours uses: our certificate, and trust in our authority alone.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        self.parts.client.clone()
    }

    /// The party our certificate names.
    pub fn common_name(&self) -> &str {
        &self.parts.common_name
    }

    /// The moment our certificate stops being good; for a metric that warns in time.
    pub fn not_after(&self) -> Timestamp {
        self.parts.not_after
    }
}

/// The party that a certificate (DER) names: its one common name.
///
/// Exactly one is asked for. With two, RabbitMQ and we could each believe a different one.
pub fn common_name(der: &[u8]) -> Result<String, Unnamed> {
    let certificate = parse(der)?;
    let mut names = certificate.subject().iter_common_name();
    let (Some(name), None) = (names.next(), names.next()) else {
        return Err(Unnamed { because: "does not have exactly one common name" });
    };
    let name = name.as_str().map_err(|_| Unnamed { because: "has a common name that is not text" })?;
    if name.is_empty() || name.len() > 255 || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Unnamed { because: "has a common name that is empty, too long or not plain characters" });
    }
    Ok(name.to_owned())
}

/// The moment a certificate (DER) stops being good.
pub fn not_after(der: &[u8]) -> Result<Timestamp, Unnamed> {
    let seconds = parse(der)?.validity().not_after.timestamp();
    Timestamp::from_second(seconds).map_err(|_| Unnamed { because: "ends at a date that no calendar has" })
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Unnamed> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(Unnamed { because: "has bytes after its end" }),
        Err(_) => Err(Unnamed { because: "cannot be read" }),
    }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsFault> {
    std::fs::read(path).map_err(|source| TlsFault::Unreadable { what, path: path.to_owned(), source })
}

fn certificates(what: &'static str, path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let unusable = |because: String| TlsFault::Unusable { what, path: path.to_owned(), because };
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|fault| unusable(format!("is not a PEM certificate: {fault}")))?;
    if found.is_empty() { Err(unusable("holds no certificate".into())) } else { Ok(found) }
}
