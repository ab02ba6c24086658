//! The story checks itself as it goes; here it is told once. And the README shows a part of it.

use std::process::Command;

#[test]
fn the_story_comes_true() {
    let data = tempfile::tempdir().unwrap();
    let told = Command::new(env!("CARGO_BIN_EXE_order-example"))
        .args(["--once", "--port", "0", "--data"])
        .arg(data.path())
        .env_remove("QSTASH_TOKEN")
        .env_remove("QSTASH_URL")
        .output()
        .unwrap();
    let (text, errors) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert!(told.status.success(), "{text}\n{errors}");
    for scene in ["(a)", "(b)", "(c)", "(d)", "the card was charged 1 time, and packing began 2 times"] {
        assert!(text.contains(scene), "{scene} in {text}\n{errors}");
    }
}

#[test]
fn the_readme_begins_with_a_workflow_of_the_example() {
    let (_, rest) = include_str!("../../../README.md").split_once("```rs\n").unwrap();
    let (shown, _) = rest.split_once("```").unwrap();
    assert!(include_str!("../src/workflows.rs").contains(shown), "{shown}");
}
