//! What is not served though it lies below the root (SEC-14): what no browser was ever meant to get.
//!
//! A team's document root is often its project folder. So the table refuses what belongs to the making and running of a site
//! and not to the site: hidden files, programs for the server, configuration, keys, databases, dumps, backups. It leaves
//! alone what pages do fetch: `.json` (but for packages' own), `.md`, `.txt`, `.xml`, `.map`, `.ts` (also a piece of video).
//! A site that means to publish one of them says so with `allow`. Names are compared decoded and in lower case; what is
//! refused answers like what does not exist.

use globset::{Glob, GlobSet, GlobSetBuilder};
use model::site::StaticSpec;
use std::sync::LazyLock;

/// Extensions, wherever the file lies.
#[rustfmt::skip] // as a table
const EXTENSIONS: &[&str] = &[
    // Programs for the server, as they are written and as they are compiled.
    "py", "pyc", "pyo", "pyi", "pyx", "ipynb", "sh", "bash", "zsh", "fish", "bat", "cmd", "ps1", "rb",
    "erb", "php", "php3", "php4", "php5", "phtml", "phar", "inc", "pl", "pm", "cgi", "fcgi", "asp", "aspx",
    "jsp", "go", "rs", "java", "class", "kt", "scala", "cs", "ex", "exs", "lua",
    // What configures them.
    "conf", "cnf", "cfg", "ini", "env", "properties", "toml", "yml", "yaml", "lock", "service", "timer",
    "tf", "tfvars", "tfstate", "dockerfile", "htaccess", "htpasswd",
    // Keys.
    "pem", "key", "p12", "pfx", "jks", "keystore", "kdbx", "ppk",
    // Data and its dumps.
    "sql", "db", "db3", "sqlite", "sqlite3", "mdb", "rdb", "aof", "dump", "pgdump", "mysqldump",
    // What editors, tools and people leave behind.
    "log", "bak", "backup", "old", "orig", "save", "sav", "swp", "swo", "tmp", "rej", "pid",
];

/// Whole names and other shapes of names, wherever they lie.
#[rustfmt::skip] // as a table
const NAMES: &[&str] = &[
    "*~", "#*#", "*.env.*", "*.sql.*", "*.dump.*", "*.db-*", "*.sqlite-*", "*.sqlite3-*", "*.log.[0-9]*",
    "*.bak.*", "*.backup.*", "*.tfstate.*", "id_rsa*", "id_ed25519*", "id_ecdsa*", "dockerfile*",
    "containerfile*", "docker-compose*", "makefile", "gnumakefile", "procfile", "rakefile", "gemfile*",
    "pipfile*", "vagrantfile", "jenkinsfile", "justfile", "caddyfile", "requirements*.txt",
    "constraints*.txt", "package.json", "package-lock.json", "npm-shrinkwrap.json", "composer.json",
    "tsconfig*.json", "firebase.json", "ecosystem.config.*", "webpack.config.*", "vite.config.*",
    "next.config.*", "rollup.config.*", "babel.config.*", "jest.config.*", "wp-config*", "web.config",
    "core.[0-9]*",
];

/// Folders, with all that is in them.
const FOLDERS: &[&str] = &["node_modules", "venv", "__pycache__", "site-packages"];

static DEFAULT: LazyLock<GlobSet> = LazyLock::new(|| {
    let extensions = EXTENSIONS.iter().map(|extension| format!("**/*.{extension}"));
    let names = NAMES.iter().map(|name| format!("**/{name}"));
    let folders = FOLDERS.iter().flat_map(|folder| [format!("**/{folder}"), format!("**/{folder}/**")]);
    let hidden = ["**/.*".to_owned(), "**/.*/**".to_owned()];
    // The table is ours, and a test compiles it.
    set(extensions.chain(names).chain(folders).chain(hidden)).unwrap_or_default()
});

/// What a root serves and refuses.
#[derive(Debug)]
pub struct Rules {
    allow: GlobSet,
    deny: GlobSet,
    /// A pattern could not be read, so nothing is sure to be meant for everybody.
    closed: bool,
}

impl Rules {
    /// Of a folder. Patterns were checked with the manifest: one that cannot be read all the same closes the folder.
    pub fn new(spec: &StaticSpec) -> Self {
        let lower = |patterns: &[String]| set(patterns.iter().map(|pattern| pattern.to_lowercase()));
        let (allow, deny) = (lower(&spec.allow), lower(&spec.deny));
        for error in [&allow, &deny].into_iter().filter_map(|set| set.as_ref().err()) {
            tracing::error!(%error, root = %spec.root.display(), "no file is served: a pattern cannot be read");
        }
        let closed = allow.is_err() || deny.is_err();
        Self { allow: allow.unwrap_or_default(), deny: deny.unwrap_or_default(), closed }
    }

    /// Whether this path below the root (decoded) is refused.
    pub fn refuse(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/').to_lowercase();
        if self.closed {
            return true;
        }
        if self.allow.is_match(&path) {
            return false;
        }
        self.deny.is_match(&path) || DEFAULT.is_match(without_well_known(&path))
    }
}

/// `.well-known` is the one hidden folder that the web knows (RFC 8615), at the root only; what is in it is looked at as all else.
fn without_well_known(path: &str) -> &str {
    match path.strip_prefix(".well-known") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.trim_start_matches('/'),
        _ => path,
    }
}

/// Patterns of one list; `*` also crosses slashes, as `globset` has it.
pub fn set(patterns: impl IntoIterator<Item = String>) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(&pattern)?);
    }
    set.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> Rules {
        let list = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        Rules::new(&StaticSpec { allow: list(allow), deny: list(deny), ..StaticSpec::default() })
    }

    #[rustfmt::skip] // as tables
    #[test]
    fn what_belongs_to_the_project_and_not_to_the_site_is_refused() {
        assert!(!DEFAULT.is_empty());
        let rules = rules(&[], &[]);
        for path in [
            "server.py", "SERVER.PY", "a/b/server.py", "requirements-prod.txt", "nginx.conf",
            "gunicorn.conf.py", "deploy.sh", ".env", ".env.production", "prod.env", ".git", ".git/",
            ".git/config", "a/.git/HEAD", "story_generation/x.py", "dump.sql", "dump.sql.gz", "index.html~",
            "index.html.bak", "Dockerfile", "backend.Dockerfile", "docker-compose.prod.yml",
            "node_modules/x/index.js", "venv/bin/activate", "__pycache__/x", "key.pem", "data.sqlite3",
            "data.db-wal", "package.json", "app.log", "app.log.1", "x.well-known/.a", ".well-known/.env",
            "a/.well-known/x", ".DS_Store", "praxifi.service",
        ] {
            assert!(rules.refuse(path), "{path}");
        }
        for path in [
            "", "index.html", "styles.css", "script.js", "palette GIF/x.gif", "uploads/x.png",
            ".well-known/acme-challenge/x", "data.json", "robots.txt", "sitemap.xml", "app.js.map",
            "video/001.ts", "README.md", "environment.html", "logs/", "pyramid.png", ".well-known/",
            "config.js",
        ] {
            assert!(!rules.refuse(path), "{path}");
        }
    }

    #[test]
    fn choices_add_and_open() {
        let rules = rules(&["openapi.YAML", ".hidden/**"], &["private/*", "*.map"]);
        assert!(
            !rules.refuse("openapi.yaml") && rules.refuse("other.yaml") && !rules.refuse(".hidden/x.txt")
        );
        assert!(
            rules.refuse("Private/a/b.html") && rules.refuse("x/app.js.map") && !rules.refuse("public/a")
        );
    }

    #[test]
    fn a_pattern_that_cannot_be_read_closes_the_folder() {
        assert!(rules(&[], &["a{b"]).refuse("index.html"));
    }
}
