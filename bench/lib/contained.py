"""A container as the app of `bench/supervision`: the same manifest, the same servers, in Debian's Python and Node.

The stack's folder is bound in read-only at `FOLDER`, where the server begins and by which its processes are found; it listens on `$PORT`. The images are made by `scripts/test-images FOLDER python node`.
"""

import os
import subprocess
import sysconfig
from pathlib import Path

PYTHON, NODE, PORT = "docker.io/library/python:3.11-slim", "docker.io/library/node:18-alpine", 8000
FOLDER = Path(f"/mainstay-bench-{os.getpid()}")
PACKAGES = "/packages"


def app(run: list[str], more: str = "", image: str = PYTHON, packages: bool = False) -> str:
    """The lines of an app that runs this, in place of its `run` and `env`; `more`: what else is in its environment. `packages`: with those of
    the Python that runs this, which have to be pure Python."""
    env = ", ".join(filter(None, [f'HOST = "0.0.0.0", PORT = "{PORT}"', f'PYTHONPATH = "{PACKAGES}"' * packages, more]))
    volumes = [f"./:{FOLDER}:ro", *[f"{sysconfig.get_path('purelib')}:{PACKAGES}:ro"] * packages]
    listed = [", ".join(f'"{word}"' for word in words) for words in (run, volumes)]
    return f'''image = "{image}"
run = [{listed[0]}]
port = {PORT}
dir = "{FOLDER}"
volumes = [{listed[1]}]
env = {{ {env} }}'''


def ensure(*images: str) -> None:
    """Whether this can be: an engine, the images."""
    for image in images or (PYTHON,):
        if subprocess.run(["podman", "image", "exists", image]).returncode:
            raise SystemExit(f"the image {image} is missing: scripts/test-images FOLDER python node")
