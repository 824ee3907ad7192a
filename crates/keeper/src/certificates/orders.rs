//! Certificates from authorities: `certs::acme` does the work in tasks, this says which, when, and what becomes of it.
//!
//! ```text
//! wishes ─ keep ─▶ what the store has is served ─ look ─▶ due? ─▶ one task (at most [`AT_ONCE`]) ─ Event::Ended ─▶ read again ─▶ served
//! ```
//! The store is the truth: a task that ends, however it does, leaves its result there, and it is read anew. Nothing is ordered by a
//! keeper on trial, nor while the keeper ends.

use super::challenges::{Challenges, Edge, Then};
use super::export::{self, Export};
use certs::acme::{self, Due, Failure, Held, Retry, RevocationReason, Store, Wish};
use certs::{CertError, Pair};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

/// Orders under way at once, and pairs that are laid out.
const AT_ONCE: usize = 4;
/// A clock that goes back by less was only corrected a little.
const SET_BACK: Duration = Duration::from_secs(60);
/// Events that may wait for the loop.
pub(crate) const QUEUE: usize = 64;

/// What a task tells the loop.
pub(crate) enum Event {
    /// These are to be shown to whoever asks.
    Present { run: u64, challenges: Vec<acme::Challenge>, shown: oneshot::Sender<Result<(), String>> },
    /// They need not be.
    Withdraw { run: u64, challenges: Vec<acme::Challenge> },
    /// It is done, and not tried again before, whatever the store says: one that cannot be written says nothing.
    Ended { of: String, run: u64, not_before: Option<SystemTime> },
    /// What the user's endpoint says of a name that somebody came with.
    Answered { name: String, stack: String, yes: Result<bool, String> },
    /// A pair lies where other programs find it, or not.
    Exported { of: String, problem: Option<String> },
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    Order,
    Ask,
    Revoke,
}

/// One certificate.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) wish: Wish,
    /// Of the stacks that want it; empty: the home's own.
    pub(super) stacks: BTreeSet<String>,
    /// What the store has.
    pub(super) held: Held,
    pub(super) pair: Option<Arc<Pair>>,
    /// Why the store has nothing to say.
    pub(super) problem: Option<String>,
    pub(super) due: Due,
    pub(super) task: Option<Running>,
    /// Somebody asked for it, whatever the plan says.
    pub(super) forced: bool,
    pub(super) export: Export,
}

/// A task under way; dropped, it ends.
#[derive(Debug)]
pub(super) struct Running {
    run: u64,
    pub(super) work: Work,
    handle: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// A new pair is served: the one before can go.
#[derive(Debug)]
pub(super) struct Served {
    store: Arc<Store>,
    names: Vec<String>,
}

impl Served {
    pub(super) fn forget_former(self) {
        if let Err(error) = self.store.served(&self.names) {
            tracing::warn!(%error, "the former certificate stays on the disk");
        }
    }
}

/// All of them, by [`acme::store::folder_name`].
#[derive(Debug)]
pub(super) struct Orders {
    folder: PathBuf,
    store: Option<Arc<Store>>,
    pub(super) orders: BTreeMap<String, Order>,
    pub(super) challenges: Challenges,
    events: mpsc::Sender<Event>,
    tasks: TaskTracker,
    last_run: u64,
    /// Nothing is begun.
    pub(super) paused: bool,
    /// Last time of [`Orders::look`].
    looked: SystemTime,
}

impl Orders {
    pub(super) fn new(folder: PathBuf, events: mpsc::Sender<Event>, tasks: TaskTracker) -> Self {
        let (store, orders, challenges, last_run, paused) = Default::default();
        let looked = SystemTime::UNIX_EPOCH;
        Self { folder, store, orders, challenges, events, tasks, last_run, paused, looked }
    }

    /// The store, opened when somebody wants a certificate from an authority.
    pub(super) fn store(&mut self) -> Result<Arc<Store>, CertError> {
        let store = match self.store.take() {
            Some(store) => store,
            None => Arc::new(Store::open(&self.folder)?),
        };
        Ok(Arc::clone(self.store.insert(store)))
    }

    /// Whether there can be any: asked before a revision is recorded.
    pub(super) fn check(&mut self) -> Result<(), CertError> {
        self.store().map(drop)
    }

    /// Holds these, and forgets all others: their tasks end.
    pub(super) fn keep(&mut self, wishes: BTreeMap<String, (Wish, BTreeSet<String>)>, now: SystemTime) {
        let gone: Vec<String> = self.orders.keys().filter(|of| !wishes.contains_key(*of)).cloned().collect();
        gone.iter().for_each(|of| self.drop_task(of));
        gone.iter().for_each(|of| drop(self.orders.remove(of)));
        for (of, (wish, stacks)) in wishes {
            if let Some(order) = self.orders.get_mut(&of) {
                order.stacks = stacks;
                if order.wish == wish {
                    continue;
                }
                order.wish = wish;
                order.export.todo = true;
                // What it was begun for is not wanted any more.
                self.drop_task(&of);
            } else {
                let (held, pair, problem, task, export) = Default::default();
                let (due, forced) = (Due::Never, false);
                self.orders.insert(
                    of.clone(),
                    Order { wish, stacks, held, pair, problem, due, task, forced, export },
                );
            }
            self.read(&of, now);
        }
    }

    fn drop_task(&mut self, of: &str) {
        if let Some(task) = self.orders.get_mut(of).and_then(|order| order.task.take()) {
            self.challenges.forget(task.run);
        }
    }

    /// What the store has now. True: there is another pair.
    pub(super) fn read(&mut self, of: &str, now: SystemTime) -> bool {
        let store = self.store();
        let Some(order) = self.orders.get_mut(of) else { return false };
        let looked = store.and_then(|store| Ok((store.look(&order.wish.names)?, store)));
        let (held, store) = match looked {
            Ok((held, store)) => (held.unwrap_or_default(), store),
            Err(error) => {
                // Left as it is: what is served stays, and nobody orders beside a store that cannot be read.
                let problem = error.to_string();
                if order.problem.as_ref() != Some(&problem) {
                    tracing::error!(names = order.wish.names.join(", "), problem, "no certificate");
                }
                order.problem = Some(problem);
                order.due = Due::Never;
                return false;
            }
        };
        order.problem = None;
        order.due = acme::due(&order.wish, Some(&held), now);
        let changed = held.pair.is_some() && held.pair.as_ref() != order.pair.as_deref();
        if changed {
            order.pair = held.pair.clone().map(Arc::new);
            order.export.todo = true;
            let names = order.wish.names.clone();
            self.challenges.when_served(Then::Served(Served { store, names }));
        }
        order.held = held;
        changed
    }

    /// Begins what is due, as long as not too much is under way. True: a pair came that nobody told of.
    pub(super) fn look(&mut self, now: SystemTime) -> bool {
        let mut changed = false;
        let ended = |order: &Order| order.task.as_ref().is_some_and(|task| task.handle.is_finished());
        let ended: Vec<String> =
            self.orders.iter().filter(|(_, order)| ended(order)).map(|(of, _)| of.clone()).collect();
        for of in ended {
            self.drop_task(&of);
            changed |= self.read(&of, now);
        }
        // What was planned by a clock that was ahead is planned anew when that was set right.
        let was_ahead = now + SET_BACK < self.looked;
        self.looked = now;
        let again = |order: &Order| {
            was_ahead || order.problem.is_some() || matches!(order.due, Due::At(then) if then <= now)
        };
        let again = self.orders.iter().filter(|(_, order)| order.task.is_none() && again(order));
        let again: Vec<String> = again.map(|(of, _)| of.clone()).collect();
        for of in again {
            changed |= self.read(&of, now);
        }
        if self.paused {
            return changed;
        }
        self.export(now);
        for (of, work) in self.next() {
            self.begin(&of, work, |wish, store, edge| async move {
                // What comes of it is in the store.
                let failed = match work {
                    Work::Order => acme::obtain(&wish, &store, &edge).await.err(),
                    _ => acme::ask(&wish, &store, &edge).await.err(),
                };
                failed.and_then(|failure| if let Retry::At(time) = failure.retry { Some(time) } else { None })
            });
        }
        changed
    }

    /// What is begun now. Sites come first, those without any certificate before the others; these are left room for all the same, for
    /// what is served ends some day. Names on demand come last.
    pub(super) fn next(&self) -> Vec<(String, Work)> {
        let mut due: Vec<(bool, bool, &String, Work)> = Vec::new();
        let idle = self.orders.iter().filter(|(_, order)| order.task.is_none() && order.problem.is_none());
        for (of, order) in idle {
            let work = match order.due {
                _ if order.forced => Work::Order,
                Due::Now => Work::Order,
                Due::Ask => Work::Ask,
                Due::At(_) | Due::Never => continue,
            };
            due.push((order.stacks.is_empty(), order.pair.is_some(), of, work));
        }
        due.sort();
        let busy = || self.orders.values().filter(|order| order.task.is_some());
        let mut room = AT_ONCE.saturating_sub(busy().count());
        let first = busy().filter(|order| order.pair.is_none()).count();
        let mut room_for_first = (AT_ONCE - 1).saturating_sub(first);
        let mut next = Vec::new();
        for (_, has_pair, of, work) in due {
            let fits = room > 0 && (has_pair || room_for_first > 0);
            if fits {
                room -= 1;
                room_for_first -= usize::from(!has_pair);
                next.push((of.clone(), work));
            }
        }
        next
    }

    /// Lays out for other programs what may not be there yet.
    fn export(&mut self, now: SystemTime) {
        let running = self.orders.values().filter(|order| order.export.running).count();
        let mut room = AT_ONCE.saturating_sub(running);
        for (of, order) in &mut self.orders {
            let wants = room > 0 && order.wish.acme.export.is_some() && order.export.is_due(now);
            let Some(pair) = order.pair.clone().filter(|_| wants) else {
                continue;
            };
            room -= 1;
            order.export.running = true;
            let (of, events, acme) = (of.clone(), self.events.clone(), order.wish.acme.clone());
            let again = order.export.problem.is_some();
            self.tasks.spawn(async move {
                let problem = export::run(acme, of.clone(), pair, again).await;
                drop(events.send(Event::Exported { of, problem }).await);
            });
        }
    }

    fn begin<F>(&mut self, of: &str, work: Work, task: impl FnOnce(Wish, Arc<Store>, Edge) -> F)
    where
        F: Future<Output = Option<SystemTime>> + Send + 'static,
    {
        let Ok(store) = self.store() else { return };
        let Some(order) = self.orders.get_mut(of) else { return };
        self.last_run += 1;
        let (run, events) = (self.last_run, self.events.clone());
        let doing = task(order.wish.clone(), store, Edge { run, events: events.clone() });
        let of = of.to_owned();
        let handle = self.tasks.spawn(async move {
            let not_before = doing.await;
            drop(events.send(Event::Ended { of, run, not_before }).await);
        });
        order.forced = false;
        order.task = Some(Running { run, work, handle: handle.abort_handle() });
        if work == Work::Order {
            tracing::info!(names = order.wish.names.join(", "), "a certificate is ordered");
        }
    }

    /// Folds what a task tells. True: there is another pair.
    pub(super) fn fold(&mut self, event: Event, now: SystemTime) -> bool {
        match event {
            Event::Present { run, challenges, shown } => {
                if self.orders.values().any(|order| order.task.as_ref().is_some_and(|task| task.run == run)) {
                    self.challenges.present(run, challenges);
                    self.challenges.when_served(Then::Shown(shown));
                }
                false
            }
            Event::Withdraw { run, challenges } => {
                self.challenges.withdraw(run, &challenges);
                false
            }
            Event::Answered { .. } => false,
            Event::Exported { of, problem } => {
                if let Some(order) = self.orders.get_mut(&of) {
                    order.export.ended(problem, now);
                }
                if !self.paused {
                    self.export(now);
                }
                false
            }
            Event::Ended { of, run, not_before } => {
                let mine = |order: &Order| order.task.as_ref().is_some_and(|task| task.run == run);
                if !self.orders.get(&of).is_some_and(mine) {
                    return false;
                }
                let former = self.orders.get(&of).map(|order| order.held.meta.error.clone());
                self.drop_task(&of);
                let changed = self.read(&of, now);
                if let Some(order) = self.orders.get_mut(&of) {
                    if let (Due::Now | Due::Ask, Some(then)) = (order.due, not_before) {
                        order.due = Due::At(then);
                    }
                    order.report(changed, former.flatten());
                }
                changed
            }
        }
    }

    /// The pair that sites of these hosts have.
    pub(super) fn pair(&self, hosts: &[String]) -> Option<&Arc<Pair>> {
        self.of(hosts)?.pair.as_ref()
    }

    /// The one that is for these hosts.
    pub(super) fn of(&self, hosts: &[String]) -> Option<&Order> {
        self.orders.get(&acme::store::folder_name(hosts))
    }

    /// The one whose first host this is.
    pub(super) fn of_first(&self, host: &str) -> Option<&Order> {
        self.of(&[host.to_owned()])
    }

    /// Does something beside the loop, which hears what came of it.
    pub(super) fn spawn(&self, task: impl Future<Output = Event> + Send + 'static) {
        let events = self.events.clone();
        self.tasks.spawn(async move { drop(events.send(task.await).await) });
    }

    /// Forgets one and all that the store has of it.
    pub(super) fn remove(&mut self, names: &[String]) {
        let of = acme::store::folder_name(names);
        self.drop_task(&of);
        self.orders.remove(&of);
        if let Err(error) = self.store().and_then(|store| store.remove(names)) {
            tracing::warn!(%error, "a certificate that nobody needs stays on the disk");
        }
    }

    /// Whether the store has what is wished for, and nothing is to be done about it.
    pub(super) fn is_stored(&mut self, wish: &Wish, now: SystemTime) -> bool {
        let held = self.store().and_then(|store| store.look(&wish.names));
        held.is_ok_and(|held| !matches!(acme::due(wish, held.as_ref(), now), Due::Now | Due::Never))
    }

    /// Takes a certificate back.
    pub(super) fn revoke(
        &mut self,
        of: &str,
        reason: Option<RevocationReason>,
        answer: oneshot::Sender<Result<(), Failure>>,
    ) {
        self.begin(of, Work::Revoke, |wish, store, edge| async move {
            drop(answer.send(acme::revoke(&wish, reason, &store, &edge).await));
            None
        });
    }
}
