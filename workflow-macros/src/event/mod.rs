//! `#[derive(Event)]`: the id of an event, made of its fields.

mod parse;
mod template;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Error, Ident, Result, parse2, spanned::Spanned};

use self::{
    parse::{Event, Field},
    template::{Piece, Template},
};

/// The implementation of `Event`, or what is wrong, with something in its place so that it is told once.
pub fn expand(item: TokenStream) -> TokenStream {
    match parse2::<Event>(item) {
        Ok(event) => match implementation(&event) {
            Ok(code) => code,
            Err(mistakes) => {
                let mistakes = mistakes.into_compile_error();
                let placeholder = placeholder(&event);
                quote!(#mistakes #placeholder)
            }
        },
        Err(mistake) => mistake.into_compile_error(),
    }
}

// Input:  #[event(id = "order-{order_id}")] struct Paid { order_id: u64, cents: u64 }
// Output: impl Event for Paid { fn event_id(&self) -> EventId<Self> { Self::id(own_part(&self.order_id)) } }
//         impl Paid { fn id(order_id: impl IdPart<u64>) -> EventId<Self> { .. } }
fn implementation(event: &Event) -> Result<TokenStream> {
    let Event { krate, visibility, name, generics, id, .. } = event;
    let id = id.as_ref().ok_or_else(|| {
        Error::new(
            name.span(),
            format!(
                "an event needs an id: add `#[event(id = \"..\")]`, with fields in braces, as in \
                 `#[event(id = \"{}\")]`",
                example(event)
            ),
        )
    })?;
    let text = id.value();
    let template = Template::parse(&text).map_err(|message| Error::new(id.span(), message))?;
    let fields = fields(event, &template).map_err(|message| Error::new(id.span(), message))?;
    let separators = template.separators().map_err(|message| Error::new(id.span(), message))?;

    let parameters = fields.iter().map(|field| {
        let (name, ty) = (parameter(field), &field.ty);
        quote!(#name: impl #krate::__private::IdPart<#ty>)
    });
    let values = fields.iter().map(|field| {
        let member = &field.member;
        let value = quote_spanned!(field.ty.span()=> &self.#member);
        quote!(#krate::__private::own_part(#value))
    });
    let pieces = template.pieces.iter().map(|piece| match piece {
        Piece::Text(text) => quote!(#krate::__private::Piece::Text(#text)),
        Piece::Field(field) => {
            let field = fields.iter().find(|known| known.name == *field).map(|field| parameter(field));
            quote!(#krate::__private::Piece::Value(&#field))
        }
    });
    let doc = format!("The id of the event `{text}`.");
    let (impl_generics, type_generics, wheres) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #krate::Event for #name #type_generics #wheres {
            fn event_id(&self) -> #krate::EventId<Self> {
                Self::id(#(#values),*)
            }
        }

        #[automatically_derived]
        impl #impl_generics #name #type_generics #wheres {
            #[doc = #doc]
            #[must_use]
            #visibility fn id(#(#parameters),*) -> #krate::EventId<Self> {
                #krate::__private::event_id(#separators, &[#(#pieces),*])
            }
        }
    })
}

/// The fields of the template, each once.
fn fields<'a>(event: &'a Event, template: &Template) -> std::result::Result<Vec<&'a Field>, String> {
    let find = |name: &&str| event.fields.iter().find(|field| field.name == **name);
    let wanted = template.fields();
    match wanted.iter().find(|name| find(name).is_none()) {
        None => Ok(wanted.iter().filter_map(find).collect()),
        Some(_) if !event.is_struct => {
            Err("only the id of a struct can have fields in braces: an enum has none of its own".to_owned())
        }
        Some(unknown) if event.fields.is_empty() => {
            Err(format!("there is no field `{unknown}`: `{}` has no fields", event.name))
        }
        Some(unknown) => {
            let known: Vec<_> = event.fields.iter().map(|field| format!("`{}`", field.name)).collect();
            Err(format!("there is no field `{unknown}`: `{}` has {}", event.name, known.join(", ")))
        }
    }
}

/// Named fields give their name to the parameter.
fn parameter(field: &Field) -> Ident {
    match &field.member {
        syn::Member::Named(name) => name.clone(),
        syn::Member::Unnamed(index) => format_ident!("field_{}", index.index, span = field.ty.span()),
    }
}

/// An id that would do.
fn example(event: &Event) -> String {
    let mut kebab = String::new();
    for (place, character) in event.name.to_string().chars().enumerate() {
        if character.is_uppercase() && place > 0 {
            kebab.push('-');
        }
        kebab.extend(character.to_lowercase());
    }
    match event.fields.first() {
        Some(field) => format!("{kebab}-{{{}}}", field.name),
        None => kebab,
    }
}

/// Stands in for an event that does not compile anyway, so that its mistake is not followed by others wherever it is used.
fn placeholder(event: &Event) -> TokenStream {
    let Event { krate, visibility, name, generics, id, .. } = event;
    let template = id.as_ref().and_then(|id| Template::parse(&id.value()).ok());
    let count = template.map_or(0, |template| template.fields().len());
    let parameters = (0..count).map(|_| quote!(_: impl ::core::marker::Sized));
    let (impl_generics, type_generics, wheres) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics #krate::Event for #name #type_generics #wheres {
            fn event_id(&self) -> #krate::EventId<Self> {
                ::core::unreachable!()
            }
        }

        #[automatically_derived]
        #[allow(dead_code)]
        impl #impl_generics #name #type_generics #wheres {
            #visibility fn id(#(#parameters),*) -> #krate::EventId<Self> {
                ::core::unreachable!()
            }
        }
    }
}
