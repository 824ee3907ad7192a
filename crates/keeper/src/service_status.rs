//! What `status` says of a data service beyond an app: which server it is and where, and of all that it said the line that matters.

use crate::api::ServiceStatus;
use crate::home::Home;
use crate::stack::Revision;
use model::spec::Listen;
use model::{AppId, AppName};

/// Most lines of a failure that are shown: the cause and what to do.
const SHOWN: usize = 3;

/// Of the service of this name, if it is one.
pub(crate) fn of(revision: &Revision, name: &AppName, home: &Home) -> Option<ServiceStatus> {
    let service = revision.spec.services.get(name)?;
    let port = match revision.spec.apps.get(name)?.listen {
        Listen::Port(port) => Some(port),
        Listen::Socket | Listen::AnyPort | Listen::Nothing => None,
    };
    Some(ServiceStatus {
        kind: service.kind.to_string(),
        server: revision.engines.get(name).cloned().unwrap_or_default(),
        port,
        socket: home.service_socket(&AppId { stack: revision.spec.name.clone(), app: name.clone() }),
        database: service.database.clone(),
        user: service.user.clone(),
    })
}

/// The one message of a server that failed: our own (`error:` and `next:`) where the start was refused, else the last error of the
/// server's own. The rest is in its log.
pub(crate) fn said(lines: &[String], name: &AppName) -> Vec<String> {
    let refused = lines.iter().rposition(|line| line.starts_with("error:"));
    let last = || lines.iter().rposition(|line| line.contains("[ERROR]") && !line.ends_with("Aborting"));
    let shown = match (refused, last()) {
        (Some(at), _) => lines.get(at..).unwrap_or_default().iter().take(SHOWN).cloned().collect(),
        (None, Some(at)) => lines.get(at).cloned().into_iter().collect::<Vec<_>>(),
        (None, None) => lines.last().cloned().into_iter().collect(),
    };
    shown.into_iter().chain([format!("all of it: mainstay logs {name}")]).collect()
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn of_all_that_a_server_said_the_cause_is_shown() {
        let shown = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            said(&lines, &"db".parse().unwrap()).join("|")
        };
        let rest = "all of it: mainstay logs db";
        assert_eq!(shown(&["noise", "error: a", " next: b"]), format!("error: a| next: b|{rest}"));
        let server = ["1 [Note] x", "2 [ERROR] Bind: taken", "3 [ERROR] Aborting", "4 [Note] bye"];
        assert_eq!(shown(&server), format!("2 [ERROR] Bind: taken|{rest}"));
        assert_eq!((shown(&["x", "y"]), shown(&[])), (format!("y|{rest}"), rest.to_owned()));
    }
}
