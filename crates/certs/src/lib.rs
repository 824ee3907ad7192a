//! Certificates: the local certificate authority for development, and pairs from files, checked before they are used.
