//! Metrics and health over HTTP: `/metrics`, `/health/live`, `/health/ready`.
//!
//! For a scraper and an orchestrator on loopback or the operators' network. Shows counts and the reasons for
//! not being ready; holds nothing personal, takes no input, and cannot be made to hold many connections.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Registry, TextEncoder};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::shutdown::Shutdown;

/// Scrapers and probes are few. More connections than this wait.
const CONNECTIONS_MAX: usize = 32;
/// How long a request may take to arrive.
const REQUEST_PATIENCE: Duration = Duration::from_secs(5);
/// How long one connection may live; a scraper comes back by itself.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(300);

/// A listener that is bound, so that its address is known and a taken port is found at start.
#[derive(Debug)]
pub struct MetricsListener {
    listener: TcpListener,
    address: SocketAddr,
}

/// What is shown.
struct Shown<F> {
    registry: Registry,
    not_ready: F,
    shutdown: Shutdown,
}

impl MetricsListener {
    /// Binds `address` (`host:port`; port 0 for any that is free).
    pub async fn bind(address: &str) -> io::Result<MetricsListener> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(MetricsListener { listener, address })
    }

    /// The address it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves for as long as the program runs, also while it drains: an operator then wants to see it most.
    ///
    /// `not_ready` names what keeps the program from taking work, one reason each; none means ready. It is asked
    /// at every probe and must not wait.
    pub async fn serve<F>(self, registry: Registry, not_ready: F, shutdown: Shutdown)
    where
        F: Fn() -> Vec<String> + Send + Sync + 'static,
    {
        let shown = Arc::new(Shown { registry, not_ready, shutdown });
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            // The semaphore is never closed.
            let Ok(place) = room.clone().acquire_owned().await else {
                return;
            };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // Out of file descriptors, most likely. They come back.
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let shown = shown.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let shown = shown.clone();
                    async move { Ok::<_, Infallible>(shown.answer(&request)) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(REQUEST_PATIENCE)
                    .serve_connection(TokioIo::new(stream), service);
                // A peer that hangs up or talks nonsense is none of our concern.
                let _ = timeout(CONNECTION_PATIENCE, connection).await;
                drop(place);
            });
        }
    }
}

impl<F: Fn() -> Vec<String>> Shown<F> {
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
        }
        match request.uri().path() {
            "/metrics" => self.metrics(),
            // It answers, so it lives. Whether it can work is another question.
            "/health/live" => plain(StatusCode::OK, "alive\n".to_owned()),
            "/health/ready" => self.readiness(),
            _ => plain(StatusCode::NOT_FOUND, "/metrics, /health/live or /health/ready\n".to_owned()),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        match TextEncoder::new().encode_to_string(&self.registry.gather()) {
            Ok(text) => answer(StatusCode::OK, prometheus::TEXT_FORMAT, text),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n".to_owned()),
        }
    }

    fn readiness(&self) -> Response<Full<Bytes>> {
        let mut reasons = (self.not_ready)();
        if self.shutdown.is_requested() {
            reasons.insert(0, "it is stopping".to_owned());
        }
        if reasons.is_empty() {
            plain(StatusCode::OK, "ready\n".to_owned())
        } else {
            plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", reasons.join("; ")))
        }
    }
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    answer(status, "text/plain; charset=utf-8", text)
}

fn answer(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
