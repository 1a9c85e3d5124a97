"""The walk-through of docs/audit.md runs as it is written."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from crosscheck.audit import audit
from crosscheck.audit.checks import FAMILIES
from crosscheck.audit.cli import scaffold_audit
from crosscheck.audit.engine import FAMILY_FUNCTIONS
from crosscheck.audit.joint.family import joint

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "audit.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    found = re.search(rf"`{re.escape(name)}`:\n\n((?:    .*\n|\n)+)", PAGE)
    assert found, name
    return textwrap.dedent(found[1]).strip() + "\n"


def test_the_walk_through_runs_as_written(tmp_path):
    for name in ("published.csv", "audit.toml", "claims.toml"):
        (tmp_path / name).write_text(block(name), encoding="utf-8")
    report = audit(tmp_path)
    assert not report.inconsistent
    assert {"9:treated", "3:table3:t(G-1)"} <= {c.id for c in report.findings}
    said = {c.id: c.verdict for c in report.checks if c.family == 32}
    assert said == {"32:main-effect": "consistent", "32:controls-matter-little": "consistent"}


def test_the_skeleton_is_an_example_without_errors(tmp_path):
    scaffold_audit(tmp_path)
    report = audit(tmp_path)
    assert not report.inconsistent
    assert set(report.coverage.tested) == set(report.paper.tokens)


def test_the_page_names_every_family():
    cells = re.findall(r"^\| ([0-9, ]+) \|", PAGE, flags=re.MULTILINE)
    listed = {int(n) for cell in cells for n in cell.split(",")}
    assert listed == set(FAMILIES)


def test_every_family_states_what_it_assumes_and_how_it_can_be_wrong():
    for family in (*FAMILY_FUNCTIONS, joint):
        said = " ".join((family.__doc__ or "").lower().split())
        assert "assum" in said, family.__name__
        assert "false positive" in said, family.__name__
