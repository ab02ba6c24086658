//! Signatures as recorded from the published SDKs' counterpart, and made here.

use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

const CURRENT: &str = "sig_test_current_key";
const NEXT: &str = "sig_test_next_key";
const NOW: i64 = 1_800_000_000_000;

#[derive(Deserialize)]
struct Recorded {
    scenario: String,
    url: String,
    signature: String,
    body: String,
}

fn recorded() -> Vec<Recorded> {
    serde_json::from_str(include_str!("recorded.json")).unwrap()
}

/// The claims of a token, read without looking at its signature.
fn claims_of(jwt: &str) -> serde_json::Value {
    let claims = jwt.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

fn issued_at(jwt: &str) -> i64 {
    claims_of(jwt)["iat"].as_i64().unwrap() * 1000
}

fn signed(claims: serde_json::Value) -> String {
    choose_provider();
    let key = EncodingKey::from_secret(CURRENT.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

#[test]
fn recorded_signatures_are_accepted() {
    let recorded = recorded();
    let good = recorded.iter().filter(|r| r.scenario != "ts/bad-signature");
    let mut accepted = 0;
    for delivery in good {
        let at = issued_at(&delivery.signature);
        let result = verify(CURRENT, NEXT, &delivery.signature, delivery.body.as_bytes(), at);
        assert_eq!(result, Ok(()), "{}", delivery.scenario);
        assert_eq!(claims_of(&delivery.signature)["sub"], delivery.url);
        accepted += 1;
    }
    assert_eq!(accepted, 18);
}

#[test]
fn a_recorded_signature_of_an_unknown_key_is_refused() {
    let recorded = recorded();
    let bad = recorded.iter().find(|r| r.scenario == "ts/bad-signature").unwrap();
    let at = issued_at(&bad.signature);
    let result = verify(CURRENT, NEXT, &bad.signature, bad.body.as_bytes(), at);
    assert_eq!(result, Err(SignatureError::WrongKey));
}

#[test]
fn a_changed_body_is_refused() {
    for delivery in recorded().iter().filter(|r| r.scenario != "ts/bad-signature") {
        let body = format!("{} ", delivery.body);
        let at = issued_at(&delivery.signature);
        let result = verify(CURRENT, NEXT, &delivery.signature, body.as_bytes(), at);
        assert_eq!(result, Err(SignatureError::WrongBody), "{}", delivery.scenario);
    }
}

#[test]
fn a_signature_made_here_has_the_recorded_shape() {
    let jwt = sign(CURRENT, "http://app.test/run", b"{}", NOW).unwrap();
    let header = jwt.split('.').next().unwrap();
    let header = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&header).unwrap(),
        json!({"alg": "HS256", "typ": "JWT"})
    );

    let claims = claims_of(&jwt);
    let names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    let mut of_recorded: Vec<_> =
        claims_of(&recorded()[0].signature).as_object().unwrap().keys().cloned().collect();
    of_recorded.sort();
    assert_eq!(names, of_recorded);
    assert_eq!(claims["iss"], "Upstash");
    assert_eq!(claims["sub"], "http://app.test/run");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    assert!(claims["nbf"].as_i64() <= claims["iat"].as_i64());
    assert!(claims["jti"].as_str().unwrap().starts_with("jwt_"));
}

#[test]
fn both_keys_are_accepted_and_no_other() {
    for key in [CURRENT, NEXT] {
        let jwt = sign(key, "http://app.test/run", "é".as_bytes(), NOW).unwrap();
        assert_eq!(verify(CURRENT, NEXT, &jwt, "é".as_bytes(), NOW), Ok(()));
    }
    let jwt = sign("another key", "http://app.test/run", b"", NOW).unwrap();
    assert_eq!(verify(CURRENT, NEXT, &jwt, b"", NOW), Err(SignatureError::WrongKey));
}

#[test]
fn a_signature_is_valid_for_five_minutes() {
    let jwt = sign(CURRENT, "http://app.test/run", b"", NOW).unwrap();
    let at = |seconds: i64| verify(CURRENT, NEXT, &jwt, b"", NOW + seconds * 1000);
    assert_eq!(at(-10), Ok(()));
    assert_eq!(at(299), Ok(()));
    assert_eq!(at(310), Err(SignatureError::WrongTime));
    assert_eq!(at(-16), Err(SignatureError::WrongTime));
}

#[test]
fn a_token_of_another_issuer_is_refused() {
    let seconds = NOW / 1000;
    let body = BASE64_URL_SAFE.encode(Sha256::digest(b""));
    let jwt = signed(json!({
        "iss": "somebody", "sub": "", "exp": seconds + 300, "nbf": seconds, "iat": seconds, "jti": "", "body": body
    }));
    assert_eq!(verify(CURRENT, NEXT, &jwt, b"", NOW), Err(SignatureError::WrongIssuer));
}

#[test]
fn tokens_that_are_none_are_malformed() {
    let without_claims = signed(json!({"iss": "Upstash"}));
    let far_away = signed(json!({"iss": "Upstash", "sub": "", "exp": "soon", "nbf": 0, "body": ""}));
    let unsigned = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJVcHN0YXNoIn0.";
    for jwt in ["", "x", "a.b.c", "é.é.é", "....", unsigned, &without_claims, &far_away] {
        let result = verify(CURRENT, NEXT, jwt, b"", NOW);
        assert!(matches!(result, Err(SignatureError::Malformed(_))), "{jwt}: {result:?}");
    }
}

#[test]
fn extreme_times_do_not_overflow() {
    let body = BASE64_URL_SAFE.encode(Sha256::digest(b""));
    let jwt = signed(json!({"iss": "Upstash", "sub": "", "exp": i64::MAX, "nbf": i64::MIN, "body": body}));
    for now in [i64::MIN, 0, i64::MAX] {
        assert_eq!(verify(CURRENT, NEXT, &jwt, b"", now), Ok(()));
    }
    assert!(sign(CURRENT, "", b"", i64::MAX).is_ok());
}
