//! Reads the function below the attribute.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{
    Attribute, FnArg, Pat, Result, Signature, Token, Visibility,
    parse::{Parse, ParseStream},
};

/// The function, as far as the macro has to understand it. Its body stays opaque: a half-typed body must not take away the
/// signature from the editor.
pub struct Function {
    pub attributes: Vec<Attribute>,
    pub visibility: Visibility,
    pub signature: Signature,
    /// What stands between the braces.
    pub body: TokenStream,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let StartOfFunction { attributes, visibility } = start_of_function(input)?;
        let signature = input.parse()?;
        let body = input.parse::<TokenStream>()?.into_iter().find_map(|token| match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
            _ => None,
        });
        Ok(Self { attributes, visibility, signature, body: body.unwrap_or_default() })
    }
}

/// An item that is a function, however its signature goes on.
pub struct StartOfFunction {
    attributes: Vec<Attribute>,
    visibility: Visibility,
}

impl Parse for StartOfFunction {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let start = start_of_function(input)?;
        input.parse::<TokenStream>()?;
        Ok(start)
    }
}

fn start_of_function(input: ParseStream<'_>) -> Result<StartOfFunction> {
    let attributes = input.call(Attribute::parse_outer)?;
    let visibility = input.parse()?;
    if !starts_function(input) {
        return Err(input.error("`#[workflow]` goes on an `async fn`"));
    }
    Ok(StartOfFunction { attributes, visibility })
}

impl Function {
    /// What the function calls its context.
    pub fn context_name(&self) -> String {
        match self.signature.inputs.first() {
            Some(FnArg::Typed(parameter)) => match &*parameter.pat {
                Pat::Ident(name) => name.ident.to_string(),
                _ => "ctx".to_owned(),
            },
            _ => "ctx".to_owned(),
        }
    }

    /// The `#[cfg]`s of the function, which everything beside it shares.
    pub fn cfgs(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"))
    }
}

fn starts_function(input: ParseStream<'_>) -> bool {
    let fork = input.fork();
    while !fork.is_empty() && !fork.peek(Token![fn]) {
        let qualifier = fork.peek(Token![const])
            || fork.peek(Token![async])
            || fork.peek(Token![unsafe])
            || fork.peek(Token![extern])
            || fork.peek(syn::LitStr);
        if !qualifier || fork.parse::<proc_macro2::TokenTree>().is_err() {
            return false;
        }
    }
    fork.peek(Token![fn])
}
