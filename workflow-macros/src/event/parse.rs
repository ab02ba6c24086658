//! Reads the type and its `#[event(..)]`.

use proc_macro2::Ident;
use syn::{
    Attribute, Error, Fields, Generics, Index, Item, LitStr, Member, Path, Result, Token, Type, Visibility,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    parse_quote,
};

use crate::keys::Keys;

/// A type that is to be an event.
pub struct Event {
    /// Path of the crate `workflow`.
    pub krate: Path,
    pub visibility: Visibility,
    pub name: Ident,
    pub generics: Generics,
    /// The template of its id, if it is given.
    pub id: Option<LitStr>,
    /// Whether it is a struct.
    pub is_struct: bool,
    /// The fields of a struct.
    pub fields: Vec<Field>,
}

/// A field of a struct.
pub struct Field {
    /// As the template names it: the name, or the number of a field without one.
    pub name: String,
    pub member: Member,
    pub ty: Type,
}

impl Parse for Event {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (attributes, visibility, name, generics, fields) = match input.parse()? {
            Item::Struct(item) => (item.attrs, item.vis, item.ident, item.generics, Some(item.fields)),
            Item::Enum(item) => (item.attrs, item.vis, item.ident, item.generics, None),
            Item::Union(item) => return Err(Error::new(item.ident.span(), "a union cannot be an event")),
            other => return Err(Error::new_spanned(other, "only a struct or an enum can be an event")),
        };
        let options = Options::read(&attributes)?;
        Ok(Self {
            krate: options.krate.unwrap_or_else(|| parse_quote!(::workflow)),
            visibility,
            name,
            generics,
            id: options.id,
            is_struct: fields.is_some(),
            fields: fields.map(named).unwrap_or_default(),
        })
    }
}

fn named(fields: Fields) -> Vec<Field> {
    let fields = fields.into_iter().enumerate();
    fields
        .map(|(place, field)| match field.ident {
            Some(name) => Field { name: name.unraw().to_string(), member: Member::Named(name), ty: field.ty },
            None => {
                Field { name: place.to_string(), member: Member::Unnamed(Index::from(place)), ty: field.ty }
            }
        })
        .collect()
}

#[derive(Default)]
struct Options {
    krate: Option<Path>,
    id: Option<LitStr>,
}

const KEYS: Keys = Keys { of: "`#[event]`", accepted: "`id = \"..\"` and `crate = path::to::workflow`" };

impl Options {
    fn read(attributes: &[Attribute]) -> Result<Self> {
        let (mut options, mut seen) = (Self::default(), Vec::new());
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("event")) {
            attribute.parse_args_with(|input: ParseStream<'_>| {
                KEYS.read(input, &mut seen, |key, input| options.option(key, input))
            })?;
        }
        Ok(options)
    }

    fn option(&mut self, key: &Ident, input: ParseStream<'_>) -> Result<bool> {
        match key.to_string().as_str() {
            "id" => {
                input.parse::<Token![=]>()?;
                self.id = Some(input.parse()?);
            }
            "crate" => {
                input.parse::<Token![=]>()?;
                self.krate = Some(input.call(Path::parse_mod_style)?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}
