//! Writes the code beside the function.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{LitStr, Path, ext::IdentExt, parse2, spanned::Spanned};

use crate::{
    body::{Warning, examine},
    functions,
    options::{Options, duration},
    parse::{Function, StartOfFunction},
    validate::{Parts, validate},
};

/// The function as it was written, followed by the type that stands for it, or by what is wrong.
pub fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let (options, mut mistakes) = match parse2::<Options>(options) {
        Ok(options) => (options, None),
        Err(mistake) => (Options::default(), Some(mistake)),
    };
    let beside = match parse2::<Function>(item.clone()) {
        Ok(function) => {
            let name = &function.signature.ident;
            let implementation = match validate(&function.signature) {
                Ok(parts) if mistakes.is_none() => {
                    let implementation = implementation(&options, name, &parts);
                    let found = examine(function.body.clone(), &function.context_name(), options.lints);
                    for mistake in found.mistakes {
                        combine(&mut mistakes, mistake);
                    }
                    let warnings = found.warnings.iter().map(Warning::to_tokens);
                    quote!(#implementation #(#warnings)*)
                }
                Ok(_) => placeholder(&options.krate, name),
                Err(more) => {
                    combine(&mut mistakes, more);
                    // Among methods there can be no type, and its absence is not to be told, too.
                    if function.signature.receiver().is_some() {
                        return with_mistakes(&item, &TokenStream::new(), mistakes);
                    }
                    placeholder(&options.krate, name)
                }
            };
            with_type(&function, implementation)
        }
        Err(mistake) => {
            // What is wrong inside of a function's signature the compiler tells itself, at the same place.
            if parse2::<StartOfFunction>(item.clone()).is_err() {
                combine(&mut mistakes, mistake);
            }
            TokenStream::new()
        }
    };
    with_mistakes(&item, &beside, mistakes)
}

fn with_mistakes(item: &TokenStream, beside: &TokenStream, mistakes: Option<syn::Error>) -> TokenStream {
    let mistakes = mistakes.map(|mistakes| mistakes.to_compile_error());
    quote!(#item #beside #mistakes)
}

fn combine(mistakes: &mut Option<syn::Error>, more: syn::Error) {
    match mistakes {
        Some(mistakes) => mistakes.combine(more),
        None => *mistakes = Some(more),
    }
}

/// The type of the function's name. It has braces, so that it leaves the name free for the function and for variables.
fn with_type(function: &Function, implementation: TokenStream) -> TokenStream {
    let Function { visibility, signature, .. } = function;
    let name = &signature.ident;
    let cfgs: Vec<_> = function.cfgs().collect();
    quote! {
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #visibility struct #name {}

        #(#cfgs)*
        const _: () = { #implementation };
    }
}

// Input:  async fn order(ctx: WorkflowContext<Order>, State(shop): State<Shop>) -> workflow::Result<Receipt> { .. }
// Output: impl WorkflowFn for order { .. fn call(ctx, (arg_0,)) -> .. { order(ctx, arg_0) } }
fn implementation(options: &Options, name: &Ident, parts: &Parts<'_>) -> TokenStream {
    let krate = &options.krate;
    let Parts { context, extractors, output } = parts;
    let label = options.name.as_ref().map_or_else(|| name.unraw().to_string(), LitStr::value);
    let settings = settings(options);
    let ctx = Ident::new("__ctx", Span::mixed_site());
    let args: Vec<_> =
        (0..extractors.len()).map(|i| format_ident!("__arg_{i}", span = Span::mixed_site())).collect();
    // What is read by a function of its own need not be what is read from JSON.
    let (context_type, given) = match options.parse {
        Some(_) => (functions::parsed(options, context), quote!(#ctx.0)),
        None => (context.to_token_stream(), quote!(#ctx)),
    };
    let call = quote_spanned! {Span::call_site().located_at(name.span())=>
        fn call(
            #ctx: Self::Context,
            (#(#args,)*): Self::Args,
        ) -> impl ::core::future::Future<Output = Self::Return> + ::core::marker::Send {
            #name(#given #(, #args)*)
        }
    };
    let functions = functions::methods(options, &args);
    // A type that is less visible than the function is told at these places.
    let context_type = quote_spanned!(context.span()=> type Context = #context_type;);
    let return_type = quote_spanned!(output.span()=> type Return = #output;);
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #krate::__private::WorkflowFn for #name {
            const NAME: &'static ::core::primitive::str = #label;
            #settings
            #context_type
            type Args = (#(#extractors,)*);
            #return_type

            #call
            #functions
        }
    }
}

/// The constant that holds the settings of the runs, if there are any.
fn settings(options: &Options) -> Option<TokenStream> {
    let Options { krate, retries, retry_delay, timeout, labels, flow_control, on_failure, .. } = options;
    let retries = retries.as_ref().map(|retries| quote!(.retries(#retries)));
    let retry_delay = retry_delay.as_ref().map(|delay| quote!(.retry_delay(#delay)));
    let timeout = timeout.map(duration).map(|timeout| quote!(.timeout(#timeout)));
    let labels = (!labels.is_empty()).then(|| quote!(.labels(&[#(#labels),*])));
    let limits = flow_control.as_ref().map(|limits| limits.to_tokens(krate));
    let limits = limits.map(|limits| quote!(.flow_control(#limits)));
    let handles_failure = on_failure.as_ref().map(|_| quote!(.handles_failure()));
    let given = quote!(#retries #retry_delay #timeout #labels #limits #handles_failure);
    (!given.is_empty()).then(|| {
        quote! {
            const OPTIONS: #krate::__private::WorkflowOptions = #krate::__private::WorkflowOptions::new() #given;
        }
    })
}

/// Stands in for a workflow that does not compile anyway, so that its mistake is not followed by another one wherever it
/// is mounted.
fn placeholder(krate: &Path, name: &Ident) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl #krate::__private::WorkflowFn for #name {
            const NAME: &'static ::core::primitive::str = "";
            type Context = #krate::WorkflowContext<()>;
            type Args = ();
            type Return = #krate::Result<()>;

            async fn call(_: Self::Context, _: Self::Args) -> Self::Return {
                ::core::unreachable!()
            }
        }
    }
}
