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
}
