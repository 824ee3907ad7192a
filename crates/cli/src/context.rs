//! What every verb starts from: where the stack is, which keeper is meant, how to show things.
//!
//! Which keeper: that of `--home`; else the one of the stack's own `.mainstay/` if it lives (somebody runs `up` there);
//! else the host's.

use crate::args::{ComposeArgs, Global};
use crate::client::Client;
use crate::error::{Code, Failure};
use crate::left::Left;
use crate::ui::Style;
use keeper::home::Home;
use manifest::Compose;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

/// What holds for every verb.
#[derive(Debug)]
pub struct Context {
    /// `--home`.
    home: Option<PathBuf>,
    /// `--file`: the manifest, the first compose file, or the folder of either.
    place: PathBuf,
    /// What is asked of compose files.
    compose: Compose,
    /// Whether it was given.
    named: bool,
    /// `--json`.
    pub json: bool,
    /// `--yes`.
    pub yes: bool,
    color: bool,
}

impl Context {
    /// From the options.
    pub fn new(global: Global, places: Vec<PathBuf>, asked: ComposeArgs) -> Self {
        let plain = global.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let named = !places.is_empty();
        let place = places.first().cloned().unwrap_or_else(|| PathBuf::from("."));
        let compose = asked.compose(files(places));
        Self { home: global.home, place, compose, named, json: global.json, yes: global.yes, color: !plain }
    }

    /// What is asked of compose files, if anything is.
    pub fn asked(&self) -> Option<Compose> {
        Some(self.compose.clone()).filter(|compose| !compose.is_empty())
    }

    /// What is asked of compose files.
    pub fn compose(&self) -> &Compose {
        &self.compose
    }

    /// Where the stack is, as it was said: a file or a folder.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// No colour, no moving text.
    pub fn is_plain(&self) -> bool {
        !self.color
    }

    /// Colours of standard output.
    pub fn style(&self) -> Style {
        Style::new(self.color && io::stdout().is_terminal())
    }

    /// How wide a line may be: as `COLUMNS` says, else as the terminal is; where there is none it may be any.
    pub fn columns(&self) -> usize {
        let said = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        said.or_else(|| sys::terminal::size().map(|(columns, _)| columns.into())).unwrap_or(usize::MAX)
    }

    /// Colours of standard error.
    pub fn stderr_style(&self) -> Style {
        Style::new(self.color && io::stderr().is_terminal())
    }

    /// Whether text on standard error may move.
    pub fn animate(&self) -> bool {
        self.color && !self.json && io::stderr().is_terminal()
    }

    /// Path of the manifest, whether it exists or not.
    pub fn manifest(&self) -> PathBuf {
        manifest::path_of(&self.place, &self.compose, &|name| std::env::var(name).ok())
    }

    /// Absolute path of the manifest.
    ///
    /// # Errors
    /// When there is none.
    pub fn existing_manifest(&self) -> Result<PathBuf, Failure> {
        let path = self.manifest();
        path.canonicalize().map_err(|error| {
            Failure::new(Code::Configuration, format!("cannot read {}: {error}", path.display()))
                .next("go to the stack's folder, or name it: --file FOLDER")
        })
    }

    /// A place that was named and is not there is a slip.
    ///
    /// # Errors
    /// Then.
    pub fn check_place(&self) -> Result<(), Failure> {
        if !self.named || self.place.exists() {
            return Ok(());
        }
        Err(Failure::new(Code::Usage, format!("--file: there is no {}", self.place.display()))
            .next("name the stack's folder, its mainstay.toml or its compose file"))
    }

    /// Folder of the stack: where the manifest lies or would lie.
    pub fn stack_folder(&self) -> PathBuf {
        let manifest = self.manifest();
        let folder =
            manifest.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf())
    }

    /// What `--home` says.
    pub fn given_home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// Home for `up`.
    pub fn foreground_home(&self) -> PathBuf {
        self.home.clone().unwrap_or_else(|| Home::of_stack(&self.stack_folder()))
    }

    /// Home for `start` and the background keeper.
    pub fn background_home(&self) -> PathBuf {
        self.home.clone().unwrap_or_else(Home::of_host)
    }

    /// Homes in the order in which a keeper is looked for in them.
    pub fn homes(&self) -> Vec<PathBuf> {
        match &self.home {
            Some(home) => vec![home.clone()],
            None => vec![Home::of_stack(&self.stack_folder()), Home::of_host()],
        }
    }

    /// The keeper that is meant; none when none lives.
    pub fn find_keeper(&self) -> Option<(Home, Client)> {
        self.homes().iter().find_map(|path| connect(path))
    }

    /// What goes on without a keeper, in words.
    pub fn left(&self) -> Option<String> {
        self.homes().iter().find_map(|home| Left::in_home(home).words())
    }

    /// The keeper that is meant.
    ///
    /// # Errors
    /// When none lives: the places that were looked at, and what to do.
    pub fn keeper(&self) -> Result<(Home, Client), Failure> {
        self.find_keeper().ok_or_else(|| {
            if let Some(home) = self.homes().iter().find(|home| is_of_another(home)) {
                let cause = format!("the keeper of {} is asked by its own user only", home.display());
                return Failure::new(Code::Unclean, cause).next("the same with sudo, or as the user who started it");
            }
            let homes: Vec<String> = self.homes().iter().map(|home| home.display().to_string()).collect();
            if let Some(left) = self.left() {
                let cause = format!("no keeper in {}; {left}", homes.join(" nor in "));
                return Failure::new(Code::Unclean, cause).next("mainstay start: a new keeper takes them over");
            }
            Failure::new(Code::Unclean, format!("nothing runs: no keeper in {}", homes.join(" nor in ")))
                .next("mainstay up (foreground) or mainstay start (background) in the stack's folder; --home names another place")
        })
    }
}

/// Compose files that are named one by one: of a folder those that it has, but alone it is left to whoever reads it.
fn files(places: Vec<PathBuf>) -> Vec<PathBuf> {
    match places.as_slice() {
        [only] if only.is_dir() => Vec::new(),
        _ => {
            let environment = |name: &str| std::env::var(name).ok();
            let of = |place: PathBuf| {
                let found =
                    if place.is_dir() { manifest::compose_files(&place, &environment) } else { Vec::new() };
                if found.is_empty() { vec![place] } else { found }
            };
            places.into_iter().flat_map(of).collect()
        }
    }
}

/// Whether this home is another user's. Its keeper's socket is not looked for then: each user's lie in a folder of their own.
fn is_of_another(home: &Path) -> bool {
    let home = Some(home).filter(|path| path.is_dir()).and_then(|path| Home::open(path).ok());
    let lock = home.map(|home| std::fs::File::open(home.lock()));
    lock.is_some_and(|file| file.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied))
}

/// The living keeper of this home. Makes no folder.
pub fn connect(home: &Path) -> Option<(Home, Client)> {
    let home = Home::open(Some(home).filter(|path| path.is_dir())?).ok()?;
    let client = Client::new(home.control_socket());
    client.is_alive().then_some((home, client))
}
