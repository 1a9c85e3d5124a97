"""The audit's files, formats and exit codes."""

from __future__ import annotations

import html.parser
import json
import shutil
from pathlib import Path

import pytest

from crosscheck.audit import audit, run_audit, scaffold_audit
from crosscheck.errors import UsageError

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "studies" / "bdpz"
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Balanced(html.parser.HTMLParser):
    """Collects ids, links and unbalanced tags."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in VOID:
            self.stack.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a":
            self.links.append(values["href"])
        if tag == "script" or "src" in values:
            self.outside.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


def test_files_and_exit_code(tmp_path, capsys):
    assert run_audit(FOLDER, tmp_path, "json") == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "audit.json").read_text())
    assert set(printed) >= {"findings", "coverage", "checks"}
    keys = {"id", "family", "kind", "tokens", "verdict", "interval", "statement", "strength"}
    assert all(keys <= set(f) for f in printed["findings"])
    assert printed["findings"][0]["id"] == "28:0:design"
    assert printed["coverage"]["tokens"] == printed["coverage"]["tested"] == 220
    assert "28:0:design" in (tmp_path / "audit.md").read_text()


def test_html_opens_offline_and_every_link_leads_somewhere(tmp_path, capsys):
    run_audit(FOLDER, tmp_path, "html")
    text = capsys.readouterr().out
    page = Balanced()
    page.feed(text)
    assert page.stack == []
    assert page.outside == []
    assert "http" not in text.replace('xmlns="http', "")
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert len([i for i in page.ids if i.startswith("t") and i[1:].isdigit()]) == 220


def test_fail_on(capsys):
    assert run_audit(FOLDER, None, "text", "none") == 0
    assert run_audit(FOLDER, None, "text", "structural") == 1
    assert "Design mismatches" in capsys.readouterr().out


def test_bad_input_is_one_message(tmp_path, capsys):
    assert run_audit(tmp_path / "missing") == 2
    assert run_audit(FOLDER, None, "pdf") == 2
    assert run_audit(FOLDER, None, "text", "nope") == 2
    for name in ("published.csv", "audit.toml", "claims.toml"):
        shutil.copy(FOLDER / name, tmp_path)
    path = tmp_path / "audit.toml"
    path.write_text(path.read_text().replace("units = 28", "unitz = 28"))
    assert run_audit(tmp_path) == 2
    message = capsys.readouterr().err
    assert "unitz" in message
    assert "Traceback" not in message
    path.write_text((FOLDER / "audit.toml").read_text().replace('sample = "Western"', 'sample = "Westrn"'))
    assert run_audit(tmp_path) == 2
    claims = tmp_path / "claims.toml"
    path.write_text((FOLDER / "audit.toml").read_text())
    claims.write_text(claims.read_text().replace("table4:1:BDPZs:estimate", "table4:9:BDPZs:estimate"))
    assert run_audit(tmp_path) == 2


def test_nothing_checkable(tmp_path):
    (tmp_path / "published.csv").write_text("table,column,term,quantity,printed\nt,1,x,estimate,0.1\n")
    (tmp_path / "audit.toml").write_text("schema = 1\n")
    assert run_audit(tmp_path) == 3


def test_scaffold_can_be_audited_and_overwrites_nothing(tmp_path, capsys):
    words = scaffold_audit(tmp_path / "new")
    assert "crosscheck audit" in words
    assert run_audit(tmp_path / "new") in (0, 1)
    with pytest.raises(UsageError):
        scaffold_audit(tmp_path / "new")


def test_a_frame_needs_facts():
    import pandas as pd

    with pytest.raises(UsageError):
        audit(pd.DataFrame({"table": ["t"]}))
    frame = pd.read_csv(FOLDER / "published.csv", dtype=str, keep_default_na=False)
    report = audit(frame, {"schema": 1}, joint_step=False)
    assert report.inconsistent == ()
