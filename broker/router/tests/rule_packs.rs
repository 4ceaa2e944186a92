//! Rule packs as files: who signed them, and what is refused.

use evidence::{PublicKey, Signer};
use referral::rules::library::BUILT_IN;
use router::packs::{self, PackFile};

fn signer(name: &str, seed: u8) -> Signer {
    Signer::new(name, &[seed; 32])
}

fn built_in() -> Vec<PackFile> {
    let file = |&(name, text): &(&str, &str)| PackFile { name: name.to_owned(), text: text.to_owned(), signatures: None };
    BUILT_IN.iter().map(file).collect()
}

fn signed(mut file: PackFile, signer: &Signer) -> PackFile {
    file.signatures = Some(file.sign(signer).unwrap());
    file
}

fn refusal(files: &[PackFile], trusted: &[PublicKey]) -> String {
    packs::library(files, Some(trusted)).map_or_else(|refused| refused.to_string(), |_| "accepted".to_owned())
}

#[test]
fn packs_that_somebody_trusted_signed_are_accepted() {
    let guardian = signer("guardian", 1);
    let files: Vec<PackFile> = built_in().into_iter().map(|file| signed(file, &guardian)).collect();
    assert_eq!(refusal(&files, &[guardian.public().clone()]), "accepted");
}

#[test]
fn a_pack_that_nobody_signed_is_refused_by_its_name() {
    let guardian = signer("guardian", 1);
    let mut files: Vec<PackFile> = built_in().into_iter().map(|file| signed(file, &guardian)).collect();
    files[1].signatures = None;
    let refusal = refusal(&files, &[guardian.public().clone()]);
    assert!(refusal.starts_with(&format!("rule pack {} is not signed", files[1].name)), "{refusal}");
}

#[test]
fn a_signature_by_somebody_else_or_under_anothers_name_is_refused() {
    let (guardian, stranger, impostor) = (signer("guardian", 1), signer("stranger", 2), signer("guardian", 3));
    for other in [stranger, impostor] {
        let files: Vec<PackFile> = built_in().into_iter().map(|file| signed(file, &other)).collect();
        let refusal = refusal(&files, &[guardian.public().clone()]);
        assert!(refusal.contains("none of the trusted keys made it"), "{refusal}");
    }
}

#[test]
fn one_byte_changed_after_signing_is_noticed_and_so_is_a_signature_of_another_pack() {
    let guardian = signer("guardian", 1);
    let trusted = [guardian.public().clone()];
    let mut files: Vec<PackFile> = built_in().into_iter().map(|file| signed(file, &guardian)).collect();
    let as_signed = files[0].clone();
    files[0].text.push('\n');
    assert!(refusal(&files, &trusted).contains("it is for another text"));
    files[0] = PackFile { signatures: files[1].signatures.clone(), ..as_signed };
    assert!(refusal(&files, &trusted).contains("it is for another text"));
}

#[test]
fn two_people_sign_one_pack_and_signing_again_changes_nothing() {
    let (guardian, officer) = (signer("guardian", 1), signer("data-protection-officer", 2));
    let file = signed(signed(signed(built_in().remove(0), &guardian), &officer), &guardian);
    for person in [&guardian, &officer] {
        assert_eq!(file.signed_by(&[person.public().clone()]).unwrap().name(), person.public().name());
    }
    assert_eq!(file.signatures.as_ref().unwrap().lines().count(), 6);
    // What was signed before a change approves nothing after it.
    let mut changed = file;
    changed.text.push('\n');
    let changed = signed(changed, &officer);
    assert!(changed.signed_by(&[guardian.public().clone()]).is_err());
    assert!(changed.signed_by(&[officer.public().clone()]).is_ok());
}

#[test]
fn a_folder_is_read_by_name_with_the_signatures_beside_its_packs() {
    let folder = std::env::temp_dir().join(format!("rule-packs-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("areas")).unwrap();
    for file in built_in() {
        let file = signed(file, &signer("guardian", 1));
        std::fs::write(folder.join(&file.name), &file.text).unwrap();
        std::fs::write(packs::beside(&folder.join(&file.name)), file.signatures.unwrap()).unwrap();
    }
    std::fs::write(folder.join("README"), "not a pack").unwrap();
    let files = packs::read(&folder).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(files.len(), BUILT_IN.len());
    assert_eq!(refusal(&files, &[signer("guardian", 1).public().clone()]), "accepted");
    assert!(packs::read(&folder).unwrap_err().to_string().starts_with("cannot read the rule packs"));
}
