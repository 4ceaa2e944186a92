//! How a door asks the broker, and how a party's program calls a door: with the certificate that TLS was given.

use std::time::Duration;

use safeguarding_client::Credentials;
use tonic::transport::Channel;
use transport::tls::Identity;

pub use safeguarding_client::BadAddress;

/// A channel to `address`, whose certificate is for `server_name`, as whoever `identity` is; an answer takes
/// `patience` at most.
pub fn channel(address: &str, server_name: &str, identity: &Identity, patience: Duration) -> Result<Channel, BadAddress> {
    let credentials =
        Credentials { ca_pem: identity.ca_pem(), certificate_pem: identity.certificate_pem(), key_pem: identity.key_pem() };
    safeguarding_client::channel(address, server_name, credentials, patience)
}
