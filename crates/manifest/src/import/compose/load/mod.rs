//! Compose files into one [`Project`]:
//!
//! ```text
//! files ─ read ─▶ documents ─ interpolate ─▶ canonical form ─ extends, include ─▶ laid over each other ─ profiles ─▶ Project
//! ```
//! Each step is a file here. All files that are read become one text, each at its own place in it, so that a span names file and line. Bounded:
//! files in number and size, copies that `extends` makes, depth of everything.

mod canonical;
mod extends;
mod find;
mod fragment;
mod include;
pub mod interpolate;
mod labels;
mod merge;
mod name;
mod paths;
mod profiles;
mod secrets;
mod variables;

pub use find::{any, files};
pub use variables::{Environment, Variables};

use super::{Compose, Project};
use crate::diagnostic::{Report, Source};
use crate::disk::{self, Disk};
use crate::import::yaml::{self, Text};
use crate::tree::{Kind, Node, Span};
use interpolate::Fault;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Files of one project, at most.
const MAX_FILES: usize = 64;

/// Services of one project, keys of a table and items of a list, at most: what follows compares them with each other.
const MAX_ENTRIES: usize = 1_000;

/// What `extends` may copy in all, in nodes.
const MAX_COPIES: usize = 200_000;

/// Reads a project: these files, each laid over those before it. What is wrong is in the report; nothing comes out where no file can be read.
pub fn project(
    files: &[PathBuf],
    options: &Compose,
    environment: Environment<'_>,
    disk: &mut Disk,
    report: &mut Report,
) -> Option<Project> {
    let first = files.first()?;
    let folder = first.parent().unwrap_or(Path::new("/")).to_owned();
    let variables = Variables::read(options, &folder, disk, report);
    let mut loader = Loader {
        environment,
        disk,
        report,
        texts: Vec::new(),
        masks: Vec::new(),
        copies: MAX_COPIES,
        told: BTreeSet::new(),
    };
    let scope = Scope {
        folder: folder.clone(),
        variables: Rc::new(variables),
        name: None,
        including: vec![first.clone()],
    };
    let chosen = match options.profiles.is_empty() {
        true => loader
            .value("COMPOSE_PROFILES", &scope)
            .unwrap_or_default()
            .split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect(),
        false => options.profiles.clone(),
    };
    let given = options
        .project
        .clone()
        .or_else(|| loader.value("COMPOSE_PROJECT_NAME", &scope))
        .filter(|name| !name.is_empty());
    let scope = Scope { name: given.clone().or_else(|| Some(name::of_folder(first))), ..scope };
    let Some(mut root) = loader.files(files, &scope, None) else {
        if !loader.report.has_errors() {
            loader
                .report
                .error("compose::file", "there is nothing in it")
                .at(0..0, "in this file")
                .help("write `services:`, and below it a name and its `image:` or `build:`");
        }
        return None;
    };
    let written = root.take("name");
    let name = loader.name(given, written.as_ref(), first);
    let span = written.as_ref().map_or(0..0, |node| node.span.clone());
    root.take("version");
    if let Kind::Table(entries) = &mut root.kind {
        let key = written.and_then(|node| node.key);
        entries.insert(0, ("name".to_owned(), Node::new(Kind::Text(name.clone()), span).keyed(key)));
    }
    let Loader { texts, masks, report, disk, .. } = loader;
    let variables = Rc::unwrap_or_clone(scope.variables);
    if name == name::of_folder(first) {
        name::share(&mut root, &name, first);
    }
    let mut project = Project { name, folder, root, files: texts, variables, secrets: masks };
    profiles::choose(&mut project.root, &chosen, report);
    labels::of_files(&mut project, disk, report);
    let started = project.root.get("services").is_some_and(|services| services.keys().next().is_some());
    if !started && !report.has_errors() {
        let (message, help) = match project.root.get("services").is_none() {
            true => (
                "there is no service in it",
                "write `services:`, and below it a name and its `image:` or `build:`",
            ),
            false => ("every service has a profile, and none was chosen", "choose with --profile NAME"),
        };
        report.error("compose::file", message).at(0..0, "in this file").help(help);
    }
    Some(project)
}

/// The first entry that is one too many, and how many there are.
fn too_many(node: &Node) -> Option<(Span, usize)> {
    let (all, count): (Box<dyn Iterator<Item = &Node>>, usize) = match &node.kind {
        Kind::Array(items) => (Box::new(items.iter()), items.len()),
        Kind::Table(entries) => (Box::new(entries.iter().map(|(_, node)| node)), entries.len()),
        _ => return None,
    };
    for (index, node) in all.enumerate() {
        if index == MAX_ENTRIES {
            return Some((node.key.clone().unwrap_or(node.span.clone()), count));
        }
        if let Some(found) = too_many(node) {
            return Some(found);
        }
    }
    None
}

/// What a file is read with.
#[derive(Clone)]
pub struct Scope {
    /// Relative paths begin here.
    folder: PathBuf,
    variables: Rc<Variables>,
    /// `COMPOSE_PROJECT_NAME` within the files.
    name: Option<String>,
    /// Files that led here.
    including: Vec<PathBuf>,
}

/// Everything that is read into one text.
pub struct Loader<'a> {
    environment: Environment<'a>,
    disk: &'a mut Disk,
    report: &'a mut Report,
    texts: Vec<Text>,
    masks: Vec<Span>,
    copies: usize,
    told: BTreeSet<String>,
}

impl Loader<'_> {
    /// Files laid over each other.
    fn files(&mut self, files: &[PathBuf], scope: &Scope, at: Option<&Node>) -> Option<Node> {
        let mut whole: Option<Node> = None;
        for file in files {
            let Some((text, documents)) = self.read(file, at) else { continue };
            for mut node in documents {
                self.interpolate(&mut node, scope, text);
                let Some(mut node) = fragment::whole(node, whole.as_ref(), self.report) else { continue };
                if !self.few(&node) {
                    return None;
                }
                canonical::document(&mut node);
                extends::resolve(self, &mut node, scope, file);
                include::resolve(self, &mut node, scope);
                match &mut whole {
                    Some(whole) => merge::overlay(whole, node, self.report),
                    None => whole = Some(node),
                }
            }
        }
        if let Some(whole) = &mut whole {
            merge::settle(whole);
        }
        whole.filter(|whole| self.few(whole))
    }

    /// Whether there is nothing of which there are too many; says so where there is.
    fn few(&mut self, root: &Node) -> bool {
        let Kind::Table(parts) = &root.kind else { return true };
        let parts = parts.iter().filter(|(part, _)| !part.starts_with("x-"));
        let Some((at, count)) = parts.into_iter().find_map(|(_, node)| too_many(node)) else { return true };
        let message = format!("{count} entries are too many: a list or a table has {MAX_ENTRIES} at most");
        let found = self.report.error("compose::entries", message);
        found.at(at, "one too many").help("make several projects of it; `scale: N` starts a service N times");
        false
    }

    /// All documents of a file and its number; `at` names it. What is wrong is reported.
    fn read(&mut self, path: &Path, at: Option<&Node>) -> Option<(usize, Vec<Node>)> {
        let text = match self.disk.read(path) {
            _ if self.texts.len() >= MAX_FILES => Err("too many files".to_owned()),
            Ok(text) => Ok(text.unwrap_or_default()),
            Err(reason) => Err(reason),
        };
        match text {
            Ok(text) => Some(self.add(path, text)).and_then(|at| Some((at, self.documents(at)?))),
            Err(reason) => {
                let message = format!("{} cannot be read: {reason}", path.display());
                let help = match reason.as_str() {
                    disk::DENIED => format!("let this user read it: chmod +r {}", path.display()),
                    _ => "correct the path".to_owned(),
                };
                let found = self.report.error("manifest::unreadable", message);
                if let Some(node) = at {
                    found.at(node.span.clone(), "named here");
                }
                found.help(help);
                None
            }
        }
    }

    /// Takes a file's text up.
    fn add(&mut self, path: &Path, text: String) -> usize {
        let start = self.texts.last().map_or(0, |last| last.start + last.text.len() + 1);
        let file = Text { path: path.to_owned(), text, start };
        self.masks.extend(secrets::of_lines(&file));
        self.texts.push(file);
        self.show();
        self.texts.len() - 1
    }

    /// From here on diagnostics point into all texts.
    fn show(&mut self) {
        let texts = self.texts.iter().map(|file| (file.path.as_path(), file.text.as_str()));
        self.report.set_source(Source::joined(texts, &self.masks));
    }

    fn documents(&mut self, at: usize) -> Option<Vec<Node>> {
        let file = self.texts.get(at)?;
        let (kept, user) = fragment::without_instructions(file, self.report);
        let mut documents = yaml::parse(kept.as_ref().unwrap_or(file), self.report)?;
        // Known exactly now.
        let lines: HashSet<Span> = secrets::of_lines(file).into_iter().collect();
        self.masks.retain(|mask| !lines.contains(mask));
        documents.iter().for_each(|node| secrets::of_node(node, &mut self.masks));
        self.show();
        documents.retain(|node| !matches!(node.kind, Kind::Null));
        if let (Some(user), Some(Node { kind: Kind::Table(entries), .. })) = (user, documents.first_mut()) {
            entries.push(("user".to_owned(), user));
        }
        Some(documents)
    }

    /// The scope of an included project.
    fn within(&mut self, scope: &Scope, folder: PathBuf, variables: &[PathBuf], first: &Path) -> Scope {
        let variables = Rc::new(scope.variables.with(variables, self.disk, self.report));
        let mut including = scope.including.clone();
        including.push(first.to_owned());
        Scope { folder, variables, name: scope.name.clone(), including }
    }

    fn value(&self, name: &str, scope: &Scope) -> Option<String> {
        scope.variables.get(name, self.environment).map(|(value, _)| value)
    }

    /// Whether this may be copied once more.
    fn pays_for(&mut self, node: &Node) -> bool {
        fn weigh(node: &Node) -> usize {
            1 + match &node.kind {
                Kind::Array(items) => items.iter().map(weigh).sum(),
                Kind::Table(entries) => entries.iter().map(|(_, node)| weigh(node)).sum(),
                Kind::Text(text) => text.len() / 64,
                _ => 0,
            }
        }
        let left = self.copies.checked_sub(weigh(node));
        self.copies = left.unwrap_or(0);
        left.is_some()
    }

    /// The name of the project.
    fn name(&mut self, given: Option<String>, written: Option<&Node>, first: &Path) -> String {
        let wanted = given.or_else(|| Some(written?.scalar()?.into_owned()));
        let Some(wanted) = wanted else { return name::of_folder(first) };
        let name = name::normalised(&wanted).unwrap_or_else(|| name::of_folder(first));
        if name != wanted {
            let found = self.report.warning(
                "compose::name",
                format!("the project is called `{name}`: `{wanted}` cannot be a name"),
            );
            if let Some(node) = written {
                found.at(node.span.clone(), "lower-case letters, digits, `-` and `_`");
            }
        }
        name
    }

    /// Replaces the variables in every string of a document of the file with this number.
    fn interpolate(&mut self, root: &mut Node, scope: &Scope, text: usize) {
        let Self { environment, report, texts, told, .. } = self;
        let (text, start) = texts.get(text).map_or(("", 0), |file| (file.text.as_str(), file.start));
        let lookup = |name: &str| match (name, &scope.name) {
            ("COMPOSE_PROJECT_NAME", Some(own)) => Some((own.clone(), crate::tree::Origin::Substituted)),
            _ => scope.variables.get(name, environment),
        };
        root.for_each_text(&mut |node, _| {
            let Kind::Text(written) = &node.kind else { return };
            let within = |part: &str| {
                let own =
                    text.get(node.span.start.saturating_sub(start)..node.span.end.saturating_sub(start));
                let found = own.and_then(|own| own.find(part)).map(|at| node.span.start + at);
                found.map_or(node.span.clone(), |at| at..at + part.len())
            };
            match interpolate::interpolate(written, &lookup) {
                Ok(done) => {
                    for name in done.unset.iter().filter(|name| told.insert((*name).clone())) {
                        let braced = within(&format!("${{{name}"));
                        let place = if braced == node.span { within(&format!("${name}")) } else { braced };
                        report
                            .warning(
                                "variable::unset",
                                format!("variable `{name}` has no value: nothing takes its place"),
                            )
                            .at(place, "neither set nor with a default")
                            .help(format!(
                                "set it in the environment or in `.env`, or give a default: `${{{name}:-…}}`"
                            ));
                    }
                    if let Some(origin) = done.origin {
                        node.raw = Some(std::mem::take(match &mut node.kind {
                            Kind::Text(text) => text,
                            _ => return,
                        }));
                        (node.kind, node.origin) = (Kind::Text(done.text), origin);
                    }
                }
                Err(Fault::Required(name, message)) => {
                    let message = if message.is_empty() { String::new() } else { format!(": {message}") };
                    let place = within(&format!("${{{name}"));
                    report
                        .error("variable::unset", format!("variable `{name}` has no value{message}"))
                        .at(place, "must have one");
                    node.kind = Kind::Broken;
                }
                Err(Fault::Syntax(message)) => {
                    report
                        .error("variable::syntax", message)
                        .at(within("$"), "here")
                        .help("a dollar sign is written `$$`");
                    node.kind = Kind::Broken;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests;
