"""The history exam: the list of changes, what a real run saw of it, and a pair of releases run again where it can be."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from crosscheck.bridge import environments
from crosscheck.errors import EngineMissing, ReferenceError_
from crosscheck.results import CoefRow, EstimationResult
from crosscheck.upgrade.eras import adapter_for
from crosscheck.upgrade.sentinel.cases import folder, sentinel_cases
from crosscheck.upgrade.sentinel.history import compare_versions, flagged, read_history, read_outcome, tables
from crosscheck.upgrade.sentinel.movement import moved
from crosscheck.upgrade.sides import Side, run_side

PAGE = Path(__file__).parents[1] / "docs" / "upgrade_history.md"


@pytest.fixture(scope="module")
def history():
    return read_history(folder())


@pytest.fixture(scope="module")
def outcome():
    return read_outcome(folder())


def _pairs(history):
    return {(s.package, a, b) for s in history.stack for a, b in zip(s.versions, s.versions[1:], strict=False)}


def test_every_change_is_at_adjacent_releases_that_are_examined_and_says_who_says_so(history):
    pairs = _pairs(history)
    assert len({c.id for c in history.change}) == len(history.change) >= 20
    assert len(history.silent) >= 10
    for row in (*history.change, *history.silent):
        assert (row.package, row.before, row.at) in pairs, row
        assert re.search(r"\d|release|commit", row.reference), row
    assert not {(c.package, c.before, c.at) for c in history.change} & {
        (s.package, s.before, s.at) for s in history.silent
    }


def test_the_recorded_run_saw_every_change_at_its_release_or_the_list_says_why_not(history, outcome):
    found = {row["id"]: row for row in outcome["changes"]}
    for change in history.change:
        assert (found[change.id]["numbers"] > 0) != bool(change.missed), change.id
        if not change.missed:
            assert found[change.id]["example"]["quantity"] in change.quantities


def test_most_of_the_list_that_was_written_before_it_was_run_is_seen(history, outcome):
    found = {row["id"]: row for row in outcome["changes"]}
    second = [c for c in history.change if c.list == 2]
    assert len(second) >= 30
    assert sum(found[c.id]["numbers"] > 0 for c in second) >= 0.75 * len(second)
    assert all(not c.missed for c in history.change if c.list != 2)


def test_the_recorded_run_was_silent_where_nothing_changed(history, outcome):
    pairs = {(p["package"], p["before"], p["at"]): p for p in outcome["pairs"]}
    assert set(pairs) == _pairs(history)
    for row in history.silent:
        pair = pairs[row.package, row.before, row.at]
        assert pair["breaks"] == 0, row
        assert pair["answered"] >= 20, row


def test_a_change_is_not_seen_beside_its_release_unless_another_is_listed_there(history, outcome):
    found = {row["id"]: row for row in outcome["changes"]}
    listed = {(c.package, c.before, c.at) for c in history.change}
    for change in history.change:
        for where in found[change.id]["elsewhere"]:
            before, _, at = where.partition(" -> ")
            assert (change.package, before, at) in listed, (change.id, where)


def test_the_recorded_run_says_when_and_with_what(outcome):
    assert re.match(r"\d{4}-\d\d-\d\d", outcome["recorded_on"])
    for name, row in outcome["versions"].items():
        package, _, version = name.partition(" ")
        assert row["state"][package] == version.partition(" on ")[0]
        assert {"numpy", "pandas", "scipy", "python"} <= set(row["state"])


def test_a_changed_outcome_is_found(tmp_path):
    raw = json.loads((folder() / "history.json").read_text("utf-8"))
    raw["pairs"][0]["breaks"] += 1
    (tmp_path / "history.json").write_text(json.dumps(raw), "utf-8")
    with pytest.raises(ReferenceError_):
        read_outcome(tmp_path)


def test_the_page_shows_the_recorded_run(history, outcome):
    assert tables(history, outcome) in PAGE.read_text("utf-8")


def _answer(**row):
    return EstimationResult(engine="a", coefs=(CoefRow(term="x", **row),))


@pytest.mark.parametrize(
    ("old", "new", "quantities"),
    [
        ({"estimate": 1.0, "std_error": 0.5}, {"estimate": 1.0, "std_error": 0.5}, []),
        ({"estimate": 1.0, "std_error": 0.5}, {"estimate": 1.0, "std_error": 0.5 * (1 + 1e-7)}, ["drift"]),
        ({"estimate": 1.0, "std_error": 0.5}, {"estimate": 1.0, "std_error": 0.51}, ["break"]),
        ({"estimate": 1e-9, "std_error": 0.5}, {"estimate": 2e-9, "std_error": 0.5}, ["drift"]),
        ({"estimate": 1.0, "std_error": 0.5}, {"estimate": 1.0, "std_error": float("nan")}, ["break"]),
        ({"estimate": 1.0, "std_error": float("nan")}, {"estimate": 1.0, "std_error": float("nan")}, []),
        ({"estimate": 1.0}, {"estimate": 1.0, "std_error": 0.5}, []),
    ],
)
def test_what_is_movement(old, new, quantities):
    assert [m.size for m in moved("a case", _answer(**old), _answer(**new))] == quantities


def test_a_failure_and_a_term_are_movement_and_a_refusal_is_not():
    fine, failed = _answer(estimate=1.0), EstimationResult(engine="a", status="error", reason="no")
    refused = EstimationResult(engine="a", status="unsupported", reason="came later")
    assert [m.quantity for m in moved("a case", fine, failed)] == ["status"]
    assert not list(moved("a case", refused, fine))
    other = EstimationResult(engine="a", coefs=(CoefRow(term="z", estimate=1.0),))
    assert [m.quantity for m in moved("a case", fine, other)] == ["term", "term"]


def test_a_pair_of_releases_run_again(history):
    """statsmodels 0.15 changed one number of GLMs; its generalized models alone are asked, which takes seconds."""
    if shutil.which("uv") is None:
        pytest.skip("uv is not here, and pip takes minutes for two environments")
    stack = next(s for s in history.stack if s.package == "statsmodels")
    cases = [c for c in sentinel_cases("statsmodels") if c.topics[0] in ("glm", "ml")]
    answers = []
    for version in ("0.14.6", "0.15.0"):
        try:
            from crosscheck.store import cache_dir

            place = environments.provide(cache_dir(), (f"statsmodels=={version}", *stack.pins))
        except EngineMissing as error:
            pytest.skip(f"no environment: {error.what[:120]}")
        side = Side(
            package="statsmodels",
            version=version,
            id=f"statsmodels@{version}",
            asked=version,
            python=place.python,
            adapter=adapter_for("statsmodels", version),
            state={},
        )
        answers.append(run_side(side, cases, hash_seeds=(0,)).results)
    found = [m for m in compare_versions(cases, *answers) if m.size == "break"]
    change = next(c for c in history.change if c.id == "statsmodels-glm-bic-from-likelihood")
    assert {m.quantity for m in found} == {"bic"}
    assert len(flagged(change, {c.id: c for c in cases}, found)) >= 30
