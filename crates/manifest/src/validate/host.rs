//! What a service needs of the machine: a server that is supported, its programs, and the system user it runs as.

use super::Context;
use crate::place::Place;
use model::service::{SERVER_FOLDERS, ServiceKind, ServiceSpec};
use std::path::PathBuf;

/// Programs of MariaDB's.
const PROGRAMS: [&str; 3] = ["mariadbd", "mariadb-install-db", "mariadb"];

/// What brings them.
const INSTALL: &str = "apt-get install mariadb-server-core mariadb-client-core (the package `mariadb-server` starts a daemon of its own, and is not needed)";

/// Looks for all of it.
pub fn check(context: &mut Context<'_>, place: Place<'_>, name: &str, service: &ServiceSpec) {
    if !context.disk.is_real() {
        return;
    }
    let path = (context.environment)("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = path.split(':').chain(SERVER_FOLDERS).map(PathBuf::from).collect();
    if service.kind == ServiceKind::Mysql {
        // crate `data` refuses it wherever it is asked for; here it is said at its line
        let found = context.report.error("service::kind", "Oracle's MySQL is not supported so far");
        found.at(place.key("kind").span(), "this server cannot be run").help(format!(
            "write `kind = \"mariadb\"`, which speaks the same protocol; its programs: {INSTALL}"
        ));
    } else if let Some(program) = missing(&folders).filter(|_| context.disk.is_to_start()) {
        let message = format!("service `{name}` needs the program `{program}`, which is not installed");
        let found = context.report.error("service::missing", message);
        found.at(place.key("kind").span(), "nothing to run").help(INSTALL);
    }
    let user = &service.run_as;
    if rustix::process::geteuid().is_root() && context.disk.user(user).is_err() {
        let message = format!("there is no user `{user}` on this machine to run service `{name}` as");
        let found = context.report.error("user::unknown", message);
        found.at(place.key("run_as").name_span(), "no such user").help(format!(
            "adduser --system --group --no-create-home --home /nonexistent --shell /usr/sbin/nologin {user}"
        ));
    }
}

/// The first of the programs that is in none of the folders.
fn missing(folders: &[PathBuf]) -> Option<&'static str> {
    let there = |program: &&str| folders.iter().any(|folder| folder.join(program).is_file());
    PROGRAMS.into_iter().find(|program| !there(program))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_first_program_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [folder.path().to_owned()];
        assert_eq!(missing(&folders), Some("mariadbd"));
        for program in ["mariadbd", "mariadb-install-db"] {
            fs::write(folder.path().join(program), "").unwrap();
        }
        assert_eq!(missing(&folders), Some("mariadb"));
        fs::write(folder.path().join("mariadb"), "").unwrap();
        assert_eq!(missing(&folders), None);
    }
}
