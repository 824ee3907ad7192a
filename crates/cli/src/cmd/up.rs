//! `mainstay up`: a stack in the foreground. The keeper runs in a thread of this process, and everything ends with it.
//!
//! ```text
//! starting ──ready──▶ running ──signal──▶ stopping ──signal──▶ ending at once
//!     │                  (logs)               ▲
//!     └─something did not become healthy──────┘  exit code 4
//! ```
//! One loop looks, every few hundredths of a second, at four things: the keeper's end, signals, status, logs.

use super::check;
use super::keeper::{log_to, signals};
use crate::args::UpArgs;
use crate::client::Client;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::exe;
use crate::logs::{self, Filter, Printer};
use crate::tracker::News;
use crate::ui::Progress;
use crate::wait::{self, Tracker, Verdict};
use keeper::api::{ScaleRequest, StackRequest, StatusQuery};
use keeper::home::Home;
use keeper::{KeeperError, Options, Shutdown};
use manifest::StackSpec;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};
use sys::signal::SignalReader;
use telemetry::journal::Follower;
use tokio::sync::watch;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Time between two looks at a stack that runs.
const SELDOM: Duration = Duration::from_millis(500);

/// Runs the stack until a signal, or until it turns out that it cannot run.
pub fn run(context: &Context, args: UpArgs) -> Result<(), Failure> {
    let manifest = context.existing_manifest()?;
    let loaded = check::load(context)?;
    check::warn_briefly(context, &loaded.warnings);
    let numbers = numbers(&loaded.spec, args.raise.scale)?;
    let signals = signals()?;
    let folder = context.foreground_home();
    let home = Home::open(&folder).map_err(|error| {
        Failure::new(Code::Unclean, format!("cannot keep files in {}: {error}", folder.display()))
            .next("make the folder writable, or keep them elsewhere: --home DIR")
    })?;
    log_to(&home)?;
    let mut up = Up::new(context, home, &loaded.spec, signals)?;
    up.numbers = numbers;
    loaded.warnings.iter().for_each(|it| up.event(json!({ "event": "warning", "diagnostic": it.to_json() })));
    let request = StackRequest {
        manifest,
        compose: context.compose().clone(),
        http: args.http,
        https: args.https,
        pull: args.pull,
        overcommit: args.overcommit,
    };
    let ended = up.start_keeper(request)?;
    let result = up.follow(&ended);
    up.progress.finish();
    result
}

/// What `--scale` asks for.
fn numbers(spec: &StackSpec, asked: Vec<(String, Option<u32>)>) -> Result<ScaleRequest, Failure> {
    if let Some((name, _)) = asked.iter().find(|(name, _)| !spec.apps.keys().any(|own| own.as_str() == name))
    {
        let cause = format!("--scale {name}: the stack {} has no such app", spec.name);
        return Err(Failure::new(Code::Usage, cause).next("mainstay check shows what it has"));
    }
    Ok(ScaleRequest { apps: asked.into_iter().collect() })
}

/// Where the command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
    Stopping,
    Ending,
}

struct Up<'a> {
    context: &'a Context,
    home: Home,
    stack: String,
    client: Client,
    signals: SignalReader,
    tell: watch::Sender<Shutdown>,
    told: watch::Receiver<Shutdown>,
    phase: Phase,
    progress: Progress,
    tracker: Tracker,
    printer: Printer,
    follower: Follower,
    followed: BTreeSet<PathBuf>,
    looked: Instant,
    begun: jiff::Timestamp,
    /// Other numbers of instances than the manifest says, from when all of it is up.
    numbers: ScaleRequest,
    failure: Option<Failure>,
}

impl<'a> Up<'a> {
    fn new(
        context: &'a Context,
        home: Home,
        spec: &StackSpec,
        signals: SignalReader,
    ) -> Result<Self, Failure> {
        let stack = spec.name.to_string();
        // only what comes from now on is shown
        let sources = logs::sources(&home, &stack, &Filter::new(&[]));
        let (follower, _) = Follower::start(&sources, 0)?;
        let (tell, told) = watch::channel(Shutdown::No);
        Ok(Self {
            client: Client::new(home.control_socket()),
            followed: sources.into_iter().map(|source| source.path).collect(),
            progress: Progress::new(context),
            tracker: Tracker::new(context).stops(Some(spec)),
            printer: Printer::new(context.style(), false).events(context.json),
            looked: Instant::now(),
            begun: wait::now(),
            phase: Phase::Starting,
            failure: None,
            numbers: ScaleRequest::default(),
            context,
            home,
            stack,
            signals,
            tell,
            told,
            follower,
        })
    }

    fn start_keeper(&self, request: StackRequest) -> Result<Receiver<Result<(), KeeperError>>, Failure> {
        let options = Options {
            home: self.home.path().to_path_buf(),
            exe: exe::path()?,
            foreground: true,
            handed: Vec::new(),
            hangup: Arc::default(),
            trial: None,
            stack: Some(request),
        };
        let (ended, wait) = sync_channel(1);
        let told = self.told.clone();
        self.progress.now(format!("starting {}", self.stack));
        self.event(json!({ "event": "starting", "stack": self.stack }));
        std::thread::Builder::new().name("keeper".into()).spawn(move || {
            let _ = ended.send(keeper::run(options, told)); // whoever waited is gone only when the process is
        })?;
        Ok(wait)
    }

    fn follow(&mut self, ended: &Receiver<Result<(), KeeperError>>) -> Result<(), Failure> {
        loop {
            match ended.recv_timeout(LOOK) {
                Ok(result) => return self.end(result),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::new(Code::Unclean, "the keeper broke off")
                        .next(format!("see {}", self.home.keeper_log().display())));
                }
                Err(RecvTimeoutError::Timeout) => (),
            }
            while let Some(signal) = self.signals.next_pending()? {
                self.on_signal(signal);
            }
            if self.phase != Phase::Running || self.looked.elapsed() > SELDOM {
                self.looked = Instant::now();
                self.look();
            }
            if self.phase != Phase::Starting && self.failure.is_none() {
                self.print_logs()?;
            }
        }
    }

    fn on_signal(&mut self, signal: i32) {
        let again = matches!(self.phase, Phase::Stopping | Phase::Ending);
        if again {
            self.phase = Phase::Ending;
            self.progress.line("ending at once");
            let _ = self.tell.send(Shutdown::Now);
            return;
        }
        let hint = if sys::signal::name(signal) == "SIGINT" { " (Ctrl-C again ends at once)" } else { "" };
        self.progress.line(&format!("stopping {}{hint}", self.stack));
        self.stop();
    }

    fn stop(&mut self) {
        self.event(json!({ "event": "stopping", "stack": self.stack }));
        self.phase = Phase::Stopping;
        let _ = self.tell.send(Shutdown::Orderly); // the keeper may have ended already
    }

    /// Looks at the status. No answer is no news: the keeper may be starting or ending, and its end is told elsewhere.
    fn look(&mut self) {
        // Thousands of certificates twice a second would be more work than serving them.
        let without_certificates = self.phase == Phase::Running;
        let query = StatusQuery { without_certificates, ..StatusQuery::default() };
        let Ok(status) = self.client.status_with(query) else { return };
        let Some(stack) = wait::find(&status, &self.stack) else { return };
        let mut news = self.tracker.news(stack);
        if self.phase == Phase::Starting {
            // a first start that fails ends the command: nothing is started again
            news.iter_mut().for_each(|it| it.text = it.text.replace(" and is started again", ""));
        }
        self.say(news);
        self.progress.now(wait::moving(stack));
        if self.phase != Phase::Starting {
            return;
        }
        match wait::first_start(stack, self.begun) {
            Verdict::Wait => (),
            Verdict::Done => {
                self.phase = Phase::Running;
                self.progress.finish();
                self.scale();
                let style = self.context.stderr_style();
                let urls = stack.urls.join("  ");
                match self.context.json {
                    true => self.event(json!({ "event": "up", "stack": self.stack, "urls": stack.urls })),
                    false => {
                        eprintln!("\n{} is up: {}", style.bold(&self.stack), style.green(&urls));
                        if status.certificates.iter().any(|it| it.local) && !self.trusts_root() {
                            eprintln!(
                                "browsers do not trust its certificates yet: mainstay certs root says how"
                            );
                        }
                        eprintln!();
                    }
                }
            }
            Verdict::Failed(reason) => {
                self.failure = Some(
                    wait::not_started(&self.home, stack, &reason).next("put it right, then mainstay up"),
                );
                self.progress.line(&format!("stopping {}", self.stack));
                self.stop();
            }
        }
    }

    fn scale(&self) {
        if !self.numbers.apps.is_empty()
            && let Err(error) = self.client.scale(&self.stack, &self.numbers)
        {
            self.progress.line(&format!("the numbers of instances stay: {}", Failure::from(error).cause));
        }
    }

    fn trusts_root(&self) -> bool {
        let root = std::fs::read_to_string(certs::local::root_file(&self.home.certs()));
        root.is_ok_and(|root| certs::trust::is_trusted(&root))
    }

    fn say(&self, news: Vec<News>) {
        for News { text, event } in news {
            self.progress.line(&text);
            self.event(event);
        }
    }

    /// With `--json` a line on standard output, where lines of logs are too.
    fn event(&self, mut event: serde_json::Value) {
        if self.context.json {
            event["time"] = wait::now().to_string().into();
            // nobody is left to tell when standard output is closed
            let _ = writeln!(io::stdout().lock(), "{event}");
        }
    }

    /// What apps printed since the last time, those that were started meanwhile included.
    fn print_logs(&mut self) -> Result<(), Failure> {
        for source in logs::sources(&self.home, &self.stack, &Filter::new(&[])) {
            if self.followed.insert(source.path.clone()) {
                self.follower.add(source);
            }
        }
        Ok(self.printer.print(&self.follower.poll()?)?)
    }

    fn end(&mut self, result: Result<(), KeeperError>) -> Result<(), Failure> {
        result?;
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.phase == Phase::Ending {
            return Err(Failure::new(Code::Unclean, format!("{} was ended at once, as asked", self.stack)));
        }
        let _ = self.print_logs(); // the last words; nobody is left to tell when standard output is closed
        let news = self.tracker.finish();
        self.say(news);
        self.progress.line(&format!("{} is stopped", self.stack));
        self.event(json!({ "event": "stopped", "stack": self.stack }));
        Ok(())
    }
}
