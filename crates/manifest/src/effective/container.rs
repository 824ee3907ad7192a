//! What only apps in containers have, and networks and volumes, written out.

use super::{inline, inline_table, list, path, size, text, words};
use model::container::{
    ContainerSpec, FileContent, FileSpec, ImageSpec, MountSource, MountSpec, PullPolicy, VolumeSpec,
};
use model::network::{JoinSpec, NetworkSpec};
use model::secret::MASK;
use model::spec::AppSpec;
use std::collections::BTreeMap;
use toml_edit::{Array, InlineTable, Item, Table, Value, value};

/// Puts in what an app in a container has beside others, in place of what it has not.
pub fn app(app: &AppSpec, table: &mut Table) {
    let Some(own) = &app.container else { return };
    for key in ["run", "dir", "writable"] {
        table.remove(key);
    }
    if let ImageSpec::Reference { name, pull, platform } = &own.image {
        let pull = match pull {
            PullPolicy::Missing => "missing",
            PullPolicy::Always => "always",
            PullPolicy::Never => "never",
        };
        let platform = platform.as_ref().map(|platform| ("platform", text(platform).into()));
        table["image"] =
            inline([("name", text(name).into()), ("pull", pull.into())].into_iter().chain(platform));
    }
    for (key, argv) in [("entrypoint", &own.entrypoint), ("run", &own.command)] {
        if let Some(argv) = argv {
            table[key] = value(words(argv));
        }
    }
    for (key, own) in [("dir", &own.working_dir), ("user", &own.user)] {
        if let Some(own) = own {
            table[key] = value(text(own));
        }
    }
    let settings = settings(own);
    if !settings.is_empty() {
        table["container"] = value(settings);
    }
    if !app.mounts.is_empty() {
        table["volumes"] = value(app.mounts.iter().map(mount).collect::<Array>());
    }
    if !app.files.is_empty() {
        table["files"] = value(app.files.iter().map(file).collect::<Array>());
    }
    if !app.networks.is_empty() {
        table["networks"] = value(app.networks.iter().map(join).collect::<InlineTable>());
    }
}

fn texts(items: &[String]) -> Value {
    list(items.iter().map(|item| text(item))).into()
}

fn named(table: &BTreeMap<String, String>) -> Value {
    table.iter().map(|(name, own)| (name.clone(), Value::from(text(own)))).collect::<InlineTable>().into()
}

fn settings(own: &ContainerSpec) -> InlineTable {
    let word = |own: &Option<String>| own.as_ref().map(|own| Value::from(text(own)));
    let flag = |on: bool| on.then(|| Value::from(true));
    let many = |items: &[String]| (!items.is_empty()).then(|| texts(items));
    let table = |own: &BTreeMap<String, String>| (!own.is_empty()).then(|| named(own));
    let hosts: Vec<String> = own.extra_hosts.iter().map(|(name, to)| format!("{name}:{to}")).collect();
    let limit = |(name, (soft, hard)): (&String, &(i64, i64))| {
        (name.clone(), Value::from([*soft, *hard].into_iter().collect::<Array>()))
    };
    let limits: InlineTable = own.ulimits.iter().map(limit).collect();
    let all = [
        ("hostname", word(&own.hostname)),
        ("labels", table(&own.labels)),
        ("extra_hosts", many(&hosts)),
        ("init", flag(own.init)),
        ("tty", flag(own.tty)),
        ("stdin_open", flag(own.stdin_open)),
        ("privileged", flag(own.privileged)),
        ("devices", many(&own.devices)),
        ("group_add", many(&own.group_add)),
        ("sysctls", table(&own.sysctls)),
        ("ulimits", (!limits.is_empty()).then(|| limits.into())),
        ("shm_size", own.shm_size.map(size)),
        ("security_opt", many(&own.security_opt)),
        ("dns", many(&own.dns)),
        ("dns_search", many(&own.dns_search)),
        ("dns_options", many(&own.dns_options)),
        ("network_mode", word(&own.network_mode)),
        ("pid", word(&own.pid_mode)),
        ("ipc", word(&own.ipc_mode)),
    ];
    inline_table(all.into_iter().filter_map(|(key, own)| Some((key, own?))))
}

fn mount(spec: &MountSpec) -> Value {
    let source = match &spec.source {
        MountSource::Volume(name) => Some(Value::from(text(name))),
        MountSource::Bind(own) => Some(path(own).into()),
        MountSource::Anonymous => None,
    };
    let all = [
        ("source", source),
        ("target", Some(path(&spec.target).into())),
        ("read_only", Some(spec.read_only.into())),
        ("options", (!spec.options.is_empty()).then(|| texts(&spec.options))),
    ];
    inline_table(all.into_iter().filter_map(|(key, own)| Some((key, own?)))).into()
}

fn file(spec: &FileSpec) -> Value {
    let content = match (&spec.content, spec.secret) {
        (FileContent::Path(own), false) => ("file", path(own).into()),
        (FileContent::Path(own), true) => ("secret", inline_table([("file", path(own).into())]).into()),
        (FileContent::Text(_), true) => ("secret", MASK.into()),
        // A configuration may hold what its variables brought in.
        (FileContent::Text(_), false) => ("content", MASK.into()),
    };
    let id = |id: Option<u32>| id.map(|id| Value::from(i64::from(id)));
    let all = [
        ("name", Some(text(&spec.name).into())),
        (content.0, Some(content.1)),
        ("target", Some(path(&spec.target).into())),
        ("uid", id(spec.uid)),
        ("gid", id(spec.gid)),
        ("mode", Some(format!("{:04o}", spec.mode).into())),
    ];
    inline_table(all.into_iter().filter_map(|(key, own)| Some((key, own?)))).into()
}

fn join(spec: &JoinSpec) -> (String, Value) {
    let address = spec.address.map(|address| ("address", address.to_string().into()));
    let aliases = (!spec.aliases.is_empty()).then(|| ("aliases", texts(&spec.aliases)));
    (spec.network.clone(), inline_table(aliases.into_iter().chain(address)).into())
}

/// `[network.NAME]` and `[volume.NAME]`.
pub fn tops(
    networks: &BTreeMap<String, NetworkSpec>,
    volumes: &BTreeMap<String, VolumeSpec>,
    root: &mut Table,
) {
    let networks: Vec<(&String, Table)> = networks.iter().map(|(name, own)| (name, network(own))).collect();
    let volumes: Vec<(&String, Table)> = volumes.iter().map(|(name, own)| (name, volume(own))).collect();
    for (key, tables) in [("network", networks), ("volume", volumes)] {
        if tables.is_empty() {
            continue;
        }
        let mut all = Table::new();
        all.set_implicit(true);
        for (name, own) in tables {
            all[name.as_str()] = Item::Table(own);
        }
        root[key] = Item::Table(all);
    }
}

fn network(spec: &NetworkSpec) -> Table {
    let mut table = common(&spec.name, spec.external, &spec.driver, &spec.driver_opts, &spec.labels);
    let ranges = spec.subnets.iter().map(|range| {
        let all = [
            ("subnet", Some(range.subnet.to_string())),
            ("gateway", range.gateway.map(|gateway| gateway.to_string())),
            ("range", range.range.map(|range| range.to_string())),
        ];
        Value::from(inline_table(all.into_iter().filter_map(|(key, own)| Some((key, own?.into())))))
    });
    let ranges: Array = ranges.collect();
    if !ranges.is_empty() {
        table["subnets"] = value(ranges);
    }
    table["internal"] = value(spec.internal);
    table["ipv6"] = value(spec.ipv6);
    table
}

fn volume(spec: &VolumeSpec) -> Table {
    common(&spec.name, spec.external, &spec.driver, &spec.driver_opts, &spec.labels)
}

fn common(
    name: &Option<String>,
    external: bool,
    driver: &Option<String>,
    options: &BTreeMap<String, String>,
    labels: &BTreeMap<String, String>,
) -> Table {
    let mut table = Table::new();
    for (key, own) in [("name", name), ("driver", driver)] {
        if let Some(own) = own {
            table[key] = value(text(own));
        }
    }
    table["external"] = value(external);
    for (key, own) in [("driver_opts", options), ("labels", labels)] {
        if !own.is_empty() {
            table[key] = value(named(own));
        }
    }
    table
}
