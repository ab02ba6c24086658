//! Reads the options of the attribute and the function below it.

use proc_macro2::TokenStream;
use syn::{
    Attribute, Error, Ident, Path, Result, Signature, Token, Visibility,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    parse_quote,
};

/// What stands in the parentheses of `#[workflow(..)]`.
pub struct Options {
    /// Path of the crate `workflow`.
    pub krate: Path,
}

impl Default for Options {
    fn default() -> Self {
        Self { krate: parse_quote!(::workflow) }
    }
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut krate = None;
        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            if key != "crate" {
                return Err(Error::new(
                    key.span(),
                    format!("unknown option `{key}`: `#[workflow]` takes only `crate = path::to::workflow`"),
                ));
            }
            if krate.is_some() {
                return Err(Error::new(key.span(), "the option `crate` is given twice"));
            }
            input.parse::<Token![=]>()?;
            krate = Some(input.call(Path::parse_mod_style)?);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(krate.map_or_else(Self::default, |krate| Self { krate }))
    }
}

/// The function, as far as the macro has to understand it. Its body stays opaque: a half-typed body must not take away the
/// signature from the editor.
pub struct Function {
    pub attributes: Vec<Attribute>,
    pub visibility: Visibility,
    pub signature: Signature,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if !starts_function(input) {
            return Err(input.error("`#[workflow]` goes on an `async fn`"));
        }
        let signature = input.parse()?;
        input.parse::<TokenStream>()?;
        Ok(Self { attributes, visibility, signature })
    }
}

impl Function {
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
