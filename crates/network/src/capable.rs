//! Whether this host can give instances networks of their own.

use crate::rules;

/// Looks, without changing anything.
///
/// # Errors
/// For people: what is missing, and what to do.
pub fn capable() -> Result<(), String> {
    if let Err(missing) = sys::netns::capable() {
        return Err(format!(
            "private networks need the rights of root, and {missing}: start Mainstay as root, or leave `networks` out"
        ));
    }
    if rules::program().is_none() {
        return Err("private networks need the program nft: apt-get install nftables".into());
    }
    sys::netns::make(|| ())
        .map(drop)
        .map_err(|error| format!("this host makes no network namespaces ({error}): leave `networks` out"))
}
