//! Data of an older series: the new server is started where nobody else reaches it, its own upgrade program adapts the system tables,
//! and it is stopped again.

use crate::DataError;
use crate::description::Description;
use crate::programs::{command, last_line, program_named};
use crate::run::option_file;
use std::io;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Pause between two looks whether the server answers.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) fn upgrade(told: &Description) -> Result<(), DataError> {
    let program = program_named("mariadb-upgrade").ok_or(DataError::NoProgram {
        program: "mariadb-upgrade",
        kind: model::service::ServiceKind::Mariadb,
    })?;
    // Beside the data: only the database's user comes there.
    let socket = told.store.join("upgrade.sock");
    let mut socket_option = std::ffi::OsString::from("--socket=");
    socket_option.push(&socket);
    let failed = |program: &Path| {
        let program = program.to_owned();
        move |error: io::Error| DataError::Program { program, said: error.to_string() }
    };
    let server = command(&told.server)
        .arg(option_file(&told.options))
        .args(["--skip-networking", "--skip-slow-query-log", "--init-file="])
        .arg(&socket_option)
        .spawn()
        .map_err(failed(&told.server))?;
    let mut server = Server(server);
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        if let Some(status) = server.0.try_wait().map_err(failed(&told.server))? {
            let said = format!("{status} before it could be upgraded; its own words stand above");
            return Err(DataError::Program { program: told.server.clone(), said });
        }
        std::thread::sleep(PAUSE); // a recovery takes as long as it takes; who waits for us has a deadline
    }
    let output = command(&program)
        .args(["--no-defaults", "--protocol=socket"])
        .arg(&socket_option)
        .arg(format!("--user={}", told.administrator))
        .stdin(Stdio::null())
        .output()
        .map_err(failed(&program))?;
    if !output.status.success() {
        return Err(DataError::Program {
            program,
            said: last_line(&[output.stdout, output.stderr].concat()),
        });
    }
    server.stop().map_err(failed(&told.server))
}

/// A server that does not outlive its use.
struct Server(Child);

impl Server {
    fn stop(&mut self) -> io::Result<()> {
        const SIGTERM: i32 = 15;
        if self.0.try_wait()?.is_none() {
            sys::process::signal(self.0.id(), SIGTERM)?;
            self.0.wait()?;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop(); // in an orderly way: its data is wanted
    }
}
