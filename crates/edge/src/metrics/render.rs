//! The figures as text (OpenMetrics 1.0, which Prometheus reads): all workers' summed, at the moment of asking.

use super::{BOUNDS, Count, Handshake, Metrics, SiteFigures, Version, WorkerStats};
use crate::guard::Offence;
use crate::hold::lines::all_stats;
use crate::instance::Instance;
use crate::policy::request::Zone;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use wire::edge::UpstreamStats;

/// Media type of what [`Metrics::render`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Metrics {
    /// All of it. May take milliseconds: not for a worker's thread.
    pub fn render(self: &Arc<Self>) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape(Arc::clone(self))));
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut out, &registry);
        out
    }
}

struct Scrape(Arc<Metrics>);

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.sites(&mut page)?;
        self.instances(&mut page)?;
        self.waiting(&mut page)?;
        self.clients(&mut page)?;
        self.refused(&mut page)
    }
}

/// One site's sums over all workers.
#[derive(Default)]
struct Sum {
    classes: [u64; 5],
    received: u64,
    sent: u64,
    micros: u64,
    buckets: [u64; BOUNDS.len() + 1],
    cache: [u64; 2],
}

impl Sum {
    fn add(&mut self, figures: &SiteFigures) {
        let add = |sums: &mut [u64], counts: &[Count]| {
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count.get());
        };
        add(&mut self.classes, &figures.classes);
        add(&mut self.buckets, &figures.buckets);
        self.received += figures.received.get();
        self.sent += figures.sent.get();
        self.micros += figures.micros.get();
        let [hits, misses] = &mut self.cache;
        *hits += figures.hits.get();
        *misses += figures.misses.get();
    }
}

impl Scrape {
    fn sites(&self, page: &mut Page<'_>) -> fmt::Result {
        let names = self.0.sites.names();
        let mut sums: Vec<Sum> = Vec::new();
        for worker in &self.0.workers {
            let figures = worker.sites.lock().unwrap_or_else(PoisonError::into_inner);
            sums.resize_with(sums.len().max(figures.len()), Sum::default);
            sums.iter_mut().zip(figures.iter()).for_each(|(sum, figures)| sum.add(figures));
        }
        let asked = |sum: &Sum| sum.classes.iter().any(|count| *count > 0);
        let sites: Vec<_> = names.iter().zip(&sums).filter(|(_, sum)| asked(sum)).collect();
        let site = |name: &str| [("site", name.to_string())];
        let of = |name: &str, key, value: &str| [("site", name.to_string()), (key, value.to_owned())];
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        let requests = sites.iter().flat_map(|(name, sum)| {
            classes.iter().zip(sum.classes).map(move |(class, count)| (of(name, "status", class), count))
        });
        page.counters("mainstay_requests", "Requests that have ended, by status", requests)?;
        let sent = sites.iter().map(|(name, sum)| (site(name), sum.sent));
        page.counters("mainstay_sent_bytes", "Bytes sent to clients, heads included", sent)?;
        let received = sites.iter().map(|(name, sum)| (site(name), sum.received));
        page.counters("mainstay_received_bytes", "Bytes of requests, as passed on", received)?;
        let cache = sites.iter().flat_map(|(name, sum)| {
            ["hit", "miss"].iter().zip(sum.cache).map(move |(what, count)| (of(name, "result", what), count))
        });
        page.counters("mainstay_cache_lookups", "Requests for which a cache was asked", cache)?;
        let took = sites.iter().map(|(name, sum)| (site(name), *sum));
        page.durations("mainstay_request_duration_seconds", "From a request's first byte to its end", took)
    }

    /// By slot, not by run: `stack/app.1#7` is `stack/app.1`, or each restart would make a new label. The label is not `instance`:
    /// that one says whom Prometheus asked.
    fn instances(&self, page: &mut Page<'_>) -> fmt::Result {
        let table = self.0.table.load_full();
        let mut sums: BTreeMap<(&str, &str), [u64; 3]> = BTreeMap::new();
        for upstream in &table.upstreams {
            for instance in &upstream.instances {
                let instance: &Instance = instance;
                let slot = instance.name.split('#').next().unwrap_or_default();
                let stats = instance.stats();
                let [requests, failures, in_flight] = sums.entry((&upstream.id, slot)).or_default();
                *requests += stats.requests;
                *failures += stats.failures;
                *in_flight += stats.in_flight;
            }
        }
        let figure = |which: fn(&[u64; 3]) -> u64| {
            sums.iter().map(move |((upstream, instance), sum)| {
                ([("upstream", (*upstream).to_owned()), ("server", (*instance).to_owned())], which(sum))
            })
        };
        let help = "Requests sent to an instance";
        page.counters("mainstay_upstream_requests", help, figure(|[requests, _, _]| *requests))?;
        let help = "Requests that failed at an instance: refused, reset, timed out";
        page.counters("mainstay_upstream_failures", help, figure(|[_, failures, _]| *failures))?;
        let help = "Requests an instance works for now";
        page.gauges("mainstay_upstream_in_flight", help, figure(|[_, _, in_flight]| *in_flight))
    }

    fn waiting(&self, page: &mut Page<'_>) -> fmt::Result {
        let all = all_stats(&self.0.table.load());
        let figure = |which: fn(&UpstreamStats) -> u64| {
            all.iter().map(move |stats| ([("upstream", stats.upstream.clone())], which(stats)))
        };
        let help = "Requests that wait for an instance now";
        page.gauges("mainstay_upstream_waiting", help, figure(|stats| stats.waiting))?;
        let help = "Requests that had to wait for an instance";
        page.counters("mainstay_upstream_held", help, figure(|stats| stats.held))?;
        let help = "Requests refused because too many waited, or too long";
        page.counters("mainstay_upstream_overflowed", help, figure(|stats| stats.overflowed))?;
        let help = "Requests that were sent again";
        page.counters("mainstay_upstream_retried", help, figure(|stats| stats.retried))
    }

    fn clients(&self, page: &mut Page<'_>) -> fmt::Result {
        let workers = &self.0.workers;
        let sum =
            |figure: &dyn Fn(&WorkerStats) -> u64| workers.iter().map(|worker| figure(worker)).sum::<u64>();
        page.gauge("mainstay_workers", "Worker threads", workers.len() as u64)?;
        let connections = sum(&|worker| worker.connections.get());
        page.gauge("mainstay_connections", "Client connections open now", connections)?;
        let in_flight = sum(&|worker| worker.in_flight.get());
        page.gauge("mainstay_requests_in_flight", "Requests under way now", in_flight)?;
        let lent = sum(&|worker| worker.buffers.get());
        page.gauge("mainstay_buffer_bytes", "Bytes of buffers lent to connections now", lent)?;
        let versions = Version::ALL
            .map(|version| ([("version", version.label())], sum(&|worker| worker.version(version))));
        page.counters("mainstay_http_requests", "Requests by version of HTTP", versions.into_iter())?;
        let handshakes =
            Handshake::ALL.map(|kind| ([("result", kind.label())], sum(&|worker| worker.handshakes(kind))));
        page.counters("mainstay_tls_handshakes", "TLS handshakes", handshakes.into_iter())?;
        let lost = self.0.log.lost();
        page.counter("mainstay_log_lines_lost", "Access-log lines lost to a slow disk", lost)
    }

    fn refused(&self, page: &mut Page<'_>) -> fmt::Result {
        let refusals = &self.0.guard.refusals;
        let reasons = [
            ("ban", &refusals.banned),
            ("client_connections", &refusals.connections),
            ("client_connects", &refusals.connects),
            ("overload", &refusals.overload),
            ("idle", &refusals.evicted),
        ];
        let reasons =
            reasons.map(|(reason, count)| ([("reason", reason)], count.load(Ordering::Relaxed))).into_iter();
        page.counters("mainstay_refused", "Connections and requests turned away unread", reasons)?;
        let offences =
            Offence::ALL.map(|offence| ([("offence", offence.label())], refusals.offences(offence)));
        page.counters("mainstay_offences", "What clients may be banned for", offences.into_iter())?;
        let table = self.0.table.load_full();
        // By name: with another rate a limit is another zone for a while.
        let mut limits: BTreeMap<(Box<str>, &str), u64> = BTreeMap::new();
        for figures in table.zones.iter().filter_map(Zone::figures) {
            *limits.entry((figures.zone, figures.kind)).or_default() += figures.refused;
        }
        let limits = limits.iter().map(|((zone, kind), count)| {
            ([("zone", zone.to_string()), ("kind", (*kind).to_owned())], *count)
        });
        page.counters("mainstay_limited", "Requests refused by a limit of their route", limits)?;
        page.gauge("mainstay_bans", "Bans in force", self.0.guard.banned() as u64)
    }
}

/// Writes families.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn durations<'s, L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        sums: impl Iterator<Item = (L, &'s Sum)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, sum) in sums {
            // The encoder sums the buckets up.
            let bounds = BOUNDS.iter().map(|micros| seconds(*micros)).chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(sum.buckets).collect();
            let count = sum.buckets.iter().sum();
            let mut one = family.encode_family(&labels)?;
            one.encode_histogram::<NoLabelSet>(seconds(sum.micros), count, &buckets, None)?;
        }
        Ok(())
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
