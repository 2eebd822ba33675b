#!/bin/sh
# Runs README.md's commands as its reader would, in this clone: see scripts/readme.py.
python=$(sh scripts/find-python.sh) && exec "$python" scripts/readme.py
