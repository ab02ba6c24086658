//! What listings of a run hide (protocol, section C.1).

use serde::{Deserialize, Serialize};

/// Which parts of a trigger are hidden in listings. The workflow gets them as they are.
///
/// Instead of a value, listings show `REDACTED:` and the SHA-256 of it in hexadecimal digits, so that two of the same are still
/// recognised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redact {
    /// The payload.
    pub body: bool,
    /// The caller's headers.
    pub headers: RedactHeaders,
}

/// Which of the caller's headers are hidden in listings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RedactHeaders {
    /// None but those that hold credentials by their nature: an engine of this project never shows these.
    #[default]
    None,
    /// All.
    All,
    /// Those with these names, in any case.
    Named(Vec<String>),
}

impl Redact {
    /// Hides a header as well.
    pub fn add_header(&mut self, name: impl Into<String>) {
        match &mut self.headers {
            RedactHeaders::All => {}
            RedactHeaders::Named(names) => names.push(name.into()),
            RedactHeaders::None => self.headers = RedactHeaders::Named(vec![name.into()]),
        }
    }

    /// The value of the header `Upstash-Redact-Fields`; `None` where nothing is hidden.
    pub fn fields(&self) -> Option<String> {
        let mut fields = Vec::new();
        if self.body {
            fields.push("body".to_owned());
        }
        match &self.headers {
            RedactHeaders::None => {}
            RedactHeaders::All => fields.push("header".to_owned()),
            RedactHeaders::Named(names) => fields.extend(names.iter().map(|name| format!("header[{name}]"))),
        }
        (!fields.is_empty()).then(|| fields.join(","))
    }

    /// Reads the value of the header `Upstash-Redact-Fields`. What is not known hides nothing.
    pub fn parse(fields: &str) -> Self {
        let mut redact = Self::default();
        for field in fields.split(',').map(|field| field.trim().to_ascii_lowercase()) {
            match field.as_str() {
                "body" => redact.body = true,
                "header" | "headers" => redact.headers = RedactHeaders::All,
                _ => {
                    let named = field.strip_prefix("headers[").or_else(|| field.strip_prefix("header["));
                    if let Some(name) = named.and_then(|rest| rest.strip_suffix(']')) {
                        redact.add_header(name.trim());
                    }
                }
            }
        }
        redact
    }
}

impl RedactHeaders {
    /// Whether a header of this name is hidden.
    pub fn hides(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Named(names) => names.iter().any(|hidden| hidden.eq_ignore_ascii_case(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_and_read_as_the_protocol_has_them() {
        let mut redact = Redact { body: true, ..Redact::default() };
        redact.add_header("authorization");
        redact.add_header("x-user");
        assert_eq!(redact.fields().unwrap(), "body,header[authorization],header[x-user]");
        assert_eq!(Redact::parse("body, headers[Authorization],header[X-User]"), redact);
        assert!(redact.headers.hides("X-USER") && !redact.headers.hides("x-other"));

        let all = Redact { body: false, headers: RedactHeaders::All };
        assert_eq!(all.fields().as_deref(), Some("header"));
        for fields in ["header", "headers", "header,header[a]", "header[a],header"] {
            assert_eq!(Redact::parse(fields), all, "{fields}");
        }
        for nothing in ["", "bodies", "header[", "a,,b"] {
            assert_eq!(Redact::parse(nothing), Redact::default(), "{nothing}");
        }
        assert_eq!(Redact::default().fields(), None);
    }
}
