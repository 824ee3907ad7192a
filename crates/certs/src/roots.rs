//! Authorities that clients' certificates are checked with: a PEM file, as it is.

use crate::CertError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;

/// Reads it, and makes sure that it holds certificates.
///
/// # Errors
/// It cannot be read or holds none; the text names the file and the next step.
pub fn load(path: &Path) -> Result<String, CertError> {
    let next = "name a PEM file of the authorities that sign your clients' certificates";
    let content = |cause: &str| CertError::Content { path: path.to_owned(), cause: cause.into(), next };
    let text = crate::files::read(path)?;
    let found = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(text),
        _ => Err(content("holds no certificate in PEM")),
    }
}

#[cfg(test)]
mod tests {
    use super::load;

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.pem");
        assert!(load(&path).unwrap_err().to_string().contains("clients.pem"));
        sys::durable::write(&path, b"nothing", 0o600).unwrap();
        assert!(load(&path).unwrap_err().to_string().contains("holds no certificate"));
    }
}
