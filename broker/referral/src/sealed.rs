//! Personal information, sealed: it can be carried and, on purpose, opened; it cannot be printed or stored
//! by accident.

use std::fmt;

/// A value that is about a person. Its `Debug` says only that it is there, it has no `Display`, and it is not
/// `Serialize`: whatever the ledger keeps beside the content is therefore free of personal data by type.
///
/// ```compile_fail
/// println!("{}", referral::Sealed::new("Ada"));
/// ```
/// ```compile_fail
/// fn stored<T: serde::Serialize>(_: T) {}
/// stored(referral::Sealed::new("Ada"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sealed<T>(T);

impl<T> Sealed<T> {
    /// Seals a value.
    pub fn new(value: T) -> Self {
        Sealed(value)
    }

    /// Opens it. Every call is a place where personal data flows on: only the wire and the rules do this.
    pub fn open(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[sealed]")
    }
}

impl From<String> for Sealed<String> {
    fn from(text: String) -> Self {
        Sealed(text)
    }
}

impl From<&str> for Sealed<String> {
    fn from(text: &str) -> Self {
        Sealed(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Sealed;

    #[test]
    fn a_sealed_name_does_not_print_itself() {
        let name = Sealed::new("Zebedee Canary".to_owned());
        assert_eq!(format!("{name:?} {:#?}", Some(&name)), "[sealed] Some(\n    [sealed],\n)");
    }
}
