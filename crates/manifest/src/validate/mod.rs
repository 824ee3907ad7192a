//! From the manifest as written to a valid [`StackSpec`]: defaults, references, everything that needs more than the shape
//! of one value. Each check reports and goes on; a part that cannot be made is left out, since an error was reported
//! and nothing is returned in the end.

mod acme;
mod app;
mod build;
mod command;
mod confine;
mod container;
mod dashboard;
mod door;
mod env;
mod files;
mod forward;
mod handler;
mod hold;
mod host;
mod image;
mod instances;
mod needs;
mod network;
mod policy;
mod reach;
mod recycle;
mod run;
mod script;
mod service;
mod site;
mod task;
mod tls;
mod told;
mod traffic;
mod unreached;
mod upkeep;

pub use policy::{compress_default, format_statuses, security_names};

use crate::diagnostic::{Report, nearest};
use crate::disk::Disk;
use crate::file::{DurationText, ManifestFile, OneOrMany, SizeText};
use crate::place::Place;
use crate::{units, values};
use ipnet::IpNet;
use model::redact::RedactKind;
use model::service::ServiceSpec;
use model::spec::{AppSpec, StackSpec};
use model::upkeep::TaskSpec;
use model::{AppName, StackName};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// What every check needs.
pub struct Context<'a> {
    /// Where it reports.
    pub report: &'a mut Report,
    /// The machine.
    pub disk: &'a mut Disk,
    /// Variables of the process.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// Path of the manifest.
    pub manifest: &'a Path,
}

impl Context<'_> {
    /// Folder of the manifest, absolute.
    fn root(&self) -> PathBuf {
        let folder = self.manifest.parent().unwrap_or(Path::new("/"));
        std::path::absolute(folder).unwrap_or_else(|_| PathBuf::from("/"))
    }

    /// A path of the manifest, made absolute and free of `.` and of `..` behind ordinary names.
    fn path(&mut self, place: Place<'_>, text: &str) -> Option<PathBuf> {
        self.path_from(&self.root(), place, text)
    }

    /// The same, relative to another folder.
    fn path_from(&mut self, folder: &Path, place: Place<'_>, text: &str) -> Option<PathBuf> {
        if text.is_empty() || text.contains('\0') {
            self.report.error("path::bad", "not a path").at(place.span(), "a path is expected here");
            return None;
        }
        let mut path = PathBuf::new();
        for part in folder.join(text).components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir
                    if matches!(path.components().next_back(), Some(Component::Normal(_))) =>
                {
                    path.pop();
                }
                part => path.push(part),
            }
        }
        Some(path)
    }

    /// A length of time, or its default. `zero`: may be nothing.
    fn duration(
        &mut self,
        place: Place<'_>,
        text: Option<&DurationText>,
        default: Duration,
        zero: bool,
    ) -> Duration {
        let Some(DurationText(text)) = text else { return default };
        let parsed = units::duration(text).and_then(|duration| match duration.is_zero() && !zero {
            true => Err("has to be longer than nothing".into()),
            false => Ok(duration),
        });
        parsed.unwrap_or_else(|what| {
            let found = self
                .report
                .error("duration::bad", format!("{text:?} is not a length of time that fits here"));
            found.at(place.span(), what);
            found.help(match text.parse::<u64>() {
                Ok(number) => format!("write `{number}s` or `{number}ms`"),
                Err(_) => "write numbers with `ms`, `s`, `m`, `h` or `d`: `1.5s`, `250ms`, `1h30m`".into(),
            });
            default
        })
    }

    /// The same in whole seconds, rounded up.
    fn seconds(
        &mut self,
        place: Place<'_>,
        text: Option<&DurationText>,
        default: Duration,
        zero: bool,
    ) -> u32 {
        let exact = self.duration(place, text, default, zero);
        u32::try_from(exact.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
    }

    /// A number of bytes, or its default.
    fn size(&mut self, place: Place<'_>, size: Option<&SizeText>, default: u64) -> u64 {
        match size {
            None => default,
            Some(SizeText::Bytes(bytes)) => u64::try_from(*bytes).unwrap_or(default),
            Some(SizeText::Text(text)) => units::size(text).unwrap_or_else(|what| {
                self.report
                    .error("size::bad", format!("{text:?} is not a size"))
                    .at(place.span(), what)
                    .help("write a whole number of bytes, or one with `KB`, `MB`, `GB`, `KiB`, `MiB` or `GiB`: `50MB`");
                default
            }),
        }
    }

    /// A path of a web address.
    fn url_path(&mut self, place: Place<'_>, text: &str) {
        if !text.starts_with('/') || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            self.report
                .error("path::bad", format!("{text:?} is not a path to ask for"))
                .at(place.span(), "begins with `/` and holds no spaces");
        }
    }

    /// An error of [`crate::values`].
    fn wrong(&mut self, code: &'static str, message: String, place: Place<'_>, wrong: values::Wrong) {
        self.report.error(code, message).at(place.span(), wrong.what).help_if(wrong.help);
    }
}

/// The items of a value that may be one text or a list, each with its place.
fn items<'v, 'a: 'v>(
    place: Place<'a>,
    value: Option<&'v OneOrMany>,
) -> impl Iterator<Item = (Place<'a>, &'v str)> {
    let list = match value {
        None => &[],
        Some(OneOrMany::One(text)) => std::slice::from_ref(text),
        Some(OneOrMany::Many(list)) => &list[..],
    };
    list.iter().enumerate().map(move |(index, text)| (place.item(index), text.as_str()))
}

/// Addresses and networks.
fn networks(context: &mut Context<'_>, place: Place<'_>, file: Option<&OneOrMany>) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for (place, text) in items(place, file) {
        match values::network(text) {
            Ok(network) => networks.push(network),
            Err(wrong) => context.wrong("address::bad", format!("{text:?} is no network"), place, wrong),
        }
    }
    networks
}

/// A number of times in so many milliseconds.
fn rate(context: &mut Context<'_>, place: Place<'_>, text: &str) -> Option<(u32, u64)> {
    units::rate(text)
        .map_err(|what| {
            let found = context.report.error("rate::bad", format!("{text:?} is not a rate"));
            found.at(place.span(), what).help("write `10/s`, `100/m`, `1000/h` or `5000/d`");
        })
        .ok()
}

/// Checks a whole manifest.
pub fn stack(context: &mut Context<'_>, place: Place<'_>, file: &ManifestFile) -> Option<StackSpec> {
    let name = name(context, place.key("stack"), file.stack.as_deref());
    let (http, https) = door::listen(context, place.key("listen"), file);
    let trusted = door::trusted(context, place, file);
    let edge = door::edge(context, place.key("edge"), &file.edge);
    let logs = upkeep::logs(context, place.key("logs"), &file.logs);
    let services = services(context, place, file, &logs.redact);
    let mut apps = apps(context, place, file, &logs.redact);
    let networks = network::networks(context, place, file, &mut apps);
    let volumes = network::volumes(context, place, file, &apps);
    let tasks = tasks(context, place, file, &logs.redact);
    needs::check(context, place, &apps, &tasks);
    let stack = name.as_ref().map_or("", StackName::as_str);
    let mut authority = acme::Scope::read(context, place.key("acme"), &file.acme);
    let sites = site::sites(context, place, file, stack, &apps, &mut authority);
    dashboard::check(context, place.key("site"), &sites, &[http.as_slice(), https.as_slice()].concat());
    let scope = site::Scope {
        stack,
        hosts: &[],
        apps: &apps,
        app_place: place.key("app"),
        service_place: place.key("service"),
        path: None,
        when: None,
        secure: false,
    };
    let common = [http.as_slice(), https.as_slice()].concat();
    let ports: Vec<u16> = common.iter().map(std::net::SocketAddr::port).collect();
    authority.doors(context, place.key("acme"), &ports);
    // Whoever is trusted stands before us, and has HTTPS if anybody has.
    if https.is_empty() && trusted.is_empty() {
        tls::plain(context, place.key("site"), &sites, &http);
    }
    let forwards = forward::forwards(context, place.key("forward"), file, &scope, &common, &sites);
    door::ports(context, place, &apps, &services, &common);
    unreached::check(context, place.key("app"), file, &apps, &tasks);
    told::check(context, place, file, &apps, &services);
    upkeep::served(context, place.key("logs").key("dir"), logs.dir.as_deref(), &sites);
    if !place.key("site").given()
        && !place.key("app").given()
        && !place.key("service").given()
        && !place.key("task").given()
        && !context.report.has_errors()
    {
        let found = context.report.warning("stack::empty", "there is no site and no app in this manifest");
        found.help("nothing would be served: add a `[[site]]` with a `[[site.route]]`, and `[app.NAME]` for what answers");
    }
    Some(StackSpec {
        name: name?,
        root: context.root(),
        http,
        https,
        proxy_protocol: file.listen.proxy_protocol.unwrap_or(false),
        edge,
        trusted,
        sites,
        apps,
        services,
        tasks,
        logs,
        cleanup: upkeep::cleanup(context, place.key("cleanup"), &file.cleanup),
        networks,
        volumes,
        forwards,
        certificates: tls::certificates(context, place.key("certificate"), &file.certificate),
        acme: authority.end(context, place.key("acme")),
    })
}

fn apps(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &ManifestFile,
    redact: &[RedactKind],
) -> BTreeMap<AppName, AppSpec> {
    let mut apps = BTreeMap::new();
    for (key, app) in &file.app {
        let place = place.key("app").key(key);
        if let Some(name) = item_name(context, place, key, "an app") {
            apps.extend(app::app(context, place, ("an app", &name), app, redact).map(|spec| (name, spec)));
        }
    }
    apps
}

fn services(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &ManifestFile,
    redact: &[RedactKind],
) -> BTreeMap<AppName, ServiceSpec> {
    let mut services = BTreeMap::new();
    for (key, service) in &file.service {
        let own = place.key("service").key(key);
        let Some(name) = item_name(context, own, key, "a service") else { continue };
        if place.key("app").key(key).given() {
            let message = format!("an app and a service are both called `{name}`");
            let found = context.report.error("name::twice", message);
            found.at(own.name_span(), "this service").at(place.key("app").key(key).name_span(), "this app");
            found.help("give one of them another name: `needs` and commands name both");
        }
        if let Some(spec) = service::service(context, own, &name, service, redact) {
            host::check(context, own, name.as_str(), &spec);
            services.insert(name, spec);
        }
    }
    services
}

fn tasks(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &ManifestFile,
    redact: &[RedactKind],
) -> BTreeMap<AppName, TaskSpec> {
    let mut tasks = BTreeMap::new();
    for (key, task) in &file.task {
        let own = place.key("task").key(key);
        let Some(name) = item_name(context, own, key, "a task") else { continue };
        for (kind, what) in [("app", "an app"), ("service", "a service")] {
            let other = place.key(kind).key(key);
            if other.given() {
                let found = context
                    .report
                    .error("name::twice", format!("{what} and a task are both called `{name}`"));
                found.at(own.name_span(), "this task").at(other.name_span(), format!("this {kind}"));
                found.help("give one of them another name: commands name both");
            }
        }
        tasks.extend(task::task(context, own, &name, task, redact).map(|spec| (name, spec)));
    }
    tasks
}

/// The name of an app, a service or a task.
fn item_name(context: &mut Context<'_>, place: Place<'_>, key: &str, what: &str) -> Option<AppName> {
    let wrong = |error: model::id::NameError| {
        let found = context.report.error("name::bad", format!("{key:?} cannot name {what}"));
        found.at(place.name_span(), error.to_string());
    };
    key.parse().map_err(wrong).ok()
}

fn name(context: &mut Context<'_>, place: Place<'_>, given: Option<&str>) -> Option<StackName> {
    let Some(text) = given else {
        let folder = context.root();
        return default_name(&folder.file_name().unwrap_or_default().to_string_lossy()).parse().ok();
    };
    match text.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            let found = context.report.error("name::bad", format!("{text:?} cannot name a stack"));
            found.at(place.span(), error.to_string());
            found.help(format!("write {:?}", default_name(text)));
            None
        }
    }
}

/// The nearest valid name: lower case, `-` for everything else.
fn default_name(text: &str) -> String {
    let lower = text.to_lowercase();
    let fits = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' { c } else { '-' };
    let name: String = lower.chars().map(fits).collect();
    let name = name.trim_matches(['-', '_']);
    let name = name.get(..name.len().min(model::id::MAX_NAME)).unwrap_or(name).trim_end_matches(['-', '_']);
    if name.is_empty() { "stack".into() } else { name.into() }
}

/// Reports a name that is no app, with the nearest that is.
fn unknown_app(context: &mut Context<'_>, place: Place<'_>, name: &str, known: &[&str]) {
    let found = context.report.error("app::unknown", format!("there is no app `{name}`"));
    found.at(place.span(), "no such app");
    found.help(match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("add `[app.{name}]`"),
        None => format!("apps here: {}", known.join(", ")),
    });
}

/// Whether an app was written at all, even if wrongly.
fn known<'a>(apps: Place<'a>) -> Vec<&'a str> {
    apps.keys().collect()
}

/// Marks a required key that is not there.
fn missing(context: &mut Context<'_>, place: Place<'_>, key: &str, of: &str, help: &str) {
    if !place.key(key).given() {
        let found = context.report.error("key::missing", format!("{of} needs `{key}`"));
        found.at(place.name_span(), format!("`{key}` is missing")).help(help);
    }
}
