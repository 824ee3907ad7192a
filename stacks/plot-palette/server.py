"""The Flask application of Plot & Palette: everything below `/api/`.

A request's way: `ProxyFix` (one trusted hop) -> `_guard` (for a POST: origin, session and CSRF token, before the body is read) ->
its view -> `fields_of` (types and bounds) -> model, files, one database transaction -> JSON. Static files are the front door's.

Sessions: `GET /api/session` makes a row in `users` and a signed cookie with its `session_id`; the CSRF token is a MAC of that id.
A cookie that was tampered with, or whose row is gone, is no session. What belongs to another session is "not found".

Interface. Errors: `{"error": code, "message": sentence for people}`. color: `{hex "#2A9D8F", share 0..1}`; always five, by falling
share; a picture of fewer colours repeats its first one with share 0. painting: `{id, title, artist, image_url, colors[5], score,
position}`; the last two are null unless it was recommended. emotion: `{id, slug, name, description, image_url}`. Times: ISO 8601, UTC.

    GET  /api/health                          200 {status "ok", database, model, version, model_version}; 503 the same with `error`
    GET  /api/session                         200 {csrf_token, new, created_at}; sets the cookie
    GET  /api/emotions                        200 {emotions[15]}
    POST /api/palettes                        multipart, file `image` (at most 10 MB; PNG, JPEG, WebP, GIF)
                                              201 {id, colors[5], image_url, width, height, mime, original_name, created_at}
    GET  /api/palettes/<id>                   200 the same
    POST /api/palettes/<id>/recommendations   200 {palette_id, model_version, recommendations: painting[10]}; stored once
    POST /api/selections                      {palette_id, painting_ids[3], emotion 1..15}; out of the recommendations
                                              201 {palette_id, paintings[3], emotion, created_at}
    POST /api/stories                         {palette_id}: tells the story of its latest selection, in at most 60 s
                                              201 {id, palette_id, title, narrative, model, counterpart, paintings[3], emotion, created_at}
    GET  /api/stories/<id>                    200 the same
    POST /api/analytics                       {event "ui.…", props?}: 201 {id}

A POST has the header `X-CSRF-Token`; JSON is at most 16 KB. Statuses: 400 (invalid_json, invalid_field, missing_file, empty_file),
403 (csrf_failed, foreign_origin, session_expired), 404, 405, 409 (no_recommendations, no_selection), 413 (too_large,
too_many_pixels), 415 (unsupported_image, unsupported_media_type), 502 (story_failed), 503 (database_unavailable,
storage_unavailable, story_unavailable, story_not_configured).

Environment: SECRET_KEY, DB_USER, DB_PASSWORD, DB_NAME (needed); DB_HOST (localhost), DB_PORT (3306), DB_SSL_CA, DB_POOL_SIZE (4);
ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL, ANTHROPIC_MODEL (stories); UPLOAD_FOLDER (uploads); FLASK_ENV (production).
"""

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

from flask import Flask, g, jsonify, request, session
from flask.sessions import SecureCookieSessionInterface
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix

import recommendation_service_embedded as ml
from database import Database, DatabaseUnavailable
from story_generation import client as stories
from story_generation.emotions import BY_ID, EMOTIONS

VERSION = "1.0.0"
HERE = Path(__file__).resolve().parent
FILE_MAX = 10 * 1024 * 1024  # bytes of a picture
FORM_MAX = FILE_MAX + 64 * 1024  # and of the form around it
JSON_MAX = 16 * 1024
PROPS_MAX = 4 * 1024
NAME_MAX = 255  # characters kept of a picture's original name
ID_MAX = 2**63 - 1
SESSION_DAYS = 30
CHOSEN = 3
PLACEHOLDERS = {"your_secret_key", "your-secret-key", "changeme", "dev-secret-key"}

log = logging.getLogger("plot_palette")


class Problem(Exception):
    """A request that is answered with an error: status, stable code, sentence for people."""

    def __init__(self, status, code, message, headers=None):
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers or {}


class Sessions(SecureCookieSessionInterface):
    """Flask's signed cookie, with SHA-256, and `Secure` whenever the visitor came by HTTPS."""

    digest_method = staticmethod(hashlib.sha256)

    def get_cookie_secure(self, app):
        return request.is_secure


class PlotPalette(Flask):
    """The application with what one process has: database pool, model, storyteller. Nothing is opened before its first use."""

    session_interface = Sessions()

    def __init__(self, settings):
        super().__init__(__name__, static_folder=None)
        self.config.update(
            SECRET_KEY=settings["SECRET_KEY"],
            MAX_CONTENT_LENGTH=FORM_MAX,
            MAX_FORM_PARTS=8,
            SESSION_COOKIE_NAME="plot_palette_session",
            SESSION_COOKIE_HTTPONLY=True,
            SESSION_COOKIE_SAMESITE="Lax",
            PERMANENT_SESSION_LIFETIME=SESSION_DAYS * 86400,
        )
        self.json.sort_keys, self.json.ensure_ascii = False, False
        self.database = Database(settings["database"], settings["pool_size"])
        self.model = ml.RecommendationService(HERE / "image" / "catalogue.json")
        self.storyteller = stories.Storyteller(**settings["story"])
        self.uploads = settings["uploads"]
        self.wsgi_app = ProxyFix(self.wsgi_app, x_for=1, x_proto=1, x_host=1)

    def warm_up(self):
        """What a worker does before its first request. A database that is not there yet is no reason not to start."""
        self.model.load()
        try:
            self.database.check()
        except DatabaseUnavailable as error:
            log.warning("started without its database: %s", error)

    def wind_up(self):
        self.database.close()


def read_settings(env):
    """The environment as settings. Exits with one message that names all that is missing or wrong."""
    faults = [f"{name} is missing" for name in ("SECRET_KEY", "DB_USER", "DB_PASSWORD", "DB_NAME") if not env.get(name)]
    key = env.get("SECRET_KEY", "")
    if key and env.get("FLASK_ENV", "production") == "production" and (key in PLACEHOLDERS or len(key) < 16):
        faults.append("SECRET_KEY is a placeholder or shorter than 16 characters")
    numbers = {}
    for name, default, most in (("DB_PORT", "3306", 65535), ("DB_POOL_SIZE", "4", 32)):
        text = env.get(name) or default
        numbers[name] = int(text) if text.isdecimal() and len(text) < 6 else 0
        if not 1 <= numbers[name] <= most:
            faults.append(f"{name} must be a number from 1 to {most}")
    uploads = Path(env.get("UPLOAD_FOLDER") or "uploads")
    uploads = uploads if uploads.is_absolute() else HERE / uploads
    if not os.access(uploads, os.W_OK | os.X_OK):
        faults.append(f"UPLOAD_FOLDER {uploads} is not a folder this user (uid {os.getuid()}) may write to")
    if faults:
        sys.exit(f"Plot & Palette cannot start: {'; '.join(faults)}. Set the environment and start again.")
    database = {
        "host": env.get("DB_HOST") or "localhost",
        "port": numbers["DB_PORT"],
        "user": env["DB_USER"],
        "password": env["DB_PASSWORD"],
        "database": env["DB_NAME"],
    }
    if env.get("DB_SSL_CA"):
        database["ssl_ca"] = env["DB_SSL_CA"]
    story = {name: env.get(f"ANTHROPIC_{name.upper()}") or None for name in ("api_key", "base_url", "model")}
    return {"SECRET_KEY": key, "database": database, "pool_size": numbers["DB_POOL_SIZE"], "uploads": uploads, "story": story}


def configure_logging(level):
    """Our lines go to stdout; warnings and worse to stderr, where Gunicorn writes its own."""
    root = logging.getLogger("plot_palette")
    if root.handlers:
        return
    form = logging.Formatter("%(asctime)s %(levelname)s pid=%(process)d %(name)s: %(message)s")
    out, err = logging.StreamHandler(sys.stdout), logging.StreamHandler(sys.stderr)
    out.addFilter(lambda record: record.levelno < logging.WARNING)
    err.setLevel(logging.WARNING)
    for handler in (out, err):
        handler.setFormatter(form)
        root.addHandler(handler)
    root.setLevel(level)
    root.propagate = False


def create_app(env=os.environ):
    """The application for an environment; see the top of this file for its variables."""
    configure_logging(logging.DEBUG if env.get("FLASK_ENV") == "development" else logging.INFO)
    application = PlotPalette(read_settings(env))
    application.before_request(_guard)
    application.after_request(_finish)
    application.register_error_handler(Problem, _problem)
    application.register_error_handler(HTTPException, _http_error)
    application.register_error_handler(DatabaseUnavailable, _database_down)
    application.register_error_handler(Exception, _internal_error)
    for rule, method, view in ROUTES:
        application.add_url_rule(rule, view.__name__, view, methods=[method])
    return application


# --- sessions, guards and errors -----------------------------------------------------------------------------------------


def csrf_token(session_id):
    """The token of a session: a MAC of its id, so it needs no memory and is useless in another session."""
    return hmac.new(app.secret_key.encode(), b"csrf:" + session_id.encode(), hashlib.sha256).hexdigest()


def _guard():
    g.session_id = session.get("id") or ""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.host}":
        raise Problem(403, "foreign_origin", "This request came from another site's page.")
    sent = request.headers.get("X-CSRF-Token", "").encode()
    if not g.session_id or not hmac.compare_digest(sent, csrf_token(g.session_id).encode()):
        raise Problem(403, "csrf_failed", "The session's token is missing or wrong. Reload the page and try again.")


def _finish(response):
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _problem(problem):
    return jsonify(error=problem.code, message=str(problem)), problem.status, problem.headers


def _http_error(error):
    codes = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}
    texts = {404: "There is nothing here.", 413: "That is too large."}
    status = error.code or 500
    code = codes.get(status, "bad_request" if status < 500 else "internal_error")
    headers = {"Allow": ", ".join(sorted(error.valid_methods))} if getattr(error, "valid_methods", None) else {}
    return jsonify(error=code, message=texts.get(status, error.description or error.name)), status, headers


def _database_down(error):
    return jsonify(error="database_unavailable", message=str(error)), 503, {"Retry-After": "3"}


def _internal_error(error):
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return jsonify(error="internal_error", message="Something went wrong on our side."), 500


def current_user(tx):
    """The user of this request's session; its row is there, or the request ends with 403."""
    user = tx.find_user(g.session_id)
    if user is None:
        raise Problem(403, "session_expired", "The session has ended. Reload the page and try again.")
    return user


# --- reading requests ----------------------------------------------------------------------------------------------------


def fields_of(**readers):
    """The body's JSON object, each field by its reader; any other field is refused."""
    request.max_content_length = JSON_MAX
    if not request.is_json:
        raise Problem(415, "unsupported_media_type", "The body must be application/json.")
    try:
        body = json.loads(request.get_data(cache=False), parse_constant=_refuse_constant)
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()  # half of a surrogate pair is no text, 1e999 no number
    except (ValueError, RecursionError):
        raise Problem(400, "invalid_json", "The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise Problem(400, "invalid_json", "The body must be a JSON object.")
    for name in body.keys() - readers.keys():
        raise Problem(400, "invalid_field", f"{name[:40]}: unknown field.")
    return [read(name, body.get(name)) for name, read in readers.items()]


def _refuse_constant(name):
    raise ValueError(name)


def an_id(name, value):
    if type(value) is not int or not 1 <= value <= ID_MAX:
        raise Problem(400, "invalid_field", f"{name}: must be a positive whole number.")
    return value


def three_ids(name, value):
    if not isinstance(value, list) or len(value) != CHOSEN or len({an_id(name, item) for item in value}) != CHOSEN:
        raise Problem(400, "invalid_field", f"{name}: must be {CHOSEN} different paintings' ids.")
    return value


def an_emotion(name, value):
    if type(value) is not int or value not in BY_ID:
        raise Problem(400, "invalid_field", f"{name}: must be an emotion's id, 1 to {len(EMOTIONS)}.")
    return BY_ID[value]


def an_event(name, value):
    if not isinstance(value, str) or not re.fullmatch(r"ui\.[a-z0-9_]{1,60}", value):
        raise Problem(400, "invalid_field", f"{name}: must be ui. and up to 60 small letters, digits or underscores.")
    return value


def some_props(name, value):
    value = {} if value is None else value
    if not isinstance(value, dict) or len(json.dumps(value)) > PROPS_MAX:
        raise Problem(400, "invalid_field", f"{name}: must be an object of at most {PROPS_MAX} bytes.")
    return value


def uploaded_picture():
    """The bytes, picture and original name of the form's `image`. Raises `Problem` for what is none, or too large."""
    if request.mimetype != "multipart/form-data":
        raise Problem(415, "unsupported_media_type", "The body must be multipart/form-data.")
    file = request.files.get("image")
    if file is None or not file.filename:
        raise Problem(400, "missing_file", "Send one picture in the field “image”.")
    data = file.stream.read(FILE_MAX + 1)
    if len(data) > FILE_MAX:
        raise RequestEntityTooLarge
    if not data:
        raise Problem(400, "empty_file", "The file is empty.")
    name = re.split(r"[/\\]", file.filename)[-1]
    name = "".join(char for char in name if char.isprintable()).strip()[:NAME_MAX] or "picture"
    try:
        if Path(name).suffix.lower() not in ml.EXTENSIONS:
            raise ml.UnsupportedImage("extension")
        return data, ml.read_picture(data), name
    except ml.UnsupportedImage as error:
        log.info("upload refused: %s", error)
        raise Problem(415, "unsupported_image", "This is not a PNG, JPEG, WebP or GIF picture that can be read.") from None
    except ml.TooManyPixels:
        raise Problem(413, "too_many_pixels", f"At most {ml.MAX_PIXELS // 1_000_000} megapixels, please.") from None


def store_file(data, extension):
    """Writes an upload under a name of our own; complete, or not there at all."""
    path = app.uploads / f"{secrets.token_hex(16)}{extension}"
    part = path.with_suffix(".part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # the row that names it will be on the disk, too
        part.rename(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        log.error("cannot store an upload in %s: %s", app.uploads, error)
        raise Problem(503, "storage_unavailable", "The picture cannot be stored now.", {"Retry-After": "30"}) from None
    return path


# --- answers -------------------------------------------------------------------------------------------------------------


def moment_json(moment):
    return moment.isoformat(timespec="microseconds") + "Z"


def emotion_json(emotion):
    names = ("id", "slug", "name", "description", "image_url")
    return {name: getattr(emotion, name) for name in names}


def painting_json(painting_id, score=None, position=None):
    painting = app.model.painting(painting_id)
    if painting is None:  # of a catalogue before this one
        painting = {"id": painting_id, "title": "A painting no longer shown", "artist": "", "file": "", "colors": []}
    return {
        **{name: painting[name] for name in ("id", "title", "artist")},
        "image_url": f"/image/{quote(painting['file'])}",
        **{"colors": painting["colors"], "score": score, "position": position},
    }


def palette_json(palette):
    same = {name: palette[name] for name in ("width", "height", "mime", "original_name")}
    image_url = f"/uploads/{palette['file_name']}"
    return {"id": palette["id"], "colors": palette["colors"], "image_url": image_url, **same, "created_at": moment_json(palette["created_at"])}


def story_json(story, chosen):
    return {
        **{name: story[name] for name in ("id", "palette_id", "title", "narrative", "model")},
        "counterpart": stories.is_counterpart(story["model"]),
        "paintings": [painting_json(row["painting_id"]) for row in chosen],
        "emotion": emotion_json(BY_ID[chosen[0]["emotion"]]),
        "created_at": moment_json(story["created_at"]),
    }


def found(row):
    if row is None:
        raise Problem(404, "not_found", "There is nothing here.")
    return row


# --- views ---------------------------------------------------------------------------------------------------------------


def health():
    state = {"status": "ok", "database": "ok", "model": "ok", "version": VERSION, "model_version": app.model.version}
    try:
        state["model_version"] = app.model.load().version
    except (OSError, ValueError, KeyError) as error:
        log.error("the model cannot be built: %s", error)
        state |= {"status": "failing", "model": "failing", "error": "The catalogue of paintings cannot be read."}
    try:
        app.database.check()
    except DatabaseUnavailable as error:
        state |= {"status": "failing", "database": "down", "error": str(error)}
    return state, 200 if state["status"] == "ok" else 503


def open_session():
    with app.database.transaction() as tx:
        user = tx.find_user(g.session_id) if g.session_id else None
        new = user is None
        if new:
            g.session_id = secrets.token_hex(24)
            user = tx.add_user(g.session_id)
            tx.record(user["id"], "session", {})
    if new:
        session.clear()
        session.permanent = True
        session["id"] = g.session_id
    return {"csrf_token": csrf_token(g.session_id), "new": new, "created_at": moment_json(user["created_at"])}


def emotions():
    return {"emotions": [emotion_json(emotion) for emotion in EMOTIONS]}


def add_palette():
    data, picture, original_name = uploaded_picture()
    colors = ml.extract_palette(picture.pixels)
    path = store_file(data, picture.extension)
    try:
        with app.database.transaction() as tx:
            user = current_user(tx)
            palette_id = tx.add_palette(user["id"], path.name, original_name, picture, colors, hashlib.sha256(data).hexdigest())
            tx.record(user["id"], "upload", {"palette_id": palette_id, "mime": picture.mime, "bytes": len(data)})
            palette = tx.find_palette(g.session_id, palette_id)
    except BaseException:
        path.unlink(missing_ok=True)  # no row, no file
        raise
    return palette_json(palette), 201, {"Location": f"/api/palettes/{palette_id}"}


def get_palette(palette_id):
    with app.database.transaction() as tx:
        return palette_json(found(tx.find_palette(g.session_id, palette_id)))


def recommend(palette_id):
    if request.content_length or "Transfer-Encoding" in request.headers:
        fields_of()  # it needs no body: one that is sent all the same has to be an empty object
    version = app.model.load().version
    with app.database.transaction() as tx:
        user = current_user(tx)
        palette = found(tx.find_palette(g.session_id, palette_id, lock=True))
        rows = tx.recommendations(palette_id)
        if not rows or rows[0]["model_version"] != version:
            tx.replace_recommendations(palette_id, app.model.recommend(palette["colors"]), version)
            rows = tx.recommendations(palette_id)
        tx.record(user["id"], "recommendation", {"palette_id": palette_id, "model_version": version})
    paintings = [painting_json(row["painting_id"], row["score"], row["position"]) for row in rows]
    return {"palette_id": palette_id, "model_version": version, "recommendations": paintings}


def add_selection():
    palette_id, painting_ids, emotion = fields_of(palette_id=an_id, painting_ids=three_ids, emotion=an_emotion)
    with app.database.transaction() as tx:
        user = current_user(tx)
        found(tx.find_palette(g.session_id, palette_id, lock=True))
        offered = {row["painting_id"] for row in tx.recommendations(palette_id)}
        if not offered:
            raise Problem(409, "no_recommendations", "Ask for this palette's recommendations first.")
        if not offered.issuperset(painting_ids):
            raise Problem(400, "invalid_field", "painting_ids: must be out of this palette's recommendations.")
        moment = tx.add_selection(user["id"], palette_id, painting_ids, emotion.id)
        tx.record(user["id"], "selection", {"palette_id": palette_id, "painting_ids": painting_ids, "emotion": emotion.id})
    paintings = [painting_json(painting_id) for painting_id in painting_ids]
    return {"palette_id": palette_id, "paintings": paintings, "emotion": emotion_json(emotion), "created_at": moment_json(moment)}, 201


def add_story():
    (palette_id,) = fields_of(palette_id=an_id)
    if not app.storyteller.configured:
        raise Problem(503, "story_not_configured", "Stories are not set up here: ANTHROPIC_API_KEY is missing.")
    with app.database.transaction() as tx:
        user = current_user(tx)
        palette = found(tx.find_palette(g.session_id, palette_id))
        moment = tx.now()
        chosen = tx.selection(palette_id, moment)
    if not chosen:
        raise Problem(409, "no_selection", "Choose three paintings and an emotion first.")
    paintings = [painting_json(row["painting_id"]) for row in chosen]
    try:  # no connection is held meanwhile
        story = app.storyteller.tell(palette["colors"], paintings, BY_ID[chosen[0]["emotion"]])
    except (stories.StoryUnavailable, stories.StoryFailed) as error:
        with app.database.transaction() as tx:
            tx.record(user["id"], "story_failed", {"palette_id": palette_id, "reason": type(error).__name__})
        if isinstance(error, stories.StoryUnavailable):
            raise Problem(503, "story_unavailable", str(error), {"Retry-After": "10"}) from None
        raise Problem(502, "story_failed", str(error)) from None
    with app.database.transaction() as tx:
        story_id = tx.add_story(user["id"], palette_id, story, moment)
        tx.record(user["id"], "story", {"palette_id": palette_id, "story_id": story_id, "model": story.model})
        row = tx.find_story(g.session_id, story_id)
    return story_json(row, chosen), 201, {"Location": f"/api/stories/{story_id}"}


def get_story(story_id):
    with app.database.transaction() as tx:
        story = found(tx.find_story(g.session_id, story_id))
        return story_json(story, tx.selection(story["palette_id"], story["created_at"]))


def add_event():
    event, props = fields_of(event=an_event, props=some_props)
    with app.database.transaction() as tx:
        return {"id": tx.record(current_user(tx)["id"], event, props)}, 201


ROUTES = (
    ("/api/health", "GET", health),
    ("/api/session", "GET", open_session),
    ("/api/emotions", "GET", emotions),
    ("/api/palettes", "POST", add_palette),
    (f"/api/palettes/<int(max={ID_MAX}):palette_id>", "GET", get_palette),
    (f"/api/palettes/<int(max={ID_MAX}):palette_id>/recommendations", "POST", recommend),
    ("/api/selections", "POST", add_selection),
    ("/api/stories", "POST", add_story),
    (f"/api/stories/<int(max={ID_MAX}):story_id>", "GET", get_story),
    ("/api/analytics", "POST", add_event),
)

app = create_app()
