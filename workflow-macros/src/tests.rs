//! What the attribute writes, and what it says about mistakes. How these messages look in a terminal is tested in
//! `tests/ui`, where all types exist.

mod snapshots;

use proc_macro2::TokenStream;
use quote::quote;

use crate::expand::expand;

fn expanded(options: TokenStream, item: TokenStream) -> String {
    expand(options, item).to_string()
}

/// The messages of the `compile_error!`s in an expansion, in order.
fn messages(options: TokenStream, item: TokenStream) -> Vec<String> {
    let file: syn::File =
        syn::parse2(expand(options, item)).expect("an expansion with mistakes still parses");
    file.items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Macro(item) if item.mac.path.segments.last()?.ident == "compile_error" => {
                Some(item.mac.parse_body::<syn::LitStr>().expect("a message").value())
            }
            _ => None,
        })
        .collect()
}

#[test]
fn a_raw_name_is_called_by_its_plain_name() {
    let code = expanded(
        quote!(),
        quote!(
            async fn r#move(ctx: C) -> R {
                Ok(())
            }
        ),
    );
    assert!(
        code.contains(
            &quote!(
                struct r#move {}
            )
            .to_string()
        ),
        "{code}"
    );
    assert!(code.contains(&quote!(= "move").to_string()), "{code}");
}

#[test]
fn cfgs_are_on_everything_and_other_attributes_only_on_the_function() {
    let code = expanded(
        quote!(),
        quote! {
            #[cfg(feature = "orders")]
            #[tracing::instrument]
            async fn order(ctx: C) -> R { Ok(()) }
        },
    );
    assert_eq!(code.matches(&quote!(#[cfg(feature = "orders")]).to_string()).count(), 3, "{code}");
    assert_eq!(code.matches("instrument").count(), 1, "{code}");
}

#[test]
fn another_path_of_the_crate_replaces_the_usual_one_everywhere() {
    let code = expanded(
        quote!(crate = crate::reexport::durable),
        quote!(
            async fn order(ctx: C, a: A) -> R {
                Ok(())
            }
        ),
    );
    assert!(!code.contains("workflow ::"), "{code}");
    assert!(
        code.contains(&quote!(impl crate::reexport::durable::__private::WorkflowFn).to_string()),
        "{code}"
    );
}

#[test]
fn a_half_typed_body_is_passed_on_as_it_is() {
    let item = quote! {
        async fn order(ctx: WorkflowContext<Order>) -> Result<()> {
            let payload = ctx.
            if let Some(order) = payload
        }
    };
    let code = expanded(quote!(), item.clone());
    assert!(code.starts_with(&item.to_string()), "{code}");
    assert!(code.contains("impl :: workflow"), "{code}");
    assert!(!code.contains("compile_error"), "{code}");
}

#[test]
fn what_the_compiler_tells_itself_is_not_told_again() {
    for item in [
        quote!(async fn order(ctx: C, shop) -> R {}),
        quote!(async fn order(ctx: ) -> R {}),
        quote!(pub async fn),
    ] {
        assert_eq!(expanded(quote!(), item.clone()), item.to_string());
    }
}

#[test]
fn each_mistake_in_a_signature_is_told_once() {
    let cases = [
        (
            quote!(
                fn f(ctx: C) -> R {}
            ),
            "a workflow must be an `async fn`: write `async` here",
        ),
        (
            quote!(
                async fn f<T>(ctx: C<T>) -> R {}
            ),
            "a workflow cannot be generic: write one function for each type",
        ),
        (
            quote!(
                async fn f(ctx: C, a: impl Shop) -> R {}
            ),
            "a workflow cannot be generic: name the type",
        ),
        (
            quote!(
                async fn f(&self, ctx: C) -> R {}
            ),
            "a workflow must be a free function",
        ),
        (
            quote!(
                async fn f(&self) -> R {}
            ),
            "a workflow must be a free function",
        ),
        (
            quote!(
                async fn f() -> R {}
            ),
            "a workflow needs a first parameter of type `WorkflowContext<Payload>`",
        ),
        (
            quote!(
                async fn f(ctx: &WorkflowContext<Order>) -> R {}
            ),
            "taken by value: write `WorkflowContext<Order>`",
        ),
        (
            quote!(
                async fn f(ctx: &mut C) -> R {}
            ),
            "the context is taken by value: write `C`",
        ),
        (
            quote!(
                async fn f(ctx: C, db: &Db) -> R {}
            ),
            "extractors are taken by value: remove the `&`",
        ),
        (
            quote!(
                async fn f(ctx: C) {}
            ),
            "a workflow returns a `workflow::Result`: add `-> workflow::Result<()>`",
        ),
        (
            quote!(
                async unsafe fn f(ctx: C) -> R {}
            ),
            "a workflow cannot be `unsafe`",
        ),
        (
            quote!(
                async fn f(ctx: C, #[cfg(test)] a: A) -> R {}
            ),
            "a parameter of a workflow cannot have a `#[cfg]`",
        ),
        (
            quote!(
                struct Order;
            ),
            "`#[workflow]` goes on an `async fn`",
        ),
        (quote!(impl Order { async fn f() {} }), "`#[workflow]` goes on an `async fn`"),
    ];
    for (item, message) in cases {
        let told = messages(quote!(), item.clone());
        assert!(matches!(&*told, [one] if one.contains(message)), "{item}: {told:?}");
    }
}

#[test]
fn several_mistakes_are_told_at_once() {
    let told = messages(
        quote!(retry = 3),
        quote!(
            fn f<T>() {}
        ),
    );
    let starts =
        ["unknown option `retry`", "a workflow must be an `async fn`", "a workflow cannot be generic"];
    assert_eq!(told.len(), 5, "{told:?}");
    for (told, start) in told.iter().zip(starts) {
        assert!(told.starts_with(start), "{told}");
    }
}

#[test]
fn mistakes_in_the_options_are_told() {
    let item = quote!(
        async fn f(ctx: C) -> R {
            Ok(())
        }
    );
    let cases = [
        (
            quote!(time_out = "1s"),
            "unknown option `time_out`: `#[workflow]` takes `name = \"..\"`, `retries = 3`",
        ),
        (quote!(crate = a, crate = b), "the option `crate` is given twice; give each of these once: `name"),
        (quote!(retries = 3, label = "a", retries = 3), "the option `retries` is given twice"),
        (quote!(retries = "3"), "write it like this: `retries = 3`"),
        (quote!(retries = -1), "from 0 to 4294967295"),
        (quote!(retries = 3u8), "without a suffix"),
        (quote!(retries = 4294967296), "from 0 to 4294967295"),
        (quote!(retries), "expected `=`"),
        (quote!(retries =), "write it like this: `retries = 3`"),
        (quote!(retry_delay = 1000), "write it like this: `retry_delay = \"pow(2, retried) * 1000\"`"),
        (
            quote!(retry_delay = "tries * 2"),
            "in this one `tries` is not known; known are `retried` and `pow`",
        ),
        (quote!(retry_delay = "10s"), "`s` is out of place"),
        (quote!(name = ""), "a name is made of letters, digits"),
        (quote!(name = "a/b"), "a name is made of letters, digits"),
        (quote!(label = "a,b"), "a label is made of letters, digits"),
        (quote!(label = ["a", "ü"]), "a label is made of letters, digits"),
        (quote!(label = 7), "write it like this: `label = \"retail\"`"),
        (quote!(timeout = 30), "write it like this: `timeout = \"30s\"`"),
        (quote!(timeout = "0s"), "a timeout of 0 would leave no time"),
        (quote!(timeout = "30 seconds"), "a number lacks its unit"),
        (quote!(timeout = "3x"), "the units are `ms`, `s`, `m`"),
        (quote!(timeout = ""), "in this one it is empty"),
        (quote!(flow_control = "shop"), "expected parentheses"),
        (quote!(flow_control()), "flow control needs a `key`"),
        (quote!(flow_control(rate = 1)), "flow control needs a `key`"),
        (quote!(flow_control(key = "shop")), "this limits nothing: give `parallelism`, `rate`, or both"),
        (quote!(flow_control(key = "a shop", rate = 1)), "a key is made of letters, digits"),
        (quote!(flow_control(key = "shop", rate = 0)), "a rate of 0 would let nothing run"),
        (quote!(flow_control(key = "shop", parallelism = 0)), "a parallelism of 0 would let nothing run"),
        (quote!(flow_control(key = "shop", rate = -1)), "`rate` is from 0 to 4294967295"),
        (quote!(flow_control(key = "shop", rate = "1")), "write it like this: `rate = 10`"),
        (quote!(flow_control(key = "shop", rate = 1, period = 60)), "write it like this: `period = \"1m\"`"),
        (quote!(flow_control(key = "shop", rate = 1, period = "999ms")), "from a second to a week"),
        (quote!(flow_control(key = "shop", rate = 1, period = "1500ms")), "in whole seconds"),
        (quote!(flow_control(key = "shop", rate = 1, period = "8d")), "from a second to a week"),
        (quote!(flow_control(key = "shop", rate = 1, period = "soon")), "in this one the units are"),
        (quote!(flow_control(key = "shop", parallelism = 1, period = "1m")), "a period is that of a rate"),
        (
            quote!(flow_control(key = "shop", speed = 1)),
            "unknown option `speed`: `flow_control` takes `key = ",
        ),
        (
            quote!(flow_control(key = "a", key = "b")),
            "the option `key` is given twice; give each of these once: `key",
        ),
        (quote!(on_failure = "tell"), "write it like this: `on_failure = tell_support`"),
        (quote!(on_failure), "expected `=`"),
        (quote!(parse = |body| body), "write it like this: `parse = parse_order`"),
        (quote!(validate =), "write it like this: `validate = check_order`"),
        (quote!(validate = check(3)), "expected `,`"),
        (
            quote!(allow(deprecated)),
            "unknown lint `deprecated`: `#[workflow]` has `allow(nondeterminism)` and `allow(repeated_step_name)`",
        ),
        (quote!(allow = "nondeterminism"), "expected parentheses"),
        (quote!(crate), "expected `=`"),
        (quote!(crate = "workflow"), "expected identifier"),
    ];
    for (options, message) in cases {
        let told = messages(options.clone(), item.clone());
        assert!(matches!(&*told, [one] if one.contains(message)), "{options}: {told:?}");
    }
}

#[test]
fn a_function_with_a_mistake_is_kept_and_can_still_be_mounted() {
    let item = quote!(
        fn order(ctx: C) -> R {
            Ok(())
        }
    );
    let code = expanded(quote!(), item.clone());
    assert!(code.starts_with(&item.to_string()), "{code}");
    assert!(code.contains(&quote!(impl ::workflow::__private::WorkflowFn for order).to_string()), "{code}");
}
