"""A small application as the seeds have them, for Gunicorn: who may ask it from a browser's other page is its own business.

`ALLOWED_ORIGINS`, or `CORS_ORIGINS`; without either `FLASK_ENV` decides: in production `FRONTEND_URL` alone, else any. What
is not in its environment it looks for in the file `.env` of its folder, once, when it starts.
"""
import os

from flask import Flask, Response, request

app = Flask(__name__)


def setting(name):
    if name in os.environ or not os.path.exists(".env"):
        return os.environ.get(name, "")
    with open(".env") as lines:
        pairs = (line.strip().split("=", 1) for line in lines if "=" in line)
        return dict(pairs).get(name, "")


def listed(name):
    return [origin.strip() for origin in setting(name).split(",") if origin.strip()]


def origins():
    named = listed("ALLOWED_ORIGINS") or listed("CORS_ORIGINS")
    if named or setting("FLASK_ENV") != "production":
        return named or None
    return listed("FRONTEND_URL")


ORIGINS = origins()


@app.after_request
def cors(response):
    origin = request.headers.get("Origin")
    response.headers["Vary"] = "Origin"
    if origin and (ORIGINS is None or origin in ORIGINS):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
    return response


@app.route("/api/thing", methods=["GET", "POST"])
def thing():
    return {"scheme": request.environ["wsgi.url_scheme"], "from": request.headers.get("X-Forwarded-For")}


@app.route("/api/events")
def events():
    return Response("data: %d\n\n" % number for number in range(3)), 200, {"Content-Type": "text/event-stream"}
