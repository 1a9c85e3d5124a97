"""Changed defaults of real releases are replayed and named, from what those releases really said."""

from __future__ import annotations

import gzip
import json

import pytest

from crosscheck.canon import digest
from crosscheck.results import result_from_json
from crosscheck.upgrade.calls import Call
from crosscheck.upgrade.causes import replay_defaults
from crosscheck.upgrade.changes import pair, study_changes
from crosscheck.upgrade.defaults import replays
from crosscheck.upgrade.eras import changed_defaults
from crosscheck.upgrade.left_open import left_open
from crosscheck.upgrade.questions import sentinel_question
from crosscheck.upgrade.sentinel.cases import folder, sentinel_cases


def recorded():
    return json.loads(gzip.decompress((folder() / "defaults.json.gz").read_bytes()))


@pytest.fixture(scope="module")
def file():
    return recorded()


def test_the_record_is_as_it_was_written(file):
    raw = dict(file)
    assert digest({k: v for k, v in raw.items() if k != "seal"}) == raw["seal"]


@pytest.mark.parametrize(
    ("package", "versions", "names"),
    [
        ("pyfixest", ("0.28.0", "0.29.0"), {"ssc"}),
        ("pyfixest", ("0.30.2", "0.40.0"), {"vcov", "fixef_rm"}),
        ("statsmodels", ("0.14.6", "0.15.0"), {"bic"}),
        ("csdid", ("0.2.9", "0.4.2"), {"allow_unbalanced_panel"}),
        ("differences", ("0.2.0", "0.3.0"), {"est_method"}),
    ],
)
def test_a_changed_default_of_a_real_release_is_a_convention_that_replays(file, package, versions, names):
    row = next(r for r in file["pairs"] if (r["package"], tuple(r["versions"])) == (package, versions))
    cases = {c.id: c for c in sentinel_cases(package)}
    old, new = ({k: result_from_json(a) for k, a in row[side].items()} for side in ("old", "new"))
    pairs = [pair(sentinel_question(cases[i], {}), old[i], new[i]) for i in row["cases"]]
    both = [p for p in pairs if p.moved and p.old.status == p.new.status == "ok"]
    items = [(p.question, p.old, p.new, p.measured) for p in both]
    found = replay_defaults(items, lambda call: replays(call, *versions), lambda asked: new, versions)
    named = set()
    for p in both:
        for key, (why, *_) in found.get(p.question.id, {}).items():
            assert why.verdict == "convention"
            assert f"{package} {versions[1]} has another default" in why.title
            named |= {name for name in names if f"{name} from" in why.title}
            cell = next(c for c in p.measured.cells if (c.term, c.quantity) == key)
            if why.replay is not None and isinstance(cell.reference_value, float):
                assert why.replay == pytest.approx(cell.reference_value, rel=1e-6, abs=1e-9)
    assert named == names
    made = study_changes("sentinel", "the set", pairs, [found], {}, (), {})
    assert "convention" in {c.cause for c in made.changes}


def test_an_option_that_is_the_old_default_is_left_open():
    call = Call(
        package="pyfixest",
        function="feols",
        formula="y ~ x | unit",
        arguments={"vcov": {"CRV1": "unit"}, "fixef_rm": "none", "solver": "scipy.linalg.solve"},
    )
    left, names = left_open(call, "0.30.2", "0.40.1")
    assert set(names) == {"vcov", "fixef_rm"}
    assert left.arguments == {"solver": "scipy.linalg.solve"}
    other = call.with_(arguments={"vcov": {"CRV1": "time"}, "fixef_rm": "singleton"})
    assert left_open(other, "0.30.2", "0.40.1") == (other, ())
    assert left_open(call, "0.40.1", "0.50.0")[1] == ()
    assert set(changed_defaults("pyfixest", "0.30.2", "0.40.1", "feols")) >= {"vcov", "fixef_rm"}
