#!/bin/sh
# Makes .venv with what builds the extension, in the version that requirements-dev.txt names. `make` calls it; nothing
# need be installed before.
#   PYTHON   the interpreter to use; without it, the first of python3, python3.14 ... python3.11 that is new enough
set -eu
cd "$(dirname "$0")/.."

say() { printf 'azolla: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# A name on PATH may be a shim that fails when it is run: ask each candidate itself.
new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    die "needs Python 3.11 or newer; found none as ${PYTHON:-python3, python3.14, python3.13, python3.12 or python3.11}" \
        "(python3 here: $(python3 --version 2>&1 || true))." \
        "Install one, or name it: make PYTHON=/path/to/python3.12 ..."
}

# Debian keeps ensurepip, without which an environment has no pip, in a package of its own.
provide_ensurepip() {
    "$1" -c 'import ensurepip' >/dev/null 2>&1 && return
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if ! command -v apt-get >/dev/null 2>&1; then
        die "$1 has no ensurepip, which making a virtual environment needs: install its venv package ($package on Debian)."
    elif [ "$(id -u)" != 0 ]; then
        die "$1 has no ensurepip: run 'sudo apt-get install $package', then make again."
    fi
    say "installing $package"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends "$package"
    "$1" -c 'import ensurepip' || die "$1 still has no ensurepip, although $package is installed."
}

# An environment knows its folder by its absolute path: one from a copied or moved checkout would import the other checkout.
usable() {
    [ "$(cat .venv/made-in 2>/dev/null)" = "$PWD" ] &&
        new_enough .venv/bin/python &&
        .venv/bin/python -m pip --version >/dev/null 2>&1
}

if ! usable; then
    python=$(find_python)
    provide_ensurepip "$python"
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check "$(grep '^maturin==' requirements-dev.txt)"
printf '%s\n' "$PWD" > .venv/made-in
