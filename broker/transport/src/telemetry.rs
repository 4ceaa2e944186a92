//! What operators see of a program at work: JSON logs that stand alone, and traces.
//!
//! Only attributes on an allow-list leave the program; every other one is dropped and counted, so that a field
//! added in haste cannot carry a child's data out. Telemetry never holds up a message: what the collector does
//! not take is dropped. What other libraries would log of the messages they carry is never let through.

use std::{collections::BTreeSet, fmt, io, sync::Arc, time::Duration};

use opentelemetry::{
    Context, KeyValue,
    trace::{SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter as OtlpExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter},
};
use prometheus::{IntCounter, Registry};
use serde_json::{Map, Value, json};
use tracing::{
    Event, Level, Metadata, Span, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    fmt::MakeWriter,
    layer::{Context as LayerContext, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::clock::Clock;

/// Spans that wait for the collector; more than these are dropped.
const SPANS_WAITING_MAX: usize = 2048;
/// One export to the collector.
const EXPORT_PATIENCE: Duration = Duration::from_secs(5);
/// How long a stopping program waits for its last spans to leave.
const FLUSH_PATIENCE: Duration = Duration::from_secs(5);

/// The attributes that this crate itself uses, and those that OpenTelemetry's conventions for messaging and
/// RPC name (semantic conventions 1.40). Programs add their own.
pub const KEYS: &[&str] = &[
    "connection",
    "epoch",
    "queue",
    "panic.location",
    "error.type",
    "messaging.system",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.destination.name",
    "messaging.rabbitmq.destination.routing_key",
    "messaging.message.id",
    "messaging.batch.message_count",
    "rpc.system",
    "rpc.service",
    "rpc.method",
    "rpc.grpc.status_code",
    "rpc.response.status_code",
    "server.address",
    "server.port",
    "service.name",
    "service.version",
];

/// The version of the semantic conventions that the names above are from.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.40.0";

/// What a program says about itself, and what it lets out.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program's name.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The crates whose spans and finer logs are let through: the program's own. Of others, warnings at most.
    pub own_crates: &'static [&'static str],
    /// The attributes the program uses, beside [`KEYS`].
    pub keys: &'static [&'static str],
    /// Which logs to print: `info`, or a list of directives such as `info,router=debug`.
    pub log: String,
    /// Where to send traces (`http://host:4317`); empty for nowhere.
    pub otlp: String,
}

/// Why telemetry cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryFault {
    /// The log directives cannot be read.
    #[error("{0:?} does not say which logs to print: {1}")]
    BadFilter(String, String),
    /// The address of the collector cannot be one.
    #[error("{0:?} is not the http:// address of an OTLP collector: {1}")]
    BadCollector(String, String),
    /// Telemetry was started before, in this process.
    #[error("telemetry runs already")]
    RunsAlready,
}

/// Running telemetry. Stop it before the program ends, or its last spans are lost.
#[derive(Debug)]
pub struct Telemetry {
    traces: SdkTracerProvider,
    dropped: IntCounter,
}

/// Starts logs and traces for the whole process. Call it once, inside the runtime.
pub fn start(settings: &Settings) -> Result<Telemetry, TelemetryFault> {
    let allowed = Arc::new(Allowed::new(settings.keys));
    let traces = tracer(settings, &allowed)?;
    let logs =
        EnvFilter::try_new(&settings.log).map_err(|fault| TelemetryFault::BadFilter(settings.log.clone(), fault.to_string()))?;
    layers(settings, logs, allowed.clone(), &traces, io::stdout).try_init().map_err(|_| TelemetryFault::RunsAlready)?;
    say_only_where_it_panicked();
    Ok(Telemetry { traces, dropped: allowed.dropped.clone() })
}

impl Telemetry {
    /// Shows in `registry` how many attributes were dropped.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.dropped.clone()))
    }

    /// Sends the last spans, for at most five seconds.
    pub async fn stop(self) {
        // It blocks its thread while it waits, so it gets one of its own.
        let flushing = tokio::task::spawn_blocking(move || self.traces.shutdown_with_timeout(FLUSH_PATIENCE));
        // Spans that could not be sent are lost; there is nobody left to tell.
        let _ = tokio::time::timeout(FLUSH_PATIENCE, flushing).await;
    }
}

/// Traces get ids even when nobody collects them: the logs carry them, and so do messages.
fn tracer(settings: &Settings, allowed: &Arc<Allowed>) -> Result<SdkTracerProvider, TelemetryFault> {
    let about = [KeyValue::new("service.name", settings.service), KeyValue::new("service.version", settings.version)];
    let resource = Resource::builder_empty().with_schema_url(about, SCHEMA_URL).build();
    let provider =
        SdkTracerProvider::builder().with_resource(resource).with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
    if settings.otlp.is_empty() {
        return Ok(provider.build());
    }
    let bad = |because: String| TelemetryFault::BadCollector(settings.otlp.clone(), because);
    if !settings.otlp.starts_with("http://") {
        return Err(bad("only http:// is spoken, to a collector beside the program".to_owned()));
    }
    let exporter = OtlpExporter::builder()
        .with_tonic()
        .with_endpoint(&settings.otlp)
        .with_timeout(EXPORT_PATIENCE)
        .build()
        .map_err(|fault| bad(fault.to_string()))?;
    let batches = BatchSpanProcessor::builder(Scrubbed { inner: exporter, allowed: allowed.clone() })
        // A full queue drops the span and goes on: telemetry never holds up a message.
        .with_batch_config(BatchConfigBuilder::default().with_max_queue_size(SPANS_WAITING_MAX).build())
        .build();
    Ok(provider.with_span_processor(batches).build())
}

fn layers<W>(
    settings: &Settings,
    logs: EnvFilter,
    allowed: Arc<Allowed>,
    traces: &SdkTracerProvider,
    out: W,
) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let own = own_crates(settings);
    let own_spans = {
        let own = own.clone();
        filter_fn(move |about| about.is_span() && own.are(about))
    };
    let to_be_printed = {
        let own = own.clone();
        filter_fn(move |about| own.may_print(about))
    };
    let spans = { filter_fn(move |about| about.is_span() && own.are(about) && *about.level() <= Level::INFO) };
    let lines = Lines { service: settings.service, allowed, out };
    let to_traces = tracing_opentelemetry::layer()
        .with_tracer(traces.tracer(settings.service))
        // What a line of code is called and which thread ran it says nothing to an operator.
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_level(false)
        // The text of an error can quote what it failed on.
        .with_error_events_to_status(false)
        .with_error_events_to_exceptions(false)
        .with_error_fields_to_exceptions(false)
        .with_error_records_to_exceptions(false);
    tracing_subscriber::registry()
        // Spans only: what is logged is in the logs, under the same trace id.
        .with(to_traces.with_filter(spans))
        // Spans are kept whatever is printed: a warning without its referral's id would not stand alone.
        .with(lines.with_filter(logs.or(own_spans).and(to_be_printed)))
}

/// Which crates are ours, and what others may say.
#[derive(Clone, Debug)]
struct OwnCrates(Arc<BTreeSet<&'static str>>);

/// These log what they carry: lapin prints every returned message with its body, at "warn".
const NEVER_PRINTED: [&str; 4] = ["lapin", "amq_protocol", "amq_protocol_tcp", "async_rs"];

fn own_crates(settings: &Settings) -> OwnCrates {
    OwnCrates(Arc::new(settings.own_crates.iter().copied().chain(["transport"]).collect()))
}

impl OwnCrates {
    fn are(&self, about: &Metadata<'_>) -> bool {
        self.0.contains(crate_of(about))
    }

    fn may_print(&self, about: &Metadata<'_>) -> bool {
        self.are(about) || (*about.level() <= Level::WARN && !NEVER_PRINTED.contains(&crate_of(about)))
    }
}

fn crate_of<'a>(about: &Metadata<'a>) -> &'a str {
    about.target().split("::").next().unwrap_or_default()
}

/// The attributes that may leave the program, and a count of those that were kept back.
#[derive(Debug)]
struct Allowed {
    keys: BTreeSet<&'static str>,
    dropped: IntCounter,
}

impl Allowed {
    fn new(keys: &[&'static str]) -> Allowed {
        let help = "Attributes of spans and logs that were dropped because they are not on the allow-list.";
        let dropped = IntCounter::new("telemetry_dropped_attributes_total", help);
        Allowed { keys: KEYS.iter().chain(keys).copied().collect(), dropped: dropped.expect("the name is well formed") }
    }

    /// Whether a key may leave. Asked once for each attribute, so that the count is right.
    fn lets_out(&self, key: &str) -> bool {
        let allowed = self.keys.contains(key);
        if !allowed {
            self.dropped.inc();
        }
        allowed
    }
}

/// An exporter that sees only what may leave the program.
#[derive(Debug)]
struct Scrubbed<E> {
    inner: E,
    allowed: Arc<Allowed>,
}

impl<E> Scrubbed<E> {
    fn scrub(&self, span: &mut SpanData) {
        span.attributes.retain(|attribute| self.allowed.lets_out(attribute.key.as_str()));
        for event in &mut span.events.events {
            event.attributes.retain(|attribute| self.allowed.lets_out(attribute.key.as_str()));
        }
        for link in &mut span.links.links {
            link.attributes.retain(|attribute| self.allowed.lets_out(attribute.key.as_str()));
        }
        if let Status::Error { description } = &mut span.status {
            *description = "".into();
        }
    }
}

impl<E: SpanExporter> SpanExporter for Scrubbed<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(|span| self.scrub(span));
        self.inner.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// One JSON object on one line for each event: its own fields and those of the spans around it.
struct Lines<W> {
    service: &'static str,
    allowed: Arc<Allowed>,
    out: W,
}

/// The fields of a span, kept for the lines that are logged inside it.
struct SpanFields(Map<String, Value>);

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: LayerContext<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::of(&self.allowed);
        attributes.record(&mut fields);
        span.extensions_mut().insert(SpanFields(fields.kept));
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: LayerContext<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::of(&self.allowed);
        values.record(&mut fields);
        if let Some(SpanFields(kept)) = span.extensions_mut().get_mut() {
            kept.extend(fields.kept);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: LayerContext<'_, S>) {
        let mut line = Map::new();
        line.insert("timestamp".into(), json!(Clock::system().now().to_string()));
        line.insert("level".into(), json!(event.metadata().level().as_str()));
        line.insert("service".into(), json!(self.service));
        line.insert("target".into(), json!(event.metadata().target()));
        let current = Context::current();
        let trace = current.span().span_context().clone();
        if trace.is_valid() {
            line.insert("trace_id".into(), json!(trace.trace_id().to_string()));
            line.insert("span_id".into(), json!(trace.span_id().to_string()));
        }
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(SpanFields(fields)) = span.extensions().get() {
                line.extend(fields.clone());
            }
        }
        let mut fields = Fields::of(&self.allowed);
        event.record(&mut fields);
        line.extend(fields.kept);
        line.insert("message".into(), json!(fields.message));
        if !fields.dropped.is_empty() {
            // The names are words of our code; what they held is gone.
            line.insert("dropped".into(), json!(fields.dropped));
        }
        let line = format!("{}\n", Value::Object(line));
        // Nobody is left to tell when the log itself cannot be written.
        let _ = io::Write::write_all(&mut self.out.make_writer(), line.as_bytes());
    }
}

/// Sorts the fields of a span or an event into those that may leave and those that may not.
struct Fields<'a> {
    allowed: &'a Allowed,
    message: String,
    kept: Map<String, Value>,
    dropped: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    fn of(allowed: &'a Allowed) -> Fields<'a> {
        Fields { allowed, message: String::new(), kept: Map::new(), dropped: Vec::new() }
    }

    fn keep(&mut self, field: &Field, value: impl FnOnce() -> Value) {
        match field.name() {
            "message" => self.message = value().as_str().unwrap_or_default().to_owned(),
            // Instructions to the tracer, not attributes.
            name if name.starts_with("otel.") => (),
            name if self.allowed.lets_out(name) => {
                self.kept.insert(name.to_owned(), value());
            }
            name => self.dropped.push(name),
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, || json!(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, || json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, || json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, || json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, || json!(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, || json!(value));
    }
}

/// A panic's message can quote what the code was working on. Where it happened is enough to find it.
fn say_only_where_it_panicked() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        tracing::error!(panic.location = place, "a task panicked at {place}");
    }));
}

/// The current span as a W3C `traceparent`, to travel with a message. None outside of any trace.
pub fn traceparent() -> Option<String> {
    traceparent_of(&Span::current())
}

/// A span as a W3C `traceparent`.
pub fn traceparent_of(span: &Span) -> Option<String> {
    let context = span.context();
    let trace = context.span().span_context().clone();
    trace.is_valid().then(|| format!("00-{}-{}-{:02x}", trace.trace_id(), trace.span_id(), trace.trace_flags().to_u8()))
}

/// Makes `span` a child of where `traceparent` came from. Before the span is entered. False, and nothing done,
/// if the text is not a traceparent: whatever a stranger sends, the worst it can do is start a new trace.
pub fn follow(span: &Span, traceparent: &str) -> bool {
    match parse(traceparent) {
        Some(parent) => span.set_parent(Context::new().with_remote_span_context(parent)).is_ok(),
        None => false,
    }
}

/// Links `span` to where `traceparent` came from, for work that serves many at once.
pub fn link(span: &Span, traceparent: &str) -> bool {
    match parse(traceparent) {
        Some(cause) => {
            span.add_link(cause);
            true
        }
        None => false,
    }
}

/// Version 00 of W3C Trace Context, to the letter. `tracestate` and `baggage` are never read: they could carry
/// anything.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let well_formed = traceparent.len() == 55 && traceparent.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    if !well_formed {
        return None;
    }
    let mut parts = traceparent.split('-');
    let (Some("00"), Some(trace), Some(span), Some(flags), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    if (trace.len(), span.len(), flags.len()) != (32, 16, 2) {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        // The one flag that has a meaning.
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// Where the lines of a test go.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).expect("lines are text")
        }

        fn lines(&self) -> Vec<Value> {
            self.text().lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
        }
    }

    /// A collector in the same process.
    #[derive(Clone, Debug, Default)]
    struct Collected(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Collected {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(batch);
            Ok(())
        }
    }

    struct Seen {
        lines: Vec<Value>,
        text: String,
        spans: Vec<SpanData>,
        dropped: u64,
    }

    /// What leaves the program when `work` runs in it.
    fn seen(log: &str, work: impl FnOnce()) -> Seen {
        let settings = Settings {
            service: "test-program",
            version: "0",
            own_crates: &["ours"],
            keys: &["referral.id"],
            log: log.into(),
            otlp: String::new(),
        };
        let page = Page::default();
        let collected = Collected::default();
        let allowed = Arc::new(Allowed::new(settings.keys));
        let exporter = Scrubbed { inner: collected.clone(), allowed: allowed.clone() };
        let traces = SdkTracerProvider::builder().with_simple_exporter(exporter).build();
        let out = page.clone();
        let filter = EnvFilter::try_new(log).expect("good directives");
        let subscriber = layers(&settings, filter, allowed.clone(), &traces, move || out.clone());
        tracing::subscriber::with_default(subscriber, work);
        let spans = collected.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Seen { lines: page.lines(), text: page.text(), spans, dropped: allowed.dropped.get() }
    }

    const CANARY: &str = "Canary Child";

    #[test]
    fn a_line_stands_alone_with_the_fields_of_its_spans_and_their_trace() {
        let seen = seen("info", || {
            let span = tracing::info_span!(target: "ours", "deliver", referral.id = "r-1");
            span.in_scope(|| tracing::info!(target: "ours::deliver", queue = "q", "delivered {}", "it"));
        });
        let line = &seen.lines[0];
        assert_eq!(line["message"], "delivered it");
        assert_eq!((&line["referral.id"], &line["queue"]), (&json!("r-1"), &json!("q")));
        assert_eq!((&line["service"], &line["level"]), (&json!("test-program"), &json!("INFO")));
        assert_eq!(line["trace_id"], seen.spans[0].span_context.trace_id().to_string());
        assert_eq!(line["span_id"], seen.spans[0].span_context.span_id().to_string());
        assert!(line["timestamp"].as_str().is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok()));
    }

    #[test]
    fn what_is_not_on_the_list_leaves_neither_in_logs_nor_in_spans_and_is_counted() {
        let seen = seen("trace", || {
            let span = tracing::info_span!(target: "ours", "decide", child.name = CANARY, referral.id = "r-1",
                otel.status_code = tracing::field::Empty, otel.status_message = tracing::field::Empty);
            let _entered = span.enter();
            span.set_attribute("narrative", CANARY);
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_message", CANARY);
            tracing::error!(target: "ours", error = CANARY, school = CANARY, "could not decide");
        });
        assert!(!seen.text.contains(CANARY), "{}", seen.text);
        assert!(!format!("{:?}", seen.spans).contains(CANARY), "{:?}", seen.spans);
        assert_eq!(seen.lines[0]["dropped"], json!(["error", "school"]));
        assert_eq!(seen.spans[0].attributes, [KeyValue::new("referral.id", "r-1")]);
        assert!(matches!(seen.spans[0].status, Status::Error { .. }), "that it failed is still said");
        // In logs: child.name, error, school. In spans: child.name, narrative, and the late status message.
        assert_eq!(seen.dropped, 6);
    }

    /// lapin prints every returned message, body and all, as a warning.
    #[test]
    fn no_configuration_lets_lapin_or_the_details_of_others_be_printed() {
        let seen = seen("trace,lapin=trace,h2=trace", || {
            tracing::warn!(target: "lapin::returned_messages", message = CANARY, "Server returned us a message");
            tracing::debug!(target: "h2::codec", "frame {CANARY}");
            tracing::info!(target: "tonic::transport", "call {CANARY}");
            tracing::info_span!(target: "h2::codec", "frame", queue = CANARY).in_scope(|| ());
            tracing::warn!(target: "hyper::server", "no more connections");
            tracing::debug!(target: "ours", "fine");
        });
        assert!(!seen.text.contains(CANARY), "{}", seen.text);
        let messages: Vec<&Value> = seen.lines.iter().map(|line| &line["message"]).collect();
        assert_eq!(messages, ["no more connections", "fine"]);
        assert!(seen.spans.is_empty());
    }

    #[test]
    fn a_warning_keeps_its_referral_when_only_warnings_are_printed() {
        let seen = seen("warn", || {
            let span = tracing::info_span!(target: "ours", "deliver", referral.id = "r-1");
            span.in_scope(|| {
                tracing::info!(target: "ours", "not printed");
                tracing::warn!(target: "ours", "late");
            });
        });
        assert_eq!(seen.lines.len(), 1);
        assert_eq!(seen.lines[0]["referral.id"], "r-1");
        assert_eq!(seen.spans.len(), 1);
    }

    #[test]
    fn a_trace_goes_on_from_a_header_and_is_linked_to_others() {
        let cause = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let other = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203332-01";
        let mut sent = None;
        let seen = seen("info", || {
            let span = tracing::info_span!(target: "ours", "process");
            assert!(follow(&span, cause));
            assert!(link(&span, other));
            span.in_scope(|| sent = traceparent());
        });
        let span = &seen.spans[0];
        assert_eq!(span.span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span.parent_span_id.to_string(), "b7ad6b7169203331");
        assert_eq!(span.links.links[0].span_context.trace_id().to_string(), "1af7651916cd43dd8448eb211c80319c");
        let expected = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", span.span_context.span_id());
        assert_eq!(sent, Some(expected));
    }

    #[test]
    fn what_is_no_traceparent_starts_a_new_trace() {
        for nonsense in [
            "",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319cb-7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
            &"0".repeat(55),
            &"é".repeat(40),
        ] {
            assert!(parse(nonsense).is_none(), "{nonsense}");
        }
        assert_eq!(traceparent(), None, "outside of a trace there is none");
    }

    #[test]
    fn a_panic_says_where_and_not_what() {
        let seen = seen("info", || {
            let before = std::panic::take_hook();
            say_only_where_it_panicked();
            let _ = std::panic::catch_unwind(|| panic!("{CANARY}"));
            std::panic::set_hook(before);
        });
        assert!(!seen.text.contains(CANARY), "{}", seen.text);
        assert!(seen.text.contains("telemetry.rs"), "{}", seen.text);
    }

    #[test]
    fn a_collector_that_cannot_be_one_is_refused_in_words() {
        let settings = Settings {
            service: "test-program",
            version: "0",
            own_crates: &[],
            keys: &[],
            log: "info".into(),
            otlp: "https://collector".into(),
        };
        let fault = tracer(&settings, &Arc::new(Allowed::new(&[]))).expect_err("no TLS to the collector");
        assert!(fault.to_string().contains("http://"), "{fault}");
    }
}
