"""Sessions: `nox -s crosscheck` runs the studies, `nox -s tests` the tests, `nox -s lint types` the checks of the code.

Each session installs what it needs into an environment of its own. Where an R is found, the rpy2 that fits it is
installed too; where none is, or rpy2 cannot be built, R is reached through Rscript or through recorded references.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import nox

nox.options.sessions = ["tests"]
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "uv|virtualenv"


def r_version() -> tuple[int, int] | None:
    """Return the version of the R on PATH, or None; CROSSCHECK_RSCRIPT names another one, or `none`."""
    rscript = os.environ.get("CROSSCHECK_RSCRIPT") or shutil.which("Rscript")
    if rscript is None or rscript == "none":
        return None
    text = subprocess.run([rscript, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"(\d+)\.(\d+)\.\d+", text.stdout + text.stderr)
    return (int(found[1]), int(found[2])) if found else None


def install(session: nox.Session, *extras: str) -> None:
    """Install the package with extras, once for each state of pyproject.toml, and rpy2 where an R is there."""
    marker = Path(session.virtualenv.location) / f".crosscheck-{'-'.join(extras)}"
    state = Path("pyproject.toml").read_text("utf-8") + str(r_version())
    if marker.exists() and marker.read_text("utf-8") == state:
        return
    session.install("-e", f".[{','.join(extras)}]")
    version = r_version()
    if version is not None:
        pins = (
            ["rpy2>=3.6.5"] if version >= (4, 5) else ["rpy2==3.6.4", "rpy2-rinterface<=3.6.4", "rpy2-robjects<=3.6.4"]
        )
        # Building rpy2 needs R's headers; without them Rscript serves, so a failure is not fatal.
        session.install(*pins, success_codes=[0, 1, 2], silent=True)
    marker.write_text(state, "utf-8")


@nox.session
def crosscheck(session: nox.Session) -> None:
    """Run studies (those with recorded references, or those named after --) and write reports below reports/."""
    install(session, "all")
    studies = session.posargs or [
        str(file.parent)
        for file in sorted(Path("fixtures/studies").glob("*/study.toml"))
        if Path("fixtures/references", file.parent.name).is_dir()
    ]
    session.run("crosscheck", "run", *studies)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; what was not run for lack of something is listed at the end."""
    install(session, "all", "tests")
    session.run("pytest", *session.posargs)


@nox.session
def campaign(session: nox.Session) -> None:
    """Send panels of known effect through every engine; options after --, such as --budget 10m --profile nightly."""
    install(session, "all", "tests")
    session.run("crosscheck", "campaign", *session.posargs)


@nox.session
def upgrade(session: nox.Session) -> None:
    """Compare versions of a package on the sentinel set and on studies: -- pyfixest 0.50.0 0.60.0 [STUDY...]."""
    install(session, "all")
    session.run("crosscheck", "upgrade", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("ruff>=0.8")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    install(session, "dev")
    session.run("mypy")


@nox.session
def bench(session: nox.Session) -> None:
    """Print the ratios of time that the harness promises."""
    install(session, "all")
    session.run("python", "benchmarks/overhead.py", *session.posargs)
