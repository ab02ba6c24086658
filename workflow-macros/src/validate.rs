//! Finds every mistake in the signature, one error for each, at its place.

use quote::ToTokens;
use syn::{Error, FnArg, ReturnType, Safety, Signature, Type, spanned::Spanned};

/// The parts of a valid signature that the expansion needs.
pub struct Parts<'a> {
    /// Type of the first parameter, the context.
    pub context: &'a Type,
    /// Types of the further parameters.
    pub extractors: Vec<&'a Type>,
    /// The declared return type.
    pub output: &'a Type,
}

const USAGE: &str = "a workflow looks like this: \
    `async fn name(ctx: WorkflowContext<Payload>, /* extractors */) -> workflow::Result<Output>`";

/// Takes the signature apart, or tells all that is wrong with it.
pub fn validate(signature: &Signature) -> syn::Result<Parts<'_>> {
    let mut mistakes = Mistakes::default();
    if signature.asyncness.is_none() {
        mistakes.add(signature.fn_token.span, "a workflow must be an `async fn`: write `async` here");
    }
    if let Safety::Unsafe(token) = &signature.safety {
        mistakes
            .add(token.span(), "a workflow cannot be `unsafe`: nobody could promise what its callers must");
    }
    if !signature.generics.params.is_empty() {
        mistakes.add(
            signature.generics.params.span(),
            "a workflow cannot be generic: write one function for each type, calling a generic one",
        );
    }

    let mut types = Vec::new();
    for parameter in &signature.inputs {
        match parameter {
            FnArg::Receiver(receiver) => mistakes.add(
                receiver.span(),
                "a workflow must be a free function: pass what `self` holds through an extractor such as `State`",
            ),
            FnArg::Typed(parameter) => {
                if let Some(cfg) = parameter.attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
                    mistakes.add(cfg.span(), "a parameter of a workflow cannot have a `#[cfg]`: put it on the function");
                }
                types.push(&*parameter.ty);
            }
        }
    }
    let context = types.first().copied();
    match context {
        Some(Type::Reference(reference)) => mistakes.add(
            reference.span(),
            format!("the context is taken by value: write `{}`", written(&reference.elem)),
        ),
        Some(other) if is_everyday(other) => mistakes.add(
            other.span(),
            format!(
                "the first parameter of a workflow is its context, `WorkflowContext<T>`, not `{}`",
                written(other)
            ),
        ),
        None if signature.receiver().is_none() => mistakes.add(
            signature.paren_token.span.join(),
            format!("a workflow needs a first parameter of type `WorkflowContext<Payload>`; {USAGE}"),
        ),
        _ => {}
    }
    let extractors: Vec<_> = types.into_iter().skip(1).collect();
    for extractor in &extractors {
        match extractor {
            Type::Reference(_) => {
                mistakes.add(extractor.span(), "extractors are taken by value: remove the `&`");
            }
            Type::ImplTrait(_) => {
                mistakes
                    .add(extractor.span(), "a workflow cannot be generic: name the type of this extractor");
            }
            _ => {}
        }
    }
    let output = match &signature.output {
        ReturnType::Type(_, output) => {
            if is_everyday(output) {
                let output_type = written(output);
                mistakes.add(
                    output.span(),
                    format!("a workflow can fail: write `workflow::Result<{output_type}>` instead of `{output_type}`"),
                );
            }
            Some(&**output)
        }
        ReturnType::Default => {
            let place = signature.paren_token.span.close();
            mistakes.add(
                place,
                format!("a workflow returns a `workflow::Result`: add `-> workflow::Result<()>`; {USAGE}"),
            );
            None
        }
    };
    mistakes.finish(context.zip(output).map(|(context, output)| Parts { context, extractors, output }))
}

/// Whether a type is certainly neither a context nor a result, nor an alias of one. The compiler tells these too, but from
/// several places at once.
fn is_everyday(ty: &Type) -> bool {
    const NAMES: &[&str] = &[
        "bool",
        "char",
        "f32",
        "f64",
        "i8",
        "i16",
        "i32",
        "i64",
        "i128",
        "isize",
        "u8",
        "u16",
        "u32",
        "u64",
        "u128",
        "usize",
        "String",
        "Vec",
        "Option",
        "HashMap",
        "BTreeMap",
        "Bytes",
        "Value",
        "Json",
        "State",
        "Query",
        "Path",
        "Extension",
        "HeaderMap",
    ];
    match ty {
        Type::Tuple(_) | Type::Array(_) => true,
        Type::Path(path) => {
            path.path.segments.last().is_some_and(|last| NAMES.iter().any(|name| last.ident == name))
        }
        _ => false,
    }
}

/// A type as people write it.
fn written(ty: &Type) -> String {
    let mut text = String::new();
    for part in ty.to_token_stream().to_string().split(' ') {
        let glued = text.is_empty()
            || text.ends_with([':', '<', '(', '&', '['])
            || part.starts_with([':', '<', '>', ',', ')', ']', ';']);
        if !glued {
            text.push(' ');
        }
        text.push_str(part);
    }
    text
}

#[derive(Default)]
struct Mistakes(Option<Error>);

impl Mistakes {
    fn add(&mut self, place: proc_macro2::Span, message: impl std::fmt::Display) {
        let mistake = Error::new(place, message);
        match &mut self.0 {
            Some(first) => first.combine(mistake),
            None => self.0 = Some(mistake),
        }
    }

    /// `parts` is present unless a mistake says why not.
    fn finish<T>(self, parts: Option<T>) -> syn::Result<T> {
        match (self.0, parts) {
            (None, Some(parts)) => Ok(parts),
            (Some(mistakes), _) => Err(mistakes),
            (None, None) => Err(Error::new(proc_macro2::Span::call_site(), USAGE)),
        }
    }
}
