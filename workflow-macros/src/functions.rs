//! Writes the calls of the functions that the options name. What does not fit is told at the function's path, so the code
//! around it stands there, too.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{ExprPath, Path, Type, spanned::Spanned};

use crate::options::Options;

/// The methods that differ from those of a workflow without such options. `args` are names for the further parameters.
pub fn methods(options: &Options, args: &[Ident]) -> TokenStream {
    [
        options.parse.as_ref().map(|path| parse(options, path)),
        options.validate.as_ref().map(|path| validate(options, path)),
        options.on_failure.as_ref().map(|path| failed(options, path, args)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The type of the context where a function reads the payload.
pub fn parsed(options: &Options, context: &Type) -> TokenStream {
    let krate = at_place(&options.krate, context.span());
    quote_spanned!(context.span()=> #krate::__private::Parsed<#context>)
}

fn parse(options: &Options, path: &ExprPath) -> TokenStream {
    let at = place(path);
    let krate = at_place(&options.krate, at);
    let body = Ident::new("__body", at);
    let read = Ident::new("__read", at);
    quote_spanned! {at=>
        fn parse(
            #body: &#krate::__private::Bytes,
        ) -> ::core::result::Result<#krate::__private::PayloadOf<Self>, #krate::__private::PayloadError> {
            let #body: &[::core::primitive::u8] = #body;
            let #read: ::core::result::Result<#krate::__private::PayloadOf<Self>, _> = #path(#body);
            #krate::__private::parsed(#read)
        }
    }
}

fn validate(options: &Options, path: &ExprPath) -> TokenStream {
    let at = place(path);
    let krate = at_place(&options.krate, at);
    let payload = Ident::new("__payload", at);
    let checked = Ident::new("__checked", at);
    quote_spanned! {at=>
        fn validate(
            #payload: &#krate::__private::PayloadOf<Self>,
        ) -> ::core::result::Result<(), #krate::__private::PayloadError> {
            let #checked: ::core::result::Result<(), _> = #path(#payload);
            #krate::__private::validated(#checked)
        }
    }
}

fn failed(options: &Options, path: &ExprPath, args: &[Ident]) -> TokenStream {
    let at = place(path);
    let krate = at_place(&options.krate, at);
    let failed = Ident::new("__failed", at);
    let args: Vec<_> = args.iter().map(|arg| Ident::new(&arg.to_string(), at)).collect();
    quote_spanned! {at=>
        async fn failed(
            #failed: #krate::FailedRun<#krate::__private::PayloadOf<Self>>,
            (#(#args,)*): Self::Args,
        ) -> #krate::Result<::std::string::String> {
            #krate::__private::failure_result(#krate::__private::failure_call(#path(#failed #(, #args)*)).await)
        }
    }
}

fn place(path: &ExprPath) -> Span {
    Span::mixed_site().located_at(path.span())
}

/// The path of the crate as if it were written at this place, where it still means what it does.
fn at_place(krate: &Path, at: Span) -> TokenStream {
    let tokens = krate.to_token_stream().into_iter();
    tokens
        .map(|mut token| {
            token.set_span(token.span().located_at(at));
            token
        })
        .collect()
}
