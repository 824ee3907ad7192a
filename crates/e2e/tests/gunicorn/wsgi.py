"""The application that Gunicorn runs in the tests: says who answers, and waits where it is asked to."""
import os
import time

with open(os.environ.get("IMPORTS", "imports.log"), "a") as log:
    log.write("imported\n")

# what a preloaded application shares with its workers
MODEL = b"x" * (64 << 20)


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/wait/"):
        gate = os.path.basename(path)
        with open(f"arrived.{gate}.{time.monotonic_ns()}", "w"):
            pass
        while not os.path.exists(gate):
            time.sleep(0.02)
    body = f"{MODEL[:1].decode()} {os.getpid()}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
