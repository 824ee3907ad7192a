//! What a service needs of the machine: its server's programs, and the system user it runs as.

use super::Context;
use crate::place::Place;
use model::service::{ServiceKind, ServiceSpec};
use std::path::{Path, PathBuf};

/// Folders that are looked into after those of `PATH`: servers lie outside of it for most users. Crate `data` looks there too.
const FOLDERS: [&str; 7] = [
    "/usr/sbin",
    "/usr/bin",
    "/usr/libexec",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/local/libexec",
    "/usr/local/mysql/bin",
];

/// Looks for both.
pub fn check(context: &mut Context<'_>, place: Place<'_>, name: &str, service: &ServiceSpec) {
    if !context.disk.is_real() {
        return;
    }
    let path = (context.environment)("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = path.split(':').chain(FOLDERS).map(PathBuf::from).collect();
    if let Some(program) = missing(service.kind, &folders) {
        let message = format!("service `{name}` needs the program `{program}`, which is not installed");
        let found = context.report.error("service::missing", message);
        found.at(place.key("kind").span(), "nothing to run").help(install(service.kind));
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

/// The first program of the server's that is in none of the folders.
fn missing(kind: ServiceKind, folders: &[PathBuf]) -> Option<&'static str> {
    let programs: &[&'static str] = match kind {
        ServiceKind::Mariadb => &["mariadbd", "mariadb-install-db", "mariadb"],
        ServiceKind::Mysql => &["mysqld", "mysql"],
    };
    // MariaDB brings its programs under the other's names too
    let right = |file: &Path| {
        file.canonicalize().is_ok_and(|real| {
            let name = real.file_name().unwrap_or_default().to_string_lossy();
            real.is_file() && (kind == ServiceKind::Mariadb || !name.starts_with("mariadb"))
        })
    };
    let there = |program: &&&str| !folders.iter().any(|folder| right(&folder.join(program)));
    programs.iter().find(there).copied()
}

fn install(kind: ServiceKind) -> &'static str {
    match kind {
        ServiceKind::Mariadb => {
            "apt-get install mariadb-server-core mariadb-client-core (the package `mariadb-server` starts a daemon of its own, and is not needed)"
        }
        ServiceKind::Mysql => {
            "apt-get install mysql-server-core-8.0 mysql-client-core-8.0 (the package `mysql-server` starts a daemon of its own, and is not needed); where there is none write `kind = \"mariadb\"`"
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_programs_of_another_server_are_not_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [folder.path().to_owned()];
        assert_eq!(missing(ServiceKind::Mariadb, &folders), Some("mariadbd"));
        for program in ["mariadbd", "mariadb-install-db"] {
            fs::write(folder.path().join(program), "").unwrap();
        }
        assert_eq!(missing(ServiceKind::Mariadb, &folders), Some("mariadb"));
        fs::write(folder.path().join("mariadb"), "").unwrap();
        assert_eq!(missing(ServiceKind::Mariadb, &folders), None);
        std::os::unix::fs::symlink("mariadbd", folder.path().join("mysqld")).unwrap();
        assert_eq!(missing(ServiceKind::Mysql, &folders), Some("mysqld"));
        fs::remove_file(folder.path().join("mysqld")).unwrap();
        for program in ["mysqld", "mysql"] {
            fs::write(folder.path().join(program), "").unwrap();
        }
        assert_eq!(missing(ServiceKind::Mysql, &folders), None);
    }
}
