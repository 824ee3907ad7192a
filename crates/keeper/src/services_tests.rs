//! What apps get of the services that they need, and how a change of one is told. Servers themselves are `crates/e2e`'s.

use super::*;
use crate::change;
use crate::stack::tests::{app, spec};
use crate::stack::{Revision, Stack};
use model::Secret;
use model::spec::Listen;
use std::sync::Arc;
use std::time::Duration;

fn fake(port: u16) -> Expanded {
    let plain = |name: &str, value: &str| (name.to_owned(), EnvValue::Plain(value.to_owned()));
    let secret = |name: &str| (name.to_owned(), EnvValue::Secret(Secret::new(format!("secret{port}"))));
    Expanded {
        app: app("server", Listen::Port(port)),
        gives: vec![plain("DB_PORT", &port.to_string()), secret("DB_PASSWORD"), secret("DATABASE_URL")],
        server: "Fake 1.0".into(),
    }
}

fn service(max_connections: u32) -> ServiceSpec {
    let base = app("x", Listen::Nothing);
    ServiceSpec {
        kind: model::service::ServiceKind::Mariadb,
        port: None,
        database: None,
        user: "shop".into(),
        password: None,
        character_set: "utf8mb4".into(),
        collation: "utf8mb4_unicode_ci".into(),
        max_connections,
        tls: ServiceTls::Off,
        slow_query: Duration::from_secs(1),
        memory: 1 << 27,
        run_as: "mysql".into(),
        interval: Duration::from_secs(10),
        start_period: Duration::from_secs(60),
        restart: base.restart,
        stop: base.stop,
        logs: base.logs,
    }
}

/// The environment of an app with these needs, where services of these names are there.
fn env(needs: &[&str], services: &[&str]) -> Result<BTreeMap<String, String>, String> {
    let mut web = app("web", Listen::Socket);
    web.needs = needs.iter().map(|name| name.parse().unwrap()).collect();
    web.env.insert("DB_PORT".into(), EnvValue::Plain("own".into()));
    let mut spec = StackSpec::clone(&spec(&[("web", web), ("idle", app("idle", Listen::Socket))]));
    let fakes = services.iter().zip(1..).map(|(name, port)| (name.parse().unwrap(), fake(port)));
    let engines = join(&mut spec, fakes.collect())?;
    assert_eq!(engines.len(), services.len());
    let of = |name: &str| &spec.apps[&name.parse::<AppName>().unwrap()];
    assert!(of("idle").env.is_empty(), "who needs nothing gets nothing");
    services.iter().for_each(|name| assert_eq!(of(name).argv, ["server"]));
    let text = |value: &EnvValue| value.expose().to_owned();
    Ok(of("web").env.iter().map(|(name, value)| (name.clone(), text(value))).collect())
}

#[test]
fn an_app_gets_the_address_of_what_it_needs_and_its_own_words_win() {
    let one = env(&["db", "idle"], &["db", "other"]).unwrap();
    let wanted =
        [("DATABASE_URL", "secret1"), ("DB_PASSWORD", "secret1"), ("DB_PORT", "own"), ("DB_URL", "secret1")];
    assert_eq!(one, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(env(&[], &["db"]).unwrap().len(), 1);
}

#[test]
fn of_two_services_the_first_gives_the_plain_names_and_each_its_own() {
    let two = env(&["shop-data", "log"], &["log", "shop-data"]).unwrap();
    let has = |name: &str, value: &str| assert_eq!(two.get(name).map(String::as_str), Some(value), "{name}");
    has("DB_PASSWORD", "secret2");
    has("DATABASE_URL", "secret2");
    has("SHOP_DATA_PORT", "2");
    has("SHOP_DATA_URL", "secret2");
    has("LOG_PORT", "1");
    has("LOG_PASSWORD", "secret1");
    assert!(env(&["db", "log"], &["db", "log"]).is_ok());
    let error = env(&["log", "db"], &["db", "log"]).unwrap_err();
    assert!(error.contains("app web") && error.contains("write db first"), "{error}");
}

#[test]
fn a_change_of_a_service_is_told_without_its_values() {
    let revision = |services: &[(&str, ServiceSpec)]| {
        let mut spec = StackSpec::clone(&spec(&[]));
        let fakes = services.iter().map(|(name, service)| {
            let mut fake = fake(1);
            fake.app.argv.push(format!("{:?}", service.max_connections));
            (name.parse().unwrap(), fake)
        });
        join(&mut spec, fakes.collect()).unwrap();
        spec.services = services.iter().map(|(name, it)| (name.parse().unwrap(), it.clone())).collect();
        let (engines, made) = Default::default();
        Revision { number: 1, spec: Arc::new(spec), http: vec![], https: vec![], engines, made }
    };
    let (none, old) = (revision(&[]), revision(&[("db", service(100))]));
    let told = |old: &Revision, new: &Revision| change::describe(Some(old), new);
    assert_eq!(change::describe(None, &old), ["service db: added"]);
    assert_eq!(told(&none, &old), ["service db: added"]);
    assert_eq!(told(&old, &none), ["service db: removed"]);
    let mut more = service(200);
    more.password = Some(Secret::new("hunter2"));
    let lines = told(&old, &revision(&[("db", more)]));
    assert_eq!(lines, ["service db: password, max_connections changed; its instances are replaced"]);
    assert!(told(&old, &old).is_empty());
}

#[test]
fn an_app_with_another_address_is_replaced_after_its_service_and_others_before() {
    let revision = |port: u16, code: &str| {
        let [mut web, mut other] = ["web", code].map(|run| app(run, Listen::Socket));
        (web.needs, other.needs) = (vec!["db".parse().unwrap()], vec!["db".parse().unwrap()]);
        other.env.insert("DB_PORT".into(), EnvValue::Plain("own".into()));
        other.env.extend(fake(0).gives.into_iter().skip(1));
        other.env.insert("DB_URL".into(), EnvValue::Plain("own".into()));
        let mut spec = StackSpec::clone(&spec(&[("web", web), ("other", other)]));
        join(&mut spec, [("db".parse().unwrap(), fake(port))].into()).unwrap();
        spec.services.insert("db".parse().unwrap(), service(u32::from(port)));
        let (engines, made) = Default::default();
        Revision { number: port.into(), spec: Arc::new(spec), http: vec![], https: vec![], engines, made }
    };
    let (old, new) = (revision(1, "old"), revision(2, "new"));
    let mut stack = Stack::new("shop".parse().unwrap(), "/mainstay.toml".into(), Default::default());
    stack.active = Some(old.clone());
    stack.prepare(new.clone());
    let wanted = |stack: &Stack, name: &str| {
        let mut desired = model::plan::Desired::default();
        stack.desire(&mut desired);
        desired.apps[&stack.app_id(&name.parse().unwrap())].spec
    };
    let print = |revision: &Revision, name: &str| {
        revision.spec.apps[&name.parse::<AppName>().unwrap()].fingerprint(0)
    };
    assert_eq!(wanted(&stack, "web"), print(&old, "web"), "it would meet the old server");
    assert_eq!(wanted(&stack, "other"), print(&new, "other"), "nothing that it gets of the service changes");
    assert_eq!(wanted(&stack, "db"), print(&new, "db"));
    stack.commit();
    assert_eq!(wanted(&stack, "web"), print(&new, "web"));
}
