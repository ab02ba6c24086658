//! What the compiler says about mistakes. `TRYBUILD=overwrite cargo test -p workflow-macros --test ui` writes the messages anew.

#[test]
fn mistakes_are_told_where_they_are() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
