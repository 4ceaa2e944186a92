//! The log's arithmetic against an independent implementation and published vectors.

mod ledger_support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use ledger_support::*;
use proptest::prelude::*;
use router::record::log::*;
use sha2::Sha256;

type Theirs = MemoryBackedTree<Sha256, Vec<u8>>;

/// Both trees over the same entries, ours with the hashes it keeps.
struct Both {
    theirs: Theirs,
    frontier: Frontier,
    kept: Vec<Vec<Hash>>,
}

impl Both {
    fn new() -> Both {
        Both { theirs: Theirs::new(), frontier: Frontier::default(), kept: Vec::new() }
    }

    fn of(entries: u64) -> Both {
        let mut both = Both::new();
        (0..entries).for_each(|_| both.push());
        both
    }

    fn push(&mut self) {
        let entry = format!("entry {}", self.frontier.size()).into_bytes();
        self.kept.push(self.frontier.append(leaf_hash(&entry)));
        self.theirs.push(entry);
    }

    fn fetch(&self) -> impl FnMut(Subtree) -> Result<Hash, Unproved> {
        |subtree| {
            let completed = self.kept.get(subtree.last as usize).ok_or(Unproved::HashMissing)?;
            kept(completed, subtree.level).ok_or(Unproved::HashMissing)
        }
    }

    fn agree_on_the_root(&self) {
        assert_eq!(self.frontier.root().as_slice(), self.theirs.root().as_bytes().as_slice());
        assert_eq!(Frontier::restore(self.frontier.size(), self.fetch()).unwrap(), self.frontier);
    }

    /// Ours is their proof to the byte, and each side believes the other's.
    fn agree_on_the_inclusion_of(&self, index: u64) {
        let (size, root) = (self.frontier.size(), self.frontier.root());
        let ours = inclusion(index, size, self.fetch()).unwrap();
        assert_eq!(ours.concat(), self.theirs.prove_inclusion(index as usize).as_bytes(), "{index} of {size}");
        verify_inclusion(&self.kept[index as usize][0], index, size, &ours, &root).unwrap();
        let entry = format!("entry {index}").into_bytes();
        let proof = InclusionProof::<Sha256>::try_from_bytes(ours.concat()).unwrap();
        RootHash::<Sha256>::new(root.into(), size).verify_inclusion(&entry, index, &proof).unwrap();
    }

    fn agree_on_the_growth_from(&self, old: &Frontier) {
        let (size, root) = (self.frontier.size(), self.frontier.root());
        let ours = consistency(old.size(), size, self.fetch()).unwrap();
        verify_consistency(old.size(), &old.root(), size, &root, &ours).unwrap();
        // Theirs speaks of neither the empty tree nor of no growth at all.
        if old.size() == 0 || old.size() == size {
            return;
        }
        let theirs = self.theirs.prove_consistency((size - old.size()) as usize);
        assert_eq!(ours.concat(), theirs.as_bytes(), "{} to {size}", old.size());
        let proof = ConsistencyProof::<Sha256>::try_from_bytes(ours.concat()).unwrap();
        let old = RootHash::<Sha256>::new(old.root().into(), old.size());
        RootHash::<Sha256>::new(root.into(), size).verify_consistency(&old, &proof).unwrap();
    }
}

#[test]
fn roots_and_proofs_agree_with_an_independent_implementation_at_every_small_size() {
    let mut both = Both::new();
    let mut grown = vec![both.frontier.clone()];
    for _ in 0..40 {
        both.push();
        both.agree_on_the_root();
        (0..both.frontier.size()).for_each(|index| both.agree_on_the_inclusion_of(index));
        grown.push(both.frontier.clone());
        grown.iter().for_each(|old| both.agree_on_the_growth_from(old));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn roots_and_proofs_agree_with_an_independent_implementation_at_large_sizes(
        size in 41..1_500_u64,
        index in any::<prop::sample::Index>(),
        old in any::<prop::sample::Index>(),
    ) {
        let both = Both::of(size);
        both.agree_on_the_root();
        both.agree_on_the_inclusion_of(index.index(size as usize) as u64);
        both.agree_on_the_growth_from(&Both::of(old.index(size as usize) as u64).frontier);
    }

    #[test]
    fn a_batch_proves_its_own_leaves_without_reading_any_others(before in 0..70_u64, batch in 1..40_u64) {
        let mut both = Both::of(before);
        let mut growth = Growth::of(&both.frontier);
        let leaf = |index: u64| Leaf::new("decision", at(0), &[1; 32], &index.to_be_bytes());
        for index in before..before + batch {
            let (place, kept) = growth.append(&leaf(index));
            assert_eq!(place, index);
            assert_eq!(kept, both.frontier.append(leaf(index).hash()));
            both.kept.push(kept.to_vec());
        }
        assert_eq!(growth.frontier(), &both.frontier);
        let size = both.frontier.size();
        for index in before..size {
            let path = growth.inclusion(index).unwrap();
            assert_eq!(&path, &inclusion(index, size, both.fetch()).unwrap());
            verify_inclusion(&leaf(index).hash(), index, size, &path, &both.frontier.root()).unwrap();
        }
    }

    /// Whatever is changed in a true statement makes it a false one.
    #[test]
    fn a_proof_that_was_altered_does_not_hold(
        size in 2..200_u64,
        index in any::<prop::sample::Index>(),
        old in any::<prop::sample::Index>(),
        bit in 0..256_usize,
        place in any::<prop::sample::Index>(),
    ) {
        let both = Both::of(size);
        let root = both.frontier.root();
        let flip = |hash: &Hash| {
            let mut hash = *hash;
            hash[bit / 8] ^= 1 << (bit % 8);
            hash
        };
        let index = index.index(size as usize) as u64;
        let leaf = both.kept[index as usize][0];
        let path = inclusion(index, size, both.fetch()).unwrap();
        let holds = |leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash| {
            verify_inclusion(leaf, index, size, path, root).is_ok()
        };
        assert!(holds(&leaf, index, size, &path, &root));
        assert!(!holds(&flip(&leaf), index, size, &path, &root));
        assert!(!holds(&leaf, index, size, &path, &flip(&root)));
        assert!(!holds(&leaf, (index + 1) % size, size, &path, &root));
        assert!(!holds(&leaf, index, index, &path, &root));
        assert!(!holds(&leaf, index, size, &path[1..], &root));
        assert!(!holds(&leaf, index, size, &[path.as_slice(), &[root]].concat(), &root));
        let mut altered = path.clone();
        let place_in_path = place.index(altered.len());
        altered[place_in_path] = flip(&altered[place_in_path]);
        assert!(!holds(&leaf, index, size, &altered, &root));

        let old = Both::of(1 + old.index(size as usize - 1) as u64).frontier;
        let proof = consistency(old.size(), size, both.fetch()).unwrap();
        let grew = |old_root: &Hash, new_root: &Hash, proof: &[Hash]| {
            verify_consistency(old.size(), old_root, size, new_root, proof).is_ok()
        };
        assert!(grew(&old.root(), &root, &proof));
        assert!(!grew(&flip(&old.root()), &root, &proof));
        assert!(!grew(&old.root(), &flip(&root), &proof));
        assert!(!grew(&old.root(), &root, &proof[1..]));
        assert!(!grew(&old.root(), &root, &[proof.as_slice(), &[root]].concat()));
        let mut altered = proof.clone();
        let place_in_proof = place.index(altered.len());
        altered[place_in_proof] = flip(&altered[place_in_proof]);
        assert!(!grew(&old.root(), &root, &altered));
        assert!(verify_consistency(size, &root, old.size(), &old.root(), &proof).is_err());
    }

    /// Anybody may hand us a note or a proof.
    #[test]
    fn random_text_is_neither_a_note_nor_a_proof(text in "\\PC{0,40}(\n\\PC{0,40}){0,6}") {
        assert!(Checkpoint::open(&text, &public_key()).is_err());
        assert!(Proof::parse(&text).is_err());
        assert!(PublicKey::parse(&text).is_err());
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn roots_are_those_certificate_transparency_published() {
    let entries = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::default();
    assert_eq!(frontier.root().to_vec(), hex(roots[0]));
    for (entry, root) in entries.iter().zip(&roots[1..]) {
        frontier.append(leaf_hash(&hex(entry)));
        assert_eq!(frontier.root().to_vec(), hex(root), "{} entries", frontier.size());
    }
}

// The key and the note that the reference implementation (golang.org/x/mod/sumdb/note) documents.
const NEUMANN_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const NEUMANN_SEED: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const NEUMANN_TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const NEUMANN_SIGNATURE: &str =
    "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

#[test]
fn our_notes_are_those_of_the_reference_implementation() {
    let seed: [u8; 32] = BASE64.decode(NEUMANN_SEED).unwrap()[1..].try_into().unwrap();
    let signer = Signer::new("PeterNeumann", &seed);
    assert_eq!(signer.public().to_string(), NEUMANN_KEY);
    let note = format!("{NEUMANN_TEXT}\n{NEUMANN_SIGNATURE}");
    assert_eq!(signer.note(NEUMANN_TEXT), note);

    let key = PublicKey::parse(NEUMANN_KEY).unwrap();
    assert_eq!(key.open(&note), Ok(NEUMANN_TEXT));
    // A witness has signed as well, before us and after us.
    let witness = "\u{2014} witness.example AAAAAAAA\n";
    assert_eq!(key.open(&format!("{NEUMANN_TEXT}\n{witness}{NEUMANN_SIGNATURE}{witness}")), Ok(NEUMANN_TEXT));
    assert_eq!(key.open(&format!("{NEUMANN_TEXT}\n{witness}")), Err(Unproved::NotSigned));
    assert_eq!(key.open(&note.replace("cryptography", "cryptographY")), Err(Unproved::NotSigned));
    assert_eq!(key.open(NEUMANN_TEXT), Err(Unproved::Malformed));
}

#[test]
fn a_public_key_with_a_letter_changed_is_not_one() {
    for at in 0..NEUMANN_KEY.len() {
        let mut bytes = NEUMANN_KEY.as_bytes().to_vec();
        bytes[at] += 1;
        let changed = String::from_utf8(bytes).unwrap();
        assert!(PublicKey::parse(&changed).is_err(), "{changed}");
        assert!(PublicKey::parse(&NEUMANN_KEY[..at]).is_err());
    }
}

#[test]
fn a_checkpoint_is_three_readable_lines_and_a_signature() {
    let mut frontier = Frontier::default();
    (0..3_u8).for_each(|entry| drop(frontier.append(leaf_hash(&[entry]))));
    let note = signer().checkpoint(&frontier);
    expect_test::expect![[r#"
        localhost/safeguarding-ledger
        3
        O2zM1+PgI/85MAbwMDFe562esRGwIrQfun5bejlz9og=

        — localhost/safeguarding-ledger Yq6iEg==
    "#]]
    .assert_eq(&shorten(&note));
    let opened = Checkpoint::open(&note, &public_key()).unwrap();
    assert_eq!(opened, Checkpoint { origin: ORIGIN.to_owned(), size: 3, root: frontier.root() });
}

/// The signature is random to the eye; the key's id in front of it is not.
fn shorten(note: &str) -> String {
    let (text, signature) = note.trim_end().rsplit_once(' ').unwrap();
    format!("{text} {}\n", BASE64.encode(&BASE64.decode(signature).unwrap()[..4]))
}

#[test]
fn what_is_signed_and_no_checkpoint_is_refused() {
    let check = |text: &str, because: Unproved| {
        assert_eq!(Checkpoint::open(&signer().note(text), &public_key()), Err(because), "{text:?}");
    };
    let root = BASE64.encode([9; 32]);
    assert!(Checkpoint::open(&signer().note(&format!("{ORIGIN}\n3\n{root}\nan extension\n")), &public_key()).is_ok());
    check(&format!("elsewhere/log\n3\n{root}\n"), Unproved::AnotherLog);
    check(&format!("{ORIGIN}\n03\n{root}\n"), Unproved::Malformed);
    check(&format!("{ORIGIN}\n+3\n{root}\n"), Unproved::Malformed);
    check(&format!("{ORIGIN}\n-3\n{root}\n"), Unproved::Malformed);
    check(&format!("{ORIGIN}\n3\n{}\n", BASE64.encode([9; 31])), Unproved::Malformed);
    check(&format!("{ORIGIN}\n3\n"), Unproved::Malformed);
    check(&format!("{ORIGIN}\r\n3\r\n{root}\r\n"), Unproved::Malformed);
    check("\n", Unproved::Malformed);
}

#[test]
fn a_leaf_says_kind_time_and_commitment_and_nothing_else() {
    let leaf = Leaf::new("decision", at(0), &[5; 32], b"the whole decision, with a name in it");
    expect_test::expect![[r#"
        safeguarding-ledger/1
        decision
        1800000000000000
        MXhD3AKrlvkZ6gwxgFmDZ+AuRQMiep1yMKkE86S1sRY=
    "#]]
    .assert_eq(&String::from_utf8(leaf.bytes()).unwrap());
    // The commitment is what any HMAC-SHA256 gives (this one was made with Python's); another salt or
    // another record gives another.
    assert_ne!(commitment(&[5; 32], b"a"), commitment(&[6; 32], b"a"));
    assert_ne!(commitment(&[5; 32], b"a"), commitment(&[5; 32], b"b"));
}
