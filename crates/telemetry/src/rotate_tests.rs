//! Rotation, full disks, torn lines.

use super::*;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn rotation_loses_no_line_and_splits_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut file = RotatingFile::open(&path, 100, 1000).unwrap();
    let lines: Vec<String> = (0..700).map(|n| format!("line {n} {}\n", "x".repeat(n % 37))).collect();
    for batch in lines.chunks(7) {
        file.write_all(batch.concat().as_bytes()).unwrap();
    }
    let mut all = String::new();
    for n in (1..=1000).rev() {
        let text = read(&sibling(&path, n));
        assert!(text.len() <= 100 && (text.is_empty() || text.ends_with('\n')));
        all += &text;
    }
    all += &read(&path);
    assert!(all == lines.concat());
}

#[test]
fn no_more_than_keep_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut file = RotatingFile::open(&path, 10, 2).unwrap();
    for n in 0..9 {
        file.write_all(format!("line {n}\n").as_bytes()).unwrap();
    }
    assert_eq!(read(&path), "line 8\n");
    assert_eq!(read(&sibling(&path, 1)), "line 7\n");
    assert_eq!(read(&sibling(&path, 2)), "line 6\n");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    let mut none = RotatingFile::open(&path, 10, 0).unwrap();
    none.write_all(b"line 9\n").unwrap();
    assert_eq!(read(&path), "line 9\n");
    assert_eq!(read(&sibling(&path, 1)), "line 7\n");
}

#[test]
fn a_line_longer_than_the_file_stays_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut file = RotatingFile::open(&path, 10, 3).unwrap();
    file.write_all(b"a\nthis is a long line\nb\n").unwrap();
    assert_eq!(read(&sibling(&path, 2)), "a\n");
    assert_eq!(read(&sibling(&path, 1)), "this is a long line\n");
    assert_eq!(read(&path), "b\n");
}

#[test]
fn an_existing_file_is_appended_to_and_reopened_after_a_move() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    RotatingFile::open(&path, 100, 1).unwrap().write_all(b"one\n").unwrap();
    let mut file = RotatingFile::open(&path, 100, 1).unwrap();
    assert_eq!(file.size(), 4);
    file.write_all(b"two\n").unwrap();
    assert_eq!(read(&path), "one\ntwo\n");
    std::fs::rename(&path, dir.path().join("moved")).unwrap();
    file.reopen().unwrap();
    file.write_all(b"three\n").unwrap();
    assert_eq!(read(&path), "three\n");
}

#[test]
fn a_full_disk_is_counted_and_survived() {
    let full = Path::new("/dev/full");
    let mut file = RotatingFile::open(full, u64::MAX, 1).unwrap();
    assert_eq!(file.write_all(b"lost\n").unwrap_err().kind(), ErrorKind::StorageFull);
    assert!(file.write_all(b"lost too\n").is_err());
    assert_eq!(file.lost(), 14);
    // The disk has room again.
    let dir = tempfile::tempdir().unwrap();
    file.path = dir.path().join("log");
    file.torn = true;
    file.file = append(&file.path).unwrap();
    file.write_all(b"kept\n").unwrap();
    assert_eq!(read(&file.path), "\nkept\n");
    assert_eq!(file.lost(), 14);
}

#[test]
#[allow(clippy::disallowed_methods)]
fn a_line_torn_by_a_former_writer_is_ended_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    std::fs::write(&path, "whole\nto").unwrap();
    RotatingFile::open(&path, 100, 1).unwrap().write_all(b"next\n").unwrap();
    assert_eq!(read(&path), "whole\nto\nnext\n");
}

#[test]
fn two_writers_lose_no_line_and_tear_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let writing = |name: &'static str| {
        let path = path.clone();
        std::thread::spawn(move || {
            let mut file = RotatingFile::open(&path, 2000, 1000).unwrap();
            for n in 0..2000 {
                file.write_all(format!("{name} {n} {}\n", "x".repeat(n % 37)).as_bytes()).unwrap();
            }
        })
    };
    let writers = ["one", "other"].map(writing);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let mut files: Vec<String> = (1..=1000).rev().map(|n| read(&sibling(&path, n))).collect();
    files.push(read(&path));
    assert!(files.iter().all(|text| text.is_empty() || text.ends_with('\n')), "a file ends inside a line");
    assert!(files.iter().filter(|text| !text.is_empty()).count() > 20, "nothing was rotated");
    let all = files.concat();
    for name in ["one", "other"] {
        let mut lines: Vec<usize> = all
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.trim_start().split(' ').next()?.parse().ok())
            .collect();
        lines.sort_unstable();
        assert!(lines.into_iter().eq(0..2000), "lines of {name} are missing, or there twice");
    }
}

#[test]
fn a_file_that_was_moved_away_is_not_written_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut file = RotatingFile::open(&path, 1000, 1).unwrap();
    file.write_all(b"one\n").unwrap();
    std::fs::rename(&path, dir.path().join("away")).unwrap();
    file.write_all(b"two\n").unwrap();
    assert_eq!((read(&path), read(&dir.path().join("away"))), ("two\n".into(), "one\n".into()));
}
