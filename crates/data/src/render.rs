//! What the server and its client read: option files and the statements of the start. Text only, no files.
//!
//! Provisioning needs no connection: the server runs the statements ([`statements`]) before it listens. It stops at the first that fails and
//! listens nevertheless; so the account is locked by the first statement and unlocked by the last, and a health check, which
//! logs in with it, sees that something failed between.

use crate::{DataError, TlsFiles};
use model::service::{ServiceSpec, ServiceTls};
use std::fmt::Write;
use std::path::Path;

/// Where the server's files are.
pub(crate) struct Paths<'a> {
    pub(crate) data: &'a Path,
    pub(crate) temporary: &'a Path,
    pub(crate) socket: &'a Path,
    pub(crate) statements: &'a Path,
}

/// The server's option file.
pub(crate) fn server_options(
    name: &str,
    spec: &ServiceSpec,
    port: u16,
    paths: &Paths<'_>,
    tls: Option<&TlsFiles>,
) -> Result<String, DataError> {
    let value = |what, text: &Path| option_value(name, what, &text.to_string_lossy());
    let mut file =
        String::from("# written by Mainstay at every start: changes belong into the manifest\n[mariadbd]\n");
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(file, "{key}={value}"); // a String takes all
    };
    line("datadir", &value("the data folder", paths.data)?);
    line("tmpdir", &value("the data folder", paths.temporary)?);
    line("socket", &value("the socket", paths.socket)?);
    line("pid-file", &value("the data folder", &paths.data.join("mariadbd.pid"))?);
    line("bind-address", "127.0.0.1");
    line("port", &port.to_string());
    // 'user'@'localhost' is to match connections from 127.0.0.1: names are resolved, which for this address asks nobody.
    line("skip-name-resolve", "OFF");
    line("character-set-server", word(name, "character_set", &spec.character_set)?);
    line("collation-server", word(name, "collation", &spec.collation)?);
    line("max_connections", &spec.max_connections.to_string());
    line("innodb_buffer_pool_size", &spec.memory.to_string());
    line("innodb_flush_log_at_trx_commit", "1");
    line("local_infile", "OFF");
    line("symbolic-links", "OFF");
    line("external-locking", "OFF");
    // Errors go to standard error as they are; the shim keeps and rotates both.
    // What is wrong is said, not every step of a start.
    line("silent-startup", "ON");
    line("slow_query_log", "ON");
    line("slow_query_log_file", "/dev/stdout");
    line("long_query_time", &format!("{:.6}", spec.slow_query.as_secs_f64()));
    if spec.database.is_some() {
        line("init_file", &value("the data folder", paths.statements)?);
    }
    if let Some(tls) = tls {
        line("ssl-cert", &value("the certificate", &tls.cert)?);
        line("ssl-key", &value("the key", &tls.key)?);
        line("ssl-ca", &value("the authority", &tls.ca)?);
        line("tls_version", "TLSv1.2,TLSv1.3");
    }
    if spec.tls == ServiceTls::Required {
        line("require_secure_transport", "ON");
    }
    Ok(file)
}

/// The client's option file: who the application is. The one place beside the password's own where it is written for programs.
pub(crate) fn client_options(
    name: &str,
    spec: &ServiceSpec,
    database: &str,
    password: &str,
    port: u16,
    tls: Option<&TlsFiles>,
) -> Result<String, DataError> {
    let user = option_value(name, "user", &spec.user)?;
    let password = option_value(name, "password", password)?;
    let database = option_value(name, "database", database)?;
    let mut file = format!(
        "[client]\nprotocol=tcp\nhost=127.0.0.1\nport={port}\nconnect_timeout=5\nuser={user}\npassword={password}\n"
    );
    if let Some(tls) = tls {
        let ca = option_value(name, "the authority", &tls.ca.to_string_lossy())?;
        let _ = writeln!(file, "ssl-ca={ca}\nssl-verify-server-cert");
    }
    let _ = writeln!(
        file,
        "[mariadb-client]\ndatabase={database}\ndefault-character-set={}",
        word(name, "character_set", &spec.character_set)?
    );
    Ok(file)
}

/// The statements of every start, one in each line: database, account and its rights come to be what the manifest says, nothing else
/// is touched.
pub(crate) fn statements(
    name: &str,
    spec: &ServiceSpec,
    database: &str,
    password: &str,
) -> Result<String, DataError> {
    let character_set = word(name, "character_set", &spec.character_set)?;
    let collation = word(name, "collation", &spec.collation)?;
    let account = format!("{}@'localhost'", sql_string(name, "user", &spec.user)?);
    let password = sql_string(name, "password", password)?;
    let quoted = sql_name(name, "database", database)?;
    // In GRANT `_` and `%` of a database's name stand for others.
    let pattern = sql_name(name, "database", &database.replace('_', "\\_").replace('%', "\\%"))?;
    Ok([
        "SET NAMES utf8mb4".to_owned(),
        format!("ALTER USER IF EXISTS {account} ACCOUNT LOCK"),
        format!("CREATE DATABASE IF NOT EXISTS {quoted} CHARACTER SET {character_set} COLLATE {collation}"),
        format!("ALTER DATABASE {quoted} CHARACTER SET {character_set} COLLATE {collation}"),
        format!("CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {password} ACCOUNT LOCK"),
        format!("ALTER USER {account} IDENTIFIED BY {password}"),
        format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}"),
        format!("GRANT ALL PRIVILEGES ON {pattern}.* TO {account}"),
        format!("ALTER USER {account} ACCOUNT UNLOCK"),
        "FLUSH PRIVILEGES;\n".to_owned(),
    ]
    .join(";\n"))
}

/// A value of an option file, quoted so that it ends nowhere but at its end.
fn option_value(service: &str, what: &'static str, text: &str) -> Result<String, DataError> {
    refuse_nul(service, what, text)?;
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    // The server reads such files in lines of 4096 bytes.
    if quoted.len() > 4000 {
        return Err(DataError::Value { service: service.to_owned(), what, problem: "is too long" });
    }
    Ok(quoted)
}

/// A string of SQL. The option file sets no `sql_mode`, so a backslash escapes.
fn sql_string(service: &str, what: &'static str, text: &str) -> Result<String, DataError> {
    refuse_nul(service, what, text)?;
    let escaped = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\r', "\\r");
    Ok(format!("'{escaped}'"))
}

/// A name of SQL.
fn sql_name(service: &str, what: &'static str, text: &str) -> Result<String, DataError> {
    refuse_nul(service, what, text)?;
    if text.contains(['\n', '\r']) {
        return Err(DataError::Value { service: service.to_owned(), what, problem: "holds a line break" });
    }
    Ok(format!("`{}`", text.replace('`', "``")))
}

fn refuse_nul(service: &str, what: &'static str, text: &str) -> Result<(), DataError> {
    if text.contains('\0') {
        return Err(DataError::Value { service: service.to_owned(), what, problem: "holds a NUL byte" });
    }
    Ok(())
}

/// A word of the server's, which is never quoted.
fn word<'a>(service: &str, what: &'static str, text: &'a str) -> Result<&'a str, DataError> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let problem = "is not a name of letters, digits and _";
        return Err(DataError::Value { service: service.to_owned(), what, problem });
    }
    Ok(text)
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
