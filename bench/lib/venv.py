"""Packages of PyPI that a conformance script speaks through, in a virtual environment of the bench's own (`bench/out/venv`)."""

import os
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "out/venv"


def enter(**packages: str) -> None:
    """Goes on under that environment's Python, with these packages (`module="requirement"`) in it."""
    if Path(sys.prefix) == FOLDER:
        return
    python = FOLDER / "bin/python"
    if not python.exists():
        venv.create(FOLDER, with_pip=True)
    found = subprocess.run([python, "-c", f"import {', '.join(packages)}"], capture_output=True)
    if found.returncode and subprocess.run([python, "-m", "pip", "install", "-q", *packages.values()]).returncode:
        sys.exit(2)
    os.execv(python, [str(python), *sys.argv])
