"""What is here, what is missing, and what exactly would put it right?"""

from __future__ import annotations

import io
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from crosscheck import __version__, engines
from crosscheck.bridge import bridge_status, find_r, rpy2_pin
from crosscheck.bridge.environments import listed
from crosscheck.canon import dumps
from crosscheck.plan import Reachability
from crosscheck.store import cache_dir

State = Literal["live", "recorded", "missing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the doctor's table."""

    name: str
    version: str
    state: State
    remedy: str = ""


def diagnose() -> tuple[Row, ...]:
    """Look at Python, R, the bridge between them, and every engine.

    An R engine that cannot run here is ``recorded``: studies that carry recorded references still compare with it.
    """
    rows = [
        Row(name="crosscheck", version=__version__, state="live"),
        Row(name="Python", version=platform.python_version(), state="live"),
    ]
    r = find_r()
    if r is None:
        remedy = (
            "install R >= 4.2 (Debian and Ubuntu: apt-get install r-base-core r-base-dev; macOS: brew install r; "
            "else: the installer of the R project), then: Rscript r_scripts/install.R"
        )
        rows.append(Row(name="R", version="", state="missing", remedy=remedy))
        rows.append(Row(name="rpy2", version="", state="missing", remedy="needs R first"))
    else:
        rows.append(Row(name="R", version=r.version, state="live"))
        status = bridge_status()
        pins = " ".join(f'"{pin}"' for pin in rpy2_pin(r.version))
        remedy = "" if status.rpy2_works else f"optional, Rscript serves meanwhile: pip install {pins}"
        if status.reason and not status.rpy2_works:
            remedy = f"{status.reason}; {remedy}"
        rows.append(
            Row(
                name="rpy2",
                version=status.rpy2_version,
                state="live" if status.rpy2_works else "missing",
                remedy=remedy,
            )
        )
        rows.append(Row(name="bridge to R", version=status.kind, state="live"))
    reach = Reachability("auto")
    for engine_id in engines.known_ids():
        info = reach.info(engine_id)
        state: State = "live" if info.transport == "live" else "recorded" if info.language == "r" else "missing"
        remedy = "needs R first; recorded references stand in" if info.language == "r" and r is None else info.reason
        rows.append(Row(name=engine_id, version=info.version, state=state, remedy=remedy))
    for place in listed(cache_dir()):
        asked = place.requirements[0]
        remedy = f"made for a version pin; delete {place.folder} to build it again"
        package, _, version = asked.partition("==") if "==" in asked else (Path(asked).name, "", "wheel")
        rows.append(Row(name=place.name, version=place.versions.get(package, version), state="live", remedy=remedy))
    return tuple(rows)


def render(rows: tuple[Row, ...], format_: str) -> str:
    """Write the table as text, JSON or Markdown."""
    if format_ == "json":
        return dumps([asdict(r) for r in rows], indent=1) + "\n"
    if format_ == "markdown":
        lines = ["| what | version | reached | remedy |", "|---|---|---|---|"]
        lines += [f"| {r.name} | {r.version} | {r.state} | {r.remedy.replace('|', chr(92) + '|')} |" for r in rows]
        return "\n".join(lines) + "\n"
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("what", "version", "reached", "remedy"):
        table.add_column(title, overflow="fold")
    colour = {"live": "green", "recorded": "yellow", "missing": "red"}
    for row in rows:
        table.add_row(row.name, row.version, f"[{colour[row.state]}]{row.state}[/]", row.remedy)
    out = io.StringIO()
    tty = sys.stdout.isatty()
    Console(file=out, force_terminal=tty, width=None if tty else 140).print(table)
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())
