//! Calling over mutual TLS: how a door asks the broker, and how a party's program calls a door.

use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as Pem};
use transport::tls::Identity;

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

/// A channel to `address`, whose certificate is for `server_name`, as whoever `identity` is. It connects when
/// it is first used, and again whenever it has to; an answer takes `patience` at most.
pub fn channel(address: &str, server_name: &str, identity: &Identity, patience: Duration) -> Result<Channel, BadAddress> {
    let bad = || BadAddress { address: address.to_owned() };
    if !address.starts_with("https://") {
        return Err(bad());
    }
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(identity.ca_pem()))
        .identity(Pem::from_pem(identity.certificate_pem(), identity.key_pem()))
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
