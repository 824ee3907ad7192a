//! The store without an authority: what is interrupted, and how folders are called.

use super::*;
use crate::local::LocalAuthority;
use std::time::{Duration, SystemTime};

fn names() -> Vec<String> {
    ["shop.test".to_owned()].into()
}

/// A whole second, as certificates count.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)
}

fn pair(home: &Path, now: SystemTime) -> Pair {
    LocalAuthority::open(home).unwrap().issue(&names(), now).unwrap()
}

#[test]
fn a_swap_that_was_interrupted_leaves_the_pair_before() {
    let home = tempfile::tempdir().unwrap();
    let now = now();
    let (first, second) = (pair(home.path(), now), pair(home.path(), now));
    let store = Store::open(&home.path().join("acme")).unwrap();
    store.keep_pair(&names(), &first, &Meta::default()).unwrap();
    let entry = store.entry(&names());
    // As far as the new key, and no further.
    std::fs::copy(entry.join(KEY), entry.join(FORMER_KEY)).unwrap();
    write(&entry.join(KEY), second.key.as_bytes(), 0o600).unwrap();
    let held = store.look(&names()).unwrap().unwrap();
    assert_eq!(held.pair.as_ref(), Some(&first));
    store.keep_pair(&names(), &second, &Meta::default()).unwrap();
    assert_eq!(store.look(&names()).unwrap().unwrap().pair, Some(second));
    // The next one does not put the half of a pair in its place.
    assert_eq!(std::fs::read_to_string(entry.join(FORMER_KEY)).unwrap(), first.key);
}

#[test]
fn a_restart_in_the_middle_of_a_swap_does_not_remove_the_only_key_that_fits() {
    let home = tempfile::tempdir().unwrap();
    let now = now();
    let (first, second) = (pair(home.path(), now), pair(home.path(), now));
    let store = Store::open(&home.path().join("acme")).unwrap();
    store.keep_pair(&names(), &first, &Meta::default()).unwrap();
    let entry = store.entry(&names());
    std::fs::copy(entry.join(KEY), entry.join(FORMER_KEY)).unwrap();
    write(&entry.join(KEY), second.key.as_bytes(), 0o600).unwrap();
    // The next keeper reads it, and serves it.
    store.served(&names()).unwrap();
    assert_eq!(store.look(&names()).unwrap().unwrap().pair, Some(first));
    store.keep_pair(&names(), &second, &Meta::default()).unwrap();
    store.served(&names()).unwrap();
    assert!(!entry.join(FORMER_KEY).exists());
    assert_eq!(store.look(&names()).unwrap().unwrap().pair, Some(second));
}

#[test]
fn what_is_broken_is_laid_aside_and_kept() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let pair = pair(&home.path().join("local"), now());
    for broken in 1..=2 {
        store.keep_pair(&names(), &pair, &Meta::default()).unwrap();
        store.lay_aside(&names()).unwrap();
        assert_eq!(store.look(&names()).unwrap().unwrap().pair.as_ref(), Some(&pair), "it is good");
        write(&store.entry(&names()).join(KEY), b"no key", 0o600).unwrap();
        store.look(&names()).unwrap_err();
        store.lay_aside(&names()).unwrap();
        assert_eq!(store.look(&names()).unwrap(), None);
        let chain = home.path().join(format!("broken/{broken}-shop.test")).join(CHAIN);
        assert_eq!(std::fs::read_to_string(chain).unwrap(), pair.chain);
    }
}

#[test]
fn a_folder_s_name_means_nothing_in_a_path() {
    let name = |name: &str| folder_name(&[name.to_owned()]);
    assert_eq!(name("*.Example.org"), "_wildcard.example.org");
    assert_eq!([name("../../etc/passwd"), name(""), name("..")], ["_.._etc_passwd", "_", "_"]);
    assert_eq!((name("2001:db8::1"), name(&"a".repeat(300)).len()), ("2001:db8::1".to_owned(), 253));
}
