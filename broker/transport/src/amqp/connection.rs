//! One connection to one node: made within a deadline, cut for certain.
//!
//! lapin speaks AMQP over a stream that we make: TCP and TLS are ours, so that only our own authority is
//! trusted, the certificate is checked against a configured name, and the socket can be shut from outside.
//! A connection is never recovered. It is replaced.

use std::{
    io::{self, Read, Write},
    net::{Shutdown as Direction, SocketAddr},
    os::fd::{AsFd, AsRawFd},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_compat::Compat;
use async_rs::{
    Runtime, Tokio,
    traits::{Executor, Reactor, RuntimeKit},
    util::Task,
};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::{Stream, StreamExt, stream::BoxStream};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties, Event, uri};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::Nodes;

/// The shortest wait between two attempts to connect.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// The longest. A node that comes back is found within this.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// An open connection. Dropped, it is cut: what nobody holds any more must not linger at the broker.
pub(super) struct Link {
    connection: Connection,
    cut: Cut,
}

/// What a connection says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The broker is short of memory or disk and takes nothing for now.
    Blocked,
    /// The broker takes messages again.
    Unblocked,
    /// The connection is gone.
    Ended,
}

/// Listens to what a connection says about itself.
pub(super) struct Words {
    status: lapin::ConnectionStatus,
    events: BoxStream<'static, Event>,
}

/// lapin tells of most ends of a connection, but not of a close that the broker asked for; looking at the
/// state this often finds that one too.
const STATUS_LOOK: Duration = Duration::from_millis(500);

impl Words {
    /// The next word. `Ended` is the last and is said again to whoever asks again.
    pub(super) async fn next(&mut self) -> Word {
        loop {
            if !self.status.connected() {
                return Word::Ended;
            }
            match timeout(STATUS_LOOK, self.events.next()).await {
                Ok(Some(Event::ConnectionBlocked(_))) => return Word::Blocked,
                Ok(Some(Event::ConnectionUnblocked)) => return Word::Unblocked,
                Ok(None) => return Word::Ended,
                // An error of one channel comes by here too; whether the connection is gone, the state says.
                Ok(Some(_)) | Err(_) => (),
            }
        }
    }
}

/// Why there is no connection, in words for an operator.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialFault {
    #[error("the node did not answer within {0:?}")]
    TooSlow(Duration),
    #[error("{0}")]
    Refused(#[from] lapin::Error),
}

/// Shuts the socket under a connection, whatever its protocol is waiting for.
///
/// While a memory alarm lasts, RabbitMQ stops reading, and lapin stops writing: a polite close would stay in
/// the queue until the alarm ends, and with it the thread, the socket and the half-sent messages.
#[derive(Clone, Default)]
pub(super) struct Cut(Arc<Mutex<Socket>>);

#[derive(Default)]
struct Socket {
    cut: bool,
    open: Option<std::net::TcpStream>,
}

impl Cut {
    fn holds(&self, socket: std::net::TcpStream) -> io::Result<()> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.cut {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        held.open = Some(socket);
        Ok(())
    }

    /// Cuts. Again does nothing.
    pub(super) fn now(&self) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.cut = true;
        if let Some(socket) = held.open.take() {
            // It may be gone already; then there is nothing left to shut.
            let _ = socket.shutdown(Direction::Both);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut.now();
    }
}

impl Link {
    /// Connects to the node whose turn it is.
    pub(super) async fn dial(nodes: &Nodes, turn: usize, name: &str) -> Result<Link, DialFault> {
        let Some(address) = nodes.addresses.get(turn % nodes.addresses.len().max(1)).cloned() else {
            return Err(DialFault::TooSlow(Duration::ZERO));
        };
        let deadline = nodes.deadlines.connect;
        let cut = Cut::default();
        let abandoned = CutOnDrop(Some(cut.clone()));
        let connecting = Connection::connector(
            amqp_uri(nodes),
            Runtime::new(OverTls(Tokio::current())),
            {
                let (nodes, cut) = (nodes.clone(), cut.clone());
                async move |_, _| Ok(AsyncTcpStream::Plain(tls_stream(&nodes, &address, &cut).await?))
            },
            ConnectionProperties::default().with_connection_name(name.as_bytes().into()),
        );
        let connection = timeout(deadline, connecting).await.map_err(|_| DialFault::TooSlow(deadline))??;
        abandoned.keep();
        Ok(Link { connection, cut })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn words(&self) -> Words {
        Words { status: self.connection.status().clone(), events: self.connection.events_listener().boxed() }
    }

    /// The means to cut the connection from elsewhere.
    pub(super) fn cutter(&self) -> Cut {
        self.cut.clone()
    }

    /// Ends the connection at once, without asking.
    pub(super) fn cut(&self) {
        self.cut.now();
    }

    /// Ends the connection in order, so that the broker logs no fault; cuts it if that takes too long.
    pub(super) async fn close(self, patience: Duration) {
        let _ = timeout(patience, self.connection.close(200, "OK".into())).await;
    }
}

/// An attempt that is dropped half-way (too slow, or no longer wanted) takes its socket with it.
struct CutOnDrop(Option<Cut>);

impl CutOnDrop {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        if let Some(cut) = self.0.take() {
            cut.now();
        }
    }
}

/// What lapin is told. Host and port stand in no use here: the stream comes from [`tls_stream`].
fn amqp_uri(nodes: &Nodes) -> uri::AMQPUri {
    uri::AMQPUri {
        scheme: uri::AMQPScheme::AMQP,
        authority: uri::AMQPAuthority {
            userinfo: uri::AMQPUserInfo { username: String::new(), password: String::new() },
            host: String::new(),
            port: 0,
        },
        vhost: nodes.vhost.clone(),
        query: uri::AMQPQueryString {
            heartbeat: Some(nodes.deadlines.heartbeat_s),
            // The certificate is the login; no password exists.
            auth_mechanism: Some(uri::SASLMechanism::External),
            ..Default::default()
        },
    }
}

async fn tls_stream(nodes: &Nodes, address: &str, cut: &Cut) -> io::Result<Compat<TlsStream<TcpStream>>> {
    let establish = async {
        let socket = TcpStream::connect(address).await?.into_std()?;
        cut.holds(socket.try_clone()?)?;
        let socket = TcpStream::from_std(socket)?;
        // A batch is written whole; waiting for more to send would only delay its confirm.
        socket.set_nodelay(true)?;
        TlsConnector::from(nodes.identity.client_config()).connect(nodes.server_name.clone(), socket).await
    };
    let deadline = nodes.deadlines.connect;
    let stream = timeout(deadline, establish).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(Compat::new(stream))
}

/// The waits between attempts: doubling from 100 ms to 10 s, each shortened by up to half at random, so that
/// a cluster that comes back is not greeted by everybody at once.
pub(super) struct Backoff {
    attempt: u32,
}

impl Backoff {
    pub(super) fn new() -> Backoff {
        Backoff { attempt: 0 }
    }

    /// What was connected to has proved to work: the next loss is a new one.
    pub(super) fn reset(&mut self) {
        self.attempt = 0;
    }

    /// A connection that stayed up for long was a good one, even if nothing came over it.
    pub(super) fn held_for(&mut self, time: Duration) {
        if time > BACKOFF_MAX {
            self.reset();
        }
    }

    pub(super) fn next_wait(&mut self) -> Duration {
        let whole = BACKOFF_MIN.saturating_mul(1 << self.attempt.min(10)).min(BACKOFF_MAX);
        self.attempt = self.attempt.saturating_add(1);
        let half = whole / 2;
        half + half.mul_f64(f64::from(random_u16()) / f64::from(u16::MAX))
    }
}

/// Chance, for spreading load only.
pub(super) fn random_u16() -> u16 {
    let mut bytes = [0; 2];
    // Without a random source the spread is lost, and nothing else.
    let _ = getrandom::fill(&mut bytes);
    u16::from_ne_bytes(bytes)
}

/// Tokio as lapin's runtime, with one difference: its stream is TLS that we have made.
#[derive(Clone, Debug)]
struct OverTls(Tokio);

impl RuntimeKit for OverTls {}

impl Executor for OverTls {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.0.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(&self, future: F) -> Task<Self::Task<T>> {
        self.0.spawn(future)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(&self, work: F) -> Task<Self::Task<T>> {
        self.0.spawn_blocking(work)
    }
}

impl Reactor for OverTls {
    type TcpStream = Compat<TlsStream<TcpStream>>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = std::time::Instant> + Send + 'static {
        self.0.interval(duration)
    }

    /// lapin connects through [`Link::dial`] alone. An address by itself says nothing of whose certificate
    /// to expect there, so this way in stays shut.
    fn tcp_connect_addr(&self, _: SocketAddr) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_a_tenth_of_a_second_and_never_beyond_ten() {
        let mut backoff = Backoff::new();
        let waits: Vec<Duration> = (0..40).map(|_| backoff.next_wait()).collect();
        assert!(waits[0] <= BACKOFF_MIN && waits[0] >= BACKOFF_MIN / 2);
        assert!(waits.iter().all(|wait| *wait <= BACKOFF_MAX));
        assert!(waits[20..].iter().all(|wait| *wait >= BACKOFF_MAX / 2));
        backoff.reset();
        assert!(backoff.next_wait() <= BACKOFF_MIN);
    }
}
