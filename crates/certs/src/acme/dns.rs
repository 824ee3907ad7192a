//! The user's command that makes and removes TXT records: no shell, a deadline, and in an error a bounded part of what it said, its
//! secrets masked.

use super::failure::{Kind, Trouble, quoted};
use model::acme::DnsSpec;
use model::spec::EnvValue;
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// Read of what it says, in bytes.
const MOST: u64 = 16 << 10;
const SIGKILL: i32 = 9;

/// Makes a record (`set`) or removes it (`unset`).
pub(super) async fn run(spec: &DnsSpec, verb: &str, name: &str, value: &str) -> Result<(), Trouble> {
    let said = call(spec, &[verb, name, value]).await;
    said.map_err(|cause| {
        let command = spec.command.first().map_or("", String::as_str);
        let text = format!("the command for records, {command} {verb} {name}, {}", masked(spec, &cause));
        Trouble::new(Kind::Own, format!("{text}; run it by hand to see why"))
    })
}

async fn call(spec: &DnsSpec, arguments: &[&str]) -> Result<(), String> {
    let (program, own) = spec.command.split_first().ok_or("is empty")?;
    let kept = ["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut child = Command::new(program)
        .args(own)
        .args(arguments)
        .env_clear()
        .envs(kept)
        .envs(spec.env.iter().map(|(name, value)| (name, value.expose())))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    let mut group = Group(child.id());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let whole = async { tokio::join!(child.wait(), read(out), read(err)) };
    let done = tokio::time::timeout(spec.timeout, whole).await;
    let (status, out, err) =
        done.map_err(|_| format!("was not done after {} s", spec.timeout.as_secs_f32()))?;
    group.0 = None;
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("failed ({status}): {} {}", out.trim(), err.trim())),
        Err(error) => Err(format!("cannot be waited for: {error}")),
    }
}

/// The command with all that it started, by its leader: ended where it is not waited for any more.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _ = sys::process::signal_group(leader, SIGKILL);
        }
    }
}

/// All that is said is read, so that nobody waits for a full pipe; the first part of it is kept.
async fn read(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else { return String::new() };
    let mut text = Vec::new();
    let _ = (&mut from).take(MOST).read_to_end(&mut text).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&text).into_owned()
}

fn masked(spec: &DnsSpec, text: &str) -> String {
    let secrets = spec.env.values().filter(|value| matches!(value, EnvValue::Secret(_)));
    let secrets = secrets.map(EnvValue::expose).filter(|secret| !secret.is_empty());
    quoted(&secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "***")))
}
