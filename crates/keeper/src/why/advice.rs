//! What each cause means and what to do about it: one table, so that none is without. In the texts stand `{app}`, `{stack}`, `{host}`,
//! `{route}`, `{instance}`, `{detail}` for what the failure has.

use wire::failure::{Cause, Failure};

/// Of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// What happened.
    pub what: &'static str,
    /// What to do.
    pub next: &'static str,
}

/// How an instance ended, as far as the advice differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// For want of memory.
    OutOfMemory,
    /// By a signal that was not ours.
    Signal,
    /// By itself.
    Exit,
    /// We stopped it.
    Stopped,
    /// It never was ready, or could not be started.
    NotReady,
}

impl Ended {
    /// What the history says of an end (`model::observed::End` as text).
    pub fn of(reason: &str) -> Self {
        if reason.contains("memory") {
            Self::OutOfMemory
        } else if reason.contains("was stopped") {
            Self::Stopped
        } else if reason.contains("signal") {
            Self::Signal
        } else if reason.contains("exited") {
            Self::Exit
        } else {
            Self::NotReady
        }
    }

    /// What to do.
    pub fn next(self) -> &'static str {
        match self {
            Self::OutOfMemory => {
                "give it more (resources = { memory = … } of [app.{app}]), or have it replaced before it grows so far: recycle = { memory = … }"
            }
            Self::Signal | Self::Exit => "mainstay logs {app} shows what it printed before",
            Self::Stopped => {
                "give requests more time before it is stopped: stop = { drain = … } of [app.{app}]"
            }
            Self::NotReady => "mainstay status shows what is wrong with {app}",
        }
    }
}

const fn advice(what: &'static str, next: &'static str) -> Advice {
    Advice { what, next }
}

/// Of this failure.
pub fn of(failure: &Failure) -> Advice {
    match failure.cause {
        Cause::HoldFull if failure.was_held_busy() => advice(
            "all instances of {app} had as many requests as they may have at a time, and too many waited already",
            "raise instances or concurrency of [app.{app}], or hold = { requests, bytes }, so that more may wait",
        ),
        Cause::HoldTimeout if failure.was_held_busy() => advice(
            "all instances of {app} had as many requests as they may have at a time, as long as the request may wait",
            "raise instances or concurrency of [app.{app}], or hold = { wait }; mainstay logs edge shows what takes so long",
        ),
        cause => of_cause(cause),
    }
}

/// Of this cause.
fn of_cause(cause: Cause) -> Advice {
    match cause {
        Cause::NoSite => advice(
            "no site has the host name {host}",
            "add it to the hosts of a [[site]], then: mainstay reload",
        ),
        Cause::NoRoute => advice(
            "the site of {host} has no route for this path",
            "add a [[site.route]] whose path fits, then: mainstay reload",
        ),
        Cause::NoFile => advice(
            "there is no such file below the route's folder, or none that may be shown",
            "put it there; dotfiles, sources and configuration are never shown",
        ),
        Cause::Gone => advice(
            "the route {route} says that nothing is here any more",
            "change the route's redirect if that is wrong",
        ),
        Cause::Malformed => advice(
            "the request was malformed and was refused: {detail}",
            "the client has to send it otherwise",
        ),
        Cause::Misdirected => advice(
            "the request for {host} came over a connection whose certificate is for other hosts",
            "the client has to open another connection; mainstay certs shows which names each certificate has",
        ),
        Cause::NoCertificate => advice(
            "{detail}",
            "mainstay certs shows the certificates there are; add {host} to the hosts of a [[site]] to have one",
        ),
        Cause::SlowClient => advice(
            "the client took too long to send its request",
            "the client or its network is slow; large uploads need a steady connection",
        ),
        Cause::TooLarge => advice(
            "the request's body is larger than the route {route} takes",
            "raise body = \"…\" of the route, if such bodies are meant to come",
        ),
        Cause::Access => advice(
            "the rules of the route {route} do not let the request in: {detail}",
            "change allow, deny, methods, file_types or cors of the route, if it should",
        ),
        Cause::Banned => advice(
            "the client's address is banned",
            "mainstay bans shows why and until when; mainstay bans lift ADDRESS lets it in again",
        ),
        Cause::SignIn => advice(
            "the request did not sign in as the route {route} wants it: {detail}",
            "sign in; who may is in the route's basic_auth or forward_auth",
        ),
        Cause::RateLimit => advice(
            "the request was beyond a rate limit of the route {route}: {detail}",
            "raise limit = { rate, burst } of the route, if so many are meant to come",
        ),
        Cause::Concurrency => advice(
            "the request was beyond the route {route}'s limit of requests at a time: {detail}",
            "raise concurrency of the route, if so many are meant to come",
        ),
        Cause::Maintenance => advice(
            "the route {route} is closed for maintenance",
            "take maintenance out of the route when it is over, then: mainstay reload",
        ),
        Cause::Overload => advice(
            "the edge was at its bounds: {detail}",
            "mainstay status shows connections and requests under way; more memory or open files raise the bounds",
        ),
        Cause::Down => advice(
            "no instance of {app} runs",
            "mainstay status shows why; mainstay start {app} starts it again",
        ),
        Cause::Unhealthy => advice(
            "all instances of {app} fail their health checks",
            "mainstay status shows the check that fails; mainstay logs {app} what the app says",
        ),
        Cause::Starting => advice(
            "no instance of {app} was ready yet, and requests are not held for it",
            "hold = { wait = \"30s\" } of [app.{app}] lets requests wait",
        ),
        Cause::Busy => advice(
            "all instances of {app} had as many requests as they may have at a time",
            "raise instances or concurrency of [app.{app}]",
        ),
        Cause::HoldFull => advice(
            "no instance of {app} was ready, and too many requests waited for one already",
            "raise hold = { requests, bytes } of [app.{app}], or instances, so that one is left",
        ),
        Cause::HoldTimeout => advice(
            "no instance of {app} became ready as long as the request may wait",
            "mainstay status shows why it takes so long; hold = { wait = … } of [app.{app}] lets requests wait longer",
        ),
        Cause::CircuitOpen => advice(
            "all instances of {app} are left alone for a while after failures in a row",
            "mainstay why lists the failures before; circuit = { failures, open } of [app.{app}] says how many are too many",
        ),
        Cause::Refused => advice(
            "{app} took no connection: {detail}",
            "mainstay status shows whether it runs; mainstay logs {app} what it says",
        ),
        Cause::ConnectTimeout => advice(
            "{app} took no connection in time",
            "its queue is full, or its machine cannot be reached: mainstay status; timeout = { connect } of the route",
        ),
        Cause::SendTimeout => advice(
            "{instance} took the request too slowly: {detail}",
            "mainstay logs {app} shows what it was busy with; timeout = { send } of the route lets it take longer",
        ),
        Cause::ReadTimeout => advice(
            "{instance} had the whole request and said nothing for too long: {detail}",
            "mainstay logs {app} shows what it was busy with; timeout = \"…\" of the route lets it take longer",
        ),
        Cause::BrokenOff => advice(
            "{instance} broke the connection off before its answer was whole",
            "mainstay logs {app} shows what it printed",
        ),
        Cause::BadAnswer => advice(
            "what {instance} answered is no HTTP: {detail}",
            "the application has to answer otherwise; mainstay logs {app}",
        ),
        Cause::DrainOverrun => advice(
            "the request still ran at {instance} when the time to drain was over, and the instance was ended",
            "give requests more time: stop = { drain = … } of [app.{app}]",
        ),
        Cause::EdgeEnded => advice(
            "the request still ran when the edge was ended",
            "nothing: it was stopped, or replaced and out of time",
        ),
        Cause::Application => advice("{app} itself answered so", "mainstay logs {app} shows what it printed"),
        Cause::AuthServer => advice(
            "the server that signs in for the route {route} could not be asked: {detail}",
            "look whether it runs; forward_auth of the route says which it is",
        ),
        Cause::ClientGone => advice(
            "the client went away before it had its answer",
            "nothing, if it is rare; else see how long the answer takes: mainstay logs edge",
        ),
        Cause::FileFailed => advice(
            "a file could not be read: {detail}",
            "the edge's user needs to read it, and it must not change while it is sent: put new versions in place by renaming",
        ),
        Cause::Other => advice("the edge could not answer: {detail}", "home/logs/edge/edge.log says more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_says_what_happened_and_what_to_do() {
        for cause in Cause::ALL {
            let Advice { what, next } = of_cause(cause);
            assert!(what.len() > 5 && next.len() > 5, "{cause:?}");
            assert!(!what.ends_with('.') && !next.ends_with('.'), "{cause:?}");
        }
    }

    #[test]
    fn ends_are_known_by_their_words() {
        use model::observed::End;
        let of = |end: End| Ended::of(&end.to_string());
        assert_eq!(of(End::Signaled(9)), Ended::Signal);
        assert_eq!(of(End::Exited(3)), Ended::Exit);
        assert_eq!(of(End::Stopped), Ended::Stopped);
        assert_eq!(of(End::NotReady("x".into())), Ended::NotReady);
        assert_eq!(Ended::of("was ended: out of memory"), Ended::OutOfMemory);
    }
}
