//! The answer where an extractor has rejected: its own, unless it leaves the reader alone.

use std::any::type_name;

use actix_web::{Error, HttpResponse};
use http::StatusCode;
use workflow::{Workflow, endpoint};

use crate::translate;

/// How actix-web's error begins where application data is missing. It names neither the type nor what to do.
const MISSING_DATA: &str = "Requested application data is not configured correctly";

/// What `web::Data` and `web::ThinData` are called in names of types, and how each is registered.
const DATA: [(&str, &str, &str); 2] = [
    ("actix_web::data::Data<", "web::Data", ".app_data(web::Data::new(..))"),
    ("actix_web::thin_data::ThinData<", "web::ThinData", ".app_data(web::ThinData(..))"),
];

/// The answer to a request of which an extractor of `W` has made this error.
///
/// # Errors
///
/// The error itself, which makes its own answer.
pub(crate) fn answer<W: Workflow>(error: Error) -> Result<HttpResponse, Error> {
    let fix = if error.to_string().starts_with(MISSING_DATA) { fix(type_name::<W::Args>()) } else { None };
    let Some(fix) = fix else { return Err(error) };
    let message = format!(
        "an extractor of the workflow `{}` did not find its application data. Register {fix}, with exactly this type, on the \
         `App` or on the scope that the workflow is mounted in",
        W::NAME
    );
    Ok(translate::to_actix(endpoint::rejected(StatusCode::INTERNAL_SERVER_ERROR, &message)))
}

/// How to register the application data among the parameters of these types, if any is.
fn fix(parameters: &str) -> Option<String> {
    let fixes: Vec<String> = elements(parameters)
        .into_iter()
        .filter_map(|parameter| {
            DATA.iter().find_map(|(path, name, call)| {
                let of = parameter.strip_prefix(path)?.strip_suffix('>')?;
                Some(format!("`{name}<{of}>` by `{call}`"))
            })
        })
        .collect();
    (!fixes.is_empty()).then(|| fixes.join(" and "))
}

/// The elements of a tuple, by the name of its type.
fn elements(tuple: &str) -> Vec<&str> {
    let inner = tuple.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(tuple);
    let mut depth = 0_i32;
    let mut before = ' ';
    let split = inner.split(|c: char| {
        match c {
            '<' | '(' | '[' => depth += 1,
            // Not the arrow of a function type.
            '>' if before != '-' => depth -= 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        before = c;
        c == ',' && depth == 0
    });
    split.map(str::trim).filter(|element| !element.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::web::{Data, ThinData};

    use super::*;

    #[test]
    fn the_elements_of_a_tuple_are_told_apart() {
        assert_eq!(elements("()"), [""; 0]);
        assert_eq!(elements("(a::B,)"), ["a::B"]);
        assert_eq!(
            elements("(a::B<(c, d), [e; 1]>, f, fn(g, h) -> i)"),
            ["a::B<(c, d), [e; 1]>", "f", "fn(g, h) -> i"]
        );
    }

    #[test]
    fn each_kind_of_data_has_its_fix() {
        type Args = (String, Data<Vec<(u8, u16)>>, ThinData<u32>);
        let fix = fix(type_name::<Args>()).unwrap();
        for part in [
            "`web::Data<alloc::vec::Vec<(u8, u16)>>`",
            "`.app_data(web::Data::new(..))`",
            "`web::ThinData<u32>`",
            "`.app_data(web::ThinData(..))`",
        ] {
            assert!(fix.contains(part), "{part} in {fix}");
        }
        assert!(!fix.contains("String"), "{fix}");
    }

    #[test]
    fn without_data_there_is_nothing_to_register() {
        assert_eq!(fix(type_name::<()>()), None);
        assert_eq!(fix(type_name::<(String, Option<Data<u8>>)>()), None);
    }
}
