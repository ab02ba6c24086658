//! Warnings, for which procedural macros have no interface of their own.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;

/// Something to be told at a place of the user's code.
pub struct Warning {
    /// Name of the constant that the compiler calls deprecated.
    pub title: &'static str,
    /// What is wrong, and what to write instead.
    pub text: String,
    /// The token that it is about.
    pub place: Span,
}

impl Warning {
    /// The use of a deprecated constant, which the compiler warns of at [`place`](Self::place). The lint is turned on here,
    /// so that an `#[allow(deprecated)]` around the workflow, which means something else, does not silence it.
    pub fn to_tokens(&self) -> TokenStream {
        let Self { title, text, place } = self;
        let plain = Ident::new(title, Span::call_site());
        let placed = Ident::new(title, *place);
        let used = quote_spanned!(*place=> let _ = #placed;);
        quote_spanned! {Span::call_site()=>
            #[warn(deprecated)]
            {
                #[deprecated(note = #text)]
                const #plain: u8 = 0;
                #used
            }
        }
    }
}
