"""Builds a wheel for each Python of this machine that azolla supports, and tries each in an environment of its own.

    wheels.py MATURIN TARGET [MATURIN'S ARGUMENTS...]

TARGET is the target folder that the extension module of this Python is built in. Other Pythons have folders beside it,
since in one folder they would rebuild PyO3 in turns.

An environment holds nothing but the wheel. There the seed's workflow must run, in all of its ways, from a folder that
is not the checkout: so the wheel holds all that azolla needs. How a thread is interrupted depends on the Python, so that is
tried there too.
"""

import glob
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

#: The versions that the package claims: `requires-python` and later, as far as PyO3 knows them.
VERSIONS = [(3, minor) for minor in range(11, 15)]
ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    maturin, target, *arguments = sys.argv[1:]
    found = interpreters()
    if not found:
        print("found no Python that azolla supports", file=sys.stderr)
        return 1
    for version, python in found.items():
        own = target if version == sys.version_info[:2] else f"{target}-{version[0]}.{version[1]}"
        environment = {**os.environ, "CARGO_TARGET_DIR": own, "PYO3_PYTHON": python}
        with tempfile.TemporaryDirectory(prefix="azolla-wheel-") as folder:
            build = [maturin, "build", "--quiet", "--interpreter", python, "--out", folder, *arguments]
            subprocess.run(build, cwd=ROOT, env=environment, check=True)
            (wheel,) = Path(folder).glob("*.whl")
            try_wheel(python, wheel, Path(folder, "environment"))
        print(f"{wheel.name}: the seed's workflow runs on Python {'.'.join(map(str, version))} ({python})", flush=True)
    return 0


def interpreters() -> dict[tuple[int, int], str]:
    """The first interpreter of each version that runs, by version."""
    names = [shutil.which("python{}.{}".format(*version)) for version in VERSIONS]
    pyenv = os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv"
    found: dict[tuple[int, int], str] = {}
    for python in [sys.executable, *filter(None, names), *sorted(glob.glob(f"{pyenv}/versions/3.*/bin/python3"))]:
        version = version_of(python)
        if version in VERSIONS:
            found.setdefault(version, python)
    return dict(sorted(found.items()))


def version_of(python: str) -> tuple[int, int] | None:
    """The version of an interpreter; None if it doesn't run, as a shim whose version is not chosen."""
    asked = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        return None
    major, minor = asked.stdout.split()
    return int(major), int(minor)


def try_wheel(python: str, wheel: Path, own: Path) -> None:
    """Installs the wheel alone, runs the seed's workflow on it, and sees that an interrupt hits no other task."""
    # Pip of this environment installs for the other: Debian's Pythons may come without ensurepip.
    subprocess.run([python, "-m", "venv", "--without-pip", own], check=True)
    install = [sys.executable, "-m", "pip", "--python", own / "bin/python", "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--disable-pip-version-check", wheel], check=True)
    workflow, race = ROOT / "examples/seed_workflow.py", ROOT / "python/tests/interrupt_race.py"
    for program in ([workflow, "--scale", "0.1"], [race, "2000"]):
        subprocess.run([own / "bin/python", "-I", *program], cwd=own, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
