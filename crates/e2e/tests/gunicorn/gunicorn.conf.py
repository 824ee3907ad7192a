"""Gunicorn as a team runs it: workers by the cores, recycled, the application loaded once."""
import json
import multiprocessing
import os

bind = "0.0.0.0:5000"
workers = min(4, multiprocessing.cpu_count() * 2 + 1)
timeout = 120
preload_app = True
max_requests = 1000
max_requests_jitter = 50


def when_ready(server):
    """What Gunicorn has made of this file and of its command line, for the test to read."""
    names = ["bind", "workers", "timeout", "preload_app", "max_requests", "max_requests_jitter"]
    with open(os.environ["SETTINGS"] + ".new", "w") as file:
        json.dump({name: getattr(server.cfg, name) for name in names}, file)
    os.rename(os.environ["SETTINGS"] + ".new", os.environ["SETTINGS"])
