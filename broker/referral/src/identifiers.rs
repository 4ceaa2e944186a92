//! Identifiers, parsed once at the edge into types that cannot be wrong. Rules: rules.md section 2.
//!
//! What an identifier's check finds is *why* it is wrong; the value itself is never repeated in an error.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Why a text is not the identifier it should be. Never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What it should have been.
    pub identifier: &'static str,
    /// What is wrong, to be read after "is".
    pub because: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is not {}: {}", self.identifier, self.because)
    }
}

impl std::error::Error for Malformed {}

fn malformed<T>(identifier: &'static str, because: &'static str) -> Result<T, Malformed> {
    Err(Malformed { identifier, because })
}

fn digit(byte: u8) -> Option<u32> {
    byte.is_ascii_digit().then(|| u32::from(byte - b'0'))
}

/// An NHS number: ten digits, the last a check digit (weights 10 to 2, modulus 11). Spaces are dropped.
/// Scottish CHI numbers pass the same check: their range (first six digits a date) is not refused here.
#[derive(Clone, PartialEq, Eq)]
pub struct NhsNumber(String);

impl NhsNumber {
    /// Reads `text`.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        const WHAT: &str = "an NHS number";
        let compact: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let digits: Option<Vec<u32>> = compact.bytes().map(digit).collect();
        let Some(digits) = digits.filter(|digits| digits.len() == 10) else {
            return malformed(WHAT, "it needs exactly ten digits");
        };
        let weighted: u32 = digits.iter().zip((2..=10).rev()).map(|(digit, weight)| digit * weight).sum();
        let check = match 11 - weighted % 11 {
            11 => 0,
            10 => return malformed(WHAT, "no such number is issued (its check digit would be 10)"),
            check => check,
        };
        if digits.last() == Some(&check) {
            Ok(NhsNumber(compact))
        } else {
            malformed(WHAT, "the check digit does not fit the others")
        }
    }

    /// The ten digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NhsNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NhsNumber[sealed]")
    }
}

/// A unique pupil number, thirteen characters: a check letter, then twelve digits; the last may be a letter (a
/// temporary one).
#[derive(Clone, PartialEq, Eq)]
pub struct Upn(String);

impl Upn {
    const ALPHABET: &'static [u8] = b"ABCDEFGHJKLMNPQRTUVWXYZ";

    /// Reads `text`.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        const WHAT: &str = "a unique pupil number";
        let bytes = text.trim().to_ascii_uppercase().into_bytes();
        let (Some((&letter, rest)), 13) = (bytes.split_first(), bytes.len()) else {
            return malformed(WHAT, "it needs a letter and twelve more characters");
        };
        let place = |byte: u8| Self::ALPHABET.iter().position(|&known| known == byte).map(|at| at as u32);
        let value = |at: usize, byte: u8| digit(byte).or_else(|| if at == 11 { place(byte) } else { None });
        let mut weighted = 0;
        for (at, &byte) in rest.iter().enumerate() {
            match value(at, byte) {
                Some(value) => weighted += value * (at as u32 + 2),
                None => return malformed(WHAT, "after its first letter it needs digits; only the last may be a letter"),
            }
        }
        if place(letter) == Some(weighted % 23) {
            Ok(Upn(String::from_utf8_lossy(&bytes).into_owned()))
        } else {
            malformed(WHAT, "the check letter does not fit the digits")
        }
    }

    /// Its last character is a letter: given until the permanent one is known.
    pub fn is_temporary(&self) -> bool {
        self.0.ends_with(|last: char| last.is_ascii_alphabetic())
    }

    /// The thirteen characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Upn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upn[sealed]")
    }
}

/// A postcode in its normal form (upper case, one space before the last three). It is evidence of a place,
/// not proof: postcodes straddle authorities.
#[derive(Clone, PartialEq, Eq)]
pub struct Postcode(String);

impl Postcode {
    /// Reads `text`: the shape of BS 7666, and the pseudo postcodes ZZ99 of the NHS.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        const WHAT: &str = "a postcode";
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase();
        if !compact.is_ascii() || !(5..=7).contains(&compact.len()) {
            return malformed(WHAT, "it needs five to seven letters and digits");
        }
        let (outward, inward) = compact.split_at(compact.len() - 3);
        let letters_and_digits = |text: &str| -> String {
            text.chars()
                .map(|c| {
                    if c.is_ascii_digit() {
                        '9'
                    } else if c.is_ascii_alphabetic() {
                        'A'
                    } else {
                        '?'
                    }
                })
                .collect()
        };
        let outward_fits = matches!(letters_and_digits(outward).as_str(), "A9" | "A99" | "AA9" | "AA99" | "A9A" | "AA9A");
        if outward_fits && letters_and_digits(inward) == "9AA" {
            Ok(Postcode(format!("{outward} {inward}")))
        } else {
            malformed(WHAT, "its letters and digits are not in a postcode's order")
        }
    }

    /// ZZ99: no fixed abode, or abroad. It locates nobody.
    pub fn is_pseudo(&self) -> bool {
        self.0.starts_with("ZZ99")
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Postcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Postcode[sealed]")
    }
}

/// A unique property reference number: one to twelve digits, no check digit.
#[derive(Clone, PartialEq, Eq)]
pub struct Uprn(String);

impl Uprn {
    /// Reads `text`.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let text = text.trim();
        if (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Uprn(text.to_owned()))
        } else {
            malformed("a unique property reference number", "it needs one to twelve digits")
        }
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number. Some systems write it with zeros in front.
    pub fn number(&self) -> u64 {
        // Twelve digits at most, by construction.
        self.0.bytes().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    }
}

impl fmt::Debug for Uprn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Uprn[sealed]")
    }
}

/// Declares an identifier of an organisation or a place: not personal, so it may be printed and stored.
macro_rules! public_identifier {
    ($(#[$meta:meta])* $name:ident, $parse:expr) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads `text`.
            pub fn parse(text: &str) -> Result<Self, Malformed> {
                let read: fn(&str) -> Result<String, Malformed> = $parse;
                read(text).map(Self)
            }

            /// The identifier as published.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Malformed;
            fn try_from(text: String) -> Result<Self, Malformed> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(identifier: $name) -> String {
                identifier.0
            }
        }
    };
}

public_identifier! {
    /// A school's unique reference number in the DfE register: six digits, no check digit.
    Urn, |text| {
        let digits = text.trim().trim_start_matches("URN");
        if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(digits.to_owned())
        } else {
            malformed("a school's unique reference number", "it needs six digits")
        }
    }
}

public_identifier! {
    /// A school's number in the Department for Education's older scheme (LAESTAB): three digits of an authority, four
    /// of the establishment, no check digit. The authority's part is history, and routes nothing.
    Laestab, |text| {
        let text = text.trim();
        let digits = match text.split_once(['/', '-', ' ']) {
            Some((authority, establishment)) if authority.len() == 3 => [authority, establishment].concat(),
            Some(_) | None => text.to_owned(),
        };
        if digits.len() == 7 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(digits)
        } else {
            malformed("a school's LAESTAB number", "it needs three digits of the authority and four of the establishment")
        }
    }
}

public_identifier! {
    /// A nine-character code of the Government Statistical Service for an area: a letter for the country
    /// (E, N, S, W), then eight digits.
    GssCode, |text| {
        let text = text.trim().to_ascii_uppercase();
        let digits = text.strip_prefix(['E', 'N', 'S', 'W']);
        if digits.is_some_and(|digits| digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit())) {
            Ok(text)
        } else {
            malformed("a GSS code", "it needs E, N, S or W and eight digits")
        }
    }
}

public_identifier! {
    /// A code of the NHS Organisation Data Service: three to ten capitals and digits.
    OdsCode, |text| {
        let text = text.trim().to_ascii_uppercase();
        if (3..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Ok(text)
        } else {
            malformed("an ODS code", "it needs three to ten letters and digits")
        }
    }
}

public_identifier! {
    /// A police force's two-digit code (Home Office).
    ForceCode, |text| {
        let text = text.trim();
        if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(text.to_owned())
        } else {
            malformed("a police force code", "it needs two digits")
        }
    }
}

public_identifier! {
    /// A voluntary organisation's name in the directory: lower-case letters, digits and hyphens.
    VoluntaryCode, |text| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=40).contains(&text.len()) && text.bytes().all(fits) {
            Ok(text.to_owned())
        } else {
            malformed("a voluntary organisation's code", "it needs lower-case letters, digits and hyphens")
        }
    }
}

impl GssCode {
    /// The three characters that say what kind of area it is, such as `E07` for a district.
    pub fn kind(&self) -> &str {
        self.0.get(..3).unwrap_or_default()
    }
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `parts`, each preceded by its length so that no two lists of parts look alike.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Digest(hash.finalize().into())
    }

    /// The digest of one run of bytes, as any other SHA-256 tool computes it.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Digest(Sha256::digest(bytes).into())
    }

    /// A digest computed elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Digest(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        read_hex::<32>(text).map(Digest).ok_or(Malformed { identifier: "a digest", because: "it needs 64 hexadecimal digits" })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TryFrom<String> for Digest {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    // from_str_radix alone would also take a plus sign for a digit.
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// The UUID (version 8, RFC 9562) made of a digest's first half.
fn uuid_of(digest: Digest) -> [u8; 16] {
    let mut id = [0; 16];
    id.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut id;
    *version = (*version & 0x0f) | 0x80;
    *variant = (*variant & 0x3f) | 0x80;
    id
}

/// Declares an id of our own, written as a UUID.
macro_rules! own_id {
    ($(#[$meta:meta])* $name:ident, $what:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// An id read from sixteen bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                $name(bytes)
            }

            /// The sixteen bytes.
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Reads the form with hyphens.
            pub fn parse(text: &str) -> Result<Self, Malformed> {
                let hyphens = text.len() == 36 && [8, 13, 18, 23].iter().all(|&at| text.as_bytes().get(at) == Some(&b'-'));
                let compact: String = text.chars().filter(|&c| c != '-').collect();
                match read_hex::<16>(&compact) {
                    Some(bytes) if hyphens => Ok($name(bytes)),
                    _ => malformed($what, "it needs the form 8-4-4-4-12 of hexadecimal digits"),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (at, byte) in self.0.iter().enumerate() {
                    if matches!(at, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl TryFrom<String> for $name {
            type Error = Malformed;
            fn try_from(text: String) -> Result<Self, Malformed> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

own_id! {
    /// The key under which a sender submits, chosen and kept by the sender before it sends: a UUID, so that
    /// it can hold nothing about a child.
    IdempotencyKey, "an idempotency key"
}

own_id! {
    /// One child's referral. It follows from the sender and the sender's key, so that the same submission has
    /// the same id for ever, whoever receives it and however often.
    ReferralId, "a referral id"
}

own_id! {
    /// One delivery to one recipient. It follows from the referral, the recipient and the place in their
    /// sequence, so that a repeat carries the same id (P6).
    DeliveryId, "a delivery id"
}

impl ReferralId {
    /// The id of the referral that `sender` submits under `key`.
    pub fn of(sender: &crate::Endpoint, key: IdempotencyKey) -> Self {
        let sender = sender.to_string();
        ReferralId(uuid_of(Digest::of(&[b"safeguarding.referral.v1", sender.as_bytes(), key.as_bytes()])))
    }

    /// The id of the referral for the `nth` further child of the same submission. Shares its first half with
    /// the first child's, and so its partition.
    pub fn of_further_child(self, nth: u16) -> Self {
        let own = uuid_of(Digest::of(&[b"safeguarding.further-child.v1", &self.0, &nth.to_be_bytes()]));
        let mut id = self.0;
        id.iter_mut().zip(own).skip(8).for_each(|(to, from)| *to = from);
        ReferralId(id)
    }

    /// The partition of the intake, of `count`, in which everything about this referral is kept in order.
    pub fn partition(self, count: u16) -> u16 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        let [i, j, k, l, m, n, o, p, ..] = *Digest::of_bytes(&[a, b, c, d, e, f, g, h]).as_bytes();
        (u64::from_be_bytes([i, j, k, l, m, n, o, p]) % u64::from(count.max(1))) as u16
    }
}

impl DeliveryId {
    /// The id of the `nth` thing delivered to `recipient` about `referral`.
    pub fn of(referral: ReferralId, recipient: &crate::Endpoint, nth: u32) -> Self {
        let recipient = recipient.to_string();
        DeliveryId(uuid_of(Digest::of(&[
            b"safeguarding.delivery.v1",
            referral.as_bytes(),
            recipient.as_bytes(),
            &nth.to_be_bytes(),
        ])))
    }
}
