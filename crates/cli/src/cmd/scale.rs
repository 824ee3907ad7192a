//! `mainstay scale APP=3 OTHER=2`: exactly so many instances, in one step. Those that go end the requests they have first.

use super::restart;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::target::{self, Target};
use crate::ui::Style;
use keeper::api::{ScaleRequest, StackStatus};
use std::collections::BTreeMap;

/// Scales and waits until there are exactly so many, all ready.
pub fn run(context: &Context, apps: Vec<(String, Option<u32>)>) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    let before = client.status()?;
    let (names, numbers): (Vec<String>, Vec<Option<u32>>) = apps.into_iter().unzip();
    let targets = target::apps(context, &before, &names)?;
    let mut requests: BTreeMap<String, ScaleRequest> = BTreeMap::new();
    for (Target { stack, app }, number) in targets.iter().zip(numbers) {
        let request = requests.entry(stack.clone()).or_default();
        if request.apps.insert(app.clone(), number).is_some() {
            return Err(
                Failure::new(Code::Usage, format!("{app} is named twice")).next("one number for each app")
            );
        }
    }
    let asked = restart::with_runs(targets, &before);
    let mut changes = Vec::new();
    for (stack, request) in &requests {
        changes.extend(client.scale(stack, request)?.changes);
    }
    restart::settle(context, &client, &before, &asked, "scale")?;
    restart::say(context, &changes);
    Ok(())
}

/// For `status`: apps that have another number of instances than the manifest says, a line each.
pub fn show(stack: &StackStatus, style: Style) -> String {
    let mut out = String::new();
    for (app, scale) in stack.apps.iter().filter_map(|app| Some((app, app.scale.as_ref()?))) {
        let text = match scale.asked {
            Some(asked) => format!("{asked}, scaled; the manifest says {}", scale.manifest),
            None => format!("{} of {}, by what is asked of it", app.wanted, scale.manifest),
        };
        out += &format!("  {} {text}\n", style.dim(&format!("{}:", app.name)));
    }
    if out.is_empty() { out } else { out + "\n" }
}
