//! Commands inside a running container.

use crate::engine;
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use futures_util::StreamExt;
use std::path::Path;
use wire::container::RunnerSpec;

/// Exit status of [`probe`] where the command is not in the container: nothing was found out about the app. Shells say 126 and 127.
pub const NOT_ASKED: i32 = 127;
/// Last bytes of output that are remembered.
const SAID: usize = 4096;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    /// With this exit status, and these last words.
    Exited(i32, String),
    /// Its program is not there, or cannot be executed.
    Missing(String),
}

/// A health command: `mainstay container probe FILE -- COMMAND`. Gives the exit status; the last line of what it printed, or what stands in
/// the way, is printed.
pub fn probe(file: &Path, command: &[String]) -> i32 {
    let spec = std::fs::read(file).map_err(|error| error.to_string());
    let spec = spec.and_then(|bytes| wire::decode::<RunnerSpec>(&bytes).map_err(|error| error.to_string()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ran = spec.and_then(|spec| {
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let docker = engine::connect(&spec.engine).await.map_err(|error| engine::words(&error))?;
            run(&docker, &spec.name, command).await.map_err(|error| engine::words(&error))
        })
    });
    match ran {
        Ok(Ran::Exited(status, said)) => {
            println!("{said}");
            status
        }
        Ok(Ran::Missing(why)) => {
            println!("{why}");
            NOT_ASKED
        }
        Err(error) => {
            println!("{error}");
            1
        }
    }
}

/// Runs a command inside to its end.
///
/// # Errors
/// When the engine is silent or says no.
pub async fn run(docker: &Docker, container: &str, command: &[String]) -> Result<Ran, Error> {
    let config = ExecConfig {
        cmd: Some(command.to_vec()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..ExecConfig::default()
    };
    let id = docker.create_exec(container, config).await?.id;
    let mut said = Vec::new();
    match docker.start_exec(&id, None).await {
        Ok(StartExecResults::Attached { mut output, .. }) => {
            while let Some(chunk) = output.next().await {
                match chunk {
                    Ok(LogOutput::StdIn { .. }) => {}
                    Ok(chunk) => keep(&mut said, chunk.as_ref()),
                    Err(error) if is_missing(&engine::words(&error)) => return Ok(missing(command)),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(StartExecResults::Detached) => {}
        Err(error) if is_missing(&engine::words(&error)) => return Ok(missing(command)),
        Err(error) => return Err(error),
    }
    let status = docker.inspect_exec(&id).await?.exit_code;
    let status = status.and_then(|status| i32::try_from(status).ok()).unwrap_or(1);
    let text = String::from_utf8_lossy(&said);
    // The runtime says it on the command's own output. What a shell says of a program that it looked for is its own word.
    if text.contains("OCI runtime") && is_missing(&text) {
        return Ok(missing(command));
    }
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Ok(Ran::Exited(status, last.trim().to_owned()))
}

fn missing(command: &[String]) -> Ran {
    let program = command.first().map_or("", String::as_str);
    Ran::Missing(format!("the container has no program {program}"))
}

/// Runtimes' words for a program that is not there.
fn is_missing(text: &str) -> bool {
    ["executable file not found", "no such file or directory", "permission denied"]
        .iter()
        .any(|words| text.to_ascii_lowercase().contains(words))
}

fn keep(said: &mut Vec<u8>, more: &[u8]) {
    said.extend_from_slice(more);
    said.drain(..said.len().saturating_sub(SAID));
}
