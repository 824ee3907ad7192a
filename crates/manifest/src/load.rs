//! The way from a path or a text to a [`StackSpec`].

use crate::diagnostic::{Diagnostic, Diagnostics, Report, Severity, Source};
use crate::disk::{self, Disk};
use crate::import::compose::{self, Compose};
use crate::import::{print, traefik};
use crate::interpolate::{BUILD, Fault, RUNTIME, interpolate};
use crate::place::Place;
use crate::tree::{self, Kind, Node, Origin, Span};
use crate::{dotenv, shape, validate, values};
use model::spec::StackSpec;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the manifest in its folder.
pub const MANIFEST: &str = "mainstay.toml";

/// A valid manifest.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub spec: StackSpec,
    /// The manifest's text, as it was read; of compose files the manifest that they amount to.
    pub text: String,
    /// What is probably not meant so, and what is worth knowing.
    pub warnings: Vec<Diagnostic>,
    /// Every file that was read: manifest, `.env` files, secrets.
    pub files: Vec<PathBuf>,
}

/// Loads a manifest: the file, or a folder that holds [`MANIFEST`] or compose files. `environment` gives the variables of the process.
pub fn load(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Diagnostics> {
    load_with(path, &Compose::default(), environment)
}

/// [`load`], with what is asked of compose files beside.
pub fn load_with(
    path: &Path,
    compose: &Compose,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Diagnostics> {
    if let Some(files) = compose::load::files(path, compose, environment) {
        return load_project(&files, compose, environment, Disk::real());
    }
    let path = if path.is_dir() { path.join(MANIFEST) } else { path.to_owned() };
    match Disk::real().read(&path) {
        Ok(text) => load_text(&text.unwrap_or_default(), &path, compose, environment, Disk::real()),
        Err(reason) => {
            let mut report = Report::new(Source::masked(&path, "", &[]));
            report.error("manifest::unreadable", format!("the manifest cannot be read: {reason}")).help(
                match reason.as_str() {
                    disk::DENIED => format!("let this user read it: chmod +r {}", path.display()),
                    _ => format!(
                        "give the path of a `{MANIFEST}` or a compose file, or of the folder that holds one"
                    ),
                },
            );
            Err(report.fail())
        }
    }
}

/// The compose files that are meant by a folder; none where it has a manifest of its own, or no compose file.
pub fn compose_files(folder: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    compose::load::files(folder, &Compose::default(), environment).unwrap_or_default()
}

/// Loads compose files, also where a manifest of our own lies beside them.
pub fn import_compose(
    path: &Path,
    compose: &Compose,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Diagnostics> {
    if let Some(files) = compose::load::any(path, compose, environment) {
        return load_project(&files, compose, environment, Disk::real());
    }
    let mut report = Report::new(Source::masked(path, "", &[]));
    report.error("manifest::unreadable", "there is no compose file in this folder").help(
        "`compose.yaml`, `compose.yml`, `docker-compose.yaml` or `docker-compose.yml`; or name it: -f FILE",
    );
    Err(report.fail())
}

/// The file that a stack is known by: the manifest, or the first of its compose files. `path` is it, or its folder.
pub fn path_of(path: &Path, compose: &Compose, environment: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let first = compose::load::files(path, compose, environment).and_then(|files| files.into_iter().next());
    first.unwrap_or_else(|| if path.is_dir() { path.join(MANIFEST) } else { path.to_owned() })
}

/// Checks a text as if it stood at `path`, without asking the machine anything: no `.env` file and no secret is read
/// (secrets are empty), and no file, folder, user or command is looked for.
pub fn load_str(
    text: &str,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Diagnostics> {
    load_text(text, path, &Compose::default(), environment, Disk::none())
}

/// Loads a text as if it stood at `path`, with everything around it (`.env` files, secrets, folders) as it is on disk now: a
/// revision that was accepted earlier, whatever the file says by now. What a service or a build needs in order to start may be gone.
pub fn load_from(
    text: &str,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Diagnostics> {
    load_from_with(text, path, &Compose::default(), environment)
}

/// [`load_from`], with the files of variables that were asked for.
pub fn load_from_with(
    text: &str,
    path: &Path,
    compose: &Compose,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Diagnostics> {
    load_text(text, path, compose, environment, Disk::of_accepted())
}

/// Checks compose files as if they stood there, without asking the machine anything, as [`load_str`] does: the first `given` are laid over each
/// other, the rest may be named by them.
pub fn load_compose_str(
    files: &[(&Path, &str)],
    given: usize,
    compose: &Compose,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Diagnostics> {
    let paths: Vec<PathBuf> = files.iter().take(given).map(|(path, _)| (*path).to_owned()).collect();
    load_project(&paths, compose, environment, Disk::holding(files))
}

/// Loads compose files. They become a manifest, which is checked like one, and whose text is what is kept.
fn load_project(
    files: &[PathBuf],
    compose: &Compose,
    environment: &dyn Fn(&str) -> Option<String>,
    mut disk: Disk,
) -> Result<Loaded, Diagnostics> {
    // A symbolic link before a file must not make two specifications of one.
    let canonical =
        |file: &PathBuf| file.canonicalize().ok().filter(|_| disk.is_real()).unwrap_or(file.clone());
    let files: Vec<PathBuf> = files.iter().map(canonical).collect();
    let first = files.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
    let mut report = Report::new(Source::masked(first, "", &[]));
    let project = compose::load::project(&files, compose, environment, &mut disk, &mut report);
    let Some(mut project) = project.filter(|_| !report.has_errors()) else { return Err(report.fail()) };
    let traefik = traefik::read(&mut project, &mut disk, &mut report);
    report.set_source(project.source());
    let variables = project.variables.clone();
    let lookup = |name: &str| variables.get(name, environment).map(|(value, _)| value);
    let routing = traefik::import(&project, &traefik, &lookup, &mut report);
    let (dotenv, real) = (variables.names(), disk.is_real());
    let input = compose::map::Input { lookup: &lookup, dotenv: &dotenv, real, options: &compose.map };
    let mut mapped = compose::map::map(&project, routing, &input, &mut report);
    let names: Vec<String> = files
        .iter()
        .filter_map(|file| file.file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let text = print::print(&mapped, &format!("Made by Mainstay of {}.", names.join(", ")));
    with_authority(&mut mapped.root, compose);
    finish(&mut mapped.root, text, first, environment, disk, report)
}

fn load_text(
    text: &str,
    path: &Path,
    compose: &Compose,
    environment: &dyn Fn(&str) -> Option<String>,
    mut disk: Disk,
) -> Result<Loaded, Diagnostics> {
    // A symbolic link before the manifest must not make two specifications of one.
    let canonical = if disk.is_real() { path.canonicalize().ok() } else { None };
    let path = canonical.as_deref().unwrap_or(path);
    let mut report = Report::new(Source::masked(path, text, &secret_lines(text)));
    let document = match toml_edit::Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            report.error("toml::syntax", format!("not TOML: {}", error.message())).at(span, "here");
            return Err(report.fail());
        }
    };
    let mut root = tree::build(&document);
    report.set_source(Source::masked(path, text, &secret_values(&mut root)));
    let dotenv = dotenv_beside(path, text, &compose.env_file, &mut disk, &mut report);
    replace_variables(&mut root, text, &dotenv, environment, &mut report);
    with_authority(&mut root, compose);
    finish(&mut root, text.to_owned(), path, environment, disk, report)
}

/// `--acme EMAIL`: an `[acme]` with that address, and the two ports that authorities and browsers come to, where nothing is written of them.
fn with_authority(root: &mut Node, compose: &Compose) {
    let Some(email) = &compose.acme else { return };
    for (table, key, value) in
        [("acme", "email", email.as_str()), ("listen", "http", ":80"), ("listen", "https", ":443")]
    {
        let Kind::Table(entries) = &mut root.kind else { return };
        if !entries.iter().any(|(name, _)| name == table) {
            entries.push((table.to_owned(), Node::new(Kind::Table(Vec::new()), 0..0)));
        }
        if let Some(Kind::Table(own)) = root.get_mut(table).map(|node| &mut node.kind)
            && !own.iter().any(|(name, _)| name == key)
        {
            own.push((key.to_owned(), Node::new(Kind::Text(value.to_owned()), 0..0)));
        }
    }
}

/// From the tree on: shape, checks, result.
fn finish(
    root: &mut Node,
    text: String,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    mut disk: Disk,
    mut report: Report,
) -> Result<Loaded, Diagnostics> {
    let value = shape::check(root, &mut report);
    let spec = match serde_path_to_error::deserialize(value) {
        Ok(file) => {
            let mut context =
                validate::Context { report: &mut report, disk: &mut disk, environment, manifest: path };
            validate::stack(&mut context, Place::root(root), &file)
        }
        // The schema is made from the same types, so this is a fault of ours; it must not pass silently.
        Err(error) => {
            report.error("manifest::type", format!("`{}`: {}", error.path(), error.inner()));
            None
        }
    };
    let Some(spec) = spec.filter(|_| !report.has_errors()) else { return Err(report.fail()) };
    let mut files = vec![path.to_owned()];
    files.extend(disk.files.into_iter().filter(|file| file != path));
    Ok(Loaded { spec, text, warnings: report.finish()?, files })
}

/// Variables of the `.env` file beside the manifest.
type Variables = BTreeMap<String, String>;

/// Reads the `.env` file beside the manifest, or those that are asked for instead, if a variable is named at all.
fn dotenv_beside(
    path: &Path,
    text: &str,
    asked: &[PathBuf],
    disk: &mut Disk,
    report: &mut Report,
) -> Variables {
    let beside = path.with_file_name(".env");
    if !text.contains("${") || !disk.is_real() || asked.is_empty() && !disk.exists(&beside) {
        return Variables::new();
    }
    let mut all = Variables::new();
    let files = if asked.is_empty() { std::slice::from_ref(&beside) } else { asked };
    for file in files {
        match disk.read(file) {
            Ok(text) => {
                let variables = dotenv::read(file, &text.unwrap_or_default(), report);
                dotenv::guard(file, &variables, disk, report);
                all.extend(variables);
            }
            Err(reason) => {
                let message = format!("the file of variables cannot be read: {reason}");
                report.push(Severity::Error, "env_file::unreadable", message, Source::masked(file, "", &[]));
            }
        }
    }
    all
}

/// Interpolates every string of the document.
fn replace_variables(
    root: &mut Node,
    text: &str,
    dotenv: &Variables,
    environment: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) {
    // The real environment wins over the file.
    let lookup = |name: &str| {
        let secret = if values::sounds_secret(name) { Origin::Secret } else { Origin::Written };
        let own = environment(name).map(|value| (value, secret));
        own.or_else(|| dotenv.get(name).map(|value| (value.clone(), secret.max(Origin::File))))
    };
    root.for_each_text(&mut |node, path| {
        let Kind::Text(own) = &mut node.kind else { return };
        let later = match path {
            ["app" | "task", _, "run"] | ["app", _, "health", "command"] | ["app" | "task", _, "env", ..] => {
                RUNTIME
            }
            ["app", _, "build"] | ["app", _, "build", "steps"] => BUILD,
            _ => &[],
        };
        match interpolate(own, later, &lookup) {
            Ok(done) => {
                *own = done.text;
                node.origin = done.origin;
                // Of a hash and of a regular expression the dollar signs are their own.
                let own = matches!(
                    path,
                    [.., "users", _] | [.., "rewrite", "match" | "with"] | [.., "route", "when"]
                );
                for name in done.bare.into_iter().filter(|_| !own) {
                    report
                        .warning("variable::bare", format!("`${name}` is not replaced: no shell reads this"))
                        .at(within(text, &node.span, &format!("${name}")), "stays as it is")
                        .help(format!("write `${{{name}}}` for its value, or `$${name}` for a dollar sign"));
                }
            }
            Err(faults) => {
                faults.into_iter().for_each(|fault| unresolved(fault, text, &node.span, report));
                node.kind = Kind::Broken;
            }
        }
    });
}

fn unresolved(fault: Fault, text: &str, span: &Span, report: &mut Report) {
    match fault {
        Fault::Unset(name) => report
            .error("variable::unset", format!("variable `{name}` has no value"))
            .at(within(text, span, &format!("${{{name}")), "neither set nor with a default")
            .help(format!(
                "set it in the environment or in `.env` beside the manifest, or give a default: `${{{name}:-…}}`"
            )),
        Fault::Required(name, message) if message.is_empty() => report
            .error("variable::unset", format!("variable `{name}` has no value"))
            .at(within(text, span, &format!("${{{name}")), "must have one"),
        Fault::Required(name, message) => report
            .error("variable::unset", format!("variable `{name}` has no value: {message}"))
            .at(within(text, span, &format!("${{{name}")), "must have one"),
        Fault::Syntax(message) => {
            report.error("variable::syntax", message).at(within(text, span, "${"), "here")
        }
    };
}

/// Where `part` stands inside `span`; the whole span if it does not (escapes).
fn within(text: &str, span: &Span, part: &str) -> Span {
    let found = text.get(span.clone()).and_then(|value| value.find(part));
    found.map_or(span.clone(), |at| span.start + at..span.start + at + part.len())
}

/// Where values stand that are not to be shown, as far as their name or form tells.
fn secret_values(root: &mut Node) -> Vec<Span> {
    let mut spans = Vec::new();
    root.for_each_text(&mut |node, path| {
        let Kind::Text(value) = &node.kind else { return };
        let secret = match path {
            ["app" | "task", _, "env", name] => values::sounds_secret(name) || values::holds_password(value),
            ["service", _, "password"] => true,
            ["service", _, "password", key] => *key != "file",
            [.., "basic_auth", "users", _] => true,
            [.., "basic_auth", "users", _, key] => *key != "file",
            ["app" | "task", _, "env", _, rest @ ..] => rest.last().is_some_and(|key| *key != "file"),
            _ => values::holds_password(value),
        };
        if secret && !value.starts_with("${") {
            spans.push(node.span.start + 1..node.span.end.saturating_sub(1).max(node.span.start + 1));
        }
    });
    spans
}

/// The same for a text that could not be parsed: what stands behind a telling name, to the end of the line.
fn secret_lines(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut start = 0;
    let mut users = false;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('[') {
            users = line.contains("users");
        }
        let telling = line.match_indices('=').find(|(at, _)| {
            let name = line[..*at].trim_end().trim_end_matches(['"', '\'']);
            let name = name.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            users || name == "users" || name == "basic_auth" || values::sounds_secret(name)
        });
        spans.extend(telling.map(|(at, _)| start + at + 1..start + line.len()));
        start += line.len();
    }
    spans
}
