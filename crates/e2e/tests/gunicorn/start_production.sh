#!/bin/sh
# The server with its configuration file, in the foreground of whoever supervises it.
set -eu
cd "$(dirname "$0")/.."
exec gunicorn --config gunicorn.conf.py "$@" wsgi:app
