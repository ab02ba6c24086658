//! The whole expansion for every option. `UPDATE_EXPECT=1 cargo test -p workflow-macros --lib` writes the files anew: read the
//! difference before you commit it.

use expect_test::{ExpectFile, expect_file};
use proc_macro2::TokenStream;
use quote::quote;

use crate::expand::expand;

#[track_caller]
fn check(expected: ExpectFile, options: TokenStream, item: TokenStream) {
    let file = syn::parse2(expand(options, item)).expect("an expansion parses");
    expected.assert_eq(&prettyplease::unparse(&file));
}

fn order() -> TokenStream {
    quote! {
        async fn order(ctx: WorkflowContext<Order>) -> workflow::Result<Receipt> {
            ctx.run("ship", async || shop.ship().await).await
        }
    }
}

#[test]
fn without_options() {
    check(expect_file!["expanded/plain.rs"], quote!(), order());
}

#[test]
fn with_extractors_attributes_and_visibility() {
    let item = quote! {
        /// Ships it.
        #[cfg(feature = "orders")]
        #[tracing::instrument]
        pub(crate) async fn order(
            ctx: WorkflowContext<Order>,
            State(shop): State<Shop>,
            user: User,
        ) -> Result<Receipt, workflow::Error> {
            ctx.run("ship", async || shop.ship(user).await).await
        }
    };
    check(expect_file!["expanded/extractors.rs"], quote!(), item);
}

#[test]
fn with_a_name() {
    check(expect_file!["expanded/name.rs"], quote!(name = "process-order"), order());
}

#[test]
fn with_retries() {
    check(expect_file!["expanded/retries.rs"], quote!(retries = 5), order());
}

#[test]
fn with_a_retry_delay() {
    let options = quote!(retry_delay = "pow(2, retried) * 1000");
    check(expect_file!["expanded/retry_delay.rs"], options, order());
}

#[test]
fn with_a_label() {
    check(expect_file!["expanded/label.rs"], quote!(label = "retail"), order());
}

#[test]
fn with_all_settings() {
    let options = quote!(retries = 0, retry_delay = "1000", label = ["retail", "eu"],);
    check(expect_file!["expanded/settings.rs"], options, order());
}

#[test]
fn with_another_path_of_the_crate() {
    let options = quote!(crate = crate::reexport::durable, retries = 5);
    check(expect_file!["expanded/crate.rs"], options, order());
}

fn reads_the_clock() -> TokenStream {
    quote! {
        async fn order(ctx: WorkflowContext<Order>) -> workflow::Result<()> {
            let now = SystemTime::now();
            let _ = ctx.run("ship", async || Ok(()));
            Ok(())
        }
    }
}

#[test]
fn with_warnings() {
    check(expect_file!["expanded/warnings.rs"], quote!(), reads_the_clock());
}

#[test]
fn with_nondeterminism_allowed() {
    let options = quote!(allow(nondeterminism));
    check(expect_file!["expanded/allow.rs"], options, reads_the_clock());
}

#[test]
fn with_a_mistake() {
    check(expect_file!["expanded/mistake.rs"], quote!(retries = "3"), order());
}
