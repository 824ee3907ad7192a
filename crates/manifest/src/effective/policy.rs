//! What applies to a route beside what answers it. What is off is left out.

use super::{duration, inline, inline_table, list, seconds, size, text};
use crate::{units, validate, values};
use model::policy::{
    AccessSpec, BasicAuthSpec, Coding, CompressSpec, ConcurrencySpec, CorsSpec, ErrorPageSpec,
    ForwardAuthSpec, HeaderChange, HeaderSpec, KeySpec, MaintenanceSpec, PolicySpec, RateSpec, RewriteSpec,
};
use model::site::TlsSpec;
use std::time::Duration;
use toml_edit::{Array, InlineTable, Item, Table, Value, value};

/// Writes every policy of a route.
pub fn write(table: &mut Table, policy: &PolicySpec, stack: &str, hosts: &[String], tls: &TlsSpec) {
    let PolicySpec {
        maintenance,
        access: AccessSpec { allow, deny },
        methods,
        file_types,
        rates,
        concurrency,
        cors,
        basic_auth,
        forward_auth,
        rewrite,
        request_headers,
        response_headers,
        error_pages,
        compress,
    } = policy;
    if let Some(spec) = maintenance {
        table["maintenance"] = self::maintenance(spec);
    }
    put(table, "allow", allow.iter().map(ToString::to_string));
    put(table, "deny", deny.iter().map(ToString::to_string));
    put(table, "methods", methods.iter().map(|method| text(method)));
    put(table, "file_types", file_types.iter().map(|own| text(own)));
    put(table, "limit", rates.iter().map(|spec| rate(spec, stack)));
    put(table, "concurrency", concurrency.iter().map(|spec| self::concurrency(spec, stack)));
    if let Some(spec) = cors {
        table["cors"] = self::cors(spec);
    }
    if let Some(spec) = basic_auth {
        table["basic_auth"] = self::basic_auth(spec);
    }
    if let Some(spec) = forward_auth {
        table["forward_auth"] = self::forward_auth(spec);
    }
    self::rewrite(table, rewrite);
    table["compress"] = compress.as_ref().map_or_else(|| value(false), self::compress);
    let names = validate::security_names(hosts, tls);
    let says = |name: &&str| response_headers.iter().any(|header| header.name.eq_ignore_ascii_case(name));
    // What stands below `headers` replaces the default of that name; where one is missing, none was wanted.
    table["security_headers"] = value(names.iter().all(says));
    headers(table, "request_headers", request_headers);
    headers(table, "headers", response_headers);
    self::error_pages(table, error_pages);
}

fn put<T: Into<Value>>(table: &mut Table, key: &str, items: impl ExactSizeIterator<Item = T>) {
    if items.len() > 0 {
        table[key] = value(items.map(Into::into).collect::<Array>());
    }
}

fn maintenance(spec: &MaintenanceSpec) -> Item {
    let page = spec.page.as_ref().map(|page| ("page", super::path(page).into()));
    inline(page.into_iter().chain([
        ("retry_after", seconds(spec.retry_after).into()),
        ("allow", list(spec.allow.iter().map(ToString::to_string)).into()),
    ]))
}

/// A zone without its stack, as it is written.
fn zone(zone: &str, stack: &str) -> Value {
    let own = zone.strip_prefix(stack).and_then(|rest| rest.strip_prefix('/'));
    text(own.unwrap_or(zone)).into()
}

fn key(by: &KeySpec) -> Value {
    match by {
        KeySpec::Client => "client".into(),
        KeySpec::Route => "route".into(),
        KeySpec::Header(name) => text(&format!("header:{name}")).into(),
        KeySpec::Cookie(name) => text(&format!("cookie:{name}")).into(),
    }
}

fn rate(spec: &RateSpec, stack: &str) -> InlineTable {
    inline_table([
        ("rate", units::format_rate(spec.count, spec.per_ms).into()),
        ("burst", i64::from(spec.burst).into()),
        ("by", key(&spec.by)),
        ("status", i64::from(spec.status).into()),
        ("zone", zone(&spec.zone, stack)),
    ])
}

fn concurrency(spec: &ConcurrencySpec, stack: &str) -> InlineTable {
    inline_table([
        ("most", i64::from(spec.most).into()),
        ("by", key(&spec.by)),
        ("status", i64::from(spec.status).into()),
        ("zone", zone(&spec.zone, stack)),
    ])
}

fn cors(spec: &CorsSpec) -> Item {
    let words = |words: &[String]| Value::from(list(words.iter().map(|word| text(word))));
    inline([
        ("origins", words(&spec.origins)),
        ("methods", words(&spec.methods)),
        ("headers", words(&spec.headers)),
        ("expose", words(&spec.expose)),
        ("credentials", spec.credentials.into()),
        ("max_age", seconds(spec.max_age).into()),
    ])
}

fn basic_auth(spec: &BasicAuthSpec) -> Item {
    let masked = |user: &model::policy::UserSpec| (text(&user.name), values::MASKED_HASH);
    let users: InlineTable = spec.users.iter().map(masked).collect();
    inline([("realm", text(&spec.realm).into()), ("users", users.into())])
}

fn forward_auth(spec: &ForwardAuthSpec) -> Item {
    let asked = match spec.upstream.strip_prefix('=') {
        Some(address) => ("proxy", text(address).into()),
        None => ("app", text(&spec.upstream).into()),
    };
    inline([
        asked,
        ("path", text(&spec.path).into()),
        ("copy", list(spec.copy.iter().map(|name| text(name))).into()),
        ("timeout", duration(Duration::from_millis(spec.timeout_ms)).into()),
    ])
}

fn rewrite(table: &mut Table, changes: &[RewriteSpec]) {
    let mut expressions = Array::new();
    for change in changes {
        match change {
            RewriteSpec::StripPrefix(prefix) => table["strip_prefix"] = value(text(prefix)),
            RewriteSpec::AddPrefix(prefix) => table["add_prefix"] = value(text(prefix)),
            RewriteSpec::Replace { pattern, with } => {
                expressions
                    .push(inline_table([("match", text(pattern).into()), ("with", text(with).into())]));
            }
        }
    }
    if !expressions.is_empty() {
        table["rewrite"] = value(expressions);
    }
}

fn compress(spec: &CompressSpec) -> Item {
    if *spec == validate::compress_default() {
        return value(true);
    }
    inline([
        ("types", list(spec.types.iter().map(|own| text(own))).into()),
        ("min", size(spec.min)),
        ("codings", codings(&spec.codings).into()),
    ])
}

/// Names of codings.
pub fn codings(codings: &[Coding]) -> Array {
    let name = |coding: &Coding| match coding {
        Coding::Br => "br",
        Coding::Zstd => "zstd",
        Coding::Gzip => "gzip",
    };
    codings.iter().map(name).collect()
}

/// One line for each name.
fn headers(table: &mut Table, key: &str, headers: &[HeaderSpec]) {
    let mut lines = Table::new();
    for header in headers {
        let own = |other: &&HeaderSpec| other.name.eq_ignore_ascii_case(&header.name);
        let same: Vec<&HeaderSpec> = headers.iter().filter(own).collect();
        if same.first().is_some_and(|first| !std::ptr::eq(*first, header)) {
            continue;
        }
        lines[header.name.as_str()] = match same[..] {
            [header] => self::header(header),
            _ => value(same.iter().map(|header| header_table(header)).collect::<Array>()),
        };
    }
    if !lines.is_empty() {
        table[key] = Item::Table(lines);
    }
}

fn header(header: &HeaderSpec) -> Item {
    let plain = header.paths.is_empty() && !header.https_only;
    match &header.change {
        HeaderChange::Set(own) if plain => value(text(own)),
        HeaderChange::Remove if plain => value(false),
        _ => value(header_table(header)),
    }
}

fn header_table(header: &HeaderSpec) -> InlineTable {
    let (own, mode): (Value, _) = match &header.change {
        HeaderChange::Default(own) => (text(own).into(), Some("default")),
        HeaderChange::Set(own) => (text(own).into(), Some("set")),
        HeaderChange::Add(own) => (text(own).into(), Some("add")),
        HeaderChange::Remove => (false.into(), None),
    };
    let mut table = inline_table([("value", own)]);
    if let Some(mode) = mode {
        table.insert("mode", mode.into());
    }
    if !header.paths.is_empty() {
        table.insert("paths", list(header.paths.iter().map(|path| text(path))).into());
    }
    if header.https_only {
        table.insert("https_only", true.into());
    }
    table
}

fn error_pages(table: &mut Table, pages: &[ErrorPageSpec]) {
    let mut lines = Table::new();
    for page in pages {
        let entry = [("page", super::path(&page.page).into()), ("replace", page.replace.into())];
        lines[validate::format_statuses(page).as_str()] = inline(entry);
    }
    if !lines.is_empty() {
        table["error_pages"] = Item::Table(lines);
    }
}
