//! The database as the application's account sees it, through the `mariadb` client; the password travels in its environment.

use crate::stage::Stage;
use std::collections::BTreeMap;
use std::process::Command;

/// The six tables.
pub const TABLES: [&str; 6] =
    ["users", "palettes", "recommendations", "user_selections", "stories", "analytics"];

/// How many rows each table has.
pub type Counts = BTreeMap<&'static str, u64>;

/// Where the database is, and as whom.
pub struct Database {
    host: String,
    port: String,
    user: String,
    password: String,
    name: String,
}

impl Database {
    /// By the variables that the application gets.
    pub fn new(variable: impl Fn(&str) -> String) -> Self {
        Self {
            host: variable("DB_HOST"),
            port: variable("DB_PORT"),
            user: variable("DB_USER"),
            password: variable("DB_PASSWORD"),
            name: variable("DB_NAME"),
        }
    }

    /// Rows of a statement; what the server says where it refuses.
    pub fn try_query(&self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--protocol=tcp", "--batch", "--skip-column-names", "--raw"]);
        command.args(["--default-character-set=utf8mb4", "--connect-timeout=10", "--host", &self.host]);
        command.args([
            "--port",
            &self.port,
            "--user",
            &self.user,
            "--database",
            &self.name,
            "--execute",
            sql,
        ]);
        let output = command.env("MYSQL_PWD", &self.password).output().expect("mariadb");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let rows = String::from_utf8(output.stdout).expect("UTF-8");
        Ok(rows.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
    }

    /// Rows of a statement.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<Vec<String>> {
        self.try_query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The only value.
    #[track_caller]
    pub fn value(&self, sql: &str) -> String {
        let rows = self.query(sql);
        assert!(rows.len() == 1 && rows[0].len() == 1, "{sql}: {rows:?}");
        rows[0][0].clone()
    }

    /// Rows of each table.
    #[track_caller]
    pub fn counts(&self) -> Counts {
        let counts = TABLES.map(|table| format!("(SELECT COUNT(*) FROM {table})"));
        let row = &self.query(&format!("SELECT {}", counts.join(", ")))[0];
        TABLES.into_iter().zip(row.iter().map(|count| count.parse().unwrap())).collect()
    }

    /// Connections that the application's account has now, this question's own not counted.
    pub fn connections(&self) -> usize {
        self.query("SHOW PROCESSLIST").len() - 1
    }
}

/// By how many rows each table has grown; only those that have.
pub fn growth(before: &Counts, after: &Counts) -> Vec<(&'static str, i64)> {
    let signed = |count: u64| i64::try_from(count).unwrap();
    let grown = TABLES.into_iter().map(|table| (table, signed(after[table]) - signed(before[table])));
    grown.filter(|(_, by)| *by != 0).collect()
}

/// Step 13: an account of its own that can do everything in its database and nothing elsewhere.
pub fn account(stage: &Stage) -> String {
    let (database, pid) = (stage.database(), stage.pid("web"));
    assert_eq!(database.user, "plot_palette_user");
    assert_eq!(database.name, "plot_palette");
    for sql in ["SELECT * FROM mysql.user", "CREATE DATABASE x", "CREATE USER 'x'@'localhost'", "SHUTDOWN"] {
        let refused = database.try_query(sql).expect_err(sql);
        assert!(refused.contains("denied"), "{sql}: {refused}");
    }
    database.query("CREATE TABLE own (id INT); INSERT INTO own VALUES (1); DROP TABLE own");
    // nobody else's name or password is in the application's environment
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&bytes);
    let named: Vec<&str> = environment
        .split('\0')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, value)| {
            let credential = ["USER", "PASSWORD", "PWD", "URL"].iter().any(|word| name.ends_with(word));
            credential && (value.contains("root") || value.contains("mysql@"))
        })
        .map(|(name, _)| name)
        .collect();
    assert_eq!(named, Vec::<&str>::new(), "of a superuser");
    format!("{}: mysql.user, CREATE DATABASE, CREATE USER, SHUTDOWN denied", database.user)
}

/// Step 13: no hot query reads a whole table, and every foreign key is the first column of an index.
pub fn indexes(stage: &Stage) -> String {
    let database = stage.database();
    let session = database.value("SELECT session_id FROM users ORDER BY id DESC LIMIT 1");
    let palette = database.value("SELECT MAX(palette_id) FROM recommendations");
    let hot = [
        format!(
            "SELECT p.* FROM palettes p JOIN users u ON u.id = p.user_id WHERE u.session_id = '{session}'"
        ),
        format!("SELECT * FROM recommendations WHERE palette_id = {palette} ORDER BY position"),
    ];
    let mut used = Vec::new();
    for query in &hot {
        for row in database.query(&format!("EXPLAIN {query}")) {
            // id, select_type, table, type, possible_keys, key, …
            assert!(row[3] != "ALL" && row[5] != "NULL", "no index: {row:?} of {query}");
            used.push(row[5].clone());
        }
    }
    let keys = database.query(
        "SELECT k.TABLE_NAME, k.COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE k \
         WHERE k.TABLE_SCHEMA = DATABASE() AND k.REFERENCED_TABLE_NAME IS NOT NULL",
    );
    let lookups =
        [("analytics", "user_id"), ("analytics", "event"), ("users", "session_id"), ("palettes", "sha256")];
    let lookups = lookups.map(|(table, column)| vec![table.to_owned(), column.to_owned()]);
    assert!(keys.len() >= 6, "foreign keys: {keys:?}");
    let indexed = database.query(
        "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.STATISTICS \
         WHERE TABLE_SCHEMA = DATABASE() AND SEQ_IN_INDEX = 1",
    );
    for column in keys.iter().chain(&lookups) {
        assert!(indexed.contains(column), "{column:?} is not indexed");
    }
    format!("EXPLAIN uses {}", used.join(", "))
}
