//! `mainstay logs`: what apps printed, merged by time; `edge` is the access log. Reads files, so it works when nothing runs
//! any more.

use crate::args::LogsArgs;
use crate::context::{self, Context};
use crate::error::{Code, Failure};
use crate::logs::{self, Filter, Printer, access};
use keeper::home::Home;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use telemetry::journal::{Follower, Record, Source};

/// Time between two looks with `-f`.
const LOOK: Duration = Duration::from_millis(200);

/// Shows the last lines, and goes on with `-f`.
pub fn run(context: &Context, args: &LogsArgs) -> Result<(), Failure> {
    let place = Place::find(context, wants_access(args))?;
    let (mut reading, records) = Reading::begin(place, args, !context.json && !args.no_prefix)?;
    let mut printer = Printer::new(context.style(), true).json(context.json).prefix(!args.no_prefix);
    printer.expect(reading.labels.iter().map(String::as_str));
    printer.print(&records)?;
    if !args.follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(LOOK);
        printer.print(&reading.poll()?)?;
    }
}

/// By its name, or beside others.
fn wants_access(args: &LogsArgs) -> bool {
    args.access || args.names.iter().any(|name| name == access::NAME)
}

/// The journals that are read, and how far.
struct Reading {
    place: Place,
    filter: Option<Filter>,
    apps: Follower,
    edge: Option<Follower>,
    words: bool,
    known: BTreeSet<PathBuf>,
    labels: BTreeSet<String>,
}

impl Reading {
    /// The last lines, and what to read on from.
    fn begin(place: Place, args: &LogsArgs, words: bool) -> Result<(Self, Vec<Record>), Failure> {
        let apps: Vec<String> = args.names.iter().filter(|name| *name != access::NAME).cloned().collect();
        let edge = wants_access(args);
        // `edge` alone is the access log alone; `--access` adds it to what is shown anyway.
        let filter = (args.names.is_empty() || !apps.is_empty()).then(|| Filter::new(&apps));
        let sources = filter.as_ref().map(|filter| place.sources(filter)).unwrap_or_default();
        if sources.is_empty() && !edge && !args.follow {
            let what = if apps.is_empty() { "any app".into() } else { apps.join(", ") };
            let cause = format!("no logs of {what} in {}", place.home.logs().display());
            return Err(Failure::new(Code::Usage, cause).next(place.known()));
        }
        let (apps, mut records) = Follower::start(&sources, args.lines)?;
        let mut reading = Self {
            filter,
            apps,
            edge: None,
            words,
            known: sources.iter().map(|source| source.path.clone()).collect(),
            labels: sources.into_iter().map(|source| source.label).collect(),
            place,
        };
        if edge {
            // its lines have no time that the journal knows: counted by themselves, then merged
            let (follower, lines) =
                Follower::start(&access::sources(&reading.place.home, &reading.place.stacks), args.lines)?;
            reading.edge = Some(follower);
            records.extend(lines.into_iter().map(|line| access::record(line, words)));
            records.sort_by_key(|record| record.time);
            records.drain(..records.len().saturating_sub(args.lines));
        }
        Ok((reading, records))
    }

    /// What came since, of journals that are new since included.
    fn poll(&mut self) -> Result<Vec<Record>, Failure> {
        for source in self.filter.iter().flat_map(|filter| self.place.sources(filter)) {
            if self.known.insert(source.path.clone()) {
                self.apps.add(source);
            }
        }
        let mut records = self.apps.poll()?;
        if let Some(edge) = &mut self.edge {
            records.extend(edge.poll()?.into_iter().map(|line| access::record(line, self.words)));
            records.sort_by_key(|record| record.time);
        }
        Ok(records)
    }
}

/// Where to read.
struct Place {
    home: Home,
    stacks: Vec<String>,
}

impl Place {
    /// The home of the keeper that is meant; when none lives, the first home that has logs of this stack. For the access log a
    /// stack without apps will do.
    fn find(context: &Context, edge: bool) -> Result<Self, Failure> {
        let wanted =
            manifest::load_with(&context.manifest(), context.compose(), &|name| std::env::var(name).ok())
                .ok();
        if let Some(loaded) = wanted
            .as_ref()
            .filter(|loaded| loaded.spec.apps.is_empty() && loaded.spec.services.is_empty() && !edge)
        {
            let cause = format!("the stack {} has no apps, so nothing of it prints", loaded.spec.name);
            return Err(Failure::new(Code::Usage, cause).next("mainstay logs edge shows its requests"));
        }
        let wanted = wanted.map(|loaded| loaded.spec.name.to_string());
        let paths = context.homes();
        let alive = paths.iter().filter_map(|path| context::connect(path)).map(|(home, _)| home);
        let dead = paths.iter().filter(|path| path.is_dir()).filter_map(|path| Home::open(path).ok());
        for home in alive.chain(dead) {
            let mut stacks = logs::stacks(&home);
            if let Some(wanted) = &wanted {
                stacks.retain(|stack| stack == wanted);
            }
            if !stacks.is_empty()
                || edge && access::sources(&home, &[]).iter().any(|source| source.path.exists())
            {
                return Ok(Self { home, stacks });
            }
        }
        let looked: Vec<String> = paths.iter().map(|path| path.join("logs").display().to_string()).collect();
        let stack = wanted.map(|name| format!(" of the stack {name}")).unwrap_or_default();
        Err(Failure::new(Code::Unclean, format!("there are no logs{stack} in {}", looked.join(" nor in ")))
            .next("mainstay up or mainstay start; --home names another place"))
    }

    /// Journals of apps that fit; with several stacks, their names stand before those of the apps.
    fn sources(&self, filter: &Filter) -> Vec<Source> {
        let named = |stack: &String| {
            let mut sources = logs::sources(&self.home, stack, filter);
            if self.stacks.len() > 1 {
                sources.iter_mut().for_each(|source| source.label = format!("{stack}/{}", source.label));
            }
            sources
        };
        self.stacks.iter().flat_map(named).collect()
    }

    fn known(&self) -> String {
        let mut labels: Vec<String> =
            self.sources(&Filter::new(&[])).into_iter().map(|source| source.label).collect();
        labels.push(access::NAME.to_owned());
        labels.dedup();
        format!("there are: {}", labels.join(", "))
    }
}
