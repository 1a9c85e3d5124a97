"""Packages say the same under the other major version of pandas, which is installed only for those who ask for it."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from dataclasses import replace

import pytest

from crosscheck.bridge import environments
from crosscheck.campaign import other_pandas
from crosscheck.campaign.fits import Fitter
from crosscheck.campaign.properties import chosen, properties
from crosscheck.campaign.screen import check
from crosscheck.cli import main
from crosscheck.errors import EngineMissing
from crosscheck.runner import Workers
from tests.test_relations import a_case, oracle

PROPERTY = properties()[other_pandas.ID]


def framed(engine="statsmodels"):
    return a_case({"formula": "`y` ~ `treated` + `x1`"}).with_(engines=(engine, "oracle"), rule=other_pandas.ID)


class Two:
    """Says under the other pandas what the oracle says, or something else."""

    def __init__(self, spoil=lambda result: result):
        self.spoil = spoil

    def __call__(self, engine, request, frame):
        return oracle("oracle", request, frame).with_(engine=engine)

    def under_other_pandas(self, engine, request, frame):
        return self.spoil(self(engine, request, frame))


def test_it_is_checked_only_where_it_is_named():
    assert other_pandas.ID not in chosen(())
    assert other_pandas.ID not in chosen(("relation",))
    assert chosen(("other_pandas",)) == ("other_pandas",)
    assert "other_pandas" in chosen(("relation,other_pandas",))


def test_it_speaks_of_packages_that_are_handed_a_data_frame():
    assert not PROPERTY.applies(framed())
    assert [a.engine for a in PROPERTY.asks(framed())] == ["statsmodels"]
    assert "alone" in PROPERTY.applies(a_case())
    assert "csdid" in PROPERTY.applies(framed("csdid"))


def test_the_same_numbers_agree_and_any_other_number_or_term_does_not():
    checked, engines = check(framed(), Two())
    assert checked.compared > 10, checked.reason
    assert not checked.discrepancies
    assert engines == {"statsmodels": "ok"}

    def moved(result):
        first = result.coefs[0]
        return result.with_(coefs=(replace(first, std_error=first.std_error * 1.0001), *result.coefs[1:]))

    found = check(framed(), Two(moved))[0].discrepancies
    assert [(d.identity.rule, d.identity.quantity) for d in found] == [("other_pandas", "std_error")]
    found = check(framed(), Two(lambda r: r.with_(coefs=r.coefs[:1])))[0].discrepancies
    assert [d.identity.quantity for d in found] == ["terms"]


def test_the_environment_has_another_pandas_and_all_else_at_our_versions():
    first, *rest = other_pandas.requirements()
    ours = int(importlib.metadata.version("pandas").partition(".")[0])
    assert first == {3: "pandas~=2.2", 2: "pandas~=3.0"}[ours]
    assert f"numpy=={importlib.metadata.version('numpy')}" in rest
    assert all("==" in line for line in rest)


def test_a_worker_of_that_environment_is_asked_and_without_one_nothing_is_compared(tmp_path, monkeypatch):
    pytest.importorskip("statsmodels")
    monkeypatch.setenv("CROSSCHECK_CACHE", str(tmp_path))
    case = framed()
    with Workers() as workers:
        fitter = Fitter(workers=workers, versions={"statsmodels": importlib.metadata.version("statsmodels")})
        checked, _ = check(case, fitter)
        assert (checked.compared, checked.reason) == (0, "there is no environment with another pandas")
        asked = other_pandas.requirements()
        python = tmp_path / "environments" / environments.folder_name(asked) / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\necho asked >> "{tmp_path}/asked"\nexec "{sys.executable}" "$@"\n', "utf-8")
        python.chmod(0o755)
        manifest = {"schema": environments.SCHEMA, "requirements": asked, "versions": {"pandas": "2.3.3"}}
        (python.parents[1] / environments.MANIFEST).write_text(json.dumps(manifest), "utf-8")
        checked, _ = check(case, fitter)
        fitter.close()
    assert checked.compared > 10, checked.reason
    assert not checked.discrepancies
    assert (tmp_path / "asked").read_text("utf-8") == "asked\n"


def test_where_it_cannot_be_built_the_campaign_says_why_and_writes_nothing(tmp_path, monkeypatch, capsys):
    def offline(*_, **__):
        raise EngineMissing("the package index cannot be reached", hint="run once with a connection")

    monkeypatch.setattr(environments, "_run", offline)
    monkeypatch.setenv("CROSSCHECK_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    common = ["campaign", "--properties", "other_pandas", "--budget", "2 panels", "--out", str(out)]
    assert run([*common, "--engines", "statsmodels"]) == 3
    assert "cannot be reached" in capsys.readouterr().err
    assert run([*common, "--engines", "oracle"]) == 3
    assert "pyfixest" in capsys.readouterr().err
    assert not out.exists()


def run(arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code
