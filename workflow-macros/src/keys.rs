//! Reads lists of options: `key = value, key = value`, each key at most once.

use proc_macro2::{Ident, Span};
use syn::{
    Error, Result, Token,
    ext::IdentExt,
    parse::{Parse, ParseStream},
};

/// The options of something, and how it is told which it takes.
pub struct Keys {
    /// What takes them, as people write it.
    pub of: &'static str,
    /// The keys, as they are written.
    pub accepted: &'static str,
}

impl Keys {
    /// Hands each key to `option`, which reads what follows it, or says that it does not know the key. What has been given
    /// in another list before is in `seen`.
    ///
    /// # Errors
    /// The first mistake, at its place.
    pub fn read(
        &self,
        input: ParseStream<'_>,
        seen: &mut Vec<Ident>,
        mut option: impl FnMut(&Ident, ParseStream<'_>) -> Result<bool>,
    ) -> Result<()> {
        let Self { of, accepted } = self;
        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            if seen.contains(&key) {
                let message =
                    format!("the option `{key}` is given twice; give each of these once: {accepted}");
                return Err(Error::new(key.span(), message));
            }
            if !option(&key, input)? {
                return Err(Error::new(key.span(), format!("unknown option `{key}`: {of} takes {accepted}")));
            }
            seen.push(key);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    }
}

/// The value behind a key's `=`, or how to write it.
///
/// # Errors
/// If there is no `=`, or no such value behind it.
pub fn value<T: Parse>(input: ParseStream<'_>, example: &str) -> Result<T> {
    input.parse::<Token![=]>()?;
    let place = if input.is_empty() { Span::call_site() } else { input.cursor().span() };
    input.parse().map_err(|_| Error::new(place, format!("write it like this: `{example}`")))
}
