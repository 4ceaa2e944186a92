//! Starting, killing and stopping the programs.

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use referral::Moment;
use transport::amqp::{Management, Nodes};
use transport::clock::Clock;
use transport::tls::{Files, Identity};

use crate::wait::until;

/// The private RabbitMQ node of this test run.
#[derive(Clone, Debug)]
pub struct Node {
    folder: PathBuf,
    env: HashMap<String, String>,
}

impl Node {
    /// The node that the run started.
    pub fn of_the_run() -> Node {
        let folder = std::env::var("SAFEGUARDING_TEST_RABBITMQ").unwrap_or_else(|_| {
            panic!("these tests need a real RabbitMQ: run them by tests/run, or start one with deploy/rabbitmq start DIR and set SAFEGUARDING_TEST_RABBITMQ=DIR")
        });
        Node::in_folder(Path::new(&folder))
    }

    /// A node that `deploy/rabbitmq` keeps in `folder`.
    pub fn in_folder(folder: &Path) -> Node {
        let file = folder.join("node.env");
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
        let env =
            text.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Node { folder: folder.to_owned(), env }
    }

    /// A setting of the node.
    pub fn setting(&self, name: &str) -> &str {
        self.env.get(name).unwrap_or_else(|| panic!("node.env has no {name}"))
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its management interface.
    pub fn management(&self) -> Management {
        Management::new(self.setting("MANAGEMENT_URL"), self.setting("MANAGEMENT_USER"), self.setting("MANAGEMENT_PASSWORD"))
            .expect("the node's management address")
    }

    /// The certificate authority's folder, where each party's certificate is.
    pub fn certificates(&self) -> PathBuf {
        PathBuf::from(self.setting("CERTS"))
    }

    /// The address of AMQP over TLS.
    pub fn amqps(&self) -> String {
        format!("127.0.0.1:{}", self.setting("AMQPS_PORT"))
    }
}

/// A RabbitMQ node of a test's own, in a folder of its own, to be killed. It ends with the value, whatever happened.
pub struct OwnNode {
    folder: PathBuf,
}

impl OwnNode {
    /// Starts one on ports that are free.
    pub fn start(name: &str) -> OwnNode {
        let node = OwnNode { folder: std::env::temp_dir().join(format!("safeguarding-node-{name}-{}", std::process::id())) };
        // The places that deploy/rabbitmq gives its listeners; below the range of outgoing connections, and away
        // from the one that the run's own node takes.
        let is_free = |base: &u16| (71..=75).all(|place| TcpListener::bind(("127.0.0.1", base + place)).is_ok());
        let base = (26_600..32_000).step_by(100).find(is_free).expect("a free range of ports");
        node.told(&["start"], &[&base.to_string()]);
        node
    }

    /// The node, for whoever connects to it.
    pub fn node(&self) -> Node {
        Node::in_folder(&self.folder)
    }

    /// Ends it without warning.
    pub fn kill(&self) {
        self.told(&["kill"], &[]);
    }

    /// Brings it back, with whatever it had on disk.
    pub fn bring_back(&self) {
        self.told(&["start"], &[]);
    }

    fn told(&self, action: &[&str], more: &[&str]) {
        let output = Command::new(repository().join("deploy/rabbitmq")).args(action).arg(&self.folder).args(more).output();
        let output = output.expect("deploy/rabbitmq runs");
        assert!(output.status.success(), "deploy/rabbitmq {action:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for OwnNode {
    fn drop(&mut self) {
        let told = |action| Command::new(repository().join("deploy/rabbitmq")).arg(action).arg(&self.folder).output();
        // Nobody needs what it holds, so it is not asked to put it in order; `stop` ends the rest.
        let _ = told("kill");
        let stopped = told("stop");
        if std::thread::panicking() || !stopped.is_ok_and(|output| output.status.success()) {
            eprintln!("the node's data and log are in {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// Where cargo put the programs.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    // A test lies in target/<profile>/deps, the benchmark one folder above, where the programs are.
    let folder = test.ancestors().skip(1).find(|folder| folder.join(name).exists());
    let program = folder.unwrap_or(&test).join(name);
    assert!(program.exists(), "{} is not built: cargo build --workspace --bins", program.display());
    program
}

/// Makes a certificate for each party, by the script that deployments use.
pub fn certify(folder: &Path, options: &[&str], parties: &[&str]) {
    let output = Command::new(repository().join("deploy/certificates"))
        .args(options)
        .arg(folder)
        .args(parties)
        .output()
        .expect("deploy/certificates runs");
    assert!(output.status.success(), "deploy/certificates: {}", String::from_utf8_lossy(&output.stderr));
}

/// A port that is free just now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// A broker and an adapter with everything that is theirs.
pub struct Stack {
    /// The node they use.
    pub node: Node,
    /// Their virtual host.
    pub vhost: String,
    /// Their folder: configurations, ledger, logs.
    pub folder: PathBuf,
    ports: Ports,
    broker: Option<Child>,
    adapter: Option<Child>,
    otlp: String,
    endpoints: PathBuf,
    /// How far ahead the programs' clocks run.
    broker_shift_s: i64,
    adapter_shift_s: i64,
}

/// One of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// safeguarding-broker.
    Broker,
    /// safeguarding-adapter.
    Adapter,
}

struct Ports {
    gateway: u16,
    operate: u16,
    broker_metrics: u16,
    adapter_metrics: u16,
}

/// The parties that every stack knows: those of the local stack.
pub const PARTIES: &[&str] = &[
    "service.router",
    "service.adapter",
    "school.999001",
    "school.999002",
    "la.E08000035.front-door",
    "la.E08000035.edt",
    "la.E08000035.early-help",
    "la.E08000035.front-door-manager",
    "la.E08000035.safeguarding-lead",
    "la.E08000035.head-of-service",
    "la.E08000035.safeguarding-partners",
    "la.E10000016.front-door",
    "la.E10000016.edt",
    "la.E10000016.front-door-manager",
    "la.E09000025.front-door",
    "police.13",
    "police.46",
    "nhs.ZZ304",
    "operator.desk",
];

impl Stack {
    /// Prepares a stack called `name` and starts it.
    pub async fn start(name: &str) -> Stack {
        let mut stack = Stack::prepare(name, Node::of_the_run());
        stack.start_broker(0).await;
        stack.start_adapter().await;
        stack
    }

    /// Prepares a stack on `node` and starts nothing.
    pub fn prepare(name: &str, node: Node) -> Stack {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(format!("safeguarding-test-{unique}"));
        fs::create_dir_all(&folder).expect("a folder for the test");
        certify(&node.certificates(), &[], PARTIES);
        let ports =
            Ports { gateway: free_port(), operate: free_port(), broker_metrics: free_port(), adapter_metrics: free_port() };
        let endpoints = repository().join("deploy/endpoints.toml");
        let (broker, adapter, otlp) = (None, None, String::new());
        Stack { node, vhost: unique, folder, ports, broker, adapter, otlp, endpoints, broker_shift_s: 0, adapter_shift_s: 0 }
    }

    /// Traces go to this OTLP collector.
    pub fn with_collector(mut self, address: &str) -> Stack {
        self.otlp = address.to_owned();
        self
    }

    /// Connects these parties instead of those of the local stack; before the start, or while the broker runs.
    pub fn connect(&mut self, endpoints: &str) {
        self.endpoints = self.folder.join("endpoints.toml");
        let beside = self.folder.join("endpoints.toml.new");
        fs::write(&beside, endpoints).and_then(|()| fs::rename(&beside, &self.endpoints)).expect("the endpoints' file");
    }

    /// The gateway's address.
    pub fn gateway(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.gateway)
    }

    /// The broker's own address, where the doors ask.
    pub fn operate(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.operate)
    }

    /// Where the broker's metrics are.
    pub fn broker_metrics(&self) -> String {
        format!("127.0.0.1:{}", self.ports.broker_metrics)
    }

    /// Where the adapter's metrics are.
    pub fn adapter_metrics(&self) -> String {
        format!("127.0.0.1:{}", self.ports.adapter_metrics)
    }

    /// The broker's configuration file.
    pub fn broker_config(&self) -> PathBuf {
        self.folder.join("broker.toml")
    }

    /// A party's certificate as a TLS identity.
    pub fn identity(&self, party: &str) -> Identity {
        let folder = self.node.certificates();
        let files = Files {
            ca: folder.join("ca.pem"),
            certificate: folder.join(format!("{party}.pem")),
            key: folder.join(format!("{party}.key")),
        };
        Identity::load(&files).expect("the party's certificate")
    }

    /// The node as a party sees it.
    pub fn nodes(&self, party: &str) -> Nodes {
        Nodes::new([self.node.amqps()], self.vhost.clone(), "localhost", self.identity(party)).expect("the node's address")
    }

    fn write_configs(&self) {
        let certificates = self.node.certificates();
        let tls = |party: &str| {
            let path = |file: String| certificates.join(file).display().to_string();
            format!(
                "[tls]\nca = {:?}\ncertificate = {:?}\nkey = {:?}\n",
                path("ca.pem".to_owned()),
                path(format!("{party}.pem")),
                path(format!("{party}.key"))
            )
        };
        let rehearsal = |shift_s: i64| format!("[rehearsal]\nallowed = true\ntime_shift_s = {shift_s}\n");
        let rabbitmq = format!("[rabbitmq]\nnodes = [{:?}]\nvhost = {:?}\n", self.node.amqps(), self.vhost);
        let telemetry = format!("[telemetry]\nlog = \"info\"\notlp = {:?}\n", self.otlp);
        let broker = format!(
            "{rabbitmq}[rabbitmq.management]\nurl = {:?}\nuser = {:?}\npassword_file = {:?}\n{}[ledger]\npath = \"ledger/ledger.sqlite\"\nkey = \"ledger/signing.key\"\n[operate]\nlisten = \"127.0.0.1:{}\"\n[directory]\nendpoints = {:?}\nlook_every_s = 1\n[metrics]\nlisten = {:?}\n{telemetry}{}",
            self.node.setting("MANAGEMENT_URL"),
            self.node.setting("MANAGEMENT_USER"),
            self.node.setting("MANAGEMENT_PASSWORD_FILE"),
            tls("service.router"),
            self.ports.operate,
            self.endpoints.display().to_string(),
            self.broker_metrics(),
            rehearsal(self.broker_shift_s),
        );
        let adapter = format!(
            "{rabbitmq}{}[gateway]\nlisten = \"127.0.0.1:{}\"\n[broker]\naddress = {:?}\n[metrics]\nlisten = {:?}\n{telemetry}{}",
            tls("service.adapter"),
            self.ports.gateway,
            self.operate(),
            self.adapter_metrics(),
            rehearsal(self.adapter_shift_s),
        );
        fs::write(self.broker_config(), broker).expect("the broker's configuration");
        fs::write(self.folder.join("adapter.toml"), adapter).expect("the adapter's configuration");
    }

    fn spawn(&self, name: &str, config: &Path) -> Child {
        let log = File::options().create(true).append(true).open(self.log(name)).expect("a log file");
        let errors = log.try_clone().expect("a log file");
        Command::new(program(name))
            .args(["serve", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("the program starts")
    }

    /// Where a program's log is.
    pub fn log(&self, program: &str) -> PathBuf {
        self.folder.join(format!("{program}.log"))
    }

    /// Starts the broker, its clock ahead by so many hours, and waits until it is ready.
    pub async fn start_broker(&mut self, time_shift_hours: i64) {
        self.broker_shift_s = time_shift_hours * 3600;
        self.write_configs();
        self.broker = Some(self.spawn("safeguarding-broker", &self.broker_config()));
        self.ready(&self.broker_metrics(), "safeguarding-broker").await;
    }

    /// Starts both programs, the broker first, as if it were `moment` now.
    pub async fn start_at(&mut self, moment: Moment) {
        let shift_s = moment.duration_since(Clock::system().now()).as_secs();
        (self.broker_shift_s, self.adapter_shift_s) = (shift_s, shift_s);
        self.write_configs();
        self.launch(Program::Broker);
        self.ready(&self.broker_metrics(), "safeguarding-broker").await;
        self.start_adapter().await;
    }

    /// Starts the adapter and waits until it is ready.
    pub async fn start_adapter(&mut self) {
        self.adapter = Some(self.spawn("safeguarding-adapter", &self.folder.join("adapter.toml")));
        self.ready(&self.adapter_metrics(), "safeguarding-adapter").await;
    }

    async fn ready(&self, address: &str, program: &str) {
        let what = format!("{program} is ready (log: {})", self.log(program).display());
        until(&what, || async { is_ready(address).await.then_some(()) }).await;
    }

    /// Ends a program without warning.
    pub fn kill(&mut self, program: Program) {
        end(self.child(program).take(), true);
    }

    /// Starts a program again as it was started before, and waits for nothing.
    pub fn launch(&mut self, program: Program) {
        let child = match program {
            Program::Broker => self.spawn("safeguarding-broker", &self.broker_config()),
            Program::Adapter => self.spawn("safeguarding-adapter", &self.folder.join("adapter.toml")),
        };
        *self.child(program) = Some(child);
    }

    /// Whether a program has ended, be it by itself.
    pub fn has_ended(&mut self, program: Program) -> bool {
        !self.child(program).as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    fn child(&mut self, program: Program) -> &mut Option<Child> {
        match program {
            Program::Broker => &mut self.broker,
            Program::Adapter => &mut self.adapter,
        }
    }

    /// Ends the broker without warning.
    pub fn kill_broker(&mut self) {
        end(self.broker.take(), true);
    }

    /// Ends the adapter without warning.
    pub fn kill_adapter(&mut self) {
        end(self.adapter.take(), true);
    }

    /// Asks the broker to stop, and waits until it has.
    pub fn stop_broker(&mut self) {
        end(self.broker.take(), false);
    }

    /// Asks both to stop, and waits until they have.
    pub fn stop(&mut self) {
        end(self.adapter.take(), false);
        end(self.broker.take(), false);
    }

    /// Runs a command of the broker's and gives its status and everything it printed.
    pub fn broker_command(&self, arguments: &[&str]) -> (bool, String) {
        said(Command::new(program("safeguarding-broker")).args(arguments).arg("--config").arg(self.broker_config()))
    }

    /// Runs `review` or `quarantine` with a party's certificate, as at an operator's desk, and gives its status and
    /// everything it printed.
    pub fn at_the_desk(&self, party: &str, arguments: &[&str]) -> (bool, String) {
        let certificates = self.node.certificates();
        let path = |file: String| certificates.join(file).display().to_string();
        let config = self.folder.join(format!("{party}.desk.toml"));
        let text = format!(
            "[broker]\naddress = {:?}\n[tls]\nca = {:?}\ncertificate = {:?}\nkey = {:?}\n",
            self.operate(),
            path("ca.pem".to_owned()),
            path(format!("{party}.pem")),
            path(format!("{party}.key")),
        );
        fs::write(&config, text).expect("the desk's configuration");
        said(Command::new(program("safeguarding-broker")).args(arguments).arg("--config").arg(config))
    }

    /// Runs one of the parties' own programs, `safeguarding-send` or `safeguarding-front-door`, as `party`, and gives its
    /// status and everything it printed.
    pub fn at_the_command_line(&self, program_name: &str, party: &str, arguments: &[&str]) -> (bool, String) {
        let certificates = self.node.certificates();
        let path = |file: String| certificates.join(file).display().to_string();
        let config = self.folder.join(format!("{party}.party.toml"));
        let text = format!(
            "[gateway]\naddress = {:?}\n[rabbitmq]\nnodes = [{:?}]\nvhost = {:?}\n[tls]\nca = {:?}\ncertificate = {:?}\nkey = {:?}\n",
            self.gateway(),
            self.node.amqps(),
            self.vhost,
            path("ca.pem".to_owned()),
            path(format!("{party}.pem")),
            path(format!("{party}.key")),
        );
        fs::write(&config, text).expect("the party's configuration");
        said(Command::new(program(program_name)).arg("--config").arg(config).args(arguments))
    }

    /// Everything both programs logged.
    pub fn logs(&self) -> String {
        ["safeguarding-broker", "safeguarding-adapter"]
            .iter()
            .map(|name| fs::read_to_string(self.log(name)).unwrap_or_default())
            .collect()
    }
}

/// A program's status and everything it printed.
fn said(command: &mut Command) -> (bool, String) {
    let output = command.output().expect("the program runs");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

/// Ends a program of ours: at once, or in order (SIGTERM), and waits for it.
fn end(child: Option<Child>, at_once: bool) {
    let Some(mut child) = child else { return };
    if at_once {
        let _ = child.kill();
    } else {
        let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    }
    let _ = child.wait();
}

impl Stack {
    /// What a test leaves on the run's node, the node keeps in memory for all that come after it.
    fn remove_vhost(&self) {
        let (management, vhost) = (self.node.management(), self.vhost.clone());
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            // A node of the test's own may have gone before.
            runtime.map(|runtime| runtime.block_on(management.delete_vhost(&vhost)).is_ok())
        });
        let _ = removed.join();
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        end(self.adapter.take(), true);
        end(self.broker.take(), true);
        if std::thread::panicking() {
            eprintln!("what the programs said is in {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
            self.remove_vhost();
        }
    }
}

/// Whether the program with its health at `address` says that it is ready.
pub async fn is_ready(address: &str) -> bool {
    http_get(address, "/health/ready").await.is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// A plain HTTP GET; the head and the body as they came, or none where nobody answers.
pub async fn http_get(address: &str, path: &str) -> Option<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}
