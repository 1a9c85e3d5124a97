"""The sentinel set: its panels are the recorded ones, its cases cover the grid, its witnesses are what R said."""

from __future__ import annotations

import gzip
import json
from collections import Counter

import pytest

from crosscheck.errors import DataError, ReferenceError_
from crosscheck.upgrade.sentinel.cases import PACKAGES, folder, sentinel_cases
from crosscheck.upgrade.sentinel.grid import latin
from crosscheck.upgrade.sentinel.panels import FACTORS, PANELS_FILE, STAGGERED, draw_panels, read_panels
from crosscheck.upgrade.sentinel.witness import recorded_answers


def test_the_recorded_panels_come_out_of_the_generator():
    recorded = read_panels(folder())
    drawn = draw_panels()
    assert [p.name for p in drawn] == list(recorded)
    for p in drawn:
        assert p.frame.key == recorded[p.name].frame.key
        assert p.new_rows.key == recorded[p.name].new_rows.key


def test_a_changed_value_is_found(tmp_path):
    rows = gzip.decompress((folder() / PANELS_FILE).read_bytes()).decode().splitlines()
    raw = json.loads(rows[1])
    raw["frame"]["columns"][2]["values"][0] += 1.0
    rows[1] = json.dumps(raw)
    (tmp_path / PANELS_FILE).write_bytes(gzip.compress("\n".join(rows).encode()))
    with pytest.raises(DataError, match="hash does not fit"):
        read_panels(tmp_path)


def test_every_level_of_every_factor_occurs_as_often_as_any_other():
    for factors, draws in ((FACTORS, 24), (FACTORS | STAGGERED, 12)):
        drawn = latin(factors, draws, "a test")
        for factor, levels in factors.items():
            seen = Counter(repr(point[factor]) for point in drawn)
            for level in set(map(repr, levels)):
                share = sum(repr(x) == level for x in levels) / len(levels)
                assert abs(seen[level] - draws * share) <= sum(repr(x) == level for x in levels)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_cases_of_a_package(package):
    cases = sentinel_cases(package)
    assert len(cases) >= 60
    assert len({c.id for c in cases}) == len(cases)
    assert len({c.call.hash + c.frame.key for c in cases}) >= 0.97 * len(cases)


def test_what_the_set_asks():
    calls = [c.call for c in sentinel_cases("pyfixest")]
    assert {c.function for c in calls} == {"feols", "fepois", "feglm", "did2s", "event_study", "lpdid", "quantreg"}
    covs = {json.dumps(c.arguments.get("vcov")) for c in calls if c.function == "feols"}
    assert len(covs) >= 15
    assert sum("vcov" not in c.arguments for c in calls) >= 10
    assert sum("ssc" in c.arguments for c in calls) == 45
    assert {len(c.formula.split("|")[1].split("+")) for c in calls if c.formula.count("|") == 1} == {1, 2, 3}
    assert {c.dtypes.get("sector") for c in calls} == {None, "category", "object"}


def test_witnesses_are_named_with_their_versions():
    counted = Counter()
    versions = set()
    for package in PACKAGES:
        for case in sentinel_cases(package):
            for engine, answer in recorded_answers(case).items():
                counted[engine] += 1
                versions.add((engine, answer.version))
                assert answer.transport == "recorded"
                assert answer.status == "ok"
    assert {v for v in versions if v[0] in ("r.fixest", "r.did")} == {("r.fixest", "0.14.2"), ("r.did", "2.3.0")}
    assert counted["r.fixest"] >= 250
    assert counted["r.did"] >= 30


def test_a_changed_answer_is_found(tmp_path):
    path = folder() / "corpus.ndjson.gz"
    text = gzip.decompress(path.read_bytes()).decode().replace('"nobs": 1', '"nobs": 2', 1)
    (tmp_path / path.name).write_bytes(gzip.compress(text.encode()))
    case = next(c for c in sentinel_cases("pyfixest") if c.request is not None)
    with pytest.raises(ReferenceError_):
        recorded_answers(case, tmp_path)
