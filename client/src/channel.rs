//! Calling over mutual TLS. A call has a deadline, and a silent connection is asked whether it lives.

use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// How long a gateway may take for a submission: longer than it waits for its own confirm.
pub const CALL_PATIENCE: Duration = Duration::from_secs(20);
/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);
/// How often a silent connection is asked whether it lives, so that a stream over a dead one ends.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
/// How long it may take to say so.
const KEEPALIVE_PATIENCE: Duration = Duration::from_secs(10);

/// An address that cannot be one.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{address:?} is not an address such as https://127.0.0.1:7643")]
pub struct BadAddress {
    address: String,
}

/// Who calls, and whom it believes; PEM.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The authority that signed the gateway's certificate.
    pub ca_pem: &'a [u8],
    /// The party's certificate.
    pub certificate_pem: &'a [u8],
    /// Its private key.
    pub key_pem: &'a [u8],
}

/// A channel to `address`, whose certificate is for `server_name`. It connects when it is first used, and again
/// whenever it has to; an answer takes `patience` at most.
pub fn channel(
    address: &str,
    server_name: &str,
    credentials: Credentials<'_>,
    patience: Duration,
) -> Result<Channel, BadAddress> {
    let bad = || BadAddress { address: address.to_owned() };
    if !address.starts_with("https://") {
        return Err(bad());
    }
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(credentials.ca_pem))
        .identity(Identity::from_pem(credentials.certificate_pem, credentials.key_pem))
        .domain_name(server_name);
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|_| bad())?;
    let endpoint = endpoint.tls_config(tls).map_err(|_| bad())?;
    Ok(endpoint
        .connect_timeout(CONNECT_PATIENCE)
        .timeout(patience)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_PATIENCE)
        .keep_alive_while_idle(true)
        .connect_lazy())
}
