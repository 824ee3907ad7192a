"""MySQL for Plot & Palette: schema, connection pool, transactions, and every statement the application runs.

Flow: `Database.transaction()` -> a slot of the pool (bounded; waits `PATIENCE`) -> a live connection (pinged, else made anew) ->
`Transaction` -> commit, or rollback when the body raised -> the connection goes back, or is closed when anything was wrong with it.

Invariants:
- A process never has more than `size` server connections; none is made before the first use, so nothing crosses a fork.
- Values travel apart from the statement (server-side prepared statements), never inside its text.
- The schema is created on the first connection of a process, under a lock the server keeps by name: workers may start together.
- Whatever keeps the database from answering is a `DatabaseUnavailable`; its text is fit for a client, the cause goes to the log.
Works with MySQL 8 and MariaDB 10.11.
"""

import contextlib
import json
import logging
import queue
import threading

import mysql.connector
from mysql.connector import errors

log = logging.getLogger("plot_palette.database")

CONNECT_TIMEOUT = 2  # seconds, for the TCP connection and the handshake
STATEMENT_TIMEOUT = 8  # seconds one statement may keep silent
PING_TIMEOUT = 1  # seconds for the sign of life of a connection that was idle
PATIENCE = 5.0  # seconds a request waits for a free connection
SCHEMA_PATIENCE = 20  # seconds for the schema lock
NO_SUCH_TABLE = 1146
REFUSED = {1044, 1045, 1049, 1130, 1698, 3159}  # account, password, database, host, transport

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS users (
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        session_id VARCHAR(64) NOT NULL,
        created_at DATETIME(6) NOT NULL,
        last_seen_at DATETIME(6) NOT NULL,
        UNIQUE KEY users_session (session_id)
    )""",
    """CREATE TABLE IF NOT EXISTS palettes (
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        user_id BIGINT UNSIGNED NOT NULL,
        file_name VARCHAR(64) NOT NULL,
        original_name VARCHAR(255) NOT NULL,
        mime VARCHAR(32) NOT NULL,
        width INT UNSIGNED NOT NULL,
        height INT UNSIGNED NOT NULL,
        colors JSON NOT NULL,
        sha256 CHAR(64) NOT NULL,
        created_at DATETIME(6) NOT NULL,
        KEY palettes_user (user_id),
        KEY palettes_sha256 (sha256),
        CONSTRAINT palettes_user FOREIGN KEY (user_id) REFERENCES users (id)
    )""",
    """CREATE TABLE IF NOT EXISTS recommendations (
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        palette_id BIGINT UNSIGNED NOT NULL,
        painting_id INT UNSIGNED NOT NULL,
        position TINYINT UNSIGNED NOT NULL,
        score DOUBLE NOT NULL,
        model_version VARCHAR(64) NOT NULL,
        created_at DATETIME(6) NOT NULL,
        UNIQUE KEY recommendations_place (palette_id, position),
        CONSTRAINT recommendations_palette FOREIGN KEY (palette_id) REFERENCES palettes (id)
    )""",
    """CREATE TABLE IF NOT EXISTS user_selections (
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        user_id BIGINT UNSIGNED NOT NULL,
        palette_id BIGINT UNSIGNED NOT NULL,
        painting_id INT UNSIGNED NOT NULL,
        emotion TINYINT UNSIGNED NOT NULL,
        created_at DATETIME(6) NOT NULL,
        KEY user_selections_user (user_id),
        KEY user_selections_palette (palette_id),
        CONSTRAINT user_selections_user FOREIGN KEY (user_id) REFERENCES users (id),
        CONSTRAINT user_selections_palette FOREIGN KEY (palette_id) REFERENCES palettes (id)
    )""",
    """CREATE TABLE IF NOT EXISTS stories (
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        user_id BIGINT UNSIGNED NOT NULL,
        palette_id BIGINT UNSIGNED NOT NULL,
        title VARCHAR(255) NOT NULL,
        narrative MEDIUMTEXT NOT NULL,
        model VARCHAR(100) NOT NULL,
        created_at DATETIME(6) NOT NULL,
        KEY stories_user (user_id),
        KEY stories_palette (palette_id),
        CONSTRAINT stories_user FOREIGN KEY (user_id) REFERENCES users (id),
        CONSTRAINT stories_palette FOREIGN KEY (palette_id) REFERENCES palettes (id)
    )""",
    """CREATE TABLE IF NOT EXISTS analytics (
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        user_id BIGINT UNSIGNED NULL,
        event VARCHAR(64) NOT NULL,
        props JSON NOT NULL,
        created_at DATETIME(6) NOT NULL,
        KEY analytics_user (user_id),
        KEY analytics_event (event, created_at)
    )""",
)
TABLE_OPTIONS = " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci"

# The two hot queries: each is answered from an index (`EXPLAIN` shows users_session and PRIMARY; recommendations_place).
PALETTE_BY_SESSION = (
    "SELECT p.id, p.user_id, p.file_name, p.original_name, p.mime, p.width, p.height, p.colors, p.created_at"
    " FROM palettes p JOIN users u ON u.id = p.user_id WHERE u.session_id = ? AND p.id = ?"
)
RECOMMENDATIONS_BY_PALETTE = (
    "SELECT painting_id, position, score, model_version FROM recommendations WHERE palette_id = ? ORDER BY position"
)


class DatabaseUnavailable(Exception):
    """The database cannot be used now; the text may be shown to a client."""


class Database:
    """A bounded pool for one process. `options` are those of `mysql.connector.connect`: host, port, user, password, database, ssl_ca."""

    def __init__(self, options, size):
        self._options = dict(
            options,
            use_pure=True,
            charset="utf8mb4",
            collation="utf8mb4_unicode_ci",
            time_zone="+00:00",
            autocommit=False,
            allow_local_infile=False,
            connection_timeout=CONNECT_TIMEOUT,
            read_timeout=STATEMENT_TIMEOUT,
            write_timeout=STATEMENT_TIMEOUT,
        )
        if "ssl_ca" in options:
            self._options["ssl_verify_cert"] = True
        self._slots = queue.LifoQueue()  # last in, first out: live connections are used before empty slots
        for _ in range(size):
            self._slots.put(None)
        self._schema_guard, self._schema_ready = threading.Lock(), False

    @contextlib.contextmanager
    def transaction(self, patience=PATIENCE):
        """A `Transaction`, committed at the end of the block. Raises `DatabaseUnavailable`."""
        try:
            connection = self._slots.get(timeout=patience)
        except queue.Empty:
            raise DatabaseUnavailable("The database is busy.") from None
        try:
            if connection is None or not connection.is_alive():
                connection = None  # should connecting fail, the slot goes back empty
                connection = self._connect()
            yield Transaction(connection)
            connection.commit()
        except BaseException:
            connection = self._rolled_back(connection)
            raise
        finally:
            self._slots.put(connection)

    def check(self):
        """Whether statements are answered, quickly. Raises `DatabaseUnavailable`."""
        with self.transaction(patience=1.0) as tx:
            tx.row("SELECT 1 AS one")

    def close(self):
        """Says goodbye to the server on all idle connections, for good: later transactions find no slot."""
        with contextlib.suppress(queue.Empty):
            while True:
                connection = self._slots.get_nowait()
                if connection is not None:
                    connection.close()

    def _connect(self):
        with self._translated():
            connection = _Connection(mysql.connector.connect(**self._options), self._translated)
            try:
                with connection.raw.cursor() as cursor:  # who waited for a lock sees what its holder wrote
                    cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
                self._ensure_schema(connection.raw)
            except BaseException:
                connection.close()
                raise
            return connection

    def _ensure_schema(self, raw):
        with self._schema_guard:
            if self._schema_ready:
                return
            raw.read_timeout = SCHEMA_PATIENCE + 10
            name = f"{self._options['database']}.schema"[:64]
            with raw.cursor() as cursor:
                cursor.execute("SELECT GET_LOCK(%s, %s)", (name, SCHEMA_PATIENCE))
                if cursor.fetchone()[0] != 1:
                    raise DatabaseUnavailable("The database is busy: another process prepares its tables.")
                try:
                    for statement in SCHEMA:
                        cursor.execute(statement + TABLE_OPTIONS)
                finally:
                    cursor.execute("SELECT RELEASE_LOCK(%s)", (name,))
                    cursor.fetchone()
            raw.read_timeout = STATEMENT_TIMEOUT
            self._schema_ready = True
            log.info("schema ready: %d tables in %s", len(SCHEMA), self._options["database"])

    @contextlib.contextmanager
    def _translated(self):
        """Turns what the connector raises about an absent, refusing or failing server into `DatabaseUnavailable`."""
        try:
            yield
        except (errors.IntegrityError, errors.DataError):
            raise  # a fault of ours: the server is well
        except (mysql.connector.Error, OSError) as error:
            number = getattr(error, "errno", None)
            if isinstance(error, errors.ProgrammingError) and number not in REFUSED | {NO_SUCH_TABLE}:
                raise
            if number == NO_SUCH_TABLE:
                self._schema_ready = False  # the database was emptied or exchanged: the next connection creates the tables
            where = f"{self._options['user']}@{self._options['host']}:{self._options['port']}"
            hint = "; check DB_USER, DB_PASSWORD, DB_NAME" if number in REFUSED else ""
            log.warning("database %s as %s: %s%s", self._options["database"], where, str(error).strip().split("\n")[0], hint)
            told = "refuses the application's account" if number in REFUSED else "does not answer"
            raise DatabaseUnavailable(f"The database {told}" + (f" (error {number})." if number and number > 0 else ".")) from error

    @staticmethod
    def _rolled_back(connection):
        """The connection, fit for the next user, or None."""
        if connection is None:
            return None
        try:
            if connection.statement_failed:
                raise errors.InterfaceError("left in an unknown state")
            connection.raw.rollback()
            return connection
        except (mysql.connector.Error, OSError):
            connection.close()
            return None


class _Connection:
    """One server connection with its prepared statements. They are kept: preparing again would cost a round trip each time."""

    def __init__(self, raw, translated):
        self.raw, self.translated, self.statements, self.statement_failed = raw, translated, {}, False

    def is_alive(self):
        try:
            self.raw.read_timeout = PING_TIMEOUT
            self.raw.ping(reconnect=False)
            self.raw.read_timeout = STATEMENT_TIMEOUT
            return True
        except (mysql.connector.Error, OSError):
            self.close()
            return False

    def close(self):
        try:
            self.raw.close()
        except (mysql.connector.Error, OSError):
            pass  # it was gone already

    def execute(self, sql, values):
        cursor = self.statements.get(sql)
        self.statement_failed = True  # until it did not
        with self.translated():
            if cursor is None:
                cursor = self.statements[sql] = self.raw.cursor(prepared=True, dictionary=True)
            cursor.execute(sql, values)
            rows = cursor.fetchall() if cursor.with_rows else []
        self.statement_failed = False
        return cursor, rows

    def commit(self):
        with self.translated():
            self.raw.commit()


class Transaction:
    """Statements of one transaction. `?` marks a value; rows are dictionaries."""

    def __init__(self, connection):
        self._connection = connection

    def rows(self, sql, *values):
        return self._connection.execute(sql, values)[1]

    def row(self, sql, *values):
        found = self.rows(sql, *values)
        return found[0] if found else None

    def insert(self, sql, *values):
        """The id of the new row."""
        return self._connection.execute(sql, values)[0].lastrowid

    def change(self, sql, *values):
        self._connection.execute(sql, values)

    # --- users -------------------------------------------------------------------------------------------------------

    def add_user(self, session_id):
        now = "UTC_TIMESTAMP(6)"
        self.insert(f"INSERT INTO users (session_id, created_at, last_seen_at) VALUES (?, {now}, {now})", session_id)
        return self.find_user(session_id)

    def find_user(self, session_id):
        """The user of a session, now seen (written down once a minute at most), or None."""
        user = self.row(
            "SELECT id, created_at, last_seen_at < UTC_TIMESTAMP(6) - INTERVAL 1 MINUTE AS stale FROM users WHERE session_id = ?",
            session_id,
        )
        if user and user["stale"]:
            self.change("UPDATE users SET last_seen_at = UTC_TIMESTAMP(6) WHERE id = ?", user["id"])
        return user

    # --- palettes and recommendations --------------------------------------------------------------------------------

    def add_palette(self, user_id, file_name, original_name, picture, colors, sha256):
        return self.insert(
            "INSERT INTO palettes (user_id, file_name, original_name, mime, width, height, colors, sha256, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(6))",
            *(user_id, file_name, original_name, picture.mime, picture.width, picture.height, json.dumps(colors), sha256),
        )

    def find_palette(self, session_id, palette_id, lock=False):
        """The session's own palette, or None. `lock` makes others who want it locked wait for this transaction's end."""
        palette = self.row(PALETTE_BY_SESSION + (" FOR UPDATE" if lock else ""), session_id, palette_id)
        if palette:
            palette["colors"] = json.loads(palette["colors"])
        return palette

    def recommendations(self, palette_id):
        return self.rows(RECOMMENDATIONS_BY_PALETTE, palette_id)

    def replace_recommendations(self, palette_id, ranked, model_version):
        """Stores `(painting_id, score)` pairs, best first. The palette must be locked."""
        self.change("DELETE FROM recommendations WHERE palette_id = ?", palette_id)
        for position, (painting_id, score) in enumerate(ranked, start=1):
            self.insert(
                "INSERT INTO recommendations (palette_id, painting_id, position, score, model_version, created_at)"
                " VALUES (?, ?, ?, ?, ?, UTC_TIMESTAMP(6))",
                *(palette_id, painting_id, position, score, model_version),
            )

    # --- selections and stories --------------------------------------------------------------------------------------

    def add_selection(self, user_id, palette_id, painting_ids, emotion):
        """One row for each painting, all of one moment: that is what makes them one selection."""
        moment = self.now()
        for painting_id in painting_ids:
            self.insert(
                "INSERT INTO user_selections (user_id, palette_id, painting_id, emotion, created_at) VALUES (?, ?, ?, ?, ?)",
                *(user_id, palette_id, painting_id, emotion, moment),
            )
        return moment

    def selection(self, palette_id, moment):
        """The latest selection made for a palette up to a moment: its rows in the order chosen; empty when there is none."""
        return self.rows(
            "SELECT painting_id, emotion FROM user_selections WHERE palette_id = ? AND created_at ="
            " (SELECT MAX(created_at) FROM user_selections WHERE palette_id = ? AND created_at <= ?) ORDER BY id",
            *(palette_id, palette_id, moment),
        )

    def add_story(self, user_id, palette_id, story, moment):
        """`moment` is when its selection was read, so that the story keeps that one whatever is selected later."""
        return self.insert(
            "INSERT INTO stories (user_id, palette_id, title, narrative, model, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            *(user_id, palette_id, story.title, story.narrative, story.model, moment),
        )

    def find_story(self, session_id, story_id):
        return self.row(
            "SELECT s.id, s.palette_id, s.title, s.narrative, s.model, s.created_at"
            " FROM stories s JOIN users u ON u.id = s.user_id WHERE u.session_id = ? AND s.id = ?",
            *(session_id, story_id),
        )

    # --- analytics ---------------------------------------------------------------------------------------------------

    def record(self, user_id, event, props):
        return self.insert(
            "INSERT INTO analytics (user_id, event, props, created_at) VALUES (?, ?, ?, UTC_TIMESTAMP(6))",
            *(user_id, event, json.dumps(props)),
        )

    def now(self):
        return self.row("SELECT UTC_TIMESTAMP(6) AS moment")["moment"]
