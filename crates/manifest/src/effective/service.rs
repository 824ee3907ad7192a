//! Data services.

use super::{duration, inline, logs, restart, size, stop, text};
use model::secret::MASK;
use model::service::{ServiceSpec, ServiceTls};
use toml_edit::{Table, value};

/// `[service.NAME]`.
pub fn service(spec: &ServiceSpec) -> Table {
    let mut table = Table::new();
    table["kind"] = value(spec.kind.to_string());
    if let Some(port) = spec.port {
        table["port"] = value(i64::from(port));
    }
    if let Some(database) = &spec.database {
        table["database"] = value(text(database));
    }
    table["user"] = value(text(&spec.user));
    if spec.password.is_some() {
        table["password"] = inline([("secret", MASK.into())]);
    }
    table["character_set"] = value(text(&spec.character_set));
    table["collation"] = value(text(&spec.collation));
    table["max_connections"] = value(i64::from(spec.max_connections));
    table["tls"] = value(match spec.tls {
        ServiceTls::Off => "off",
        ServiceTls::Optional => "optional",
        ServiceTls::Required => "required",
    });
    table["slow_query"] = value(duration(spec.slow_query));
    table["memory"] = value(size(spec.memory));
    table["run_as"] = value(text(&spec.run_as));
    table["interval"] = value(duration(spec.interval));
    table["start_period"] = value(duration(spec.start_period));
    table["restart"] = restart(&spec.restart);
    table["stop"] = stop(&spec.stop);
    table["logs"] = logs(&spec.logs);
    table
}
