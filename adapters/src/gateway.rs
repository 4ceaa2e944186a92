//! One gRPC server for every agency: mutual TLS, limits, deadlines, reflection, health.
//!
//! Whoever has no certificate of ours does not get past the handshake. Whatever a stranger or a broken client
//! does, it costs a bounded amount, and ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, stream};
use prometheus::Registry;
use proto::read::MESSAGE_BYTES_MAX;
use proto::wire::childrens_services::v1::front_door_service_server::FrontDoorServiceServer;
use proto::wire::health::v1::health_service_server::HealthServiceServer;
use proto::wire::police::v1::police_service_server::PoliceServiceServer;
use proto::wire::referral::v1::referral_service_server::ReferralServiceServer;
use proto::wire::school::v1::school_service_server::SchoolServiceServer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::{Connected, TcpConnectInfo};
use tonic::transport::{Certificate, Identity as Pem, Server, ServerTlsConfig};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tracing::{error, info};
use transport::amqp::{self, Publisher};
use transport::clock::Clock;
use transport::metrics::MetricsListener;
use transport::shutdown::Shutdown;
use transport::tls::Identity;

use crate::childrens_services::FrontDoor;
use crate::config::Config;
use crate::follow::{Broker, ReferralDoor};
use crate::meters::Meters;
use crate::submit::{Doors, HealthDoor, PoliceDoor, SchoolDoor};

/// Connections at once. The next one waits; handshakes that lead nowhere make room within seconds.
const CONNECTIONS_MAX: usize = 2048;
/// A handshake that takes longer is none.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);
/// Calls at once on one connection. More than this wait at the caller.
const STREAMS_MAX: u32 = 64;
/// All the headers of one call, in bytes.
const HEADERS_BYTES_MAX: u32 = 8 * 1024;
/// An answer, in bytes: a ladder can be long.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Longer than a confirm may take, so that its answer arrives; a caller's own shorter deadline holds all the same.
const CALL_PATIENCE: Duration = Duration::from_secs(15);
/// How old a connection may become. Callers dial again, and with that use certificates that are still good.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(15 * 60);
/// What calls on a connection that is too old may still take.
const CONNECTION_GRACE: Duration = Duration::from_secs(60);
/// A request is its content and what stands around it, such as the key: what is too long is refused in our words.
const REQUEST_BYTES_MAX: usize = MESSAGE_BYTES_MAX + 4 * 1024;

/// Why the doors cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum CannotOpen {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::config::BadConfig),
    /// The broker's address.
    #[error("[broker] address: {0}")]
    Broker(#[from] crate::client::BadAddress),
    /// The certificate is not one for a door.
    #[error("the certificate is for {0:?}, and the doors' is for \"service.adapter\"")]
    WrongCertificate(String),
    /// A port.
    #[error("cannot listen on {what} {address}: {source}. Is something else using it?")]
    Port {
        /// Which setting.
        what: &'static str,
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The server.
    #[error("the gRPC server failed: {0}")]
    Server(#[from] tonic::transport::Error),
    /// The metrics.
    #[error("a metric is registered twice: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Reflection.
    #[error("the contract cannot be shown by reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// The doors, checked and ready to be opened.
pub struct Gateway {
    config: Config,
    identity: Identity,
    nodes: amqp::Nodes,
    broker: Broker,
}

impl Gateway {
    /// Checks the configuration: certificates, addresses, who we are.
    pub fn check(config: Config) -> Result<Gateway, CannotOpen> {
        let identity = config.tls.identity()?;
        if identity.common_name() != "service.adapter" {
            return Err(CannotOpen::WrongCertificate(identity.common_name().to_owned()));
        }
        let nodes = config.rabbitmq.nodes(identity.clone())?;
        let broker = Broker::at(&config.broker.address, &config.broker.server_name, &identity)?;
        Ok(Gateway { config, identity, nodes, broker })
    }

    /// Serves until `shutdown` is requested, and then finishes what is in hand.
    pub async fn serve(self, registry: Registry, clock: Clock, shutdown: Shutdown) -> Result<(), CannotOpen> {
        let Gateway { config, identity, nodes, broker } = self;
        let port = |what, address| move |source| CannotOpen::Port { what, address, source };
        let listener = TcpListener::bind(config.gateway.listen).await.map_err(port("[gateway]", config.gateway.listen))?;
        let metrics =
            MetricsListener::bind(&config.metrics.listen.to_string()).await.map_err(port("[metrics]", config.metrics.listen))?;
        let publisher = Publisher::start(nodes, "adapter.publish", amqp::Meters::register(&registry)?);
        let doors = Doors { publisher: publisher.clone(), broker, clock, meters: Meters::register(&registry)? };

        let (health, health_service) = tonic_health::server::health_reporter();
        tokio::spawn(report_health(health, publisher.clone(), shutdown.clone()));
        let not_ready = move || if publisher.is_open() { Vec::new() } else { vec!["RabbitMQ takes no messages".to_owned()] };
        tokio::spawn(metrics.serve(registry, not_ready, shutdown.clone()));

        let tls = ServerTlsConfig::new()
            .identity(Pem::from_pem(identity.certificate_pem(), identity.key_pem()))
            .client_ca_root(Certificate::from_pem(identity.ca_pem()))
            .timeout(HANDSHAKE_PATIENCE);
        let server = limits(Server::builder().tls_config(tls)?)
            .add_service(health_service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?)
            .add_service(
                SchoolServiceServer::new(SchoolDoor(doors.clone()))
                    .max_decoding_message_size(REQUEST_BYTES_MAX)
                    .max_encoding_message_size(ANSWER_BYTES_MAX),
            )
            .add_service(
                HealthServiceServer::new(HealthDoor(doors.clone()))
                    .max_decoding_message_size(REQUEST_BYTES_MAX)
                    .max_encoding_message_size(ANSWER_BYTES_MAX),
            )
            .add_service(
                PoliceServiceServer::new(PoliceDoor(doors.clone()))
                    .max_decoding_message_size(REQUEST_BYTES_MAX)
                    .max_encoding_message_size(ANSWER_BYTES_MAX),
            )
            .add_service(
                ReferralServiceServer::new(ReferralDoor::new(doors.clone(), shutdown.clone()))
                    .max_decoding_message_size(REQUEST_BYTES_MAX)
                    .max_encoding_message_size(ANSWER_BYTES_MAX),
            )
            .add_service(
                FrontDoorServiceServer::new(FrontDoor(doors))
                    .max_decoding_message_size(REQUEST_BYTES_MAX)
                    .max_encoding_message_size(ANSWER_BYTES_MAX),
            );
        info!("the doors are open on {}", config.gateway.listen);
        let stop = shutdown.clone();
        let serving = server.serve_with_incoming_shutdown(admitted(listener), async move { stop.requested().await });
        match shutdown.drained(serving).await {
            Ok(served) => served?,
            Err(overrun) => error!("{overrun}; its callers will ask again with the same key"),
        }
        Ok(())
    }
}

/// Every limit has a number of its own: none is left to what a library thinks today.
fn limits(server: Server) -> Server {
    server
        .max_concurrent_streams(STREAMS_MAX)
        .concurrency_limit_per_connection(STREAMS_MAX as usize)
        .load_shed(true)
        .timeout(CALL_PATIENCE)
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        // Streams that are opened to be thrown away (CVE-2023-44487).
        .http2_max_pending_accept_reset_streams(Some(20))
        .http2_max_local_error_reset_streams(Some(64))
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .max_connection_age(CONNECTION_AGE_MAX)
        .max_connection_age_grace(CONNECTION_GRACE)
        .tcp_nodelay(true)
}

/// Reflection shows what callers may call, and the messages they meet; not the broker's own door.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    let builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    [
        "safeguarding.school.v1.SchoolService",
        "safeguarding.police.v1.PoliceService",
        "safeguarding.health.v1.HealthService",
        "safeguarding.referral.v1.ReferralService",
        "safeguarding.childrens_services.v1.FrontDoorService",
        "grpc.health.v1.Health",
    ]
    .into_iter()
    .fold(builder, |builder, service| builder.with_service_name(service))
}

/// Healthy while RabbitMQ takes messages: a door that cannot pass on what it is given should not be chosen.
async fn report_health(health: HealthReporter, publisher: Publisher, shutdown: Shutdown) {
    loop {
        let open = publisher.is_open() && !shutdown.is_requested();
        let status = if open { ServingStatus::Serving } else { ServingStatus::NotServing };
        health.set_service_status("", status).await;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => (),
            () = shutdown.requested() => {
                health.set_service_status("", ServingStatus::NotServing).await;
                return;
            }
        }
    }
}

/// Connections one by one, never more than [`CONNECTIONS_MAX`] at once.
fn admitted(listener: TcpListener) -> impl Stream<Item = io::Result<Admitted>> {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    stream::unfold((listener, room), |(listener, room)| async move {
        let accepted = accept(&listener, room.clone()).await;
        Some((accepted, (listener, room)))
    })
}

async fn accept(listener: &TcpListener, room: Arc<Semaphore>) -> io::Result<Admitted> {
    let place = room.acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(Admitted { stream, _place: place })
}

/// A connection and its place among those that may be open.
struct Admitted {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Connected for Admitted {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Admitted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Admitted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
