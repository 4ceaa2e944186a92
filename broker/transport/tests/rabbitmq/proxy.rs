//! A road to RabbitMQ that fails on demand: silent, deaf or gone, as networks are.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

/// What the road does with the bytes of connections that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// Carries them.
    Open,
    /// Carries nothing either way and closes nothing: a half-open connection.
    Silent,
    /// Carries what is sent and none of the answers.
    NoAnswers,
    /// Closes the connections there are, and carries those that come after.
    Cut,
}

/// A TCP proxy on loopback. Ends with its handle.
pub struct Proxy {
    pub address: String,
    road: Arc<watch::Sender<Road>>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub async fn to(target: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let address = listener.local_addr().expect("it has an address").to_string();
        let road = Arc::new(watch::Sender::new(Road::Open));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, target.to_owned(), road.clone()));
        Proxy { address, road, _tasks: tasks }
    }

    pub fn becomes(&self, road: Road) {
        self.road.send_replace(road);
    }
}

async fn accept(listener: TcpListener, target: String, road: Arc<watch::Sender<Road>>) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        // Connections from after a cut are carried: the cut was of the old ones.
        road.send_if_modified(|road| std::mem::replace(road, if *road == Road::Cut { Road::Open } else { *road }) == Road::Cut);
        let Ok(far) = TcpStream::connect(&target).await else {
            continue;
        };
        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = far.into_split();
        connections.spawn(carry(near_read, far_write, road.subscribe(), false));
        connections.spawn(carry(far_read, near_write, road.subscribe(), true));
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut road: watch::Receiver<Road>, answers: bool) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let now = *road.borrow_and_update();
        let count = tokio::select! {
            biased;
            changed = road.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            count = from.read(&mut bytes), if now == Road::Open || now == Road::NoAnswers => count.unwrap_or(0),
            () = async {}, if now == Road::Cut => 0,
        };
        if count == 0 {
            return;
        }
        if now == Road::NoAnswers && answers {
            // Swallowed. What was encrypted in it is missing for ever, so only a new connection can go on.
            continue;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
