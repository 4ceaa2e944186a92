//! A road to RabbitMQ that can come to a standstill: what is sent meanwhile waits, as it does in a network that is
//! silent and not gone, and arrives when the road opens again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::wait::until;

/// A TCP proxy on loopback.
pub struct Road {
    address: String,
    open: Arc<watch::Sender<bool>>,
    waiting: Arc<AtomicUsize>,
}

impl Road {
    /// An open road to `target`.
    pub async fn to(target: String) -> Road {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let address = listener.local_addr().expect("an address").to_string();
        let (open, waiting) = (Arc::new(watch::Sender::new(true)), Arc::new(AtomicUsize::new(0)));
        let (gate, count) = (open.clone(), waiting.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(&target).await else { continue };
                let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(near_read, far_write, gate.subscribe(), count.clone()));
                tokio::spawn(carry(far_read, near_write, gate.subscribe(), Arc::default()));
            }
        });
        Road { address, open, waiting }
    }

    /// Where it begins.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Brings it to a standstill, in both directions.
    pub fn stop(&self) {
        self.waiting.store(0, Ordering::SeqCst);
        self.open.send_replace(false);
    }

    /// Opens it: what waited goes on.
    pub fn go(&self) {
        self.open.send_replace(true);
    }

    /// Waits until at least so many bytes wait to be carried to the target.
    pub async fn holds(&self, bytes: usize) {
        until("something waits on the road", || async { (self.waiting.load(Ordering::SeqCst) >= bytes).then_some(()) }).await;
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut open: watch::Receiver<bool>, waiting: Arc<AtomicUsize>) {
    let mut held = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        if *open.borrow_and_update() && !held.is_empty() {
            if to.write_all(&held).await.is_err() {
                return;
            }
            held.clear();
        }
        tokio::select! {
            changed = open.changed() => if changed.is_err() { return },
            count = from.read(&mut buffer) => {
                let Some(bytes) = count.ok().filter(|count| *count > 0).and_then(|count| buffer.get(..count)) else { break };
                held.extend_from_slice(bytes);
                if !*open.borrow() {
                    waiting.fetch_add(bytes.len(), Ordering::SeqCst);
                }
            }
        }
    }
    // Whoever sent has gone; what they sent still arrives.
    if open.wait_for(|open| *open).await.is_ok() {
        let _ = to.write_all(&held).await;
    }
}
