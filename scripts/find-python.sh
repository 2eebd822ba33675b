#!/bin/sh
# Prints the path of a Python that can run Wayline, or says what is missing (exit 1). PYTHON=… chooses one.
found=""
unable=""
for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
    # A name on PATH may be a shim without anything behind it: only what answers is there.
    answer=$("$name" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3], sys.version_info >= (3, 11), sys.executable)' \
        2>/dev/null </dev/null) || continue
    version=${answer%% *}
    rest=${answer#* }
    path=${rest#* }
    if [ "${rest%% *}" != True ]; then
        found="$found $name is $version;"
    elif "$path" -c 'import venv, ensurepip' 2>/dev/null </dev/null; then
        printf '%s\n' "$path"
        exit 0
    else
        unable="$path ($version)"
    fi
done

if [ -n "$unable" ]; then
    minor=$(printf '%s' "$unable" | sed 's/.*(\([0-9]*\.[0-9]*\).*/\1/')
    printf 'wayline: %s cannot make virtual environments: its venv or ensurepip module is missing.\n' "$unable" >&2
    printf 'wayline: on Debian and Ubuntu: apt-get install python%s-venv\n' "$minor" >&2
elif [ -n "$found" ]; then
    printf 'wayline: Python 3.11 or newer is needed. Found:%s none of them will do.\n' "$found" >&2
    printf 'wayline: if another one is installed, name it: make %s PYTHON=/path/to/python3\n' "${1:-run}" >&2
elif [ -n "$PYTHON" ]; then
    printf 'wayline: PYTHON=%s does not run.\n' "$PYTHON" >&2
else
    printf 'wayline: Python 3.11 or newer is needed, and no python3 was found on PATH.\n' >&2
fi
exit 1
