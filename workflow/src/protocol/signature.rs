//! Signatures of deliveries: a JWT (HS256) over the hash of the body, made with a key that engine and endpoint share.
//!
//! There are two keys so that they can be changed without an outage: the engine signs with the *current* one, an endpoint
//! accepts the current and the *next* one.

use base64::{
    Engine as _,
    prelude::{BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, crypto::rust_crypto, errors::ErrorKind,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const ISSUER: &str = "Upstash";
/// How long a signature is valid, in seconds.
const LIFETIME: i64 = 300;
/// Verifiers in other languages tolerate no difference of clocks, so a signature is valid from a little before it is made.
const BACKDATED: i64 = 5;
/// The difference of clocks, in seconds, that is tolerated here.
const LEEWAY: i64 = 10;

/// Why a request is not accepted as a delivery of the engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is no `Upstash-Signature` header.
    #[error(
        "the request has no `Upstash-Signature` header; only the engine may call this endpoint while signing keys are set"
    )]
    Missing,
    /// The token is no JWT, or lacks a claim.
    #[error("the signature is malformed: {0}")]
    Malformed(String),
    /// The token was signed with neither of the two keys.
    #[error(
        "the signature was made with neither the current nor the next signing key; compare QSTASH_CURRENT_SIGNING_KEY and \
         QSTASH_NEXT_SIGNING_KEY with the engine's keys"
    )]
    WrongKey,
    /// The token was issued by somebody else.
    #[error("the signature was not issued by an engine: its issuer is not `Upstash`")]
    WrongIssuer,
    /// The token is too old, or not valid yet.
    #[error("the signature is not valid at this time; compare the clocks of the engine and of this machine")]
    WrongTime,
    /// The body is not the one that was signed.
    #[error(
        "the body differs from the one that was signed; something between the engine and this endpoint changed it"
    )]
    WrongBody,
    /// The token could not be made.
    #[error("the delivery could not be signed: {0}")]
    Signing(String),
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: i64,
    nbf: i64,
    #[serde(default)]
    iat: i64,
    #[serde(default)]
    jti: String,
    body: String,
}

/// Signs a delivery of `body` to `url` at `now_ms` (milliseconds since the Unix epoch). The result is the value of the
/// `Upstash-Signature` header.
///
/// # Errors
/// [`SignatureError::Signing`] if the token cannot be made.
pub fn sign(key: &str, url: &str, body: &[u8], now_ms: i64) -> Result<String, SignatureError> {
    choose_provider();
    let now = now_ms.div_euclid(1000);
    let claims = Claims {
        iss: ISSUER.to_owned(),
        sub: url.to_owned(),
        exp: now.saturating_add(LIFETIME),
        nbf: now.saturating_sub(BACKDATED),
        iat: now,
        jti: format!("jwt_{:032x}", rand::random::<u128>()),
        body: BASE64_URL_SAFE.encode(Sha256::digest(body)),
    };
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(key.as_bytes()))
        .map_err(|error| SignatureError::Signing(error.to_string()))
}

/// Checks that `jwt`, the value of the `Upstash-Signature` header, was made for `body` with one of the keys and is valid at
/// `now_ms` (milliseconds since the Unix epoch).
///
/// # Errors
/// The first reason for which it is not accepted.
pub fn verify(current: &str, next: &str, jwt: &str, body: &[u8], now_ms: i64) -> Result<(), SignatureError> {
    let claims = match claims(current, jwt) {
        Err(SignatureError::WrongKey) => claims(next, jwt)?,
        other => other?,
    };
    let now = now_ms.div_euclid(1000);
    if claims.iss != ISSUER {
        return Err(SignatureError::WrongIssuer);
    }
    if now.saturating_add(LEEWAY) < claims.nbf || now.saturating_sub(LEEWAY) >= claims.exp {
        return Err(SignatureError::WrongTime);
    }
    let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(body));
    if claims.body.trim_end_matches('=') != hash {
        return Err(SignatureError::WrongBody);
    }
    Ok(())
}

/// The claims of a token that was signed with `key`. Times are checked by the caller, against the clock that it was given.
fn claims(key: &str, jwt: &str) -> Result<Claims, SignatureError> {
    choose_provider();
    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    match jsonwebtoken::decode::<Claims>(jwt, &DecodingKey::from_secret(key.as_bytes()), &validation) {
        Ok(token) => Ok(token.claims),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => Err(SignatureError::WrongKey),
        Err(error) => Err(SignatureError::Malformed(error.to_string())),
    }
}

/// jsonwebtoken panics on first use when another crate of the app has switched on its second provider and nobody has chosen
/// between the two. A choice that the app has made stands.
fn choose_provider() {
    let _ = rust_crypto::DEFAULT_PROVIDER.install_default();
}

#[cfg(test)]
mod tests;
