//! Evidence: a log anyone can check. RFC 6962 hashing over salted commitments, and checkpoints as C2SP signed
//! notes. The broker's ledger writes it; recipients and auditors verify with it.
//!
//! A leaf says of which kind an entry is, when it was made, and commits to its content; whoever
//! holds content and salt can check it, whoever holds neither learns nothing. Pure arithmetic:
//! no database, no clock, no chance, and no opinion on where the hashes are kept.
//!
//! Cost: a leaf keeps the hashes of the subtrees it completes, itself included: two on average,
//! 64 bytes. Appending holds only the right edge of the tree in memory (64 hashes at the very
//! most) and hashes twice a leaf on average; a proof is 14 hashes at ten thousand leaves, 24 at
//! sixteen million, and reads as many rows.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

/// A moment in time, as given by whoever asks.
pub type Moment = jiff::Timestamp;
/// The name of a delivery: the AMQP message id, the same for ever however often it is sent.
pub type DeliveryId = uuid::Uuid;
/// A SHA-256.
pub type Digest = [u8; 32];

/// What the leaf of a delivery is about.
pub const DELIVERY: &str = "delivery";

/// Microseconds since 1970, the log's grain: what is stored is what a leaf says.
pub fn micros(at: Moment) -> i64 {
    at.as_microsecond()
}

/// A node of the tree.
pub type Hash = [u8; 32];

/// SHA-256.
pub fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// Binds to a record without telling anything about it: HMAC-SHA256 under a salt that can be erased.
pub fn commitment(salt: &[u8; 32], record: &[u8]) -> Hash {
    // A key of any length is a good HMAC key, so this is never the zeros.
    Hmac::<Sha256>::new_from_slice(salt).map_or([0; 32], |mac| mac.chain_update(record).finalize().into_bytes().into())
}

/// What the leaf of a delivery commits to: which delivery, to whom, of what.
pub fn delivery_record(delivery: DeliveryId, recipient: &str, body: &Digest) -> Vec<u8> {
    format!("delivery {delivery}\nto {recipient}\nsha256 {}\n", BASE64.encode(body)).into_bytes()
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// What it is about.
    pub kind: String,
    /// When it was made, in microseconds since 1970.
    pub at_micros: i64,
    /// To what.
    pub commitment: Hash,
}

impl Leaf {
    /// A leaf that commits to a record.
    pub fn new(kind: &str, at: Moment, salt: &[u8; 32], record: &[u8]) -> Leaf {
        Leaf { kind: kind.to_owned(), at_micros: micros(at), commitment: commitment(salt, record) }
    }

    /// The one way to write it down.
    pub fn bytes(&self) -> Vec<u8> {
        format!("safeguarding-ledger/1\n{}\n{}\n{}\n", self.kind, self.at_micros, BASE64.encode(self.commitment)).into_bytes()
    }

    /// Its place in the tree's arithmetic.
    pub fn hash(&self) -> Hash {
        leaf_hash(&self.bytes())
    }
}

/// RFC 6962: a leaf is hashed with a zero before it.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(entry).finalize().into()
}

/// RFC 6962: a node is hashed with a one before its children, so that no leaf can pass for a node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of a tree without leaves.
pub fn empty_root() -> Hash {
    digest(b"")
}

/// Folds complete subtrees, the largest and leftmost first, into a root.
fn fold(subtrees: &[Hash]) -> Hash {
    let mut from_right = subtrees.iter().rev();
    match from_right.next() {
        None => empty_root(),
        Some(last) => from_right.fold(*last, |right, left| node_hash(left, &right)),
    }
}

/// The right edge of the tree: all that is needed to append and to know the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    // One complete subtree for each bit of the size, the largest first.
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// The edge of a tree whose hashes are kept elsewhere.
    pub fn restore<E>(size: u64, fetch: impl FnMut(Subtree) -> Result<Hash, E>) -> Result<Frontier, E> {
        let subtrees = complete_subtrees(0, size).map(fetch).collect::<Result<_, E>>()?;
        Ok(Frontier { size, subtrees })
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over all of them.
    pub fn root(&self) -> Hash {
        fold(&self.subtrees)
    }

    /// Adds a leaf. Returns the hashes of the subtrees it completes, smallest first: the leaf's own,
    /// then one for each level it closes. They are to be kept with the leaf.
    pub fn append(&mut self, leaf: Hash) -> Vec<Hash> {
        let mut completed = vec![leaf];
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                hash = node_hash(&left, &hash);
                completed.push(hash);
            }
        }
        self.subtrees.push(hash);
        self.size += 1;
        completed
    }

    fn find(&self, wanted: Subtree) -> Option<Hash> {
        complete_subtrees(0, self.size).zip(&self.subtrees).find(|(subtree, _)| *subtree == wanted).map(|(_, hash)| *hash)
    }
}

/// A complete subtree, found where it was completed: the hash at `level` kept with leaf `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subtree {
    /// Its last leaf.
    pub last: u64,
    /// It has two to this many leaves.
    pub level: u32,
}

/// The largest complete subtrees that tile the leaves from `begin` up to `end`, left to right.
fn complete_subtrees(begin: u64, end: u64) -> impl Iterator<Item = Subtree> {
    let mut at = begin;
    std::iter::from_fn(move || {
        let left = end.checked_sub(at).filter(|left| *left > 0)?;
        let level = left.ilog2().min(at.trailing_zeros());
        at += 1 << level;
        Some(Subtree { last: at - 1, level })
    })
}

/// The tree as it grows by one batch: proofs for the new leaves need nothing from the disk, because
/// what stands to the left of a new leaf is either as new or on the edge the batch began with.
#[derive(Clone, Debug)]
pub struct Growth {
    before: Frontier,
    now: Frontier,
    completed: Vec<Vec<Hash>>,
}

impl Growth {
    /// Begins at an edge.
    pub fn of(frontier: &Frontier) -> Growth {
        Growth { before: frontier.clone(), now: frontier.clone(), completed: Vec::new() }
    }

    /// Adds a leaf; returns its index and the hashes to keep with it.
    pub fn append(&mut self, leaf: &Leaf) -> (u64, &[Hash]) {
        let index = self.now.size();
        self.completed.push(self.now.append(leaf.hash()));
        (index, self.completed.last().map_or(&[], Vec::as_slice))
    }

    /// The edge now.
    pub fn frontier(&self) -> &Frontier {
        &self.now
    }

    /// The inclusion proof of a leaf of this batch in the tree as it is now.
    pub fn inclusion(&self, index: u64) -> Result<Vec<Hash>, Unproved> {
        inclusion(index, self.now.size(), |subtree| self.find(subtree).ok_or(Unproved::HashMissing))
    }

    fn find(&self, subtree: Subtree) -> Option<Hash> {
        match subtree.last.checked_sub(self.before.size()) {
            Some(fresh) => kept(self.completed.get(usize::try_from(fresh).ok()?)?, subtree.level),
            None => self.before.find(subtree),
        }
    }
}

/// The hash at a level among those kept with a leaf.
pub fn kept(completed: &[Hash], level: u32) -> Option<Hash> {
    completed.get(usize::try_from(level).ok()?).copied()
}

fn root_of<E>(begin: u64, end: u64, fetch: &mut impl FnMut(Subtree) -> Result<Hash, E>) -> Result<Hash, E> {
    Ok(fold(&complete_subtrees(begin, end).map(fetch).collect::<Result<Vec<_>, E>>()?))
}

/// Where RFC 6962 splits a range of two leaves or more: after the largest power of two below its length.
fn split(begin: u64, end: u64) -> u64 {
    begin + (1 << (end - begin - 1).ilog2())
}

/// The hashes that lead from a leaf to the root over `size` leaves, lowest first.
pub fn inclusion<E>(index: u64, size: u64, mut fetch: impl FnMut(Subtree) -> Result<Hash, E>) -> Result<Vec<Hash>, E> {
    let (mut begin, mut end) = (0, size);
    let mut path = Vec::new();
    while end - begin > 1 {
        let middle = split(begin, end);
        if index < middle {
            path.push(root_of(middle, end, &mut fetch)?);
            end = middle;
        } else {
            path.push(root_of(begin, middle, &mut fetch)?);
            begin = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The hashes that show that the tree over `new` leaves begins with the tree over `old` ones.
pub fn consistency<E>(old: u64, new: u64, mut fetch: impl FnMut(Subtree) -> Result<Hash, E>) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::new();
    if old == 0 || old >= new {
        return Ok(proof);
    }
    let (mut begin, mut end) = (0, new);
    while end != old {
        let middle = split(begin, end);
        if old <= middle {
            proof.push(root_of(middle, end, &mut fetch)?);
            end = middle;
        } else {
            proof.push(root_of(begin, middle, &mut fetch)?);
            begin = middle;
        }
    }
    // The old tree's root is known to whoever asks; a part of it has to be given.
    if begin != 0 {
        proof.push(root_of(begin, end, &mut fetch)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// The text is not of the form.
    #[error("it is not written in the form it should be")]
    Malformed,
    /// Nobody who may sign has signed.
    #[error("it is not signed by the ledger's key")]
    NotSigned,
    /// The log is another one.
    #[error("it is about another log")]
    AnotherLog,
    /// The hashes lead elsewhere.
    #[error("the hashes do not lead to the signed root")]
    RootDiffers,
    /// A hash that should be kept is not.
    #[error("a hash of the tree is missing")]
    HashMissing,
}

/// Checks that a leaf is in a tree (RFC 9162, 2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> Result<(), Unproved> {
    if index >= size {
        return Err(Unproved::RootDiffers);
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for step in path {
        if last == 0 {
            return Err(Unproved::RootDiffers);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(step, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, step);
        }
        at >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(Unproved::RootDiffers) }
}

/// Checks that a tree grew out of another (RFC 9162, 2.1.4.2).
pub fn verify_consistency(old: u64, old_root: &Hash, new: u64, new_root: &Hash, proof: &[Hash]) -> Result<(), Unproved> {
    let holds = |yes: bool| {
        if yes { Ok(()) } else { Err(Unproved::RootDiffers) }
    };
    if old > new {
        return Err(Unproved::RootDiffers);
    }
    if old == new {
        return holds(proof.is_empty() && old_root == new_root);
    }
    if old == 0 {
        return holds(proof.is_empty() && *old_root == empty_root());
    }
    // When the old tree is one complete subtree its root begins the proof and is left out of it.
    let (first, rest) =
        if old.is_power_of_two() { (old_root, proof) } else { proof.split_first().ok_or(Unproved::RootDiffers)? };
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for step in rest {
        if last == 0 {
            return Err(Unproved::RootDiffers);
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(step, &old_hash);
            new_hash = node_hash(step, &new_hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, step);
        }
        at >>= 1;
        last >>= 1;
    }
    holds(last == 0 && old_hash == *old_root && new_hash == *new_root)
}

/// What the log says of itself: who it is, how many entries, and the root over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }

    /// Reads a signed note, and believes it only if the ledger's key signed it.
    pub fn open(note: &str, key: &PublicKey) -> Result<Checkpoint, Unproved> {
        let text = key.open(note)?;
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(Unproved::Malformed);
        };
        let checkpoint =
            Checkpoint { origin: origin.to_owned(), size: size.parse().map_err(|_| Unproved::Malformed)?, root: base64(root)? };
        // A number or a hash written in another way than ours is not ours; further lines are allowed.
        if !text.starts_with(&checkpoint.text()) {
            return Err(Unproved::Malformed);
        }
        if checkpoint.origin != key.name { Err(Unproved::AnotherLog) } else { Ok(checkpoint) }
    }
}

fn base64<const LENGTH: usize>(text: &str) -> Result<[u8; LENGTH], Unproved> {
    let bytes = BASE64.decode(text).map_err(|_| Unproved::Malformed)?;
    bytes.try_into().map_err(|_| Unproved::Malformed)
}

/// The ledger's own key: signs notes under the name of the log.
#[derive(Clone)]
pub struct Signer {
    key: SigningKey,
    public: PublicKey,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("public", &self.public).finish_non_exhaustive()
    }
}

// Between text and signatures of a note stands a dash, as the format wants it.
const DASH: &str = "\u{2014} ";
const ED25519: u8 = 1;

impl Signer {
    /// From the 32 bytes of an Ed25519 seed. The name is the log's origin, without blanks and plus signs.
    pub fn new(origin: &str, seed: &[u8; 32]) -> Signer {
        let key = SigningKey::from_bytes(seed);
        let public = PublicKey { name: origin.to_owned(), key: key.verifying_key() };
        Signer { key, public }
    }

    /// What others check our notes with.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs what the log is now.
    pub fn checkpoint(&self, frontier: &Frontier) -> String {
        let origin = self.public.name.clone();
        self.note(&Checkpoint { origin, size: frontier.size(), root: frontier.root() }.text())
    }

    /// Signs a text that ends with a line end.
    pub fn note(&self, text: &str) -> String {
        let mut signature = self.public.id().to_vec();
        signature.extend(self.key.sign(text.as_bytes()).to_bytes());
        format!("{text}\n{DASH}{} {}\n", self.public.name, BASE64.encode(signature))
    }
}

/// What a ledger's notes are checked with. Written as `name+id+key`, the signed note's own form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

impl PublicKey {
    /// The log's origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> [u8; 4] {
        let hash: [u8; 32] = Sha256::new_with_prefix(self.name.as_bytes())
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize()
            .into();
        let [a, b, c, d, ..] = hash;
        [a, b, c, d]
    }

    /// Reads `name+id+key`.
    pub fn parse(text: &str) -> Result<PublicKey, Unproved> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Unproved::Malformed);
        };
        let [algorithm, key @ ..] = base64::<33>(key)?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| Unproved::Malformed)?;
        let public = PublicKey { name: name.to_owned(), key };
        let well_formed = algorithm == ED25519 && u32::from_str_radix(id, 16) == Ok(u32::from_be_bytes(public.id()));
        if well_formed { Ok(public) } else { Err(Unproved::Malformed) }
    }

    /// The text of a note, if this key is among those that signed it. Other people's signatures are passed over.
    pub fn open<'note>(&self, note: &'note str) -> Result<&'note str, Unproved> {
        let at = note.rfind("\n\n").ok_or(Unproved::Malformed)?;
        let (text, signatures) = (note.get(..=at).ok_or(Unproved::Malformed)?, note.get(at + 2..).unwrap_or_default());
        let signed = signatures.lines().any(|line| {
            let Some((name, signature)) = line.strip_prefix(DASH).and_then(|rest| rest.split_once(' ')) else {
                return false;
            };
            let Ok(bytes) = base64::<68>(signature) else {
                return false;
            };
            let (id, signature) = bytes.split_at(4);
            name == self.name
                && id == self.id()
                && Signature::from_slice(signature)
                    .is_ok_and(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok())
        });
        if signed { Ok(text) } else { Err(Unproved::NotSigned) }
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut key = vec![ED25519];
        key.extend(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id()), BASE64.encode(key))
    }
}

/// All a recipient needs to check that a delivery was recorded before it was sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// The place of the delivery's leaf.
    pub index: u64,
    /// How many leaves the checkpoint covers; always more than the index.
    pub size: u64,
    /// From the leaf to the root.
    pub path: Vec<Hash>,
    /// Opens the commitment.
    pub salt: [u8; 32],
    /// What the leaf says of the time, in microseconds since 1970.
    pub at_micros: i64,
    /// The signed note.
    pub checkpoint: String,
}

// The salt opens a commitment about a child; it goes to the recipient and nowhere else.
impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof").field("index", &self.index).field("size", &self.size).finish_non_exhaustive()
    }
}

const PROOF_FORMAT: &str = "c2sp.org/tlog-proof@v1";

impl Proof {
    /// Checks that this very body, to this recipient, under this id, was in the log the ledger signed.
    pub fn check(&self, key: &PublicKey, delivery: DeliveryId, recipient: &str, body: &Digest) -> Result<Checkpoint, Unproved> {
        let checkpoint = Checkpoint::open(&self.checkpoint, key)?;
        let leaf = Leaf {
            kind: DELIVERY.to_owned(),
            at_micros: self.at_micros,
            commitment: commitment(&self.salt, &delivery_record(delivery, recipient, body)),
        };
        verify_inclusion(&leaf.hash(), self.index, checkpoint.size, &self.path, &checkpoint.root)?;
        Ok(checkpoint)
    }

    /// As text, to travel with the delivery: the C2SP form, with time and salt as its extra data.
    pub fn text(&self) -> String {
        let mut extra = self.at_micros.to_be_bytes().to_vec();
        extra.extend(self.salt);
        let path: String = self.path.iter().map(|hash| BASE64.encode(hash) + "\n").collect();
        format!("{PROOF_FORMAT}\nextra {}\nindex {}\n{path}\n{}", BASE64.encode(extra), self.index, self.checkpoint)
    }

    /// Reads what [`Proof::text`] wrote. What it says is believed only after [`Proof::check`].
    pub fn parse(text: &str) -> Result<Proof, Unproved> {
        let (proof, checkpoint) = text.split_once("\n\n").ok_or(Unproved::Malformed)?;
        let mut lines = proof.lines();
        let mut line = |prefix: &str| lines.next().and_then(|line| line.strip_prefix(prefix)).ok_or(Unproved::Malformed);
        line(PROOF_FORMAT).and_then(|rest| if rest.is_empty() { Ok(()) } else { Err(Unproved::Malformed) })?;
        let extra: [u8; 40] = base64(line("extra ")?)?;
        let index = line("index ")?.parse().map_err(|_| Unproved::Malformed)?;
        let (at, salt) = extra.split_at(8);
        Ok(Proof {
            index,
            size: checkpoint.lines().nth(1).and_then(|size| size.parse().ok()).ok_or(Unproved::Malformed)?,
            path: lines.map(base64).collect::<Result<_, _>>()?,
            salt: salt.try_into().map_err(|_| Unproved::Malformed)?,
            at_micros: i64::from_be_bytes(at.try_into().map_err(|_| Unproved::Malformed)?),
            checkpoint: checkpoint.to_owned(),
        })
    }
}
