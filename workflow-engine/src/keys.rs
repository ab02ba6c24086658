//! The keys that deliveries are signed with.

use serde::{Deserialize, Serialize};

/// Two keys, so that they can be exchanged without a gap: deliveries are signed with the current one, endpoints accept both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeys {
    /// Signs deliveries.
    pub current: String,
    /// Becomes the current key at the next rotation.
    pub next: String,
}

impl SigningKeys {
    /// Two new random keys.
    pub fn generate() -> Self {
        Self { current: random_key(), next: random_key() }
    }

    /// Promotes the next key and makes a new next one.
    pub fn rotated(self) -> Self {
        Self { current: self.next, next: random_key() }
    }
}

fn random_key() -> String {
    const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let letter = || char::from(LETTERS[rand::random_range(0..LETTERS.len())]);
    format!("sig_{}", std::iter::repeat_with(letter).take(28).collect::<String>())
}
