//! How HTTP clients of these crates are set up: TLS by rustls with the ring provider, trusting what the machine trusts.

use std::{sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::Verifier;

use super::ClientError;

/// An HTTP client without redirects, whose TLS depends on nothing that the process has or has not set up.
///
/// On a machine without any certificate authorities plain HTTP still works; HTTPS then fails for want of a trusted issuer.
///
/// # Errors
/// [`ClientError::Configuration`] if TLS cannot be set up.
#[doc(hidden)]
pub fn http_client_builder() -> Result<reqwest::ClientBuilder, ClientError> {
    let config = tls_config()
        .map_err(|error| ClientError::Configuration(format!("TLS could not be set up: {error}")))?;
    Ok(reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .tls_backend_preconfigured(config))
}

fn tls_config() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let mut config = match Verifier::new(provider) {
        Ok(verifier) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
        Err(error) => {
            tracing::warn!(%error, "no certificate authorities were found; HTTPS requests will fail");
            builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
