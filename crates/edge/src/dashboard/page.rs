//! The dashboard as a page: three tables, no script. It is loaded anew every few seconds.

use crate::html::escape;
use serde_json::Value;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#8881}\
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;max-width:76rem;padding:1.5rem}\
h1{font-size:1.35rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}\
p{margin:.25rem 0;opacity:.75}.scroll{overflow-x:auto}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid var(--line)}\
th{font-weight:600;font-size:.85rem}.n{text-align:right}td.n{font-variant-numeric:tabular-nums}\
code{font:13px/1.5 ui-monospace,monospace;overflow-wrap:anywhere}\
.tag{background:var(--soft);border-radius:.3rem;padding:.05rem .35rem;margin:0 .2rem .2rem 0;display:inline-block}\
.good{color:#1a7f37}.wait{color:#9a6700}.bad{color:#cf222e}\
@media(prefers-color-scheme:dark){.good{color:#3fb950}.wait{color:#d29922}.bad{color:#f85149}}";

/// Columns of numbers.
const NUMBERS: [&str; 4] = ["In flight", "Requests", "Failures", "Routers"];

/// Everything on one page.
pub fn page(all: &Value) -> String {
    let stack = escape(text(all, "stack"));
    let count = |name: &str| list(all, name).len();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"refresh\" content=\"5\"><title>{stack}: routing</title><style>{STYLE}</style></head><body>\
         <h1>{stack}</h1><p>{} routers, {} services, {} middlewares; table {}. As JSON: <code>/api/rawdata</code></p>\
         <h2>Routers</h2>{}<h2>Services</h2>{}<h2>Middlewares</h2>{}</body></html>\n",
        count("routers"),
        count("services"),
        count("middlewares"),
        all.get("revision").and_then(Value::as_u64).unwrap_or_default(),
        routers(list(all, "routers")),
        services(list(all, "services")),
        middlewares(list(all, "middlewares")),
    )
}

fn routers(all: &[Value]) -> String {
    let rows = all.iter().map(|router| {
        let entry = list(router, "entrypoints");
        let entry = if entry.is_empty() { "all".to_owned() } else { codes(entry) };
        let when = match text(router, "when") {
            "" => String::new(),
            when => format!("<br><code>{}</code>", escape(when)),
        };
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{entry}</td><td><code>{}</code>{when}</td><td><code>{}</code></td><td>{}</td></tr>",
            status(text(router, "status")),
            escape(text(router, "name")),
            codes(list(router, "hosts")),
            escape(text(router, "path")),
            escape(text(router, "service")),
            tags(list(router, "middlewares")),
        )
    });
    table(
        &["Status", "Router", "Hosts", "Entry points", "Path and condition", "Service", "Middlewares"],
        rows,
    )
}

fn services(all: &[Value]) -> String {
    let rows = all.iter().flat_map(|service| {
        let number = |key: &str| service.get(key).and_then(Value::as_u64).unwrap_or_default();
        let own = format!(
            "<tr><td>{}</td><td><b><code>{}</code></b></td><td></td><td class=\"n\">{} wait</td><td class=\"n\">{}</td><td class=\"n\"></td></tr>",
            status(text(service, "status")),
            escape(text(service, "name")),
            number("waiting"),
            number("requests"),
        );
        let servers = list(service, "servers").iter().map(|server| {
            // One that takes no requests has no figures.
            let number = |key: &str| server.get(key).and_then(Value::as_u64).map(|it| it.to_string()).unwrap_or_default();
            format!(
                "<tr><td>{}</td><td><code>{}</code></td><td><code>{}</code></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                status(text(server, "status")),
                escape(text(server, "name")),
                escape(text(server, "address")),
                number("in_flight"),
                number("requests"),
                number("failures"),
            )
        });
        std::iter::once(own).chain(servers).collect::<Vec<_>>()
    });
    table(&["Status", "Service and servers", "Address", "In flight", "Requests", "Failures"], rows)
}

fn middlewares(all: &[Value]) -> String {
    let rows = all.iter().map(|middleware| {
        let routers = middleware.get("routers").and_then(Value::as_u64).unwrap_or_default();
        format!(
            "<tr><td>{}</td><td><code>{}</code></td><td class=\"n\">{routers}</td></tr>",
            status("ready"),
            escape(text(middleware, "name"))
        )
    });
    table(&["Status", "Middleware", "Routers"], rows)
}

fn table(heads: &[&str], rows: impl Iterator<Item = String>) -> String {
    // Numbers stand below the end of their heading.
    let class = |head: &str| if NUMBERS.contains(&head) { " class=\"n\"" } else { "" };
    let heads: String = heads.iter().map(|head| format!("<th{}>{head}</th>", class(head))).collect();
    let rows: String = rows.collect();
    let rows = if rows.is_empty() { "<tr><td>none</td></tr>".to_owned() } else { rows };
    format!("<div class=\"scroll\"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>")
}

fn status(word: &str) -> String {
    let (class, sign) = match word {
        "ready" | "up" => ("good", "●"),
        "starting" | "restarting" | "asleep" => ("wait", "◐"),
        _ => ("bad", "○"),
    };
    format!("<span class=\"{class}\">{sign} {}</span>", escape(word))
}

fn codes(all: &[Value]) -> String {
    let texts = all.iter().filter_map(Value::as_str);
    texts.map(|text| format!("<code>{}</code>", escape(text))).collect::<Vec<_>>().join("<br>")
}

fn tags(all: &[Value]) -> String {
    let texts = all.iter().filter_map(Value::as_str);
    texts.map(|text| format!("<code class=\"tag\">{}</code>", escape(text))).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
