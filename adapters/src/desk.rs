//! A front door's desk without a system: what came off its own queue, kept as it came, so that an answer can
//! name the digest of exactly that.
//!
//! A delivery is on the disk before it is taken off the queue; for a council without a system that is the only copy
//! it has. One that cannot be read or is for somebody else is not put on the desk. One whose proof does not hold is,
//! with a warning: a doubt about the record must not keep a child's referral from those who have to act.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use evidence::PublicKey;
use prost::Message as _;
use proto::wire::delivery::v1 as wire;
use referral::{DeliveryId, Digest, Endpoint};
use transport::amqp::Message;

use safeguarding_client::outbox::{make_private_folder, write_whole};

/// The header in which the ledger's proof travels.
pub const PROOF_HEADER: &str = "safeguarding-ledger-proof";

/// A delivery as it came.
pub struct Received {
    /// What it says.
    pub delivery: wire::Delivery,
    /// The bytes that its digest is of.
    pub bytes: Vec<u8>,
    /// Its id.
    pub id: DeliveryId,
    /// The trace it came with: an answer goes on in it.
    pub traceparent: Option<String>,
}

impl Received {
    /// The digest that an answer must name.
    pub fn digest(&self) -> Digest {
        Digest::of_bytes(&self.bytes)
    }
}

/// Why a message is not put on the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotForTheDesk {
    /// It is not a delivery.
    #[error("it cannot be read as a delivery")]
    Unreadable,
    /// It is sealed.
    #[error("it is sealed, and this program has no key to open it")]
    Sealed,
    /// It was made for somebody else, and no proof says that it went into this inbox.
    #[error("it was made for another recipient; a desk that answers for several authorities needs the ledger's key")]
    NotForUs,
}

/// Whether it was recorded before it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Checked, and so it was; its place in the log.
    Holds {
        /// The place.
        index: u64,
    },
    /// Not checked: the configuration does not say with which key.
    NotChecked,
    /// It carries none.
    Missing,
    /// It carries one that does not hold.
    False(evidence::Unproved),
}

/// Reads a message off the queue of `us`, and checks its proof with `key`.
pub fn read(message: &Message, us: &Endpoint, key: Option<&PublicKey>) -> Result<(Received, Proof), NotForTheDesk> {
    let body = message.body.as_ref();
    let bytes = if is_text(body) { body.to_vec() } else { opened(body)? };
    let delivery = delivery(&bytes).ok_or(NotForTheDesk::Unreadable)?;
    let id = DeliveryId::parse(&delivery.delivery_id).map_err(|_| NotForTheDesk::Unreadable)?;
    let proof = match key {
        None => Proof::NotChecked,
        Some(key) => check_proof(message.header(PROOF_HEADER), id, us, body, key),
    };
    // What was made for another authority is ours to read only where the ledger says that it went into our inbox (RA-23).
    if delivery.recipient != us.to_string() && !matches!(proof, Proof::Holds { .. }) {
        return Err(NotForTheDesk::NotForUs);
    }
    let traceparent = message.header("traceparent").map(str::to_owned);
    Ok((Received { delivery, bytes, id, traceparent }, proof))
}

/// Whether this very body, to us, under this id, was in the ledger before it was sent.
fn check_proof(proof: Option<&str>, id: DeliveryId, us: &Endpoint, body: &[u8], key: &PublicKey) -> Proof {
    let Some(proof) = proof else { return Proof::Missing };
    let checked = evidence::Proof::parse(proof).and_then(|proof| {
        let named = uuid::Uuid::from_bytes(*id.as_bytes());
        proof.check(key, named, &us.to_string(), &evidence::digest(body)).map(|_| proof.index)
    });
    checked.map_or_else(Proof::False, |index| Proof::Holds { index })
}

/// An endpoint that asked for JSON is sent the delivery as text, without an envelope. No envelope begins with this
/// byte: it would be a field whose kind protobuf does not have.
fn is_text(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'{')
}

fn opened(envelope: &[u8]) -> Result<Vec<u8>, NotForTheDesk> {
    match wire::DeliveryEnvelope::decode(envelope).map_err(|_| NotForTheDesk::Unreadable)?.body {
        Some(wire::delivery_envelope::Body::Plain(bytes)) => Ok(bytes),
        Some(wire::delivery_envelope::Body::Sealed(_)) => Err(NotForTheDesk::Sealed),
        None => Err(NotForTheDesk::Unreadable),
    }
}

fn delivery(bytes: &[u8]) -> Option<wire::Delivery> {
    if is_text(bytes) { proto::json::read(std::str::from_utf8(bytes).ok()?).ok() } else { wire::Delivery::decode(bytes).ok() }
}

/// What lies on the desk.
#[derive(Clone, Debug)]
pub struct Desk {
    folder: PathBuf,
}

/// Whether a delivery was on the desk already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is new.
    New,
    /// It came before: a repeat, with the same id.
    Again,
}

impl Desk {
    /// The desk of `us` in `folder`.
    pub fn open(folder: &Path, us: &Endpoint) -> io::Result<Desk> {
        let folder = folder.join(us.to_string());
        make_private_folder(&folder)?;
        Ok(Desk { folder })
    }

    fn path(&self, id: DeliveryId) -> PathBuf {
        self.folder.join(format!("{id}.delivery"))
    }

    fn trace_path(&self, id: DeliveryId) -> PathBuf {
        self.folder.join(format!("{id}.trace"))
    }

    /// Puts a delivery on the desk. On return it survives a power cut, and may be taken off the queue.
    pub fn keep(&self, received: &Received) -> io::Result<Kept> {
        let path = self.path(received.id);
        let kept = if path.exists() { Kept::Again } else { Kept::New };
        // First, so that what is on the desk has its trace: it is by the delivery that a repeat is known.
        if let Some(traceparent) = &received.traceparent {
            write_whole(&self.trace_path(received.id), traceparent.as_bytes())?;
        }
        write_whole(&path, &received.bytes)?;
        Ok(kept)
    }

    /// A delivery on the desk.
    pub fn find(&self, id: DeliveryId) -> io::Result<Option<Received>> {
        match fs::read(self.path(id)) {
            Ok(bytes) => {
                let delivery = delivery(&bytes).ok_or_else(|| io::Error::other("it is damaged"))?;
                // Without its trace it can be answered all the same.
                let traceparent = fs::read_to_string(self.trace_path(id)).ok();
                Ok(Some(Received { delivery, bytes, id, traceparent }))
            }
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Everything on the desk, the oldest first.
    pub fn all(&self) -> io::Result<Vec<Received>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let id = path.file_stem().and_then(|name| name.to_str()).and_then(|name| DeliveryId::parse(name).ok());
            let is_delivery = path.extension().is_some_and(|extension| extension == "delivery");
            if let Some(id) = id.filter(|_| is_delivery) {
                all.extend(self.find(id)?);
            }
        }
        let when = |received: &Received| received.delivery.received.map(|time| (time.seconds, time.nanos));
        all.sort_by_key(when);
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: &str = "la.E08000035.front-door";

    fn envelope(recipient: &str) -> Vec<u8> {
        let delivery = wire::Delivery {
            delivery_id: "6f1c0c1e-58a4-4f5a-9b3b-1f4f0e6a7d11".to_owned(),
            recipient: recipient.to_owned(),
            ..wire::Delivery::default()
        };
        wire::DeliveryEnvelope { body: Some(wire::delivery_envelope::Body::Plain(delivery.encode_to_vec())) }.encode_to_vec()
    }

    fn us() -> Endpoint {
        Endpoint::parse(US).unwrap()
    }

    /// A ledger's signer, and the proof that `body` is the only leaf of its log.
    fn proof_of(body: &[u8]) -> (evidence::Signer, String) {
        let signer = evidence::Signer::new("localhost/test", &[3; 32]);
        let id = uuid::Uuid::parse_str("6f1c0c1e-58a4-4f5a-9b3b-1f4f0e6a7d11").unwrap();
        let (salt, at) = ([9; 32], evidence::Moment::UNIX_EPOCH);
        let record = evidence::delivery_record(id, US, &evidence::digest(body));
        let leaf = evidence::Leaf::new(evidence::DELIVERY, at, &salt, &record);
        let mut frontier = evidence::Frontier::default();
        frontier.append(leaf.hash());
        let checkpoint = signer.checkpoint(&frontier);
        let proof = evidence::Proof { index: 0, size: 1, path: Vec::new(), salt, at_micros: evidence::micros(at), checkpoint };
        (signer, proof.text())
    }

    fn message(body: Vec<u8>, proof: Option<&str>) -> Message {
        let mut headers = vec![("traceparent".to_owned(), TRACE.to_owned())];
        headers.extend(proof.map(|proof| (PROOF_HEADER.to_owned(), proof.to_owned())));
        Message {
            id: "6f1c0c1e-58a4-4f5a-9b3b-1f4f0e6a7d11".to_owned(),
            kind: "safeguarding.delivery.v1.DeliveryEnvelope".to_owned(),
            content_type: proto::CONTENT_TYPE.to_owned(),
            headers,
            timestamp: None,
            body: body.into(),
        }
    }

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_delivery_to_somebody_else_is_not_put_on_the_desk() {
        let read = |recipient: &str| read(&message(envelope(recipient), None), &us(), None).map(|(_, proof)| proof);
        assert_eq!(read(US), Ok(Proof::NotChecked));
        assert_eq!(read("police.13"), Err(NotForTheDesk::NotForUs));
    }

    #[test]
    fn a_desk_that_serves_another_authority_takes_what_the_ledger_says_went_into_its_inbox() {
        let body = envelope("la.E08000032.front-door");
        let (signer, proof) = proof_of(&body);
        let read = |proof: Option<&str>, key| read(&message(body.clone(), proof), &us(), key).map(|(_, proof)| proof);
        assert_eq!(read(Some(&proof), Some(signer.public())), Ok(Proof::Holds { index: 0 }));
        assert_eq!(read(Some(&proof), None), Err(NotForTheDesk::NotForUs));
        assert_eq!(read(None, Some(signer.public())), Err(NotForTheDesk::NotForUs));
    }

    #[test]
    fn bytes_that_are_no_delivery_are_not_put_on_the_desk() {
        let read = |bytes: &[u8]| read(&message(bytes.to_vec(), None), &us(), None).err();
        assert_eq!(read(b"\xff\xff"), Some(NotForTheDesk::Unreadable));
        assert_eq!(read(b""), Some(NotForTheDesk::Unreadable));
        assert_eq!(read(b"{\"deliveryId\": "), Some(NotForTheDesk::Unreadable));
    }

    #[test]
    fn what_was_not_recorded_first_is_put_on_the_desk_with_its_doubt() {
        let body = envelope(US);
        let (signer, proof) = proof_of(&body);
        let other_key = evidence::Signer::new("localhost/test", &[4; 32]);
        let checked = |body: &[u8], proof: Option<&str>, key: &evidence::Signer| {
            read(&message(body.to_vec(), proof), &us(), Some(key.public())).map(|(_, proof)| proof)
        };
        assert_eq!(checked(&body, Some(&proof), &signer), Ok(Proof::Holds { index: 0 }));
        assert_eq!(checked(&body, None, &signer), Ok(Proof::Missing));
        assert_eq!(checked(&body, Some("not a proof"), &signer), Ok(Proof::False(evidence::Unproved::Malformed)));
        assert_eq!(checked(&body, Some(&proof), &other_key), Ok(Proof::False(evidence::Unproved::NotSigned)));
        let mut altered = body.clone();
        // A field that this edition does not know: it reads the same, and is not the same.
        altered.extend([0xf8, 0x01, 0x01]);
        assert_eq!(checked(&altered, Some(&proof), &signer), Ok(Proof::False(evidence::Unproved::RootDiffers)));
    }

    #[test]
    fn the_digest_is_of_what_is_inside_the_envelope_and_of_the_whole_text_of_json() {
        let (received, _) = read(&message(envelope(US), None), &us(), None).ok().unwrap();
        assert_eq!(received.digest(), Digest::of_bytes(&received.delivery.encode_to_vec()));
        let text = proto::json::write(&received.delivery).unwrap();
        let (as_text, _) = read(&message(text.clone().into_bytes(), None), &us(), None).ok().unwrap();
        assert_eq!(as_text.digest(), Digest::of_bytes(text.as_bytes()));
    }

    #[test]
    fn what_came_is_found_again_with_its_trace_and_a_repeat_is_known() {
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("desk-{}", uuid::Uuid::new_v4()));
        let desk = Desk::open(&folder, &us()).unwrap();
        let (received, _) = read(&message(envelope(US), None), &us(), None).ok().unwrap();
        assert_eq!(desk.keep(&received).unwrap(), Kept::New);
        assert_eq!(desk.keep(&received).unwrap(), Kept::Again);
        let found = desk.find(received.id).unwrap().unwrap();
        assert_eq!(found.digest(), received.digest());
        assert_eq!(found.traceparent.as_deref(), Some(TRACE));
        assert_eq!(desk.all().unwrap().len(), 1);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&desk.folder), mode(&desk.path(received.id)), mode(&desk.trace_path(received.id))),
            (0o700, 0o600, 0o600)
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
