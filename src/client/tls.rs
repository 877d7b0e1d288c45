//! Whom to trust: the roots of this system, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.

use super::failure::Failure;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::sync::Arc;

/// What to do about a server whose certificate nobody here vouches for.
pub(super) const ADVICE: &str = "SSL_CERT_FILE may name a file with the certificates to trust";

/// The certificates to trust.
///
/// # Errors
/// Where there are none.
pub(super) fn roots() -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found = rustls_native_certs::load_native_certs();
    match (found.certs, found.errors.first()) {
        (certificates, _) if !certificates.is_empty() => Ok(certificates),
        (_, Some(error)) => Err(Failure::new(format!("no certificate can be trusted: {error}")).with(ADVICE)),
        (_, None) => Err(Failure::new("this system has no certificates to trust").with(ADVICE)),
    }
}

/// The cryptography that tokens are checked with, too: there is one in this program.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Whether a socket that failed has failed at this.
pub(super) fn is_error(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.downcast_ref::<rustls::Error>().is_some())
}

/// How WebSocket connections speak TLS.
pub(super) fn config() -> Result<Arc<ClientConfig>, Failure> {
    let mut store = RootCertStore::empty();
    // A system has roots that are too old or too odd to be read; the others do.
    store.add_parsable_certificates(roots()?);
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Failure::new(format!("TLS cannot be spoken: {error}")))?;
    Ok(Arc::new(builder.with_root_certificates(store).with_no_client_auth()))
}
