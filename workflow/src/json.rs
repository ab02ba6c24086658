//! Reading JSON with errors that name the field.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};

/// What does not fit, and where: the place is in the text.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Misfit {
    text: String,
    /// Whether the input is no JSON at all.
    pub(crate) malformed: bool,
}

/// Decodes JSON. Only when that fails is it read again to find the path of the field.
pub(crate) fn decode<T: DeserializeOwned>(json: &[u8]) -> Result<T, Misfit> {
    serde_json::from_slice(json).map_err(|error| {
        let mut again = serde_json::Deserializer::from_slice(json);
        let path = serde_path_to_error::deserialize::<_, T>(&mut again)
            .err()
            .map(|error| error.path().to_string())
            .filter(|path| path != ".");
        let text = match path {
            Some(path) => format!("at `{path}`: {error}"),
            None => error.to_string(),
        };
        Misfit { text, malformed: !error.is_data() }
    })
}

/// A value that is written as an object. Without it, what derives `Deserialize` also takes an array of its fields.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields))
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}
