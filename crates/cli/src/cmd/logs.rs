//! `mainstay logs`: what apps printed, merged by time. Reads files, so it works when nothing runs any more.

use crate::args::LogsArgs;
use crate::context::{self, Context};
use crate::error::{Code, Failure};
use crate::logs::{self, Filter, Printer};
use keeper::home::Home;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use telemetry::journal::{Follower, Source, Stream};

/// Time between two looks with `-f`.
const LOOK: Duration = Duration::from_millis(200);

/// Shows the last lines, and goes on with `-f`.
pub fn run(context: &Context, args: &LogsArgs) -> Result<(), Failure> {
    let place = Place::find(context)?;
    let sources = place.sources(&args.names)?;
    if sources.is_empty() && !args.follow {
        let what = if args.names.is_empty() { "any app".into() } else { args.names.join(", ") };
        return Err(Failure::new(
            Code::Usage,
            format!("no logs of {what} in {}", place.home.logs().display()),
        )
        .next(place.known()));
    }
    let mut printer = Printer::new(context.style(), true).json(context.json).prefix(!args.no_prefix);
    printer.expect(sources.iter().map(|source| source.label.as_str()));
    let (mut follower, records) = Follower::start(&sources, args.lines)?;
    printer.print(&records)?;
    let mut known: BTreeSet<PathBuf> = sources.into_iter().map(|source| source.path).collect();
    while args.follow {
        std::thread::sleep(LOOK);
        for source in place.sources(&args.names)? {
            if known.insert(source.path.clone()) {
                follower.add(source);
            }
        }
        printer.print(&follower.poll()?)?;
    }
    Ok(())
}

/// Where to read.
struct Place {
    home: Home,
    stacks: Vec<String>,
}

impl Place {
    /// The home of the keeper that is meant; when none lives, the first home that has logs of this stack.
    fn find(context: &Context) -> Result<Self, Failure> {
        let wanted = manifest::load(&context.manifest(), &|name| std::env::var(name).ok()).ok();
        let wanted = wanted.map(|loaded| loaded.spec.name.to_string());
        let paths = context.homes();
        let alive = paths.iter().filter_map(|path| context::connect(path)).map(|(home, _)| home);
        let dead = paths.iter().filter(|path| path.is_dir()).filter_map(|path| Home::open(path).ok());
        for home in alive.chain(dead) {
            let mut stacks = logs::stacks(&home);
            if let Some(wanted) = &wanted {
                stacks.retain(|stack| stack == wanted);
            }
            if !stacks.is_empty() {
                return Ok(Self { home, stacks });
            }
        }
        let looked: Vec<String> = paths.iter().map(|path| path.join("logs").display().to_string()).collect();
        let stack = wanted.map(|name| format!(" of the stack {name}")).unwrap_or_default();
        Err(Failure::new(Code::Unclean, format!("there are no logs{stack} in {}", looked.join(" nor in ")))
            .next("mainstay up or mainstay start; --home names another place"))
    }

    fn sources(&self, names: &[String]) -> Result<Vec<Source>, Failure> {
        let apps: Vec<String> = names.iter().filter(|name| *name != "edge").cloned().collect();
        let mut found = Vec::new();
        if names.is_empty() || !apps.is_empty() {
            let filter = Filter::new(&apps);
            for stack in &self.stacks {
                let mut sources = logs::sources(&self.home, stack, &filter);
                if self.stacks.len() > 1 {
                    sources.iter_mut().for_each(|source| source.label = format!("{stack}/{}", source.label));
                }
                found.extend(sources);
            }
        }
        if names.len() != apps.len() {
            let path = self.home.edge_logs().join("access.log");
            found.push(Source { label: "edge".into(), stream: Stream::Out, path });
        }
        Ok(found)
    }

    fn known(&self) -> String {
        let all = Filter::new(&[]);
        let sources = self.stacks.iter().flat_map(|stack| logs::sources(&self.home, stack, &all));
        let labels: BTreeSet<String> = sources.map(|source| source.label).collect();
        format!("there are: {}, edge", labels.into_iter().collect::<Vec<_>>().join(", "))
    }
}
