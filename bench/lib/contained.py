"""A container as the app of `bench/supervision`: the same manifest, the same server, in Debian's Python.

The server is bound in read-only from the stack's folder and listens on `$PORT`, which Mainstay sets. The image is made by `scripts/test-images FOLDER python`.
"""

import subprocess

IMAGE, PORT = "docker.io/library/python:3.11-slim", 8000


def app(script: str, more: str = "") -> str:
    """The lines of an app that runs `script`, in place of its `run` and `env`; `more`: what else is in its environment."""
    env = ", ".join(filter(None, ['HOST = "0.0.0.0"', more]))
    return f'''image = "{IMAGE}"
run = ["python3", "/app/{script}"]
port = {PORT}
volumes = ["./{script}:/app/{script}:ro"]
env = {{ {env} }}'''


def ensure() -> None:
    """Whether this can be: an engine, the image."""
    if subprocess.run(["podman", "image", "exists", IMAGE]).returncode:
        raise SystemExit(f"the image {IMAGE} is missing: scripts/test-images FOLDER python")
