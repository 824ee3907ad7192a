//! Taking over an instance that a former keeper started.
//!
//! ```text
//! its shim answers ─▶ a life, from where the former keeper saw it last
//!      └ nobody answers ─▶ the status file's last word; without one the shim was killed: its app is ended like it
//! ```

use crate::end::{self, SIGKILL};
use crate::life::{self, Life};
use crate::link::Link;
use crate::meta::{self, Meta};
use crate::probe::Target;
use crate::{Adoption, Command, Places, Report, launch};
use model::observed::End;
use std::time::Duration;
use tokio::sync::mpsc;
use wire::shim::{ShimState, ShimStatus};

/// Time that a shim gets which was started just before its keeper died and has written nothing yet.
const JUST_BORN: Duration = Duration::from_secs(1);

/// Takes it over and stays with it to its end.
pub(crate) async fn adopt(
    adoption: Adoption,
    commands: mpsc::Receiver<Command>,
    reports: mpsc::Sender<Report>,
) {
    let Adoption { meta, places, spec, user, edge_group, mainstay, contained, phase } = adoption;
    let Meta { id, address, listen, health, addresses, .. } = meta;
    let Some(link) = connect(&places).await else {
        let end = without_shim(&places).await;
        meta::clean(&places);
        return life::ended(&reports, &id, end, Duration::ZERO).await;
    };
    let command = spec.map(|spec| {
        let env = launch::environment(
            &spec,
            &places.state,
            places.build.as_deref(),
            user.as_ref(),
            address.as_ref(),
        );
        launch::surroundings(&spec, env, user.as_ref())
    });
    let target = Target {
        health: launch::health(&health, mainstay.as_deref()),
        address,
        command,
        own_network: !addresses.is_empty(),
        inside: None,
        contained,
        knock: Duration::ZERO,
    };
    let access = launch::Access::of(user.as_ref(), edge_group);
    let life = Life::new(id, places, reports, link, target, listen, access);
    let life = if contained { life.contained() } else { life };
    life.last_seen(phase).run(commands).await;
}

async fn connect(places: &Places) -> Option<Link> {
    let until = tokio::time::Instant::now() + JUST_BORN;
    loop {
        match Link::connect(&places.shim_socket).await {
            Ok(link) => return Some(link),
            Err(_) if !places.status.exists() && tokio::time::Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(_) => return None,
        }
    }
}

/// How an instance ended whose shim is gone; what a killed shim left running is ended.
async fn without_shim(places: &Places) -> End {
    let status = std::fs::read(&places.status).ok().and_then(|bytes| wire::decode::<ShimStatus>(&bytes).ok());
    match status {
        None => End::Signaled(SIGKILL),
        Some(ShimStatus { state: ShimState::NotStarted { reason }, .. }) => End::NotStarted(reason),
        Some(ShimStatus { state: ShimState::Running { pid }, born, .. }) => {
            end::end_orphan(pid, Some(born).filter(|born| *born > 0)).await;
            End::Signaled(SIGKILL)
        }
        Some(ShimStatus { state: state @ ShimState::Ended { .. }, .. }) => end::end_of(&state),
    }
}
