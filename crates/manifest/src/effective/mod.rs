//! A [`StackSpec`] as a manifest again: every key written out, secrets masked. What comes out loads to the same
//! specification, but for the secrets.

mod acme;
mod build;
mod confine;
mod container;
mod hold;
mod image;
mod policy;
mod service;
mod site;
mod task;
mod traffic;

use crate::interpolate::{RUNTIME, escape};
use crate::{tree, units, values};
use model::container::ImageSpec;
use model::network::{ForwardSpec, NeedCondition, Protocol};
use model::redact::RedactKind;
use model::secret::MASK;
use model::site::{EdgeSpec, LogFormat};
use model::spec::{
    AppSpec, CleanupSpec, EnvValue, Listen, LogSpec, RestartPolicy, RestartSpec, StackLogs, StackSpec,
    StopSpec,
};
use model::upkeep::{Preset, RecycleSpec};
use std::path::Path;
use std::time::Duration;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value, value};

/// The manifest that says all of `spec`, with secrets as [`MASK`].
pub fn effective(spec: &StackSpec) -> String {
    let mut document = DocumentMut::new();
    let root = document.as_table_mut();
    root["stack"] = value(spec.name.as_str());
    root["trusted"] = value(list(spec.trusted.iter().map(ToString::to_string)));
    let mut listen = Table::new();
    listen["http"] = value(list(spec.http.iter().map(ToString::to_string)));
    if !spec.https.is_empty() {
        listen["https"] = value(list(spec.https.iter().map(ToString::to_string)));
    }
    listen["proxy_protocol"] = value(spec.proxy_protocol);
    root["listen"] = Item::Table(listen);
    root["edge"] = Item::Table(edge(&spec.edge));
    root["logs"] = Item::Table(stack_logs(&spec.logs));
    root["cleanup"] = Item::Table(cleanup(&spec.cleanup));
    if let Some(own) = &spec.acme {
        root["acme"] = Item::Table(acme::acme(own));
    }
    let pairs: ArrayOfTables = spec.certificates.iter().map(site::pair).collect();
    if !pairs.is_empty() {
        root["certificate"] = Item::ArrayOfTables(pairs);
    }
    let sites: ArrayOfTables = spec.sites.iter().map(|own| site::site(own, spec.name.as_str())).collect();
    if !sites.is_empty() {
        root["site"] = Item::ArrayOfTables(sites);
    }
    let forwards: ArrayOfTables = spec.forwards.iter().map(forward).collect();
    if !forwards.is_empty() {
        root["forward"] = Item::ArrayOfTables(forwards);
    }
    let mut apps = Table::new();
    apps.set_implicit(true);
    for (name, spec) in &spec.apps {
        apps[name.as_str()] = Item::Table(app(spec));
    }
    root["app"] = Item::Table(apps);
    let mut services = Table::new();
    services.set_implicit(true);
    for (name, spec) in &spec.services {
        services[name.as_str()] = Item::Table(service::service(spec));
    }
    root["service"] = Item::Table(services);
    let mut tasks = Table::new();
    tasks.set_implicit(true);
    for (name, spec) in &spec.tasks {
        tasks[name.as_str()] = Item::Table(task::task(spec));
    }
    root["task"] = Item::Table(tasks);
    container::tops(&spec.networks, &spec.volumes, root);
    document.to_string()
}

fn forward(spec: &ForwardSpec) -> Table {
    let mut table = Table::new();
    table["listen"] = value(spec.listen.to_string());
    table["app"] = value(spec.app.as_str());
    if let Some(port) = spec.port {
        table["port"] = value(i64::from(port));
    }
    table["protocol"] = value(match spec.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    });
    table
}

/// One app of it, as JSON, without its environment.
pub fn app_settings(spec: &AppSpec) -> serde_json::Value {
    let mut document = DocumentMut::new();
    *document.as_table_mut() = app(spec);
    document.as_table_mut().remove("env");
    to_json(&document.to_string())
}

fn to_json(text: &str) -> serde_json::Value {
    // what was just written is TOML
    toml_edit::Document::parse(text)
        .map_or(serde_json::Value::Null, |document| tree::build(&document).to_json())
}

/// The same as JSON: lengths of time, sizes and signals in the manifest's own words, instances as their number.
pub fn effective_json(spec: &StackSpec) -> serde_json::Value {
    let mut json = to_json(&effective(spec));
    for (name, app) in spec.apps.iter().filter(|(_, app)| app.preset.is_some()) {
        if let Some(named) = json.pointer_mut(&format!("/app/{name}/instances")) {
            *named = app.instances.into();
        }
    }
    json
}

fn list(items: impl Iterator<Item = String>) -> Array {
    items.collect()
}

fn text(plain: &str) -> String {
    escape(plain, &[])
}

fn path(path: &Path) -> String {
    text(&path.to_string_lossy())
}

fn duration(duration: Duration) -> String {
    units::format_duration(duration)
}

fn seconds(seconds: u32) -> String {
    duration(Duration::from_secs(seconds.into()))
}

fn size(bytes: u64) -> Value {
    match units::format_size(bytes) {
        Some(text) => text.into(),
        None => i64::try_from(bytes).unwrap_or(i64::MAX).into(),
    }
}

fn words(argv: &[String]) -> Array {
    list(argv.iter().map(|word| escape(word, RUNTIME)))
}

fn inline_table(entries: impl IntoIterator<Item = (&'static str, Value)>) -> InlineTable {
    entries.into_iter().collect()
}

fn inline(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Item {
    value(inline_table(entries))
}

fn edge(edge: &EdgeSpec) -> Table {
    let mut table = Table::new();
    table["access_log"] = value(match edge.access_log {
        LogFormat::Json => "json",
        LogFormat::Combined => "combined",
    });
    // Written, the limits would hold for loopback too.
    if edge.limit_loopback {
        let connects = units::format_rate(edge.client_connects, 1000);
        let connections = i64::from(edge.client_connections);
        table["client"] = inline([("connections", connections.into()), ("connects", connects.into())]);
    }
    table["ban"] = edge.ban.map_or_else(
        || value(false),
        |ban| {
            inline([
                ("offences", i64::from(ban.offences).into()),
                ("within", seconds(ban.within_s).into()),
                ("for", seconds(ban.ban_s).into()),
            ])
        },
    );
    table
}

/// A list, or a table where something else is waited for than health.
fn needs(app: &AppSpec) -> Item {
    if app.needs_how.is_empty() {
        return value(list(app.needs.iter().map(ToString::to_string)));
    }
    let how = |need| match app.needs_how.get(need).copied().unwrap_or_default() {
        NeedCondition::Healthy => "healthy",
        NeedCondition::Started => "started",
        NeedCondition::Completed => "completed",
    };
    value(app.needs.iter().map(|need| (need.as_str(), Value::from(how(need)))).collect::<InlineTable>())
}

fn app(app: &AppSpec) -> Table {
    let mut table = Table::new();
    if let Some(description) = &app.description {
        table["description"] = value(text(description));
    }
    table["run"] = value(words(&app.argv));
    table["dir"] = value(path(&app.dir));
    table["instances"] = instances(app);
    match app.listen {
        Listen::Port(port) => table["port"] = value(i64::from(port)),
        Listen::Nothing => table["listen"] = value(false),
        Listen::Socket | Listen::AnyPort => table["listen"] = value(true),
    }
    table["needs"] = needs(app);
    table["balance"] = value(site::balance(app.balance));
    traffic::entries(&app.traffic).for_each(|(key, own)| table[key] = value(own));
    table["http2"] = value(app.http2);
    table["hold"] = hold::hold(&app.traffic.hold);
    table["health"] = value(site::health(&app.health, app.listen != Listen::Nothing));
    table["restart"] = restart(&app.restart);
    table["stop"] = stop(&app.stop);
    if app.recycle.is_on() {
        table["recycle"] = recycle(&app.recycle);
    }
    confine::entries(app).for_each(|(key, item)| table[key] = item);
    if let Some(signal) = app.reload_signal {
        table["reload"] = value(values::signal_name(signal));
    }
    if let Some(user) = &app.user {
        table["user"] = value(text(user));
    }
    table["logs"] = logs(&app.logs);
    if let Some(own) = &app.build {
        let image = app.container.as_ref().map(|container| &container.image);
        table["build"] = match image {
            Some(ImageSpec::Build(image)) => image::build(image, own.timeout),
            _ => build::build(own),
        };
    }
    table["writable"] = value(list(app.writable.iter().map(|own| path(own))));
    container::app(app, &mut table);
    if !app.env.is_empty() {
        let mut env = Table::new();
        for (name, own) in &app.env {
            env[name.as_str()] = match own {
                EnvValue::Plain(plain) => value(escape(plain, RUNTIME)),
                EnvValue::Secret(_) | EnvValue::Kept(_) => inline([("secret", MASK.into())]),
                EnvValue::Generate(bytes) => inline([("generate", i64::from(*bytes).into())]),
            };
        }
        table["env"] = Item::Table(env);
    }
    table
}

/// A preset keeps its name, so that it means the same on another machine; the number it gives on this one, and why, stands beside it.
fn instances(app: &AppSpec) -> Item {
    if let Some(range) = &app.scale {
        let target = range.target.map(|target| ("target", i64::from(target).into()));
        let bounds = [("min", i64::from(range.min).into()), ("max", i64::from(range.max).into())];
        return inline(bounds.into_iter().chain(target).chain([("idle", duration(range.idle).into())]));
    }
    let Some(preset) = app.preset else { return value(i64::from(app.instances)) };
    let name = match preset {
        Preset::Cpu => "cpu",
        Preset::Io => "io",
        Preset::Memory => "memory",
    };
    let mut named = Value::from(name);
    named.decor_mut().set_suffix(format!(" # {} on this machine: {}", app.instances, preset.rule()));
    value(named)
}

fn restart(spec: &RestartSpec) -> Item {
    let policy = match spec.policy {
        RestartPolicy::Always => "always",
        RestartPolicy::OnFailure => "on-failure",
        RestartPolicy::Never => "never",
    };
    inline([
        ("policy", policy.into()),
        ("delay", duration(spec.delay).into()),
        ("max_delay", duration(spec.max_delay).into()),
        ("min_uptime", duration(spec.min_uptime).into()),
        ("max_restarts", i64::from(spec.max_restarts).into()),
    ])
}

fn stop(spec: &StopSpec) -> Item {
    inline([
        ("signal", values::signal_name(spec.signal).into()),
        ("timeout", duration(spec.timeout).into()),
        ("drain", duration(spec.drain).into()),
    ])
}

fn recycle(spec: &RecycleSpec) -> Item {
    let number = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
    let all = [
        ("requests", spec.requests.map(number)),
        ("jitter", spec.requests.map(|_| number(spec.jitter))),
        ("memory", spec.memory.map(size)),
        ("age", spec.age.map(|age| duration(age).into())),
    ];
    inline(all.into_iter().filter_map(|(key, value)| Some((key, value?))))
}

fn logs(spec: &LogSpec) -> Item {
    inline([
        ("max_size", size(spec.max_size)),
        ("keep", i64::from(spec.keep).into()),
        ("redact", redact(&spec.redact).into()),
    ])
}

fn stack_logs(spec: &StackLogs) -> Table {
    let mut table = Table::new();
    if let Some(dir) = &spec.dir {
        table["dir"] = value(path(dir));
    }
    table["redact"] = value(redact(&spec.redact));
    table
}

fn redact(kinds: &[RedactKind]) -> Array {
    let name = |kind: &RedactKind| match kind {
        RedactKind::Secrets => "secrets",
        RedactKind::Email => "email",
        RedactKind::Card => "card",
        RedactKind::Phone => "phone",
        RedactKind::Ip => "ip",
        RedactKind::Token => "token",
    };
    kinds.iter().map(name).collect()
}

fn cleanup(spec: &CleanupSpec) -> Table {
    let mut table = Table::new();
    table["obsolete"] = value(list(spec.obsolete.iter().map(|own| text(own))));
    table["keep"] = value(list(spec.keep.iter().map(|own| text(own))));
    table
}
