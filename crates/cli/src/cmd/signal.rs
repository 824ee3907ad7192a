//! `mainstay signal NAME [SIGNAL]`: to the main process of an app's instances. Nothing is replaced; what the program does with it is its own.

use super::restart;
use crate::args::SignalArgs;
use crate::context::Context;
use crate::error::Failure;
use crate::target;
use keeper::api::SignalRequest;

/// Sends it.
pub fn run(context: &Context, args: SignalArgs) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    let status = client.status()?;
    let (name, slot) = split(&args.name);
    let request = SignalRequest { signal: args.signal, slot };
    let mut changes = Vec::new();
    for target in target::apps(context, &status, &[name.to_owned()])? {
        changes.extend(client.signal(&target.stack, &target.app, &request)?.changes);
    }
    restart::say(context, &changes);
    Ok(())
}

/// `web.2` is slot 2 of `web`; names of apps have no dot.
fn split(name: &str) -> (&str, Option<u32>) {
    let slot = name.rsplit_once('.').and_then(|(app, slot)| Some((app, slot.parse().ok()?)));
    slot.map_or((name, None), |(app, slot)| (app, Some(slot)))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn an_instance_is_named_by_its_slot() {
        assert_eq!(split("web.2"), ("web", Some(2)));
        assert_eq!(split("shop/web"), ("shop/web", None));
        assert_eq!(split("web.x"), ("web.x", None));
    }
}
