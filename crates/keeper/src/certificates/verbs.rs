//! What people ask of certificates: new ones now, one taken back, one of their own.

use super::Certificates;
use super::orders::{Order, Work};
use super::{Issued, imported, issued, wanted};
use crate::api::{Imported, IssueRequest, NewPair, RenewRequest, Renewed, Revoke};
use crate::control::Answer;
use crate::error::KeeperError;
use crate::keeper::Keeper;
use crate::stack::Stack;
use certs::acme::{Due, Failure, RevocationReason, Wish};
use model::acme::SiteAcme;
use std::time::SystemTime;
use tokio::sync::oneshot;

impl Certificates {
    /// Has those ordered that are due, failed, or are wanted all the same.
    pub(crate) fn renew(&mut self, request: &RenewRequest, now: SystemTime) -> Result<Renewed, KeeperError> {
        let mut done = Renewed::default();
        let named = |order: &Order| request.name.as_ref().is_none_or(|name| order.is_for(name));
        if request.force {
            let broken = |order: &Order| named(order) && order.problem.is_some();
            let all = self.orders.orders.iter().filter(|(_, order)| broken(order));
            let broken: Vec<String> = all.map(|(of, _)| of.clone()).collect();
            broken.iter().try_for_each(|of| self.lay_aside(of, now))?;
        }
        let mut found = false;
        for order in self.orders.orders.values_mut().filter(|order| named(order)) {
            found = true;
            let first = order.wish.names.first().cloned().unwrap_or_default();
            let is_good = order.pair.is_some() && order.held.meta.error.is_none() && !order.held.meta.revoked;
            // What is stored cannot be read: nothing is ordered beside it.
            let is_broken = order.problem.is_some();
            if !is_broken && (request.force || !is_good || matches!(order.due, Due::Now)) {
                // One that only asks when is none that orders: what is wanted comes after it.
                order.forced = order.task.as_ref().is_none_or(|task| task.work != Work::Order);
                done.ordered.push(first);
            } else {
                done.left.push(first);
            }
        }
        if let Some(name) = request.name.as_ref().filter(|_| !found) {
            return Err(unknown(name));
        }
        self.look(now);
        Ok(done)
    }

    /// Makes room for a new one where what the store has cannot be read.
    fn lay_aside(&mut self, of: &str, now: SystemTime) -> Result<(), KeeperError> {
        let store = self.orders.store()?;
        if let Some(order) = self.orders.orders.get(of).filter(|order| order.task.is_none()) {
            store.lay_aside(&order.wish.names)?;
            self.orders.read(of, now);
        }
        Ok(())
    }

    /// Takes one back; the answer comes when the authority has answered.
    pub(crate) fn revoke(
        &mut self,
        request: &Revoke,
        answer: oneshot::Sender<Result<(), Failure>>,
    ) -> Result<Renewed, KeeperError> {
        let reason = match request.reason.as_str() {
            "unspecified" => None,
            "key-compromise" => Some(RevocationReason::KeyCompromise),
            "affiliation-changed" => Some(RevocationReason::AffiliationChanged),
            "superseded" => Some(RevocationReason::Superseded),
            "cessation-of-operation" => Some(RevocationReason::CessationOfOperation),
            other => return Err(KeeperError::Wrong(format!("{other} is no reason to revoke a certificate"))),
        };
        let found = self.orders.orders.iter().find(|(_, order)| order.is_for(&request.name));
        let (of, order) = found.ok_or_else(|| unknown(&request.name))?;
        let first = order.wish.names.first().cloned().unwrap_or_default();
        if order.task.is_some() {
            let why = format!(
                "the certificate of {first} is being ordered or asked about; try again when that is done"
            );
            return Err(KeeperError::Conflict(why));
        }
        let of = of.clone();
        self.orders.revoke(&of, reason, answer);
        Ok(Renewed { ordered: vec![first], left: Vec::new() })
    }

    /// Keeps a pair of the user's own, which is served for the names in it from now on.
    pub(crate) fn import(&mut self, pair: &NewPair) -> Result<Imported, KeeperError> {
        let imported = imported::add(&self.own, pair)?;
        self.seen = None;
        Ok(imported)
    }

    /// Has one that no site need have. What a home without a keeper had issued already is only taken note of.
    pub(crate) fn issue<'a>(
        &mut self,
        request: IssueRequest,
        stacks: impl Iterator<Item = &'a Stack>,
        now: SystemTime,
    ) -> Result<Renewed, KeeperError> {
        let stacks: Vec<&Stack> = stacks.collect();
        let doors: Vec<_> = stacks.iter().filter_map(|stack| stack.active.as_ref()).collect();
        let (names, acme) = (request.names, request.acme);
        let wish = Wish {
            names: names.clone(),
            acme: acme.clone(),
            site: SiteAcme::default(),
            doors: wanted::doors(&doors),
        };
        if wish.doors.http.is_none() && wish.doors.https.is_none() && !self.orders.is_stored(&wish, now) {
            return Err(KeeperError::Conflict(
                "no stack of this keeper listens where an authority could look".into(),
            ));
        }
        let first = names.first().cloned().unwrap_or_default();
        let issued = Issued { names, acme };
        issued::add(&self.issued_file, &issued)?;
        self.issued.retain(|known| known.names.first() != Some(&first));
        self.issued.push(issued);
        self.seen = None;
        self.keep(stacks.into_iter(), now);
        self.look(now);
        Ok(Renewed { ordered: vec![first], left: Vec::new() })
    }

    /// Forgets a pair of the user's own, a name with a certificate on demand, or that a certificate was asked for by name.
    pub(crate) fn remove(&mut self, name: &str) -> Result<Imported, KeeperError> {
        if issued::remove(&self.issued_file, name)? {
            self.issued.retain(|known| known.names.first().is_none_or(|first| first != name));
            self.seen = None;
            return Ok(Imported { name: name.to_owned(), names: Vec::new() });
        }
        let mut removed = imported::remove(&self.own, name)?;
        if removed.is_none() && self.forget_name(name) {
            removed = Some(Imported { name: name.to_owned(), names: Vec::new() });
        }
        self.seen = None;
        removed.ok_or_else(|| KeeperError::Unknown(format!("certificate of your own that is called {name}")))
    }
}

impl Keeper {
    /// Answers when the authority has.
    pub(crate) fn revoke(&mut self, request: &Revoke, answer: Answer<Renewed>) {
        let (told, heard) = oneshot::channel();
        let begun = match self.certificates.revoke(request, told) {
            Ok(begun) => begun,
            Err(error) => return drop(answer.send(Err(error))),
        };
        self.tasks.spawn(async move {
            let ended = match heard.await {
                Ok(Ok(())) => Ok(begun),
                Ok(Err(failure)) => Err(KeeperError::Authority(failure.cause)),
                Err(_) => Err(KeeperError::Conflict("it is not wanted any more".into())),
            };
            drop(answer.send(ended));
        });
    }
}

impl Order {
    fn is_for(&self, name: &str) -> bool {
        self.wish.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

fn unknown(name: &str) -> KeeperError {
    KeeperError::Unknown(format!(
        "site with the host {name} that has its certificate from an authority; mainstay certs lists them"
    ))
}
