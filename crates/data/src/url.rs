//! The URL that applications get, for people: read from the service's folder, where only its user and root read it.

use crate::DataError;
use crate::description::Description;
use model::secret::MASK;
use std::path::Path;

/// Largest such file that is read, in bytes.
const MOST: u64 = 64 << 10;

/// Its file, in the service's folder.
pub(crate) const FILE: &str = "url";

/// `mysql://user:password@host:port/database`. It never prints itself.
pub struct Url(String);

impl Url {
    /// What the file holds is the database's user's: nothing in it reaches a terminal but text.
    fn new(text: &[u8]) -> Self {
        Self(String::from_utf8_lossy(text).trim().chars().filter(|c| !c.is_control()).collect())
    }

    /// With its password.
    pub fn whole(&self) -> &str {
        &self.0
    }

    /// With a mask in the password's place. What is reserved in a URL is coded in both names and the password: the first `@` ends it.
    pub fn masked(&self) -> String {
        let parts = self.0.split_once("://").and_then(|(scheme, rest)| {
            let (account, place) = rest.split_once('@')?;
            let (user, _) = account.split_once(':')?;
            Some(format!("{scheme}://{user}:{MASK}@{place}"))
        });
        parts.unwrap_or_else(|| MASK.to_owned())
    }
}

/// The URL of the service that this file describes.
///
/// # Errors
/// When the files cannot be read, or the service has no account of an application.
pub fn url(description: &Path) -> Result<Url, DataError> {
    let told = Description::read(description)?;
    let Some(file) = told.login.as_deref().and_then(Path::parent).map(|folder| folder.join(FILE)) else {
        return Err(DataError::NoAccount { service: told.service });
    };
    let text = sys::folder::read_plain(&file, MOST).map_err(DataError::file("read", file))?;
    Ok(Url::new(&text))
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn a_masked_url_shows_all_but_the_password() {
        let url = Url("mysql://shop:hunter2%40@127.0.0.1:3306/shop".into());
        assert_eq!(url.masked(), "mysql://shop:••••••@127.0.0.1:3306/shop");
        assert_eq!(Url("hunter2".into()).masked(), "••••••");
    }

    #[test]
    fn what_the_databases_user_wrote_into_it_does_not_steer_a_terminal() {
        assert_eq!(Url::new(b" mysql://\x1b]0;a:b\x07@host/x\r\n").whole(), "mysql://]0;a:b@host/x");
    }
}
