//! RabbitMQ's management API, over plain HTTP on loopback or the operators' network.
//!
//! Only what making and watching the topology takes. Every call ends within a deadline and a size; a fault
//! says which call failed and what the broker said to it. The password is shown to nobody.

use std::{fmt, path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::timeout;

/// One call. Declaring a quorum queue on a busy cluster takes the longest.
const CALL_PATIENCE: Duration = Duration::from_secs(10);
/// The list of every queue of every endpoint fits many times over.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The management API of one cluster, as one user with the administrator tag.
#[derive(Clone)]
pub struct Management {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    user: String,
    authorisation: HeaderValue,
}

impl fmt::Debug for Management {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Management").field("base", &self.base).field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why the management API did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ManagementFault {
    /// The address is none.
    #[error("{0:?} is not the http:// address of a RabbitMQ management API")]
    NotAnAddress(String),
    /// The password file cannot be used.
    #[error("the password file {path} {because}")]
    Password {
        /// The file.
        path: String,
        /// What is wrong with it.
        because: String,
    },
    /// Nobody answered, or not in time.
    #[error("RabbitMQ's management API at {base} cannot be reached: {because}")]
    Unreachable {
        /// Its address.
        base: String,
        /// Why.
        because: String,
    },
    /// User or password are wrong, or the user lacks the administrator tag.
    #[error("RabbitMQ's management API does not let {user} in: check the password and the administrator tag")]
    NotLetIn {
        /// The user.
        user: String,
    },
    /// It said no.
    #[error("RabbitMQ answered {status} to {call}: {because}")]
    Refused {
        /// What was asked.
        call: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        because: String,
    },
    /// It said something that cannot be understood.
    #[error("RabbitMQ's answer to {call} cannot be read: {because}")]
    Unreadable {
        /// What was asked.
        call: String,
        /// What is wrong with the answer.
        because: String,
    },
}

/// How full a queue is, up to the few seconds by which RabbitMQ's statistics lag.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct QueueDepth {
    /// The queue.
    pub name: String,
    /// Waiting to be delivered.
    #[serde(default)]
    pub messages_ready: u64,
    /// Delivered and not settled.
    #[serde(default)]
    pub messages_unacknowledged: u64,
    /// How many consume it.
    #[serde(default)]
    pub consumers: u64,
}

impl Management {
    /// The API at `url` (`http://host:port`), as `user`.
    pub fn new(url: &str, user: &str, password: &str) -> Result<Management, ManagementFault> {
        let base = url.trim_end_matches('/').to_owned();
        let parsed: Option<Uri> = base.parse().ok();
        if !parsed.is_some_and(|uri| uri.scheme_str() == Some("http") && uri.authority().is_some() && uri.path() == "/") {
            return Err(ManagementFault::NotAnAddress(url.to_owned()));
        }
        let mut authorisation = HeaderValue::from_str(&format!("Basic {}", BASE64.encode(format!("{user}:{password}"))))
            .map_err(|_| ManagementFault::NotLetIn { user: user.to_owned() })?;
        authorisation.set_sensitive(true);
        Ok(Management { client: Client::builder(TokioExecutor::new()).build_http(), base, user: user.to_owned(), authorisation })
    }

    /// The same, with the password in a file that nobody but its owner can read.
    pub fn with_password_file(url: &str, user: &str, path: &Path) -> Result<Management, ManagementFault> {
        use std::os::unix::fs::PermissionsExt;
        let fault = |because: String| ManagementFault::Password { path: path.display().to_string(), because };
        let mode = std::fs::metadata(path).map_err(|why| fault(format!("cannot be read: {why}")))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(fault(format!("can be read by others (mode {:04o}): chmod 600 it", mode & 0o7777)));
        }
        let password = std::fs::read_to_string(path).map_err(|why| fault(format!("cannot be read: {why}")))?;
        Management::new(url, user, password.trim_end_matches(['\r', '\n']))
    }

    /// The user that the calls are made as.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// How full every queue of a virtual host is.
    pub async fn queue_depths(&self, vhost: &str) -> Result<Vec<QueueDepth>, ManagementFault> {
        let path = format!("/queues/{}?columns=name,messages_ready,messages_unacknowledged,consumers", escaped(vhost));
        self.get(&path).await
    }

    /// Removes a virtual host with everything in it. For tests and for a stack that is taken down for good.
    pub async fn delete_vhost(&self, vhost: &str) -> Result<(), ManagementFault> {
        self.delete(&format!("/vhosts/{}", escaped(vhost))).await
    }

    /// Reads what is at `path` (below `/api`).
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ManagementFault> {
        let body = self.call(Method::GET, path, None).await?;
        read(&format!("GET {path}"), &body)
    }

    /// Asks what is at `path` a question that takes more than a path to put.
    pub async fn ask<T: DeserializeOwned>(&self, path: &str, question: &Value) -> Result<T, ManagementFault> {
        let body = self.call(Method::POST, path, Some(question)).await?;
        read(&format!("POST {path}"), &body)
    }

    /// Reads what is at `path`, or `None` if nothing is.
    pub async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, ManagementFault> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(ManagementFault::Refused { status: 404, .. }) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Makes what is at `path` be so. Making it so again changes nothing.
    pub async fn put(&self, path: &str, value: &Value) -> Result<(), ManagementFault> {
        self.call(Method::PUT, path, Some(value)).await.map(drop)
    }

    /// Adds to what is at `path`.
    pub async fn post(&self, path: &str, value: &Value) -> Result<(), ManagementFault> {
        self.call(Method::POST, path, Some(value)).await.map(drop)
    }

    /// Removes what is at `path`.
    pub async fn delete(&self, path: &str) -> Result<(), ManagementFault> {
        self.call(Method::DELETE, path, None).await.map(drop)
    }

    async fn call(&self, method: Method, path: &str, value: Option<&Value>) -> Result<Bytes, ManagementFault> {
        let call = format!("{method} {path}");
        let unreachable = |because: String| ManagementFault::Unreachable { base: self.base.clone(), because };
        let body = value.map(|value| Bytes::from(value.to_string())).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/api{path}", self.base))
            .header(header::AUTHORIZATION, self.authorisation.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|fault| unreachable(fault.to_string()))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|fault| unreachable(reasons(&fault)))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok((status, body.map_err(|fault| unreachable(fault.to_string()))?.to_bytes()))
        };
        let (status, body) = timeout(CALL_PATIENCE, exchange)
            .await
            .unwrap_or_else(|_| Err(unreachable(format!("no answer within {CALL_PATIENCE:?}"))))?;
        match status {
            status if status.is_success() => Ok(body),
            StatusCode::UNAUTHORIZED => Err(ManagementFault::NotLetIn { user: self.user.clone() }),
            status => Err(ManagementFault::Refused { call, status: status.as_u16(), because: said(&body) }),
        }
    }
}

fn read<T: DeserializeOwned>(call: &str, body: &[u8]) -> Result<T, ManagementFault> {
    serde_json::from_slice(body)
        .map_err(|fault| ManagementFault::Unreadable { call: call.to_owned(), because: fault.to_string() })
}

/// What the broker said to a refusal: `{"error": ..., "reason": ...}`.
fn said(body: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    match &answer["reason"] {
        Value::String(reason) => reason.clone(),
        _ => "it gave no reason".to_owned(),
    }
}

fn reasons(fault: &dyn std::error::Error) -> String {
    let mut reasons = fault.to_string();
    let mut source = fault.source();
    while let Some(cause) = source {
        reasons = format!("{reasons}: {cause}");
        source = cause.source();
    }
    reasons
}

/// A name as one segment of a path.
pub(super) fn escaped(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_whatever_is_in_it() {
        assert_eq!(escaped("delivery.la.E08000035.front-door"), "delivery.la.E08000035.front-door");
        assert_eq!(escaped("a/b?c%"), "a%2Fb%3Fc%25");
    }

    #[test]
    fn only_plain_http_addresses_are_taken() {
        assert!(Management::new("http://127.0.0.1:7672/", "u", "p").is_ok());
        for address in ["https://127.0.0.1", "127.0.0.1:7672", "http://127.0.0.1/api", ""] {
            assert!(Management::new(address, "u", "p").is_err(), "{address}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let management = Management::new("http://127.0.0.1:1", "u", "hush").expect("a good address");
        assert!(!format!("{management:?}").contains("hush"));
    }
}
