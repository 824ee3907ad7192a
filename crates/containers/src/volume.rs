//! Removing named volumes, when an administrator asks for it: nothing else ever does.

use crate::engine::{self, Found};
use bollard::query_parameters::RemoveVolumeOptions;
use std::path::Path;
use std::process::Command;

/// Removes these of the host's engine; those that are not there are no failure. Gives what was removed.
///
/// # Errors
/// For people: there is no engine, or it says no.
pub fn remove(names: &[String]) -> Result<Vec<String>, String> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let found = engine::find(|name| std::env::var(name).ok()).map_err(|error| error.to_string())?;
    match found {
        Found::Podman(program) => by_program(&program, names),
        Found::Listens(engine) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| error.to_string())?.block_on(by_socket(&engine, names))
        }
    }
}

/// The keeper's own service of Podman may be gone with the last stack.
fn by_program(podman: &Path, names: &[String]) -> Result<Vec<String>, String> {
    let mut removed = Vec::new();
    for name in names {
        let ran = |verb: &str| Command::new(podman).args(["volume", verb, name]).output();
        if !ran("exists").map_err(|error| error.to_string())?.status.success() {
            continue;
        }
        let said = ran("rm").map_err(|error| error.to_string())?;
        if !said.status.success() {
            return Err(String::from_utf8_lossy(&said.stderr).trim().to_owned());
        }
        removed.push(name.clone());
    }
    Ok(removed)
}

async fn by_socket(engine: &str, names: &[String]) -> Result<Vec<String>, String> {
    let docker = engine::connect(engine).await.map_err(|error| engine::words(&error))?;
    let mut removed = Vec::new();
    for name in names {
        match docker.remove_volume(name, None::<RemoveVolumeOptions>).await {
            Ok(()) => removed.push(name.clone()),
            Err(error) if engine::status(&error) == Some(404) => {}
            Err(error) => return Err(engine::words(&error)),
        }
    }
    Ok(removed)
}
