//! Names are proved (RFC 8555 section 7.5): answers are shown, the authority is told to look, and what it found is put in words.

use super::account::Ours;
use super::challenge::{self, Answer};
use super::failure::{Kind, Trouble, told};
use super::issue::{FIRST_LOOK, Job, PATIENCE};
use super::{Challenge, dns};
use instant_acme::{
    AuthorizationHandle, AuthorizationStatus, ChallengeStatus, Error, Order, OrderStatus, Problem,
};
use model::acme::ChallengeKind;
use std::time::Instant;

/// Names whose problems are told in full.
const TOLD: usize = 5;

impl Job<'_> {
    /// Has each name proved, and waits until the authority has judged.
    pub(super) async fn prove(&self, ours: &Ours, order: &mut Order) -> Result<(), Trouble> {
        let wanted = nonced!(pending(order, self.kinds)).map_err(|error| self.trouble(ours, &error))??;
        let edge: Vec<Challenge> = wanted
            .iter()
            .filter_map(|answer| match answer {
                Answer::Edge(challenge) => Some(challenge.clone()),
                Answer::Record { .. } => None,
            })
            .collect();
        let judged = async {
            self.show(&wanted, &edge).await?;
            nonced!(set_ready(order, self.kinds)).map_err(|error| self.trouble(ours, &error))?;
            let deadline = Instant::now() + PATIENCE;
            let mut pause = FIRST_LOOK;
            while order.state().status == OrderStatus::Pending {
                if Instant::now() > deadline {
                    return Err(Trouble::new(
                        Kind::Unreachable,
                        "it has not looked at all names yet; the order goes on with the next try",
                    ));
                }
                self.look_again(ours, order, &mut pause).await?;
            }
            Ok(())
        };
        let judged = judged.await;
        self.hide(&wanted, &edge).await;
        judged
    }

    async fn show(&self, wanted: &[Answer], edge: &[Challenge]) -> Result<(), Trouble> {
        if !edge.is_empty() {
            self.host.present(edge).await.map_err(Trouble::own)?;
        }
        let mut records = 0;
        for (name, value) in wanted.iter().filter_map(record) {
            let dns = self.wish.acme.dns.as_ref().ok_or_else(|| {
                Trouble::own(format!("{name} needs a record: give `dns`, the command that makes it"))
            })?;
            dns::run(dns, "set", name, value).await?;
            records += 1;
        }
        if let Some(dns) = self.wish.acme.dns.as_ref().filter(|_| records > 0) {
            tokio::time::sleep(dns.propagation).await;
        }
        Ok(())
    }

    /// What is not taken back does no harm: it is worth a line, and no failure.
    async fn hide(&self, wanted: &[Answer], edge: &[Challenge]) {
        if !edge.is_empty() {
            self.host.withdraw(edge).await;
        }
        for (name, value) in wanted.iter().filter_map(record) {
            if let Some(dns) = &self.wish.acme.dns
                && let Err(trouble) = dns::run(dns, "unset", name, value).await
            {
                tracing::warn!(record = name, problem = trouble.text, "a record was not removed");
            }
        }
    }

    /// What the authority says of each name that it did not find proved.
    pub(super) async fn why_invalid(&self, order: &mut Order) -> Trouble {
        let mut found: Vec<Trouble> = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            if nonced!(fresh(&mut authorization)).is_err() {
                continue;
            }
            let name = authorization.identifier().to_string();
            let problems = authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
            for problem in problems {
                let trouble = Trouble::of_validation(problem);
                found.push(Trouble {
                    text: format!("{name}: {}", trouble.text),
                    names: vec![name.clone()],
                    ..trouble
                });
            }
        }
        if let Some(first) = found.first().cloned() {
            let told = found.iter().take(TOLD).map(|trouble| trouble.text.as_str());
            let more = found.len().saturating_sub(TOLD);
            let more = (more > 0).then(|| format!("and {more} more"));
            let text = told.chain(more.as_deref()).collect::<Vec<_>>().join("; ");
            let names = found.into_iter().flat_map(|trouble| trouble.names).collect();
            return Trouble { text, names, ..first };
        }
        let said = order.state().error.as_ref().map_or_else(|| "no reason".to_owned(), told);
        Trouble::new(Kind::Refused, format!("it took the order back with {said}; another order is placed"))
    }
}

/// What has to be shown for the names that are not proved yet. The outer error is the authority's, the inner one is ours.
async fn pending(order: &mut Order, kinds: &[ChallengeKind]) -> Result<Result<Vec<Answer>, Trouble>, Error> {
    let mut answers = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let name = authorization.identifier().to_string();
        let Some(kind) = chosen(&name, kinds) else { return Ok(Err(no_way(&name, kinds))) };
        let Some(challenge) = authorization.challenge(challenge::of_kind(kind)) else {
            return Ok(Err(no_way(&name, kinds)));
        };
        match challenge::answer(kind, &challenge) {
            Ok(answer) => answers.push(answer),
            Err(trouble) => return Ok(Err(trouble)),
        }
    }
    Ok(Ok(answers))
}

/// Tells the authority to look. What it was told before it is not told again.
async fn set_ready(order: &mut Order, kinds: &[ChallengeKind]) -> Result<(), Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        authorization.refresh().await?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let Some(kind) = chosen(&authorization.identifier().to_string(), kinds) else { continue };
        if let Some(mut challenge) = authorization.challenge(challenge::of_kind(kind))
            && challenge.status == ChallengeStatus::Pending
        {
            match challenge.set_ready().await {
                // It was told by a try that a refused nonce ended, and has judged in this very moment (RFC 8555 section 7.5.1): what it
                // found is seen when the order is looked at.
                Err(Error::Api(problem)) if is_judged(&problem) => {}
                told => told?,
            }
        }
    }
    Ok(())
}

fn is_judged(problem: &Problem) -> bool {
    problem.r#type.as_deref().is_some_and(|kind| kind.ends_with(":malformed"))
}

/// An order that nobody goes on with leaves nothing pending at the authority, which counts that (RFC 8555 section 7.5.2). Whatever it
/// answers: the order is forgotten.
pub(super) async fn give_up(order: &mut Order) {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if nonced!(fresh(&mut authorization)).is_ok() && authorization.status == AuthorizationStatus::Pending
        {
            let _ = nonced!(deactivate(&mut authorization));
        }
    }
}

async fn fresh(authorization: &mut AuthorizationHandle<'_>) -> Result<(), Error> {
    authorization.refresh().await.map(drop)
}

async fn deactivate(authorization: &mut AuthorizationHandle<'_>) -> Result<(), Error> {
    authorization.deactivate().await.map(drop)
}

fn record(answer: &Answer) -> Option<(&str, &str)> {
    match answer {
        Answer::Record { name, value } => Some((name, value)),
        Answer::Edge(_) => None,
    }
}

fn chosen(name: &str, kinds: &[ChallengeKind]) -> Option<ChallengeKind> {
    kinds.iter().copied().find(|kind| challenge::can_prove(*kind, name))
}

fn no_way(name: &str, kinds: &[ChallengeKind]) -> Trouble {
    let kinds: Vec<&str> = kinds.iter().map(|kind| challenge::called(*kind)).collect();
    let kinds = kinds.join(", ");
    Trouble::new(
        Kind::Refused,
        format!("{name} can be proved there by none of {kinds}; give others as `challenge`"),
    )
}
