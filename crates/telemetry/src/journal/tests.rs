//! Writing, merging and following journals.

use super::*;
use crate::redact::Redactor;
use crate::rotate::RotatingFile;
use model::redact::RedactKind;
use std::path::Path;

fn source(label: &str, path: &Path) -> Source {
    Source { label: label.into(), stream: Stream::Out, path: path.into() }
}

fn texts(records: &[Record]) -> Vec<&str> {
    records.iter().map(|r| r.text.as_str()).collect()
}

#[test]
fn each_line_has_a_time_stamp_and_keeps_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let before = jiff::Timestamp::now();
    let mut writer = LineWriter::new(RotatingFile::open(&path, 1 << 20, 1).unwrap(), None);
    for chunk in [&b"one\ntw"[..], b"o\n\n", b"\x1b[1m\xff\x00\r\nlast"] {
        writer.feed(chunk);
    }
    writer.close();
    let bytes = std::fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    let texts: Vec<&[u8]> = lines.iter().map(|l| &l[28..]).collect();
    assert_eq!(texts, [&b"one\n"[..], b"two\n", b"\n", b"\x1b[1m\xff\x00\r\n", b"last\n"]);
    for line in lines {
        let time: jiff::Timestamp = std::str::from_utf8(&line[..27]).unwrap().parse().unwrap();
        assert!(time.as_microsecond() >= before.as_microsecond());
    }
}

#[test]
fn a_long_line_is_cut_and_marked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut writer = LineWriter::new(RotatingFile::open(&path, 1 << 20, 1).unwrap(), None);
    let exact = "e".repeat(MAX_LINE);
    let long = "x".repeat(2 * MAX_LINE + 5);
    writer.feed(format!("{exact}\n{long}\nshort\n").as_bytes());
    let records = tail(&[source("a", &path)], 10).unwrap();
    let found: Vec<_> = records.iter().map(|r| (r.text.len(), r.continued)).collect();
    assert_eq!(found, [(MAX_LINE, false), (MAX_LINE, false), (MAX_LINE, true), (5, true), (5, false)]);
    // Cut, and its end came only with the next chunk.
    writer.feed(exact.as_bytes());
    writer.feed(b"\nnext\n");
    let records = tail(&[source("a", &path)], 3).unwrap();
    assert!(!records[0].continued && records[2].text == "next");
}

#[test]
fn the_last_lines_of_several_files_are_merged_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let mut writer_a = LineWriter::new(RotatingFile::open(&a, 200, 50).unwrap(), None);
    let mut writer_b = LineWriter::new(RotatingFile::open(&b, 1 << 20, 1).unwrap(), None);
    let mut expected = Vec::new();
    for n in 0..200 {
        let writer = if n % 3 == 0 { &mut writer_a } else { &mut writer_b };
        writer.feed(format!("{n}\n").as_bytes());
        expected.push(n.to_string());
        let now = jiff::Timestamp::now().as_microsecond();
        while jiff::Timestamp::now().as_microsecond() == now {} // the next one is later
    }
    let sources = [source("a", &a), source("b", &b), source("none", &dir.path().join("none"))];
    for n in [0, 1, 7, 150, 200, 500] {
        let records = tail(&sources, n).unwrap();
        assert_eq!(texts(&records), expected[200 - n.min(200)..], "last {n}");
    }
    let record = &tail(&sources, 1).unwrap()[0];
    assert_eq!((record.source.as_str(), record.stream), ("b", Stream::Out));
}

// req: OBS-03
#[test]
fn a_follower_sees_each_line_once_through_many_rotations() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut writer = LineWriter::new(RotatingFile::open(&path, 300, 20).unwrap(), None);
    for n in 0..50 {
        writer.feed(format!("{n}\n").as_bytes());
    }
    let (mut follower, first) = Follower::start(&[source("a", &path)], 5).unwrap();
    assert_eq!(texts(&first), ["45", "46", "47", "48", "49"]);
    let mut seen = Vec::new();
    for n in 50..600 {
        writer.feed(format!("{n}\n").as_bytes());
        if n % 41 == 0 {
            seen.extend(follower.poll().unwrap());
        }
    }
    seen.extend(follower.poll().unwrap());
    let expected: Vec<String> = (50..600).map(|n| n.to_string()).collect();
    assert_eq!(texts(&seen), expected);
    assert!(follower.poll().unwrap().is_empty());
}

#[test]
fn a_follower_beside_a_busy_writer_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (mut follower, none) = Follower::start(&[source("a", &path)], 5).unwrap();
    assert!(none.is_empty());
    let mut writer = LineWriter::new(RotatingFile::open(&path, 4000, 2000).unwrap(), None);
    let mut seen = Vec::new();
    std::thread::scope(|s| {
        let writing = s.spawn(move || {
            for n in 0..20_000 {
                writer.feed(format!("{n}\n").as_bytes());
            }
        });
        while !writing.is_finished() {
            seen.extend(follower.poll().unwrap());
        }
    });
    seen.extend(follower.poll().unwrap());
    let numbers: Vec<usize> = seen.iter().map(|r| r.text.parse().unwrap()).collect();
    assert_eq!(numbers, (0..20_000).collect::<Vec<_>>());
}

#[test]
#[allow(clippy::disallowed_methods)]
fn half_a_line_is_not_told_before_its_end_and_foreign_lines_pass() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    std::fs::write(&path, "no time here\n2026-01-01T00:00:00.000000Z yes\nhalf").unwrap();
    let (mut follower, records) = Follower::start(&[source("a", &path)], 9).unwrap();
    assert_eq!(texts(&records), ["no time here", "yes"]);
    assert!(follower.poll().unwrap().is_empty());
    std::fs::write(&path, "no time here\n2026-01-01T00:00:00.000000Z yes\nhalf a line\n").unwrap();
    assert_eq!(texts(&follower.poll().unwrap()), ["half a line"]);
    std::fs::write(&path, "truncated\n").unwrap();
    assert_eq!(texts(&follower.poll().unwrap()), ["truncated"]);
}

#[test]
fn lost_output_is_told_in_the_log() {
    let full = RotatingFile::open(Path::new("/dev/full"), u64::MAX, 0).unwrap();
    let mut writer = LineWriter::new(full, None);
    writer.feed(b"gone\n");
    assert_eq!(writer.lost(), 33);
    writer.feed(&[b'x'; 100_000]);
    assert!(writer.lost() > 90_000);
}

#[test]
fn a_journal_too_long_to_read_at_once_begins_with_a_whole_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut writer = LineWriter::new(RotatingFile::open(&path, 1 << 30, 1).unwrap(), None);
    for n in 0..2000 {
        writer.feed(format!("{n:010} {}\n", "x".repeat(9_991)).as_bytes());
    }
    let records = tail(&[source("a", &path)], usize::MAX).unwrap();
    assert!(records.len() > 1600 && records.len() < 2000, "{}", records.len());
    assert!(records.iter().all(|r| r.text.len() == 10_002));
}

/// Everything in the file, the time stamps apart.
fn written(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| line[27..].to_owned()).collect()
}

#[test]
fn a_secret_across_a_cut_or_a_chunk_is_masked() {
    let dir = tempfile::tempdir().unwrap();
    let secret = "hunter2-hunter2-hunter2";
    for before in MAX_LINE - 30..MAX_LINE + 4 {
        let path = dir.path().join(before.to_string());
        let kinds = [RedactKind::Secrets, RedactKind::Email];
        let redactor = Redactor::new(&kinds, [secret]).unwrap();
        let mut writer = LineWriter::new(RotatingFile::open(&path, 1 << 30, 1).unwrap(), redactor);
        let line = format!("{}{secret}{}{secret}\n", "x".repeat(before), "y".repeat(MAX_LINE));
        line.as_bytes().chunks(1000).for_each(|chunk| writer.feed(chunk));
        let lines = written(&path);
        assert!(lines.iter().all(|line| !line.contains("hunter") && line.len() <= MAX_LINE + 10), "{before}");
        let marks: String = lines.iter().map(|line| &line[..1]).collect();
        assert_eq!(marks, " ++", "{before}");
        let texts: String = lines.iter().map(|line| &line[1..]).collect();
        let expected = format!("{}[secret]{}[secret]", "x".repeat(before), "y".repeat(MAX_LINE));
        assert_eq!(texts, expected, "{before}");
    }
}

#[test]
fn a_token_without_an_end_is_not_written_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let redactor = Redactor::new(&[RedactKind::Token], []).unwrap();
    let mut writer = LineWriter::new(RotatingFile::open(&path, 1 << 30, 1).unwrap(), redactor);
    writer.feed(b"token=");
    (0..100).for_each(|_| writer.feed("abcdefgh".repeat(1000).as_bytes()));
    writer.feed(b" the rest\nnext\n");
    let lines = written(&path);
    assert!(lines == [" token=[token]", " next"], "{:.200}", lines.concat());
}
