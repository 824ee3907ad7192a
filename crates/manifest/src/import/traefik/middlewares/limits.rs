//! Middlewares that bound how many requests.

use super::One;
use crate::import::traefik::node;
use crate::import::traefik::settings::Setting;

impl One<'_, '_> {
    /// `average` in each `period`, and `burst` at once.
    pub fn rate_limit(&mut self) {
        let span = self.span.clone();
        let average: i64 = self.get("average").and_then(|own| own.text().parse().ok()).unwrap_or(0);
        let burst: i64 = self.get("burst").and_then(|own| own.text().parse().ok()).unwrap_or(1);
        let period = self.get("period").map_or("1s", Setting::text).to_owned();
        if average < 1 {
            return;
        }
        let seconds = match period.parse::<f64>() {
            Ok(seconds) => Some(seconds),
            Err(_) => crate::units::duration(&period).ok().map(|own| own.as_secs_f64()),
        };
        let rate = [("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)].into_iter().find_map(
            |(unit, length)| {
                let count = number(average) * length / seconds.filter(|own| *own > 0.0)?;
                (count >= 1.0 && (count - count.round()).abs() < 1e-6).then(|| format!("{count:.0}/{unit}"))
            },
        );
        let Some(rate) = rate else {
            self.lost(&span, "its period is not a length of time that fits: there is no limit");
            return;
        };
        let by = self.source("client");
        let entries = vec![
            ("rate", node::text(rate, &span)),
            ("burst", node::number((burst - 1).max(0), &span)),
            ("by", node::text(by, &span)),
        ];
        self.put("limit", node::list(vec![node::table(entries, &span)], &span));
    }

    /// `inflightreq`.
    pub fn in_flight(&mut self) {
        let span = self.span.clone();
        let Some(most) =
            self.get("amount").and_then(|own| own.text().parse::<i64>().ok()).filter(|most| *most > 0)
        else {
            return;
        };
        let by = self.source("client");
        let entries = vec![
            ("most", node::number(most, &span)),
            ("by", node::text(by, &span)),
            ("status", node::number(429, &span)),
        ];
        self.put("concurrency", node::list(vec![node::table(entries, &span)], &span));
    }

    /// What a limit counts by.
    fn source(&mut self, default: &str) -> String {
        if let Some(own) = self.get("sourcecriterion.requestheadername") {
            return format!("header:{}", own.text());
        }
        if self.get("sourcecriterion.requesthost").is_some_and(Setting::flag) {
            return "route".to_owned();
        }
        default.to_owned()
    }
}

/// As a number with a fraction; beyond 2^53 nobody limits.
#[allow(clippy::cast_precision_loss)]
fn number(number: i64) -> f64 {
    number as f64
}
