//! The keys that deliveries are signed with.

pub use workflow::client::SigningKeys;

use crate::{
    command::{Command, Transaction},
    error::EngineError,
    store::{Store, StoreError},
};

/// Two new random keys.
pub fn generate() -> SigningKeys {
    SigningKeys { current: random_key(), next: random_key() }
}

/// Promotes the next key and makes a new next one.
pub fn rotated(keys: SigningKeys) -> SigningKeys {
    SigningKeys { current: keys.next, next: random_key() }
}

fn random_key() -> String {
    const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let letter = || char::from(LETTERS[rand::random_range(0..LETTERS.len())]);
    format!("sig_{}", std::iter::repeat_with(letter).take(28).collect::<String>())
}

/// The setting that keeps them.
const SETTING: &str = "signing_keys";

/// The keys that the store keeps; new ones if it keeps none.
pub fn stored(store: &mut dyn Store) -> Result<SigningKeys, StoreError> {
    if let Some(keys) = store.setting(SETTING)? {
        return Ok(serde_json::from_str(&keys)?);
    }
    let keys = generate();
    store.begin()?;
    store.set_setting(SETTING, &serde_json::to_string(&keys)?)?;
    store.commit()?;
    Ok(keys)
}

/// Keeps other keys in the store.
pub struct Keep(pub SigningKeys);

impl Command for Keep {
    type Reply = ();

    fn apply(self, tx: &mut Transaction<'_>) -> Result<(), EngineError> {
        let keys = serde_json::to_string(&self.0).map_err(StoreError::from)?;
        Ok(tx.store.set_setting(SETTING, &keys)?)
    }
}
