//! Figures in the text format of Prometheus: the edge's, as it gives them, and the keeper's own, of instances. Without an edge, or with
//! one that does not answer in time, the keeper's alone.

use crate::edge_host::EdgeEvent;
use crate::instance_status::phase_word;
use crate::keeper::Keeper;
use crate::status::EDGE_FIGURES;
use model::AppId;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicU64;
use tokio::sync::oneshot;
use wire::edge::ToEdge;

/// Largest text taken from the edge.
const MOST: usize = 64 << 20;
/// What the format ends with.
const END: &str = "# EOF\n";

type Labels = [(&'static str, String); 3];

impl Keeper {
    /// Asks the edge first.
    pub(crate) fn ask_metrics(&mut self, answer: oneshot::Sender<String>) {
        self.metrics_waiting.push(answer);
        if self.edge.is_none() {
            return self.answer_metrics("");
        }
        self.tell_edge(&ToEdge::Metrics);
        let events = self.edge_events.clone();
        self.tasks.spawn(async move {
            tokio::time::sleep(EDGE_FIGURES).await;
            let _ = events.send(EdgeEvent::LateMetrics).await;
        });
    }

    /// The edge's came.
    pub(crate) fn edge_metrics(&mut self, descriptors: &[OwnedFd]) {
        let text = descriptors.first().and_then(|file| sys::memfile::read(file, MOST).ok());
        self.answer_metrics(&String::from_utf8_lossy(&text.unwrap_or_default()));
    }

    /// Answers everybody who waits.
    pub(crate) fn answer_metrics(&mut self, of_edge: &str) {
        if self.metrics_waiting.is_empty() {
            return;
        }
        let text = of_edge.strip_suffix(END).unwrap_or(of_edge).to_owned() + &self.own_metrics();
        for answer in std::mem::take(&mut self.metrics_waiting) {
            let _ = answer.send(text.clone());
        }
    }

    fn own_metrics(&self) -> String {
        let mut registry = Registry::with_prefix("mainstay");
        let instances = Family::<Labels, Gauge>::default();
        let memory = Family::<Labels, Gauge>::default();
        let cpu = Family::<Labels, Counter<f64, AtomicU64>>::default();
        for instance in self.observed.instances.values() {
            let app = &instance.id.app;
            let pid = self.main_pid(&instance.id);
            if let Some((time, bytes)) = pid.and_then(|pid| self.sampler.last(pid)) {
                let labels = of_slot(app, instance.id.slot);
                cpu.get_or_create(&labels).inc_by(time.as_secs_f64());
                memory.get_or_create(&labels).inc_by(i64::try_from(bytes).unwrap_or(i64::MAX));
            }
            let labels = [
                ("stack", app.stack.to_string()),
                ("app", app.app.to_string()),
                ("state", phase_word(&instance.phase).to_owned()),
            ];
            instances.get_or_create(&labels).inc();
        }
        let restarts = Family::<Labels, Counter>::default();
        for ((app, slot), record) in &self.observed.slots {
            restarts.get_or_create(&of_slot(app, *slot)).inc_by(record.restarts.into());
        }
        registry.register("instances", "Instances by state", instances);
        let help = "Places of an app that failed too often and are not started again: an alert";
        let failed = Family::<[(&'static str, String); 2], Gauge>::default();
        for (app, places) in self.failed_places() {
            let labels = [("stack", app.stack.to_string()), ("app", app.app.to_string())];
            failed.get_or_create(&labels).set(i64::try_from(places).unwrap_or(i64::MAX));
        }
        registry.register("app_failed", help, failed);
        let help = "Memory of an instance's processes, looked at every five seconds";
        registry.register_with_unit("instance_memory", help, Unit::Bytes, memory);
        let help = "Time on processors of an instance's processes since it started";
        registry.register_with_unit("instance_cpu", help, Unit::Seconds, cpu);
        registry.register(
            "instance_restarts",
            "Starts of a slot after its first, since the keeper began",
            restarts,
        );
        let mut text = String::new();
        if encode(&mut text, &registry).is_err() {
            text.clear(); // it writes to memory
        }
        text
    }
}

/// By slot, not by run: each restart would make a new label.
fn of_slot(app: &AppId, slot: u32) -> Labels {
    [("stack", app.stack.to_string()), ("app", app.app.to_string()), ("slot", slot.to_string())]
}
