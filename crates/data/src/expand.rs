//! From what the manifest says of a service to the app that it is: programs found, port and password chosen, files written.
//!
//! The service's folder is the keeper's; only `store` in it belongs to the database's user, who makes the data folder there. Files that
//! hold the password are 0600 and his, in a folder where he cannot replace them. The description he only reads: by it root learns which
//! programs to run, and as whom.

use crate::description::{Description, data_of, description_in, temporary_of};
use crate::programs::{self, Programs};
use crate::render::{self, Paths};
use crate::{DataError, Expanded, Place, TlsFiles, folder, kept, url};
use model::service::{ServiceSpec, ServiceTls};
use model::site::Balance;
use model::spec::{AppSpec, EnvValue, HealthSpec, Listen, Probe};
use model::{AppName, Secret};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Port of such servers everywhere.
const USUAL_PORT: u16 = 3306;
/// Longest path of a unix socket, in bytes.
const SOCKET_PATH: usize = 107;
/// Longest time for one health check; the check gives up by itself before.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(10);
const HEALTH_RETRIES: u32 = 3;
/// What a URL may hold as it is (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Makes the app. What was not chosen before is chosen and kept now, and what the server reads is written where it has changed.
///
/// # Errors
/// When the server is not installed or another than asked for, a value cannot be told to it, or a file cannot be written.
pub fn expand(name: &AppName, spec: &ServiceSpec, place: &Place<'_>) -> Result<Expanded, DataError> {
    let service = name.as_str();
    if spec.tls != ServiceTls::Off && place.tls.is_none() {
        return Err(DataError::NoCertificate { service: service.to_owned() });
    }
    if place.socket.as_os_str().len() > SOCKET_PATH {
        return Err(DataError::LongSocket { path: place.socket.into() });
    }
    let description = description_in(place.folder);
    let (programs, server) = programs_of(spec, &description)?;
    let administrator = administrator(spec, place)?;
    if !place.dry {
        folders(place)?;
    }
    let files = Files::of(service, spec, place, description, &programs, &administrator)?;
    if !place.dry {
        files.write(place)?;
    }
    Ok(Expanded { app: app(spec, place, &files, &administrator)?, gives: gives(spec, place, &files), server })
}

/// The programs, and name and version of their server. Those that are gone are those of last time: they may be on their way to another
/// version, what runs is not stopped for it, and a start says what is missing.
fn programs_of(spec: &ServiceSpec, description: &Path) -> Result<(Programs, String), DataError> {
    let gone = match programs::find(spec.kind) {
        Ok((programs, version)) => return Ok((programs, format!("MariaDB {version}"))),
        Err(error @ (DataError::NoProgram { .. } | DataError::Program { .. })) => error,
        Err(error) => return Err(error),
    };
    let told = Description::read(description).map_err(|_| gone)?;
    Ok((told.programs(), "MariaDB, not installed any more".to_owned()))
}

/// Name of the system user that the server will run as.
fn administrator(spec: &ServiceSpec, place: &Place<'_>) -> Result<String, DataError> {
    match place.owner {
        Some(_) => Ok(spec.run_as.clone()),
        None if sys::user::is_root() => Err(DataError::NoUser { user: spec.run_as.clone() }),
        None => {
            let uid = sys::user::uid();
            let user =
                sys::user::by_uid(uid).ok_or_else(|| DataError::NoUser { user: format!("of id {uid}") })?;
            Ok(user.name)
        }
    }
}

fn folders(place: &Place<'_>) -> Result<(), DataError> {
    let make = |folder: &Path, mode, owner| {
        sys::folder::make(folder, mode, owner).map_err(DataError::file("make", folder))
    };
    make(place.folder, 0o711, None)?;
    make(&store(place), 0o700, place.owner)?;
    // Applications pass through it to the socket.
    place.socket.parent().map_or(Ok(()), |folder| make(folder, 0o711, place.owner))
}

fn store(place: &Place<'_>) -> PathBuf {
    place.folder.join("store")
}

/// What is written, and what stands in it.
struct Files {
    port: u16,
    /// None without a database.
    password: Option<Secret>,
    description: PathBuf,
    /// Path and text of what the server reads; the database's user's.
    all: Vec<(PathBuf, String)>,
    /// Text of the description; the keeper's.
    told: String,
}

impl Files {
    fn of(
        service: &str,
        spec: &ServiceSpec,
        place: &Place<'_>,
        description: PathBuf,
        programs: &Programs,
        administrator: &str,
    ) -> Result<Self, DataError> {
        let at = |file: &str| place.folder.join(file);
        let (options, login, statements) = (at("server.cnf"), at("client.cnf"), at("start.sql"));
        let store = store(place);
        // Whether it runs: in doubt it does, and its port stays.
        let runs = !matches!(folder::holder(&data_of(&store)), Ok(None));
        let port = kept::port(place, spec.port, USUAL_PORT, runs)?;
        let tls = place.tls.filter(|_| spec.tls != ServiceTls::Off);
        let (data, temporary) = (data_of(&store), temporary_of(&store));
        let paths =
            Paths { data: &data, temporary: &temporary, socket: place.socket, statements: &statements };
        let server = render::server_options(service, spec, port, &paths, tls)?;
        let mut all = vec![(options.clone(), server)];
        let mut password = None;
        if let Some(database) = &spec.database {
            let given = spec.password.as_ref().map(|given| Ok(given.expose().to_owned()));
            let text = given.unwrap_or_else(|| kept::password(place))?;
            all.push((login.clone(), render::client_options(service, spec, database, &text, port, tls)?));
            all.push((statements, render::statements(service, spec, database, &text)?));
            all.push((at(url::FILE), url_of(&spec.user, &text, port, database)));
            password = Some(Secret::new(text));
        }
        let told = Description {
            service: service.to_owned(),
            server: programs.server.clone(),
            installer: programs.installer.clone(),
            client: programs.client.clone(),
            options,
            store,
            socket: place.socket.into(),
            port,
            login: spec.database.is_some().then_some(login),
            user: spec.user.clone(),
            administrator: administrator.to_owned(),
            owner: place.owner,
        };
        let told = serde_json::to_string_pretty(&told)
            .map_err(|error| DataError::file("write", &description)(error.into()))?;
        Ok(Self { port, password, description, all, told })
    }

    /// Writes those that are not so already.
    fn write(&self, place: &Place<'_>) -> Result<(), DataError> {
        let write = |path: &PathBuf, text: &String, mode, owner| {
            if is_so(path, text, owner) {
                return Ok(());
            }
            sys::durable::write_for(path, text.as_bytes(), mode, owner)
                .map_err(DataError::file("write", path))
        };
        for (path, text) in &self.all {
            write(path, text, 0o600, place.owner)?;
        }
        let keepers = place.owner.map(|(_, group)| (sys::user::uid(), group));
        write(&self.description, &self.told, 0o640, keepers)
    }

    /// Stands for all that a running server would have to be started again for; the certificate's content is part of it.
    fn hash(&self, tls: Option<&TlsFiles>, dry: bool) -> Result<u64, DataError> {
        let texts = self.all.iter().map(|(_, text)| text).chain([&self.told]);
        let mut all: Vec<u8> = texts.flat_map(|text| text.bytes().chain([0])).collect();
        for path in tls.into_iter().flat_map(|tls| [&tls.cert, &tls.key, &tls.ca]) {
            match sys::folder::read_plain(path, 1 << 20) {
                Ok(text) => all.extend(text),
                // It is made with what is only tried here.
                Err(_) if dry => {}
                Err(error) => return Err(DataError::file("read", path)(error)),
            }
        }
        Ok(model::id::fnv1a(&all))
    }
}

/// Whether the file says this and belongs to whom it should.
fn is_so(path: &Path, text: &str, owner: Option<(u32, u32)>) -> bool {
    let owned = owner.is_none() || sys::user::owner(path).ok() == owner;
    owned && sys::folder::read_plain(path, 1 << 20).is_ok_and(|there| there == text.as_bytes())
}

fn app(
    spec: &ServiceSpec,
    place: &Place<'_>,
    files: &Files,
    administrator: &str,
) -> Result<AppSpec, DataError> {
    let verb = |verb: &str| {
        let description = files.description.to_string_lossy().into_owned();
        vec!["$MAINSTAY".to_owned(), "service".to_owned(), verb.to_owned(), description]
    };
    // Passwords are part of what it stands for: it is shown no more than they are.
    let hash = Secret::new(format!(
        "{:016x}",
        files.hash(place.tls.filter(|_| spec.tls != ServiceTls::Off), place.dry)?
    ));
    Ok(AppSpec {
        argv: verb("run"),
        dir: place.folder.into(),
        env: BTreeMap::from([("MAINSTAY_SERVICE".to_owned(), EnvValue::Secret(hash))]),
        listen: Listen::Port(files.port),
        instances: 1,
        balance: Balance::default(),
        http2: false,
        needs: Vec::new(),
        health: HealthSpec {
            probe: Probe::Command(verb("health")),
            interval: spec.interval,
            timeout: HEALTH_TIMEOUT,
            retries: HEALTH_RETRIES,
            start_period: spec.start_period,
        },
        restart: spec.restart.clone(),
        stop: spec.stop.clone(),
        user: place.owner.map(|_| administrator.to_owned()),
        logs: spec.logs.clone(),
        build: None,
        writable: Vec::new(),
        description: None,
        traffic: Default::default(),
        recycle: Default::default(),
        resources: Default::default(),
        scale: None,
        reload_signal: None,
        container: None,
        confine: Default::default(),
        mounts: Vec::new(),
        files: Vec::new(),
        networks: Vec::new(),
        needs_how: Default::default(),
        preset: None,
    })
}

/// What applications connect with.
fn url_of(user: &str, password: &str, port: u16, database: &str) -> String {
    let coded = |text| utf8_percent_encode(text, RESERVED);
    format!("mysql://{}:{}@127.0.0.1:{port}/{}", coded(user), coded(password), coded(database))
}

fn gives(spec: &ServiceSpec, place: &Place<'_>, files: &Files) -> Vec<(String, EnvValue)> {
    let plain = |name: &str, value: String| (name.to_owned(), EnvValue::Plain(value));
    let secret = |name: &str, value: String| (name.to_owned(), EnvValue::Secret(Secret::new(value)));
    let mut gives = vec![
        plain("DB_HOST", "127.0.0.1".to_owned()),
        plain("DB_PORT", files.port.to_string()),
        plain("DB_SOCKET", place.socket.display().to_string()),
    ];
    if let (Some(database), Some(password)) = (&spec.database, &files.password) {
        gives.push(plain("DB_USER", spec.user.clone()));
        gives.push(secret("DB_PASSWORD", password.expose().to_owned()));
        gives.push(plain("DB_NAME", database.clone()));
        gives.push(secret("DATABASE_URL", url_of(&spec.user, password.expose(), files.port, database)));
    }
    if let Some(tls) = place.tls.filter(|_| spec.tls != ServiceTls::Off) {
        gives.push(plain("DB_SSL_CA", tls.ca.display().to_string()));
    }
    gives
}
