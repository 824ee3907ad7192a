//! When a task is due: crontab(5), in a time zone.
//!
//! Where clocks change, as cron does it. Clocks go forward: a time of day that does not exist that day (`30 2 * * *`) is due at the first moment that
//! does; what recurs within the hour (`*/5 * * * *`) is due at what exists. Clocks go back: a time of day is due once, the first time; what
//! recurs is due in both hours.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A time of crontab(5): five fields, a sixth before them for seconds, or a name such as `@daily`.
#[derive(Debug, Clone)]
pub struct Schedule(Cron);

impl Schedule {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence without its beginning.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields = text.split_whitespace().count();
        let is_name = text.trim_start().starts_with('@');
        if !is_name && !(5..=6).contains(&fields) {
            return Err(format!("has {fields} fields, not five: minute, hour, day, month, day of the week"));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        parser.parse(text).map(Self).map_err(|error| match error {
            croner::errors::CronError::ComponentError(what) => what,
            _ if is_name => "is none of @hourly, @daily, @weekly, @monthly, @yearly".to_owned(),
            other => other.to_string(),
        })
    }

    /// Whether there is any day like that.
    pub fn comes(&self) -> bool {
        self.next(Timestamp::UNIX_EPOCH, &TimeZone::UTC).is_some()
    }

    /// The first moment after `after` at which it is due, where clocks show `zone`. None: never again.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let found = self.0.find_next_occurrence(&after.to_zoned(zone.clone()), false).ok()?;
        Some(found.timestamp()).filter(|found| *found > after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next so many, as they are shown in Berlin.
    fn next(schedule: &str, after: &str, times: usize) -> Vec<String> {
        let (schedule, zone) = (Schedule::parse(schedule).unwrap(), TimeZone::get("Europe/Berlin").unwrap());
        let mut at: Timestamp = after.parse().unwrap();
        let step = |_| {
            at = schedule.next(at, &zone).unwrap();
            at.to_zoned(zone.clone()).strftime("%m-%d %H:%M %Z").to_string()
        };
        (0..times).map(step).collect()
    }

    #[test]
    fn the_clock_of_the_zone_counts() {
        assert_eq!(next("0 2 * * *", "2026-01-15T12:00:00Z", 2), ["01-16 02:00 CET", "01-17 02:00 CET"]);
        assert_eq!(next("@daily", "2026-07-01T21:59:59Z", 1), ["07-02 00:00 CEST"]);
        assert_eq!(
            next("*/20 9-10 * * mon", "2026-01-16T00:00:00Z", 2),
            ["01-19 09:00 CET", "01-19 09:20 CET"]
        );
        assert_eq!(next("0 12 13 * 5", "2026-02-01T00:00:00Z", 3).len(), 3);
        assert_eq!(
            next("0 12 10 * 5", "2026-02-01T00:00:00Z", 3),
            ["02-06 12:00 CET", "02-10 12:00 CET", "02-13 12:00 CET"],
            "a day of the month or one of the week, as cron does it"
        );
    }

    #[test]
    fn an_hour_that_does_not_exist_loses_no_run() {
        // On 29 March 2026 it is 3 o'clock after 1:59.
        let daily = next("30 2 * * *", "2026-03-28T12:00:00Z", 2);
        assert_eq!(daily, ["03-29 03:00 CEST", "03-30 02:30 CEST"]);
        let often = next("*/30 * * * *", "2026-03-29T00:15:00Z", 3);
        assert_eq!(often, ["03-29 01:30 CET", "03-29 03:00 CEST", "03-29 03:30 CEST"]);
        assert_eq!(next("0 3 * * *", "2026-03-28T12:00:00Z", 2), ["03-29 03:00 CEST", "03-30 03:00 CEST"]);
    }

    #[test]
    fn an_hour_that_exists_twice_has_one_run_of_what_is_daily() {
        // On 25 October 2026 it is 2 o'clock again after 2:59.
        let daily = next("30 2 * * *", "2026-10-24T12:00:00Z", 2);
        assert_eq!(daily, ["10-25 02:30 CEST", "10-26 02:30 CET"]);
        let often = next("*/30 * * * *", "2026-10-24T23:45:00Z", 5);
        let both =
            ["10-25 02:00 CEST", "10-25 02:30 CEST", "10-25 02:00 CET", "10-25 02:30 CET", "10-25 03:00 CET"];
        assert_eq!(often, both);
    }

    #[test]
    fn what_is_no_schedule_says_why() {
        let wrong = |text: &str| Schedule::parse(text).unwrap_err();
        assert!(wrong("0 2 * *").contains("4 fields"), "{}", wrong("0 2 * *"));
        assert!(wrong("0 2 * * * * 2026").contains("7 fields"));
        assert!(wrong("").contains("0 fields"));
        assert!(wrong("@reboot").contains("@daily"), "{}", wrong("@reboot"));
        for text in ["61 * * * *", "0 25 * * *", "x 2 * * *", "0 2 * * 9", "0/10 * * * *", "0 2 30-20 * *"] {
            assert!(!wrong(text).is_empty());
        }
        let never = Schedule::parse("0 0 30 2 *").unwrap();
        assert!(!never.comes() && Schedule::parse("0 0 29 2 *").unwrap().comes());
        assert!(Schedule::parse("*/2 * * * * *").is_ok(), "seconds, for what recurs often");
    }
}
