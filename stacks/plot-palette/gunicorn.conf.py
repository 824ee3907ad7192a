"""Gunicorn for Plot & Palette: `gunicorn -c gunicorn.conf.py`, in this folder or from anywhere.

Environment: HOST, PORT (default 127.0.0.1:5000), WEB_CONCURRENCY (workers, default 4, at least 2), LOG_LEVEL.

The master imports the application once (`preload_app`): pandas and scikit-learn cost seconds to import, and their pages are shared.
Nothing that lives in a process is made before the fork: no thread, no database connection, no model. Each worker makes its own in
`post_worker_init`. For new code restart the master; a HUP would keep the old one.
"""

import ctypes
import gc
import logging
import os
import signal
import sys

# One thread of arithmetic for each request: workers and threads are the parallelism. Read by OpenMP and OpenBLAS when imported.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

chdir = os.path.dirname(os.path.abspath(__file__))
wsgi_app = "server:app"
bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '5000')}"
proc_name = "plot-palette"

# Threads within workers: a story that waits for its author, or a slow upload, does not keep health and small requests waiting.
worker_class = "gthread"
workers = max(2, int(os.environ.get("WEB_CONCURRENCY", "4")))
threads = 4
backlog = 512
preload_app = True
max_requests = 0

timeout = 120
graceful_timeout = 25  # most stories are told within it; below what a supervisor waits before it kills
keepalive = 5

# Output goes to the supervisor's two pipes: requests to stdout, errors to stderr. No addresses, no user agents, no query strings.
accesslog = "-"
errorlog = "-"
loglevel = os.environ.get("LOG_LEVEL", "info")
access_log_format = '%(t)s %(m)s %(U)s %(s)s %(B)s %(M)sms request=%({x-request-id}i)s pid=%(p)s'
control_socket_disable = True

PR_SET_PDEATHSIG = 1


def on_starting(server):
    """Who comes through the front door has a request id; the supervisor's health checks have none, and are not worth a line."""
    server.log.access_log.addFilter(lambda record: record.args.get("{x-request-id}i", "-") != "-")


def when_ready(server):
    """What was imported stays: the collector does not walk it again, so the workers go on sharing its pages."""
    gc.collect()
    gc.freeze()


def post_fork(server, worker):
    """A worker does not outlive its master, whatever ended that one."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != server.pid:
        os._exit(0)  # it died before we asked


def post_worker_init(worker):
    """The model and the tables are ready before the worker's first request."""
    worker.wsgi.warm_up()


def worker_exit(server, worker):
    """Closes what the worker opened. Then it is gone at once: taking down an interpreter full of libraries costs a second of CPU."""
    if os.getpid() == server.pid or worker.wsgi is None:
        return  # the master tidies up after a dead worker; or the worker never started
    worker.wsgi.wind_up()
    reason = sys.exc_info()[1]
    if worker.booted and isinstance(reason, SystemExit) and not reason.code:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
