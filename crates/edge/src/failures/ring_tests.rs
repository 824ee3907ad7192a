//! The ring on a disk: begun anew, cut, foreign files left alone.

use super::*;
use std::collections::BTreeSet;
use wire::failure::Cause;

fn failure(id: &str, cause: Cause) -> Failure {
    Failure {
        id: id.to_owned(),
        at_ms: 1,
        stack: "s".into(),
        host: "a.test".into(),
        method: "GET".into(),
        path: "/x".into(),
        route: None,
        status: 502,
        cut: false,
        cause,
        detail: String::new(),
        upstream: None,
        tries: Vec::new(),
        held_ms: 0,
        took_ms: 0,
    }
}

fn ids(folder: &Path) -> BTreeSet<String> {
    let texts = Ring::ALL
        .iter()
        .flat_map(|ring| files(folder, *ring))
        .map(|(_, path)| std::fs::read_to_string(path).unwrap());
    let lines: Vec<String> =
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Failure>(line).ok())
        .map(|failure| failure.id)
        .collect()
}

#[test]
fn a_scan_does_not_take_a_crash_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut rings = Rings::new(folder.path().join("failures"));
    rings.sizes = [24_000, 24_000];
    rings.write(&[failure("crash", Cause::BrokenOff)], 0);
    for n in 0..1000 {
        rings.write(&[failure(&format!("scan-{n}"), Cause::NoRoute)], 0);
    }
    let left = ids(&rings.folder);
    assert!(left.contains("crash") && left.contains("scan-999") && !left.contains("scan-0"), "{left:?}");
    let size: u64 =
        files(&rings.folder, Ring::Refused).iter().map(|(_, path)| path.metadata().unwrap().len()).sum();
    assert!(size <= 24_000, "{size}");
}

#[test]
fn another_edge_goes_on_beside_what_is_there_and_what_is_a_day_old_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Rings::new(folder.path().to_owned());
    first.write(&[failure("before", Cause::BrokenOff)], 0);
    let mut second = Rings::new(folder.path().to_owned());
    second.write(&[failure("after", Cause::BrokenOff)], 0);
    first.write(&[failure("still", Cause::BrokenOff)], 0);
    assert_eq!(ids(folder.path()), ["after", "before", "still"].map(str::to_owned).into());
    let old = first.segments[0].as_ref().unwrap();
    old.file.set_modified(SystemTime::now() - AGE - Duration::from_secs(60)).unwrap();
    second.prune();
    assert_eq!(ids(folder.path()), ["after".to_owned()].into());
    // Whose file was taken away begins another one.
    first.write(&[failure("again", Cause::BrokenOff)], 0);
    assert_eq!(ids(folder.path()), ["after", "again"].map(str::to_owned).into());
}

#[test]
fn what_a_full_disk_refuses_is_counted_and_told_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut rings = Rings::new(folder.path().to_owned());
    rings.write(&[failure("one", Cause::BrokenOff)], 0);
    // A file that takes nothing, as a full disk does.
    let path = rings.segments[0].as_ref().unwrap().path.clone();
    let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
    let file = std::mem::replace(&mut rings.segments[0].as_mut().unwrap().file, full);
    rings.write(&[failure("two", Cause::BrokenOff), failure("three", Cause::BrokenOff)], 3);
    assert_eq!(rings.lost, 5);
    rings.segments[0].as_mut().unwrap().file = file;
    rings.write(&[failure("four", Cause::BrokenOff)], 0);
    assert_eq!(rings.lost, 0);
    let text = std::fs::read_to_string(path).unwrap();
    let lost: Vec<Lost> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(lost.iter().map(|lost| lost.lost).collect::<Vec<_>>(), [5]);
    assert_eq!(ids(folder.path()), ["four", "one"].map(str::to_owned).into());
}
