//! Which stack and which apps the command line means, given what runs.

use crate::context::Context;
use crate::error::{Code, Failure};
use crate::wait;
use keeper::api::{AppStatus, StackStatus, Status};

/// The stack that is meant: the one started from the manifest at hand; else the only one there is.
///
/// # Errors
/// When none runs, or several do and none is of this manifest.
pub fn stack<'a>(context: &Context, status: &'a Status) -> Result<&'a StackStatus, Failure> {
    let manifest = context.manifest().canonicalize().ok();
    let ours =
        status.stacks.iter().find(|stack| manifest.as_ref().is_some_and(|path| *path == stack.manifest));
    if let Some(stack) = ours {
        return Ok(stack);
    }
    match (status.stacks.as_slice(), &manifest) {
        ([], _) => {
            Err(Failure::new(Code::Unclean, "no stack runs").next("mainstay start, in the stack's folder"))
        }
        ([only], None) => Ok(only),
        (_, Some(path)) => Err(Failure::new(Code::Unclean, format!("nothing of {} runs", path.display()))
            .next(format!("mainstay start; running: {}", names(status)))),
        (_, None) => Err(Failure::new(Code::Usage, format!("several stacks run: {}", names(status)))
            .next("go to the folder of the one you mean, or name it: --file FOLDER")),
    }
}

fn names(status: &Status) -> String {
    let names: Vec<&str> = status.stacks.iter().map(|stack| stack.name.as_str()).collect();
    names.join(", ")
}

/// One app of a running stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The stack.
    pub stack: String,
    /// The app.
    pub app: String,
}

/// The apps that are meant: `app`, or `stack/app`.
///
/// # Errors
/// When there is no such stack or app; nothing was done then.
pub fn apps(context: &Context, status: &Status, names: &[String]) -> Result<Vec<Target>, Failure> {
    let one = |name: &String| {
        let (stack, app) = match name.split_once('/') {
            Some((stack, app)) => {
                let found = wait::find(status, stack);
                (found.ok_or_else(|| Failure::new(Code::Usage, format!("no stack {stack} runs")))?, app)
            }
            None => (stack(context, status)?, name.as_str()),
        };
        if stack.tasks.iter().any(|task| task.name == app) {
            return Err(Failure::new(Code::Usage, format!("{app} is a task"))
                .next(format!("mainstay task run {app}, mainstay task history {app}, mainstay logs {app}")));
        }
        if !stack.apps.iter().any(|known| known.name == app) {
            let known: Vec<&str> = stack.apps.iter().map(|app| app.name.as_str()).collect();
            return Err(Failure::new(
                Code::Usage,
                format!("the stack {} has no app or service {app}", stack.name),
            )
            .next(format!("it has: {}", known.join(", "))));
        }
        Ok(Target { stack: stack.name.clone(), app: app.to_owned() })
    };
    names.iter().map(one).collect()
}

/// All apps and services of the stack that is meant, but those that an administrator stopped.
///
/// # Errors
/// When no stack is.
pub fn running(context: &Context, status: &Status) -> Result<Vec<Target>, Failure> {
    let stack = stack(context, status)?;
    let running = stack.apps.iter().filter(|app| app.state != "stopped");
    Ok(running.map(|app| Target { stack: stack.name.clone(), app: app.name.clone() }).collect())
}

/// All apps and services of the stack that is meant.
///
/// # Errors
/// When no stack is.
pub fn all(context: &Context, status: &Status) -> Result<Vec<Target>, Failure> {
    let stack = stack(context, status)?;
    Ok(stack.apps.iter().map(|app| Target { stack: stack.name.clone(), app: app.name.clone() }).collect())
}

impl Target {
    /// The app in this status, if it is still there.
    pub fn find<'a>(&self, status: &'a Status) -> Option<&'a AppStatus> {
        wait::find(status, &self.stack)?.apps.iter().find(|app| app.name == self.app)
    }
}
