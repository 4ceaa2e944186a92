//! `safeguarding-broker rules`, run as whoever writes or signs a pack runs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::expect;

/// A folder with an edition, what lies on it, and a key; goes with the test.
struct Desk(PathBuf);

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const EDITION: &str = include_str!("../../referral/tests/editions/small.toml");

impl Desk {
    fn new(name: &str) -> Desk {
        let folder = std::env::temp_dir().join(format!("rules-command-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("edition.toml"), EDITION).unwrap();
        let overlay = "[pack]\nedition = \"LOCAL\"\nversion = 1\neffective_from = \"2026-10-01\"\nkind = \"overlay\"\n\
            [[flag]]\nid = \"LOCAL-1\"\nbecause = \"Planted\"\nsource = \"Planted\"\nevidence = \"P\"\nlevel = [\"in_need\"]\nflag = \"seen\"\n";
        std::fs::write(folder.join("local.toml"), overlay).unwrap();
        Desk(folder)
    }

    /// What the program says, and whether it was content.
    fn rules(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_safeguarding-broker"))
            .arg("rules")
            .args(arguments)
            .current_dir(&self.0)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

#[test]
fn what_an_overlay_changes_is_said_and_nothing_else() {
    let desk = Desk::new("diff");
    let (content, said) = desk.rules(&["diff", "edition.toml", "local.toml"]);
    expect![[r#"
        From WT2026/1 to WT2026/1+LOCAL/1, as of 2026-10-01:
          flag: When level is in need: newly, people are alerted to `seen`.
    "#]]
    .assert_eq(&said);
    assert!(content);
    let (_, said) = desk.rules(&["diff", "edition.toml", "edition.toml"]);
    assert!(said.ends_with("No situation is ruled differently.\n"), "{said}");
}

#[test]
fn a_broken_promise_is_named_with_its_situation_and_the_program_is_not_content() {
    let desk = Desk::new("prove");
    let (content, said) = desk.rules(&["prove", "edition.toml", "local.toml"]);
    assert!(content && !said.contains("BROKEN") && said.contains("  holds: Every referral has a route"), "{said}");
    let broken = "\n[[hold]]\nid = \"PLANTED\"\nbecause = \"b\"\nsource = \"s\"\nevidence = \"P\"\nsender = [\"vcs\"]\nhold = \"return_to_sender\"\n";
    std::fs::write(desk.path().join("edition.toml"), format!("{EDITION}{broken}")).unwrap();
    let (content, said) = desk.rules(&["prove", "edition.toml"]);
    assert!(
        !content
            && said.contains("  BROKEN: Nothing at significant harm")
            && said.contains("    PLANTED holds it when sender is vcs"),
        "{said}"
    );
}

#[test]
fn a_pack_is_signed_and_whoever_changes_it_afterwards_is_found() {
    let desk = Desk::new("sign");
    let (_, key) = desk.rules(&["key", "--key", "guardian.key", "--name", "guardian"]);
    let (content, said) = desk.rules(&["sign", "--key", "guardian.key", "--name", "guardian", "local.toml"]);
    assert!(content, "{said}");
    let verify = ["verify", "--trusted", key.trim(), "local.toml"];
    assert_eq!(desk.rules(&verify), (true, "local.toml is signed by guardian\n".to_owned()));
    let (content, said) = desk.rules(&["verify", "--trusted", key.trim(), "edition.toml"]);
    assert!(!content && said.contains("rule pack edition.toml is not signed"), "{said}");
    let text = std::fs::read_to_string(desk.path().join("local.toml")).unwrap();
    std::fs::write(desk.path().join("local.toml"), text.replace("in_need", "early_help")).unwrap();
    let (content, said) = desk.rules(&verify);
    assert!(!content && said.contains("it is for another text"), "{said}");
}

#[test]
fn the_rule_book_is_rendered_from_the_packs_that_come_with_the_product() {
    let (content, said) = Desk::new("render").rules(&["render"]);
    assert!(content);
    assert_eq!(said, include_str!("../../../policies/RULEBOOK.md"));
}
