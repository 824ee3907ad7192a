//! What `{ generate = N }` in an app's `env` stands for, and the key of the edge's cookies: made once, kept in a file that only
//! the keeper reads, the same from then on.
//!
//! Whoever removes the file gets another value with the next reload. The length counts when it is made: a longer wish later does not
//! change what an app has signed with.

use crate::home::Home;
use model::spec::{EnvValue, StackSpec};
use model::{AppId, Secret};
use std::io;
use std::path::Path;
use wire::snapshot::StickyKey;

/// Larger files hold no value of ours.
const MOST: u64 = 64 << 10;

/// Puts a value in the place of every wish for one. `dry`: what is not there yet is made for this once.
///
/// # Errors
/// For people: the file, the cause, the next step.
pub(crate) fn fill(spec: &mut StackSpec, home: &Home, dry: bool) -> Result<(), String> {
    for (name, app) in &mut spec.apps {
        let folder = home.secrets(&AppId { stack: spec.name.clone(), app: name.clone() });
        for (variable, value) in &mut app.env {
            let EnvValue::Generate(bytes) = value else { continue };
            let file = folder.join(variable);
            let made = one(&file, *bytes, dry).map_err(|error| {
                format!("the generated value of {variable} of the app {name}: {}: {error}", file.display())
            })?;
            *value = EnvValue::Secret(Secret::new(made));
        }
    }
    Ok(())
}

/// What cookies are made with by which a client belongs to an instance: the same for every keeper of this home.
///
/// # Errors
/// For people: the file and the cause.
pub(crate) fn sticky_key(home: &Home) -> io::Result<StickyKey> {
    let file = home.sticky_key();
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
    one(&file, 32, false).map(StickyKey).map_err(named)
}

/// The value in this file; a new one of so many bytes where there is none.
fn one(file: &Path, bytes: u32, dry: bool) -> io::Result<String> {
    match sys::folder::read_plain(file, MOST) {
        Ok(kept) => {
            let wrong = "holds no text; write the value into it, or remove it: another one is made then";
            let text = String::from_utf8(kept).map(|text| text.trim().to_owned()).unwrap_or_default();
            if text.is_empty() { Err(io::Error::new(io::ErrorKind::InvalidData, wrong)) } else { Ok(text) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = sys::random::hex(usize::try_from(bytes).unwrap_or(usize::MAX).min(1 << 10))?;
            if let Some(folder) = file.parent().filter(|_| !dry) {
                sys::folder::make(folder, 0o700, None)?;
                sys::durable::write(file, made.as_bytes(), 0o600)?;
            }
            Ok(made)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::tests::{app, spec};
    use model::spec::Listen;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_value_is_made_once_and_kept_for_the_keeper_alone() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let mut web = app("web", Listen::Socket);
        web.env.insert("SECRET_KEY".into(), EnvValue::Generate(32));
        let wished = spec(&[("web", web)]);
        let value = |dry: bool| {
            let mut spec = StackSpec::clone(&wished);
            fill(&mut spec, &home, dry).unwrap();
            let value = &spec.apps.values().next().unwrap().env["SECRET_KEY"];
            assert!(matches!(value, EnvValue::Secret(_)));
            value.expose().to_owned()
        };
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (tried, other) = (value(true), value(true));
        assert!(tried != other && !dir.path().join("secrets").exists(), "a dry run writes nothing");
        let first = value(false);
        assert!(first.len() == 64 && first == value(false) && first == value(true));
        let file = dir.path().join("secrets/shop/web/SECRET_KEY");
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        sys::durable::write(&file, b"\n", 0o600).unwrap();
        let error = fill(&mut StackSpec::clone(&wished), &home, false).unwrap_err();
        assert!(error.contains("SECRET_KEY") && error.contains("remove it"), "{error}");
    }
}
