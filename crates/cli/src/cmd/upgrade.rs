//! `mainstay upgrade`: keeper and front door become another program, while apps and connections go on.
//!
//! ```text
//! the program ─▶ asked for its version ─▶ copied into home/bin ─▶ the keeper is asked ─▶ home/bin/programs.json tells how it went
//! ```
//! The copy is what is asked and what runs: so nobody changes the file between the two.

use crate::args::UpgradeArgs;
use crate::client::{CallError, Client};
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::ui::Progress;
use keeper::api::{EdgeStatus, Status, UpgradeRequest};
use keeper::home::Home;
use keeper::programs::{self, Attempt, HAND_OVER, Program, Programs, Stage};
use serde::Deserialize;
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time a program takes to tell its version.
const TELLS: Duration = Duration::from_secs(10);
/// Longest answer to that.
const MOST: u64 = 64 << 10;
/// Beyond what the new program has to prove itself: for the keeper to end and to begin again.
const AROUND: Duration = Duration::from_secs(60);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// What `version --json` says.
#[derive(Debug, Deserialize)]
struct Description {
    version: String,
    wire: u32,
    #[serde(default)]
    schema: u32,
    #[serde(default)]
    hand_over: u32,
}

/// Upgrades, and waits until the new front door serves.
pub fn run(context: &Context, args: UpgradeArgs) -> Result<(), Failure> {
    let (home, client) = context.keeper()?;
    let before = client.status()?;
    let known = Programs::load(&home)?;
    let program = if args.rollback { former(&known)? } else { given(&home, args.program.clone())? };
    let running = known.current.as_ref().filter(|_| known.under_way().is_none());
    if running.is_some_and(|running| running.path == program.path) {
        return no_change(context, &program);
    }
    let id = format!("{:x}-{}", crate::wait::now().as_nanosecond(), std::process::id());
    let ms = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let request = UpgradeRequest {
        id: id.clone(),
        program: program.clone(),
        within_ms: ms(args.within),
        drain_ms: ms(args.drain),
    };
    let progress = Progress::new(context);
    progress.now(format!("{} has to prove itself", program.version));
    let lost = match client.upgrade(&request) {
        Ok(accepted) => accepted.lost,
        // It ended faster than its answer came.
        Err(CallError::Broken(_) | CallError::Gone) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let after = follow(&home, &client, &id, args.within + AROUND, &progress)?;
    if args.wait {
        progress.now("the former front door is leaving".to_owned());
        wait_for_former(&client, args.drain + AROUND)?;
    }
    progress.finish();
    report(context, &before, &after, &program, &lost);
    Ok(())
}

/// The program that ran before.
fn former(known: &Programs) -> Result<Program, Failure> {
    let program = known.previous.clone().filter(|program| program.path.is_file());
    let program = program.ok_or_else(|| {
        Failure::new(Code::Usage, "there was no upgrade that could be taken back")
            .next("name a program: mainstay upgrade BINARY")
    })?;
    describe(&program.path)?;
    Ok(program)
}

/// The program that was named, or this one, as a copy in the home; it has told what it is.
fn given(home: &Home, named: Option<PathBuf>) -> Result<Program, Failure> {
    let file = match named {
        Some(named) => named.canonicalize().map_err(|error| {
            let found = Failure::new(Code::Usage, format!("there is no {}: {error}", named.display()));
            found.next("name the new program's file: mainstay upgrade ./mainstay")
        })?,
        None => PathBuf::from("/proc/self/exe"),
    };
    let description = describe(&file)?;
    let kept = programs::keep(home, &file, &description.version, description.schema)?;
    let description = describe(&kept.path)?;
    let current = programs::schema(home)?;
    if description.schema < current {
        let cause = format!(
            "{} cannot read the state: it knows schema {}, and schema {current} is there",
            file.display(),
            description.schema
        );
        return Err(
            Failure::new(Code::Usage, cause).next("back to the former program: mainstay upgrade --rollback")
        );
    }
    Ok(kept)
}

/// Asks a program what it is.
fn describe(program: &Path) -> Result<Description, Failure> {
    let refused = |why: String| {
        Failure::new(Code::Usage, format!("{} cannot take over: {why}", program.display()))
            .next("nothing was changed; name a mainstay for this machine")
    };
    let text = told(program).map_err(refused)?;
    let description: Description = serde_json::from_slice(&text)
        .map_err(|_| refused("it does not tell its version as mainstay does".to_owned()))?;
    if description.wire != wire::VERSION {
        let (theirs, ours) = (description.wire, wire::VERSION);
        let why = format!("it speaks protocol {theirs} with what runs, which speaks {ours}");
        return Err(refused(why).next("mainstay stop, then start with the new program"));
    }
    if description.hand_over != HAND_OVER || description.schema == 0 {
        return Err(refused("it takes over in another way, or in none".to_owned())
            .next("mainstay stop, then start with the new program"));
    }
    Ok(description)
}

/// Standard output of `version --json`, within bounds of time and size.
fn told(program: &Path) -> Result<Vec<u8>, String> {
    let mut command = Command::new(program);
    command.args(["version", "--json"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| match error.raw_os_error() {
        Some(8) => "it is no program for this machine (exec format error)".to_owned(),
        _ if program.is_dir() => "it is a folder".to_owned(),
        _ => format!("it cannot be executed: {error}"),
    })?;
    let output = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = output.map(|output| output.take(MOST).read_to_end(&mut text));
        text
    });
    let ended = ended(&mut child);
    if ended.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    ended?;
    reader.join().map_err(|_| "its answer cannot be read".to_owned())
}

fn ended(child: &mut Child) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("asked for its version it ends with {status}")),
            Ok(None) if begun.elapsed() < TELLS => std::thread::sleep(LOOK / 5),
            Ok(None) => {
                return Err(format!("asked for its version it says nothing within {} s", TELLS.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Waits until the keeper is the new program and its front door has taken over; gives its status then.
fn follow(
    home: &Home,
    client: &Client,
    id: &str,
    within: Duration,
    progress: &Progress,
) -> Result<Status, Failure> {
    let begun = Instant::now();
    let late = |what: &str| {
        Failure::new(Code::Unhealthy, format!("the upgrade is not done after {} s: {what}", within.as_secs()))
            .next(format!("mainstay status; see {}", home.keeper_log().display()))
    };
    loop {
        let attempt = Programs::load(home)?.attempt.filter(|attempt| attempt.id == id);
        match attempt {
            Some(Attempt { stage: Stage::Failed, reason, .. }) => {
                let reason = reason.unwrap_or_default();
                let cause = format!("the new program failed, and the former one goes on: {reason}");
                back_again(client, begun + within);
                return Err(
                    Failure::new(Code::Unhealthy, cause).next(format!("see {}", home.keeper_log().display()))
                );
            }
            Some(Attempt { stage: Stage::Done, .. }) => {
                if let Some(status) = client.status().ok().filter(|status| status.edge.is_some()) {
                    return Ok(status);
                }
            }
            Some(Attempt { stage: Stage::Committed, .. }) => {
                progress.now("the new front door takes over".to_owned());
            }
            Some(Attempt { stage: Stage::Trial, .. }) => {}
            None => return Err(late("another upgrade took its place")),
        }
        if begun.elapsed() > within {
            return Err(late("see what keeps it"));
        }
        std::thread::sleep(LOOK);
    }
}

/// Who asks right after it shall meet the former program.
fn back_again(client: &Client, until: Instant) {
    while client.status().is_err() && Instant::now() < until {
        std::thread::sleep(LOOK);
    }
}

fn wait_for_former(client: &Client, within: Duration) -> Result<(), Failure> {
    let begun = Instant::now();
    let leaving = |status: &Status| status.edge.as_ref().is_some_and(|edge| edge.beside.is_some());
    while leaving(&client.status()?) {
        if begun.elapsed() > within {
            return Err(Failure::new(Code::Unhealthy, "the former front door does not end"));
        }
        std::thread::sleep(LOOK * 4);
    }
    Ok(())
}

fn no_change(context: &Context, program: &Program) -> Result<(), Failure> {
    if context.json {
        println!("{}", json!({ "changed": false, "version": program.version, "program": program.path }));
    } else {
        println!("no change: {} runs already", program.path.display());
    }
    Ok(())
}

fn report(context: &Context, before: &Status, after: &Status, program: &Program, lost: &[String]) {
    let beside = after.edge.as_ref().and_then(|edge| edge.beside.as_ref());
    let pid = |edge: &Option<EdgeStatus>| edge.as_ref().map(|edge| edge.pid);
    if context.json {
        let answer = json!({
            "changed": true, "from": before.keeper.version, "version": program.version, "program": program.path,
            "keeper": after.keeper.pid, "edge": pid(&after.edge), "former_edge": pid(&before.edge),
            "leaving": beside, "lost": lost,
        });
        return println!("{answer}");
    }
    let style = context.style();
    println!("{} → {}", before.keeper.version, style.bold(&program.version));
    println!("  keeper: pid {}, front door: pid {}", after.keeper.pid, pid(&after.edge).unwrap_or(0));
    if let Some(beside) = beside {
        let until = beside.until.as_deref().unwrap_or("its end");
        let (pid, count) = (
            beside.pid,
            crate::ui::words::count(usize::try_from(beside.connections).unwrap_or(0), "connection"),
        );
        println!(
            "  the former front door (pid {pid}) lets {count} come to an end, until {until} at the latest"
        );
    }
    if !lost.is_empty() {
        println!("  not kept, for the former version does not know it: {}", lost.join("; "));
    }
}
