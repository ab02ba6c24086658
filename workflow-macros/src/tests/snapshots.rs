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
fn with_a_timeout() {
    check(expect_file!["expanded/timeout.rs"], quote!(timeout = "1m30s"), order());
}

#[test]
fn with_flow_control() {
    let options = quote!(flow_control(key = "shop", parallelism = 3, rate = 10, period = "1m"));
    check(expect_file!["expanded/flow_control.rs"], options, order());
}

#[test]
fn with_a_failure_function() {
    let item = quote! {
        async fn order(ctx: WorkflowContext<Order>, State(shop): State<Shop>) -> workflow::Result<Receipt> {
            ctx.run("ship", async || shop.ship().await).await
        }
    };
    check(expect_file!["expanded/on_failure.rs"], quote!(on_failure = support::tell), item);
}

#[test]
fn with_a_function_that_reads_payloads() {
    check(expect_file!["expanded/parse.rs"], quote!(parse = Order::from_xml), order());
}

#[test]
fn with_a_function_that_checks_payloads() {
    check(expect_file!["expanded/validate.rs"], quote!(validate = garde::Validate::validate), order());
}

#[test]
fn with_all_settings() {
    let options = quote!(
        retries = 0,
        retry_delay = "1000",
        timeout = "250ms",
        label = ["retail", "eu"],
        flow_control(key = "shop", rate = 10)
    );
    check(expect_file!["expanded/settings.rs"], options, order());
}

#[test]
fn with_another_path_of_the_crate() {
    let options = quote!(
        crate = crate::reexport::durable,
        flow_control(key = "shop", parallelism = 3),
        on_failure = <Shop as Support>::tell::<Order>,
        parse = read,
        validate = check
    );
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
