//! Compose files with labels, and Traefik's own files, as sites and routes. The teams' fragments have golden files.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::diagnostic::Source;
use crate::import::compose::{Compose, load};
use crate::tree::Kind;
use std::fs;
use std::path::PathBuf;

/// What comes of files: keys of the manifest and of apps, and what is said.
struct Read {
    root: serde_json::Value,
    apps: serde_json::Value,
    network: BTreeMap<String, String>,
    replaced: BTreeSet<String>,
    said: Vec<String>,
}

impl Read {
    fn says(&self, part: &str) -> bool {
        self.said.iter().any(|line| line.contains(part))
    }

    /// The routes of a site, a line each: `path when -> app`.
    fn routes(&self, host: &str) -> Vec<String> {
        self.routes_at(host, None)
    }

    /// Of the site that this host has at an address.
    fn routes_at(&self, host: &str, address: Option<&str>) -> Vec<String> {
        let sites = self.root["site"].as_array().cloned().unwrap_or_default();
        let has = |list: &serde_json::Value, text: &str| {
            list.as_array().is_some_and(|all| all.iter().any(|one| one == text))
        };
        let mine = sites.iter().find(|site| {
            has(&site["hosts"], host)
                && address.is_none_or(|own| site["listen"].is_null() || has(&site["listen"], own))
        });
        let routes =
            mine.map(|site| site["route"].as_array().cloned().unwrap_or_default()).unwrap_or_default();
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned).unwrap_or_default();
        routes
            .iter()
            .map(|route| {
                let to = ["app", "apps", "proxy", "redirect", "dashboard", "metrics"]
                    .into_iter()
                    .find(|key| !route[*key].is_null());
                let to =
                    to.map(|key| route[key].as_str().map_or_else(|| route[key].to_string(), str::to_owned));
                format!("{} {} -> {}", text(&route["path"]), text(&route["when"]), to.unwrap_or_default())
            })
            .collect()
    }
}

fn json(entries: &[(String, Node)]) -> serde_json::Value {
    Node::new(Kind::Table(entries.to_vec()), 0..0).to_json()
}

/// Reads files of a folder; the first is the compose file.
fn read_all(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Read {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap().join("shop");
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    let environment = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    let first = root.join(files[0].0);
    let mut report = Report::new(Source::masked(&first, "", &[]));
    let mut disk = Disk::real();
    let project = load::project(&[first], &Compose::default(), &environment, &mut disk, &mut report);
    let mut project = project.unwrap_or_else(|| panic!("no project"));
    let lookup = |name: &str| project.variables.get(name, &environment).map(|(value, _)| value);
    let lookup: BTreeMap<String, String> =
        ["ACME_EMAIL", "TRAEFIK_DASHBOARD_ENABLED", "TRAEFIK_HTTPS_ENABLED"]
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), lookup(name)?)))
            .collect();
    let files = super::read(&mut project, &mut disk, &mut report);
    let routing = import(&project, &files, &|name| lookup.get(name).cloned(), &mut report);
    let short = |line: String| line.replace(&format!("{}/", root.display()), "");
    let said = match report.has_errors() {
        true => report.fail().iter().map(|found| short(found.to_string())).collect(),
        false => report.finish().unwrap().iter().map(|found| short(found.to_string())).collect(),
    };
    let shown = |node: serde_json::Value| {
        serde_json::from_str(&node.to_string().replace(&format!("{}/", root.display()), "")).unwrap()
    };
    Read {
        root: shown(json(&routing.root)),
        apps: routing.apps.iter().map(|(name, keys)| (name.clone(), json(keys))).collect(),
        network: routing.network,
        replaced: routing.replaced,
        said,
    }
}

/// A compose file of these services, behind entry points `web` and `websecure`.
fn read(services: &str) -> Read {
    let traefik = "services:\n  traefik:\n    image: traefik:v3.1\n    command: --entrypoints.web.address=:80 --entrypoints.websecure.address=:443 --providers.docker.exposedbydefault=false\n    ports: [\"80:80\", \"443:443\"]\n";
    read_all(&[("compose.yaml", &format!("{traefik}{services}"))], &[])
}

/// A service with these labels.
fn service(name: &str, labels: &[&str]) -> String {
    let lines: String = labels.iter().map(|label| format!("      - 'traefik.{label}'\n")).collect();
    format!("  {name}:\n    image: {name}\n    labels:\n      - traefik.enable=true\n{lines}")
}

/// A fragment of the teams' documents; none, and it is said, where they are not there.
fn fragment(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fragments").join(name);
    let text = fs::read_to_string(&path).ok();
    if text.is_none() {
        eprintln!("skipped: there is no {}", path.display());
    }
    text
}

fn golden(name: &str, read: &Read) {
    let text = format!(
        "{}\n\n{}\n\napps {}\nnetwork {:?}\nreplaced {:?}\n",
        read.said.join("\n"),
        serde_json::to_string_pretty(&read.root).unwrap(),
        serde_json::to_string_pretty(&read.apps).unwrap(),
        read.network,
        read.replaced
    );
    insta::with_settings!({ snapshot_path => "../../../tests/snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(format!("traefik_{name}"), text);
    });
}

// req: CFG-06
#[test]
fn the_flags_and_labels_of_the_first_team() {
    let (Some(compose), Some(env)) =
        (fragment("CFG-05.plosolver.docker-compose.yml"), fragment("CFG-09.plosolver.env"))
    else {
        return;
    };
    let read = read_all(&[("docker-compose.yml", &compose), (".env", &env)], &[]);
    golden("plosolver_development", &read);
}

// req: CFG-11, QUIRK-05
#[test]
fn the_file_of_the_first_team_beside_its_flags() {
    let (Some(compose), Some(env), Some(file)) = (
        fragment("CFG-05.plosolver.docker-compose.yml"),
        fragment("CFG-10.plosolver.env.production"),
        fragment("CFG-11.plosolver.traefik.yml"),
    ) else {
        return;
    };
    let read = read_all(
        &[("docker-compose.yml", &compose), (".env", &env), ("server/traefik/traefik.yml", &file)],
        &[],
    );
    golden("plosolver_production", &read);
}

// req: CFG-12, CFG-13, CFG-14, CFG-15
#[test]
fn the_smaller_fragments_of_the_first_team() {
    let names = [
        "CFG-12.plosolver.discovery-labels.yml",
        "CFG-13.plosolver.load-balancing-labels.yml",
        "CFG-14.plosolver.letsencrypt.yml",
        "CFG-15.plosolver.custom-certificates.yml",
    ];
    let Some(texts) = names.into_iter().map(fragment).collect::<Option<Vec<_>>>() else { return };
    let [discovery, balancing, encrypt, certificates] = &texts[..] else { panic!() };
    let indent = |text: &str, by: usize| -> String {
        text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
    };
    // A service of the first, the labels of the second on another, as the document shows them.
    let (volumes, tls) = certificates.split_once("\n\n").unwrap();
    let (resolver, labels) = encrypt.split_once("\n\n").unwrap();
    let compose = format!(
        "services:\n  traefik:\n    image: traefik:v2.10\n    command: [--entrypoints.web.address=:80, --entrypoints.websecure.address=:443, --providers.file.filename=/etc/traefik/tls.yml]\n    ports: ['80:80', '443:443']\n{}      - ./tls.yml:/etc/traefik/tls.yml\n  service-name:\n    image: x\n{}  backend:\n    image: x\n    labels:\n{}{}",
        indent(volumes, 4),
        indent(discovery, 4),
        indent(balancing, 6),
        indent(labels.split_once("labels:\n").unwrap().1, 4),
    );
    let read =
        read_all(&[("docker-compose.yml", &compose), ("traefik.yml", resolver), ("tls.yml", tls)], &[]);
    golden("plosolver_fragments", &read);
}

const A: &str = "http.routers.a.rule=Host(`a.test`)";

#[test]
fn the_longer_rule_wins_and_entry_points_are_kept() {
    let read = read(
        &[
            service("front", &[A, "http.routers.a.entrypoints=web"]),
            service("back", &["HTTP.Routers.B.Rule=Host(`a.test`) && PathPrefix(`/api`)"]),
            service(
                "forum",
                &[
                    "http.routers.f.rule=Host(`forum.localhost`)",
                    "http.services.f.loadbalancer.server.port=80",
                ],
            ),
        ]
        .concat(),
    );
    assert_eq!(read.routes_at("a.test", Some(":80")), ["/* PathPrefix(`/api`) -> back", "/*  -> front"]);
    assert_eq!(read.routes_at("a.test", Some(":443")), ["/* PathPrefix(`/api`) -> back"]);
    assert_eq!(read.routes("forum.localhost"), ["/*  -> forum"]);
    assert_eq!(read.apps["forum"]["port"], 80);
}

#[test]
fn a_written_priority_wins_over_length() {
    let read = read(
        &[
            service("one", &[A, "http.routers.a.priority=100"]),
            service("two", &["http.routers.b.rule=Host(`a.test`) && PathPrefix(`/a-long-path`)"]),
        ]
        .concat(),
    );
    assert_eq!(read.routes("a.test"), ["/*  -> one"]);
    assert!(read.says("router `b` is never asked: `a` answers before it"), "{:?}", read.said);
}

// req: LB-02
#[test]
fn without_enable_there_is_no_route() {
    let read = read("  web:\n    image: x\n    labels: [\"traefik.http.routers.a.rule=Host(`a.test`)\"]\n");
    assert!(read.root["site"].is_null(), "{}", read.root);
    assert!(read.says("service `web` gets no route: it is not enabled"), "{:?}", read.said);
}

// req: LB-05, LB-06
#[test]
fn a_router_has_the_only_service_of_its_container_whatever_the_case_of_the_labels() {
    let read = read(&service(
        "web",
        &[
            "HTTP.ROUTERS.x.RULE=host(`${DOMAIN:-shop.localhost}`) && pathprefix(`/p`)",
            "http.Services.other.LoadBalancer.Server.Port=5001",
        ],
    ));
    assert_eq!(read.routes("shop.localhost"), ["/* PathPrefix(`/p`) -> web"]);
    assert_eq!(read.apps["web"]["port"], 5001);
    let two = self::read(&service(
        "web",
        &[A, "http.services.x.loadbalancer.server.port=1", "http.services.y.loadbalancer.server.port=2"],
    ));
    assert!(two.says("router `a` could go to several services: x, y"), "{:?}", two.said);
}

#[test]
fn routers_without_a_host_are_in_every_site_in_their_place() {
    let read = read(
        &[
            service("front", &[A]),
            service("any", &["http.routers.any.rule=PathPrefix(`/ping-of-all`)"]),
            service(
                "sub",
                &["http.routers.sub.rule=HostRegexp(`{name:[a-z]+}.test`)", "http.routers.sub.priority=1"],
            ),
        ]
        .concat(),
    );
    assert_eq!(read.routes("a.test"), ["/* PathPrefix(`/ping-of-all`) -> any", "/*  -> front"]);
    assert_eq!(
        read.routes("*"),
        ["/* PathPrefix(`/ping-of-all`) -> any", "/* HostRegexp(`^(?:[a-z]+)\\.test$`) -> sub"]
    );
}

#[test]
fn a_middleware_that_no_router_has_does_nothing_and_is_said() {
    let strip = "http.middlewares.strip.stripprefix.prefixes=/api";
    let without = read(&service("web", &[A, strip]));
    assert!(without.says("no router has middleware `strip`"), "{:?}", without.said);
    assert!(without.root["site"][0]["route"][0]["strip_prefix"].is_null());
    let with = read(&service("web", &[A, strip, "http.routers.a.middlewares=strip@docker"]));
    assert!(!with.says("strip"), "{:?}", with.said);
    assert_eq!(with.root["site"][0]["route"][0]["strip_prefix"], "/api");
}

#[test]
fn a_router_over_https_without_a_rule_takes_over_that_of_its_neighbour() {
    let read = read(&service(
        "web",
        &[
            "http.routers.web-http.rule=Host(`a.test`)",
            "http.routers.web-http.entrypoints=web",
            "http.routers.web-https.tls=true",
            "http.routers.web-https.entrypoints=websecure",
            "http.routers.web-https.tls.certresolver=le",
        ],
    ));
    assert!(read.says("router `web-https` has no rule: it takes over that of `web-http`"), "{:?}", read.said);
    assert_eq!(read.routes("a.test"), ["/*  -> web"]);
    assert_eq!(read.root["site"][0]["https_redirect"], false);
}

#[test]
fn plain_routers_that_only_lead_to_https_become_the_redirect_of_the_site() {
    let read = read(&service(
        "web",
        &[
            "http.routers.plain.rule=Host(`a.test`)",
            "http.routers.plain.entrypoints=web",
            "http.routers.plain.middlewares=https",
            "http.middlewares.https.redirectscheme.scheme=https",
            "http.middlewares.https.redirectscheme.permanent=true",
            "http.routers.web.rule=Host(`a.test`)",
            "http.routers.web.entrypoints=websecure",
            "http.routers.web.tls=true",
            "http.routers.web.service=web",
            "http.services.web.loadbalancer.server.port=80",
        ],
    ));
    assert_eq!(read.root["site"].as_array().unwrap().len(), 1, "{}", read.root);
    assert_eq!(read.root["site"][0]["https_redirect"], true);
    assert_eq!(read.routes("a.test"), ["/*  -> web"]);
}

// req: QUIRK-03
#[test]
fn a_servers_weight_is_the_share_of_its_instances() {
    let label = |weight: &str| {
        [
            "http.services.s.loadbalancer.server.port=80".to_owned(),
            format!("http.services.s.loadbalancer.server.weight={weight}"),
        ]
    };
    let (one, two) = (label("100"), label("50"));
    let read = read(
        &[
            service("one", &[&one[0], &one[1], A, "http.routers.a.service=s"]),
            service("two", &[&two[0], &two[1]]),
        ]
        .concat(),
    );
    assert_eq!(read.routes("a.test"), [r#"/*  -> [{"app":"one","weight":100},{"app":"two","weight":50}]"#]);
    assert!(!read.says("weight"), "{:?}", read.said);
}

#[test]
fn health_is_asked_for_on_the_port_of_the_service() {
    let read = read(&service(
        "backend",
        &[
            A,
            "http.services.b.loadbalancer.server.port=5001",
            "http.services.b.loadbalancer.healthcheck.path=/health",
            "http.services.b.loadbalancer.healthcheck.interval=10",
        ],
    ));
    let app = &read.apps["backend"];
    assert_eq!(
        (&app["health"]["path"], &app["health"]["interval"], &app["port"]),
        (&"/health".into(), &"10s".into(), &5001.into())
    );
}

#[test]
fn what_would_keep_somebody_out_and_cannot_be_had_keeps_everybody_out() {
    for middleware in [
        "basicauth.users=anna:$2y$05$abc",
        "digestauth.users=anna:x:y",
        "plugin.gate.key=1",
        "forwardauth.address=https://auth",
    ] {
        let read = read(&service(
            "web",
            &[
                A,
                "http.routers.a.middlewares=m",
                &format!("http.middlewares.m.{}", middleware.replace('$', "$$")),
            ],
        ));
        assert_eq!(read.root["site"][0]["route"][0]["deny"][0], "0.0.0.0/0", "{middleware}");
    }
    let unknown = read(&service("web", &[A, "http.routers.a.middlewares=gone"]));
    assert_eq!(unknown.root["site"][0]["route"][0]["deny"][0], "0.0.0.0/0");
}

#[test]
fn usual_middlewares_become_policies() {
    let read = read(&service(
        "web",
        &[
            A,
            "http.routers.a.middlewares=all",
            "http.middlewares.all.chain.middlewares=limit,head,cors,net,flight,body,add",
            "http.middlewares.limit.ratelimit.average=100",
            "http.middlewares.limit.ratelimit.burst=50",
            "http.middlewares.limit.ratelimit.period=1m",
            "http.middlewares.head.headers.customrequestheaders.X-From=shop",
            "http.middlewares.head.headers.customResponseHeaders.Server=",
            "http.middlewares.head.headers.stsseconds=31536000",
            "http.middlewares.head.headers.framedeny=true",
            "http.middlewares.cors.headers.accesscontrolalloworiginlist=https://a.test,https://b.test",
            "http.middlewares.cors.headers.accesscontrolmaxage=100",
            "http.middlewares.net.ipallowlist.sourcerange=10.0.0.0/8, 127.0.0.1",
            "http.middlewares.flight.inflightreq.amount=5",
            "http.middlewares.body.buffering.maxrequestbodybytes=1000",
            "http.middlewares.add.addprefix.prefix=/v1",
            "http.middlewares.add.addprefix.prefx=/v1",
        ],
    ));
    let route = &read.root["site"][0]["route"][0];
    assert_eq!(route["limit"][0]["rate"], "100/m");
    assert_eq!(route["limit"][0]["burst"], 49);
    assert_eq!(route["request_headers"]["X-From"], "shop");
    assert_eq!(route["headers"]["Server"], false);
    assert_eq!(route["headers"]["X-Frame-Options"], "DENY");
    assert_eq!(route["headers"]["Strict-Transport-Security"]["value"], "max-age=31536000");
    assert_eq!(route["cors"]["origins"][1], "https://b.test");
    assert_eq!(route["allow"][1], "127.0.0.1");
    assert_eq!(route["concurrency"][0]["most"], 5);
    assert_eq!(route["body"], 1000);
    assert_eq!(route["add_prefix"], "/v1");
    assert!(read.says("`http.middlewares.add.addprefix.prefx` means nothing to Mainstay"), "{:?}", read.said);
}

#[test]
fn a_network_is_chosen_by_its_key_or_its_name() {
    let read = read_all(
        &[(
            "compose.yaml",
            "services:\n  traefik: {image: traefik, command: [--providers.docker.network=shop_back], ports: ['80:80']}\n  web:\n    image: x\n    networks: [front, back]\n    labels: {traefik.http.routers.a.rule: Host(`a.test`)}\nnetworks: {front: {}, back: {}}\n",
        )],
        &[],
    );
    assert_eq!(read.network.get("web").map(String::as_str), Some("back"));
}

#[test]
fn the_dashboard_of_a_router_is_for_this_machine_unless_it_is_guarded() {
    let labels = ["http.routers.d.rule=Host(`d.test`)", "http.routers.d.service=api@internal"];
    let open = read(&service("x", &labels));
    assert_eq!(open.root["site"][0]["route"][0]["allow"][0], "127.0.0.0/8");
    let guarded = read(&service(
        "x",
        &[
            labels[0],
            labels[1],
            "http.routers.d.middlewares=n",
            "http.middlewares.n.ipallowlist.sourcerange=10.0.0.0/8",
        ],
    ));
    assert_eq!(guarded.root["site"][0]["route"][0]["allow"][0], "10.0.0.0/8");
}

// No text makes the importer panic: labels cut short at every byte.
#[test]
fn cut_labels_are_reported_not_fatal() {
    let label = "http.routers.a.rule=Host(`a.test`) && (PathPrefix(`/x`) || !Method(`GET`))";
    for end in 0..label.len() {
        let cut = label.get(..end).unwrap();
        read(&service(
            "web",
            &[cut, "http.services.s.loadbalancer.server.port=x", "tcp.routers.t.rule=HostSNI(`*`)"],
        ));
    }
}

const RESOLVER: &str = "certificatesResolvers:\n  le:\n    acme:\n      email: admin@shop.de\n      storage: /letsencrypt/acme.json\n      httpChallenge:\n        entryPoint: web\n";

/// Services behind Traefik with [`RESOLVER`], and more of its file.
fn ordered(services: &str, more: &str) -> Read {
    let compose = format!(
        "services:\n  traefik:\n    image: traefik:v3.1\n    command: --entrypoints.web.address=:80 --entrypoints.websecure.address=:443\n    ports: ['80:80', '443:443']\n    volumes: ['./traefik.yml:/etc/traefik/traefik.yml:ro']\n{services}"
    );
    read_all(&[("compose.yaml", &compose), ("traefik.yml", &format!("{RESOLVER}{more}"))], &[])
}

fn tls(read: &Read, host: &str) -> serde_json::Value {
    let sites = read.root["site"].as_array().unwrap();
    let has = |site: &&serde_json::Value| site["hosts"].as_array().unwrap().iter().any(|own| own == host);
    let secure = |site: &&serde_json::Value| site["tls"] != false;
    sites.iter().filter(has).find(secure).unwrap()["tls"].clone()
}

// req: TLS-05
#[test]
fn a_router_with_a_resolver_has_its_certificate_from_the_authority() {
    let read = ordered(
        &[
            service(
                "a",
                &[
                    "http.routers.a.rule=Host(`shop.de`) || Host(`www.shop.de`)",
                    "http.routers.a.tls=true",
                    "http.routers.a.tls.certresolver=le",
                ],
            ),
            service("b", &["http.routers.b.rule=Host(`b.de`)", "http.routers.b.tls=true"]),
            service("c", &["http.routers.c.rule=Host(`c.localhost`)", "http.routers.c.tls.certresolver=le"]),
        ]
        .concat(),
        "",
    );
    assert_eq!(
        read.root["acme"],
        serde_json::json!({ "email": "admin@shop.de", "challenge": ["http-01"] }),
        "{:?}",
        read.said
    );
    assert_eq!((tls(&read, "shop.de"), tls(&read, "www.shop.de")), ("acme".into(), "acme".into()));
    assert_eq!((tls(&read, "b.de"), tls(&read, "c.localhost")), ("local".into(), "local".into()));
}

#[test]
fn an_authority_of_ones_own_certifies_every_name() {
    let own = service("a", &["http.routers.a.rule=Host(`a.internal`)", "http.routers.a.tls.certresolver=le"]);
    let read = ordered(
        &own,
        "      caServer: https://ca.internal:14000/dir\n      tlsChallenge: {}\n      keyType: EC384\n",
    );
    assert_eq!(tls(&read, "a.internal"), "acme");
    let acme = &read.root["acme"];
    assert_eq!((&acme["authority"], &acme["key"]), (&"https://ca.internal:14000/dir".into(), &"p384".into()));
    assert_eq!(acme["challenge"], serde_json::json!(["http-01", "tls-alpn-01"]));
}

#[test]
fn a_resolver_that_no_router_names_orders_nothing() {
    let read =
        ordered(&service("a", &["http.routers.a.rule=Host(`shop.de`)", "http.routers.a.tls=true"]), "");
    assert!(read.root["acme"].is_null() && tls(&read, "shop.de") == "local", "{}", read.root);
    assert!(read.says("no router names resolver `le`"), "{:?}", read.said);
}
