//! What the compiler says about mistakes: each file in `ui` makes one, and is told one error.
//! `TRYBUILD=overwrite cargo test -p workflow-macros --test ui` writes the messages anew.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn each_mistake_is_told_once_and_where_it_is() {
    // The fixtures are compiled, and their messages compared, when this is dropped.
    trybuild::TestCases::new().compile_fail("tests/ui/*/*.rs");

    let fixtures = fixtures();
    assert!(!fixtures.is_empty());
    for fixture in fixtures {
        let messages = fs::read_to_string(fixture.with_extension("stderr")).unwrap_or_default();
        let lines_with = |kind| messages.lines().filter(|line| line.starts_with(kind)).count();
        let told = (lines_with("error"), lines_with("warning"));
        assert_eq!(told, (1, 0), "{} is to be told one error:\n{messages}", fixture.display());
    }
}

#[test]
fn the_table_in_the_documentation_names_fixtures() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../docs/errors.md")).unwrap();
    let named: Vec<_> = page.split("(`").skip(1).filter_map(|rest| rest.split_once("`)")).collect();
    let fixtures: Vec<_> = named.iter().map(|(name, _)| *name).filter(|name| name.contains('/')).collect();
    assert!(fixtures.len() > 20, "{fixtures:?}");
    for fixture in fixtures {
        assert!(root.join("tests/ui").join(fixture).with_extension("rs").exists(), "{fixture}");
    }
}

fn fixtures() -> Vec<PathBuf> {
    let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui")).unwrap();
    let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    files
        .map(|file| file.unwrap().path())
        .filter(|file| file.extension().is_some_and(|kind| kind == "rs"))
        .collect()
}
