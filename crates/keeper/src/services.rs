//! Data services of a manifest that was loaded: each becomes an ordinary app ([`data::expand`]), and every app that needs one gets its
//! address. After this the plan, the supervisor, logs and status know only apps.
//!
//! ```text
//! StackSpec.services ── data::expand ──▶ StackSpec.apps (`$MAINSTAY service run FILE`, as the database's user)
//!                             └─ what it gives ──▶ `env` of each app that needs it, where that says nothing itself
//! ```
//! The same manifest in the same home gives the same apps, whichever keeper expands it: ports, passwords and generated values are kept
//! in files. So a new keeper finds the fingerprints of what runs, and nothing is replaced.

use crate::home::Home;
use crate::{secrets, user};
use data::{Expanded, Place, TlsFiles};
use model::service::{ServiceSpec, ServiceTls};
use model::spec::{EnvValue, Listen, StackSpec};
use model::{AppId, AppName};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// What every service gives is called so for the first that an app needs.
const PLAIN: &str = "DB";

/// Expands services and generated values in place, away from the loop. Gives name and version of each service's server. `dry`: nothing
/// is written.
///
/// # Errors
/// For people: which service or app, the cause, the next step.
pub(crate) fn expand(
    spec: &mut StackSpec,
    home: &Home,
    dry: bool,
) -> Result<BTreeMap<AppName, String>, String> {
    secrets::fill(spec, home, dry)?;
    let mut all = BTreeMap::new();
    for (name, service) in &spec.services {
        let id = AppId { stack: spec.name.clone(), app: name.clone() };
        let expanded = one(&id, service, home, dry).map_err(|error| format!("service {name}: {error}"))?;
        all.insert(name.clone(), expanded);
    }
    join(spec, all)
}

/// Writes again what the servers of an expanded manifest read: a change that was refused or given up has put its own words there, and
/// a server that crashes now would start with them.
pub(crate) fn keep(spec: &StackSpec, home: &Home) {
    for (name, service) in &spec.services {
        let id = AppId { stack: spec.name.clone(), app: name.clone() };
        let port = spec.apps.get(name).and_then(|app| match app.listen {
            Listen::Port(port) => Some(port),
            Listen::Socket | Listen::AnyPort | Listen::Nothing => None,
        });
        let service = ServiceSpec { port, ..service.clone() };
        if let Err(error) = one(&id, &service, home, false) {
            tracing::error!(service = %id, error, "its configuration cannot be written again");
        }
    }
}

/// One service: its folder's parents and its certificate are made, the rest is the engine's.
fn one(id: &AppId, spec: &ServiceSpec, home: &Home, dry: bool) -> Result<Expanded, String> {
    let user = user::of_service(&spec.run_as)?;
    let owner = user.as_ref().map(|user| (user.uid, user.gid));
    let (folder, socket) = (home.service(id), home.service_socket(id));
    if let Some(parent) = folder.parent().filter(|_| !dry) {
        sys::folder::make(parent, 0o711, None).map_err(|error| format!("{}: {error}", parent.display()))?;
    }
    let tls = (spec.tls != ServiceTls::Off).then(|| certificate(id, home, owner, dry)).transpose()?;
    let place = Place { folder: &folder, socket: &socket, owner, tls: tls.as_ref(), dry };
    let mut expanded = data::expand(&id.app, spec, &place).map_err(|error| match error.next() {
        Some(next) => format!("{error}; {next}"),
        None => error.to_string(),
    })?;
    expanded.app.user = user.map(|user| user.name);
    Ok(expanded)
}

fn certificate(id: &AppId, home: &Home, owner: Option<(u32, u32)>, dry: bool) -> Result<TlsFiles, String> {
    let folder = home.service_certs(id);
    let files = certs::service::files(&folder, &home.certs());
    if !dry {
        let kept = certs::service::keep(&files, owner, SystemTime::now());
        kept.map_err(|error| error.to_string())?;
    }
    let certs::service::Files { cert, key, ca } = files;
    Ok(TlsFiles { cert, key, ca })
}

/// Adds the expanded services to the apps, and what they give to those that need them.
fn join(
    spec: &mut StackSpec,
    services: BTreeMap<AppName, Expanded>,
) -> Result<BTreeMap<AppName, String>, String> {
    for (name, app) in &mut spec.apps {
        let needed: Vec<(&AppName, &Expanded)> =
            app.needs.iter().filter_map(|need| services.get_key_value(need)).collect();
        let given = given(&needed).map_err(|error| format!("app {name}: {error}"))?;
        for (variable, value) in given {
            app.env.entry(variable).or_insert(value);
        }
    }
    let mut engines = BTreeMap::new();
    for (name, expanded) in services {
        engines.insert(name.clone(), expanded.server);
        spec.apps.insert(name, expanded.app);
    }
    Ok(engines)
}

/// What an app gets that needs these: `DB_HOST`, `DATABASE_URL` … of the first, and of each under its own name `DB_HOST`, `DB_URL` …
/// where it is called `db`.
fn given(needed: &[(&AppName, &Expanded)]) -> Result<BTreeMap<String, EnvValue>, String> {
    let mut given = BTreeMap::new();
    for (index, (name, service)) in needed.iter().enumerate() {
        let own = name.as_str().to_ascii_uppercase().replace('-', "_");
        if let Some((first, _)) = needed.first().filter(|_| index > 0 && own == PLAIN) {
            return Err(format!(
                "it needs {first} and {name}, and {PLAIN}_HOST would mean both: write {name} first in `needs`, or rename it"
            ));
        }
        for (variable, value) in &service.gives {
            let rest = variable.strip_prefix(PLAIN).and_then(|rest| rest.strip_prefix('_'));
            let rest = rest.or(variable.strip_prefix("DATABASE_")).unwrap_or(variable);
            given.insert(format!("{own}_{rest}"), value.clone());
            if index == 0 {
                given.insert(variable.clone(), value.clone());
            }
        }
    }
    Ok(given)
}

/// Which keys of a service changed, never their values.
pub(crate) fn describe(old: &ServiceSpec, new: &ServiceSpec) -> String {
    let changed = [
        ("kind", old.kind != new.kind),
        ("port", old.port != new.port),
        ("database", old.database != new.database),
        ("user", old.user != new.user),
        ("password", old.password != new.password),
        ("character_set", old.character_set != new.character_set),
        ("collation", old.collation != new.collation),
        ("max_connections", old.max_connections != new.max_connections),
        ("tls", old.tls != new.tls),
        ("slow_query", old.slow_query != new.slow_query),
        ("memory", old.memory != new.memory),
        ("run_as", old.run_as != new.run_as),
        ("health", (old.interval, old.start_period) != (new.interval, new.start_period)),
        ("restart", old.restart != new.restart),
        ("stop", old.stop != new.stop),
        ("logs", old.logs != new.logs),
    ];
    let names: Vec<&str> = changed.iter().filter(|(_, changed)| *changed).map(|(name, _)| *name).collect();
    // The same words of the manifest, made into another configuration: by another server or another Mainstay.
    if names.is_empty() { "its server's configuration".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
