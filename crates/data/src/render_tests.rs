//! Hostile values: nothing ends where it does not end, nothing stands for something else.

use super::*;
use std::path::PathBuf;
use std::time::Duration;

fn spec(change: impl FnOnce(&mut ServiceSpec)) -> ServiceSpec {
    let nothing = serde_json::json!({ "secs": 0, "nanos": 0 });
    let mut spec: ServiceSpec = serde_json::from_value(serde_json::json!({
        "kind": "mariadb", "port": null, "database": "shop", "user": "shop", "password": null,
        "character_set": "utf8mb4", "collation": "utf8mb4_unicode_ci", "max_connections": 151, "tls": "off",
        "slow_query": { "secs": 1, "nanos": 250_000_000 }, "memory": 134_217_728, "run_as": "mysql",
        "interval": nothing, "start_period": nothing,
        "restart": { "policy": "always", "delay": nothing, "max_delay": nothing, "min_uptime": nothing, "max_restarts": 3 },
        "stop": { "signal": 15, "timeout": nothing, "drain": nothing }, "logs": { "max_size": 1, "keep": 1 },
    }))
    .unwrap();
    change(&mut spec);
    spec
}

fn server(spec: &ServiceSpec, tls: Option<&TlsFiles>) -> Result<String, DataError> {
    let paths = Paths {
        data: Path::new("/d"),
        temporary: Path::new("/t"),
        socket: Path::new("/s"),
        statements: Path::new("/i"),
    };
    server_options("db", spec, 3306, &paths, tls)
}

#[test]
fn the_server_is_told_what_the_manifest_says() {
    let text = server(&spec(|_| {}), None).unwrap();
    let lines = [
        "datadir=\"/d\"",
        "tmpdir=\"/t\"",
        "bind-address=127.0.0.1",
        "port=3306",
        "max_connections=151",
        "innodb_buffer_pool_size=134217728",
        "long_query_time=1.250000",
        "collation-server=utf8mb4_unicode_ci",
        "init_file=\"/i\"",
    ];
    for line in lines {
        assert!(text.lines().any(|there| there == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("ssl") && !text.contains("secure_transport"));
    assert!(!server(&spec(|spec| spec.database = None), None).unwrap().contains("init_file"));
    let slow = server(&spec(|spec| spec.slow_query = Duration::from_micros(500)), None).unwrap();
    assert!(slow.contains("long_query_time=0.000500\n"), "{slow}");
}

#[test]
fn encryption_is_offered_or_required() {
    let tls = TlsFiles { cert: PathBuf::from("/c"), key: PathBuf::from("/k"), ca: PathBuf::from("/a") };
    let offered = server(&spec(|spec| spec.tls = ServiceTls::Optional), Some(&tls)).unwrap();
    assert!(
        offered.contains("ssl-cert=\"/c\"\nssl-key=\"/k\"\nssl-ca=\"/a\"\ntls_version=TLSv1.2,TLSv1.3\n")
    );
    assert!(!offered.contains("require_secure_transport"));
    let required = server(&spec(|spec| spec.tls = ServiceTls::Required), Some(&tls)).unwrap();
    assert!(required.contains("require_secure_transport=ON\n"));
    let client = client_options("db", &spec(|_| {}), "shop", "x", 1, Some(&tls)).unwrap();
    assert!(client.contains("ssl-ca=\"/a\"\nssl-verify-server-cert\n"));
}

#[test]
fn hostile_names_and_passwords_stay_what_they_are() {
    let hostile = spec(|spec| spec.user = "o'x\\".into());
    let text = statements("db", &hostile, "a`b_%; DROP DATABASE mysql", "p'; --\n\\").unwrap();
    assert!(text.contains("CREATE USER IF NOT EXISTS 'o\\'x\\\\'@'localhost' IDENTIFIED BY 'p\\'; --\\n\\\\' ACCOUNT LOCK;\n"), "{text}");
    assert!(
        text.contains("CREATE DATABASE IF NOT EXISTS `a``b_%; DROP DATABASE mysql` CHARACTER SET utf8mb4"),
        "{text}"
    );
    assert!(text.contains("ON `a``b\\_\\%; DROP DATABASE mysql`.* TO"), "{text}");
    assert_eq!(text.lines().count(), 10, "one statement in each line:\n{text}");
    let client = client_options("db", &hostile, "a\"b", "p\"#\n\\\t[x]", 1, None).unwrap();
    assert!(client.contains("\npassword=\"p\\\"#\\n\\\\\\t[x]\"\n"), "{client}");
    assert!(
        client.contains("\nuser=\"o'x\\\\\"\n") && client.contains("\ndatabase=\"a\\\"b\"\n"),
        "{client}"
    );
}

#[test]
fn what_cannot_be_said_is_refused_without_repeating_a_password() {
    let plain = spec(|_| {});
    let refused = [
        statements("db", &plain, "shop", "secret\0").unwrap_err(),
        statements("db", &plain, "a\nb", "secret").unwrap_err(),
        statements("db", &spec(|spec| spec.character_set = "utf8; DROP".into()), "shop", "secret")
            .unwrap_err(),
        statements("db", &spec(|spec| spec.collation = String::new()), "shop", "secret").unwrap_err(),
        client_options("db", &plain, "shop", &"secret".repeat(1000), 1, None).unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, DataError::Value { .. }) && error.next().is_some(), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}
