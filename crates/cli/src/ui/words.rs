//! Lengths of time and sizes as people say them.

use std::time::Duration;

/// `340 ms`, `12 s`, `4m 10s`, `3h 2m`, `9d 4h`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// `512 B`, `4.2 MiB`, `18 MiB`: three figures at most.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter().peekable();
    while let Some(unit) = units.next() {
        if value < 1000.0 || units.peek().is_none() {
            let digits = usize::from(value < 10.0 && unit != "B");
            return format!("{value:.digits$} {unit}");
        }
        value /= 1024.0;
    }
    format!("{bytes} B")
}

/// The same without room for it: `512B`, `4.2K`, `18M`, `1.5G`; `1G` where it is exact.
pub fn short_size(bytes: u64) -> String {
    let text = size(bytes);
    let short: String = text.replace("iB", "").split_whitespace().collect();
    short.replace(".0", "")
}

/// Time to answer: `850 µs`, `1.2 ms`, `12 ms`, `1.2 s`.
pub fn latency(micros: u64) -> String {
    let (value, unit) = match micros {
        0..1_000 => return format!("{micros} µs"),
        1_000..1_000_000 => (micros as f64 / 1e3, "ms"),
        _ => (micros as f64 / 1e6, "s"),
    };
    format!("{value:.*} {unit}", usize::from(value < 9.95))
}

/// Of one processor: `0.4%`, `12%`, `173%`.
pub fn percent(share: f64) -> String {
    format!("{share:.*}%", usize::from(share > 0.0 && share < 9.95))
}

/// How often: `0`, `0.4`, `12`, `1730`.
pub fn rate(each_second: f64) -> String {
    format!("{each_second:.*}", usize::from((0.05..9.95).contains(&each_second)))
}

/// A large count: `1024`, `64K`, `1M`.
pub fn number(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        _ if count.is_multiple_of(1 << 20) => format!("{}M", count >> 20),
        _ if count.is_multiple_of(1024) => format!("{}K", count >> 10),
        10_000..10_000_000 => format!("{}k", count / 1000),
        _ => format!("{}m", count / 1_000_000),
    }
}

/// `1 site`, `2 sites`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_sizes() {
        let text = |millis| duration(Duration::from_millis(millis));
        assert_eq!([text(7), text(1_900), text(250_000)], ["7 ms", "1 s", "4m 10s"]);
        assert_eq!([text(10_920_000), text(792_000_000)], ["3h 2m", "9d 4h"]);
        assert_eq!([size(512), size(4_404_019), size(18 << 20)], ["512 B", "4.2 MiB", "18 MiB"]);
        assert_eq!([count(1, "app"), count(0, "app")], ["1 app", "0 apps"]);
    }

    #[test]
    fn figures_of_a_table() {
        assert_eq!([short_size(512), short_size(4_404_019), short_size(1 << 30)], ["512B", "4.2M", "1G"]);
        assert_eq!([latency(850), latency(1_240), latency(12_400)], ["850 µs", "1.2 ms", "12 ms"]);
        assert_eq!([latency(999_900), latency(1_250_000)], ["1000 ms", "1.2 s"]);
        assert_eq!(
            [percent(0.0), percent(0.42), percent(9.96), percent(173.2)],
            ["0%", "0.4%", "10%", "173%"]
        );
        assert_eq!([rate(0.0), rate(0.4), rate(12.3)], ["0", "0.4", "12"]);
        assert_eq!([number(1024), number(65_536), number(1 << 20)], ["1024", "64K", "1M"]);
        assert_eq!([number(123_456), number(123_456_789)], ["123k", "123m"]);
    }
}
