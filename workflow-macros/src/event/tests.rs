//! What the derive writes, and what it says about mistakes.

use proc_macro2::TokenStream;
use quote::quote;

use super::expand;

/// The messages of the `compile_error!`s in an expansion.
fn messages(item: TokenStream) -> Vec<String> {
    let file: syn::File = syn::parse2(expand(item)).expect("an expansion with mistakes still parses");
    let macros = file.items.iter().filter_map(|item| match item {
        syn::Item::Macro(item) => Some(item),
        _ => None,
    });
    macros.map(|item| item.mac.parse_body::<syn::LitStr>().expect("a message").value()).collect()
}

#[test]
fn a_struct_gets_its_id_from_its_fields() {
    let item = quote! {
        #[derive(Event)]
        #[event(id = "order-{order_id}/{0}-paid")]
        pub struct Paid { order_id: u64, cents: u64 }
    };
    assert_eq!(messages(item), ["there is no field `0`: `Paid` has `order_id`, `cents`"]);

    let item = quote! {
        #[event(id = "{shop}/{order_id}-paid")]
        pub struct Paid { order_id: u64, shop: String, cents: u64 }
    };
    let expected = quote! {
        #[automatically_derived]
        impl ::workflow::Event for Paid {
            fn event_id(&self) -> ::workflow::EventId<Self> {
                Self::id(::workflow::__private::own_part(&self.shop), ::workflow::__private::own_part(&self.order_id))
            }
        }

        #[automatically_derived]
        impl Paid {
            #[doc = "The id of the event `{shop}/{order_id}-paid`."]
            #[must_use]
            pub fn id(
                shop: impl ::workflow::__private::IdPart<String>,
                order_id: impl ::workflow::__private::IdPart<u64>
            ) -> ::workflow::EventId<Self> {
                ::workflow::__private::event_id("/", &[
                    ::workflow::__private::Piece::Value(&shop),
                    ::workflow::__private::Piece::Text("/"),
                    ::workflow::__private::Piece::Value(&order_id),
                    ::workflow::__private::Piece::Text("-paid")
                ])
            }
        }
    };
    assert_eq!(expand(item).to_string(), expected.to_string());
}

#[test]
fn generics_tuples_and_another_crate_path_are_kept() {
    let code = expand(quote! {
        #[event(id = "made-{0}", crate = crate::durable)]
        struct Made<T: Kind>(u64, T) where T: Clone;
    })
    .to_string();
    for part in [
        quote!(impl<T: Kind> crate::durable::Event for Made<T> where T: Clone),
        quote!(Self::id(crate::durable::__private::own_part(&self.0))),
        quote!(fn id(field_0: impl crate::durable::__private::IdPart<u64>)),
    ] {
        assert!(code.contains(&part.to_string()), "{part} in {code}");
    }
    assert!(!code.contains(":: workflow"), "{code}");
}

#[test]
fn each_mistake_is_told_once_and_something_stands_in() {
    let cases = [
        (
            quote!(
                struct OrderPaid {
                    id: u64,
                }
            ),
            "as in `#[event(id = \"order-paid-{id}\")]`",
        ),
        (
            quote!(
                #[event(crate = w)]
                struct Closed;
            ),
            "as in `#[event(id = \"closed\")]`",
        ),
        (
            quote!(
                #[event(id = "{a}{b}")]
                struct E {
                    a: u8,
                    b: u8,
                }
            ),
            "where `{a}` ends and `{b}` begins",
        ),
        (
            quote!(
                #[event(id = "{a")]
                struct E {
                    a: u8,
                }
            ),
            "a `{` is not closed",
        ),
        (
            quote!(
                #[event(id = "{a}")]
                struct E;
            ),
            "there is no field `a`: `E` has no fields",
        ),
        (
            quote!(
                #[event(id = "{a}")]
                enum E {
                    A { a: u8 },
                }
            ),
            "only the id of a struct can have fields",
        ),
    ];
    for (item, message) in cases {
        let told = messages(item.clone());
        assert!(matches!(&*told, [one] if one.contains(message)), "{item}: {told:?}");
        assert!(expand(item).to_string().contains("fn event_id"));
    }
}

#[test]
fn mistakes_in_the_options_list_what_is_accepted() {
    let accepted = "`id = \"..\"` and `crate = path::to::workflow`";
    for (item, message) in [
        (
            quote!(
                #[event(name = "a")]
                struct E;
            ),
            "unknown option `name`",
        ),
        (
            quote!(
                #[event(id = "a")]
                #[event(id = "b")]
                struct E;
            ),
            "the option `id` is given twice",
        ),
    ] {
        let told = messages(item);
        assert!(matches!(&*told, [one] if one.contains(message) && one.contains(accepted)), "{told:?}");
    }
}
