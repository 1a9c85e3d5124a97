"""How data are held, whether a model is one of several, and whether defaults are written out: none decides a number."""

from __future__ import annotations

import importlib

import pandas as pd
import pytest

from crosscheck.campaign.properties import properties
from crosscheck.engines._dress import DRESSES, dressed
from crosscheck.engines._ways import SEVERAL, several, written_out
from crosscheck.errors import CrosscheckError, Unsupported
from crosscheck.options import AttGtOptions
from crosscheck.results import failed
from tests.test_relations import a_case

PROPERTIES = properties()
CRV1 = {"vcov": {"type": "CRV1", "cluster": ("unit",)}, "ssc": {"k_fixef": "full"}}


def asked_of(name):
    engine = importlib.import_module(f"crosscheck.engines.{name}").ENGINE
    pytest.importorskip(engine.packages[0])

    def fit(_, request, frame):
        try:
            return engine.fit(request, frame)
        except Unsupported as error:
            return failed(name, error.what, status="unsupported")
        except CrosscheckError as error:
            return failed(name, error.what)

    return fit


def group_time(seed):
    options = AttGtOptions(y="y", cohort="cohort", unit="unit", time="time").model_dump(mode="json")
    case = a_case({"estimator": "att_gt", "formula": "", "options": options}, seed=seed, units=12, periods=4, never=2)
    return case.with_(engines=("csdid",))


def questions(name, seed):
    if name == "csdid":
        return group_time(seed)
    formula = "`y` ~ `treated` + `x1`" if name == "statsmodels" else "`y` ~ `treated` + `x1` | `unit` + `time`"
    return a_case({**CRV1, "formula": formula}, seed=seed, units=6).with_(engines=(name,))


@pytest.mark.parametrize("name", ["linearmodels", "statsmodels", "csdid"])
def test_every_package_reads_a_data_frame_in_any_dress(name):
    fit, prop, seen, compared = asked_of(name), PROPERTIES["data_frame"], set(), 0
    for seed in range(40):
        case = questions(name, seed)
        dress = prop.twin(case).second.request.options["dress"]
        if dress in seen or (dress == "arrow" and importlib.util.find_spec("pyarrow") is None):
            continue
        seen.add(dress)
        checked = prop.check(case, fit)
        assert not checked.discrepancies, (dress, checked.discrepancies)
        assert checked.compared or "never" in checked.reason, (dress, checked.reason)
        compared += checked.compared
    assert compared > 20
    assert len(seen) >= len(DRESSES) - 1


def test_the_dresses_are_not_the_frame_itself():
    data = pd.DataFrame({"y": [1.0, 2.0], "k": pd.Categorical(["a", "b"]), "f": [0, 1]})
    changed = {dress: dressed(data, dress, ("f",)) for dress in DRESSES if dress != "arrow"}
    assert all(not d.index.equals(data.index) for name, d in changed.items() if name.endswith("index") and len(d))
    assert isinstance(changed["categories"]["f"].dtype, pd.CategoricalDtype)
    assert changed["objects"]["k"].dtype == object
    assert str(changed["nullable"]["f"].dtype) == "Int64"
    with pytest.raises(Unsupported, match="no way"):
        dressed(data, "hat")


def test_pyfixest_fits_a_model_alone_and_as_one_of_several():
    fit, prop, seen = asked_of("pyfixest"), PROPERTIES["one_of_several"], set()
    for seed in range(60):
        case = a_case(
            {**CRV1, "columns": ("y", "treated", "x1", "unit", "time")}, seed=seed, crossed=2, nested=2, units=9
        )
        case = case.with_(engines=("pyfixest",))
        made = prop.twin(case)
        if isinstance(made, str) or made.second.request.options["several"] in seen:
            continue
        seen.add(made.second.request.options["several"])
        checked = prop.check(case, fit)
        assert checked.compared, made.second.request.options
        assert not checked.discrepancies, (made.second.request.options, checked.discrepancies)
    assert seen == set(SEVERAL)


def test_a_model_that_depends_on_those_beside_it_is_noticed():
    fit, prop = asked_of("pyfixest"), PROPERTIES["one_of_several"]

    def common_sample(name, request, frame):
        """A package that takes the rows which all models of a call have."""
        kept = frame.take(frame["y"].as_float() > 0) if request.options.get("several") else frame
        return fit(name, request.model_copy(update={"options": {}}), kept)

    case = a_case(CRV1, seed=1, units=9).with_(engines=("pyfixest",))
    found = prop.check(case, common_sample).discrepancies
    assert [d.identity.quantity for d in found] == ["nobs"]


def test_lists_of_terms_and_effects_are_written_as_the_package_reads_them():
    data = pd.DataFrame({"n0": [1.0, 2.0, 3.0, 4.0]})
    assert several("n0 ~ n1 + n2 | f0+f1", data, "csw")[0] == "n0 ~ csw(n1, n2) | f0+f1"
    assert several("n0 ~ n1 + n2 | f0+f1", data, "effects csw0")[0] == "n0 ~ n1 + n2 | csw0(f0, f1)"
    text, held, place = several("n0 ~ n1 | f0", data, "outcomes")
    assert (text, place) == ("n0 + second ~ n1 | f0", 0)
    assert held["second"].isna().any()
    with pytest.raises(Unsupported, match="no list"):
        several("n0 ~ n1", data, "csw")


@pytest.mark.parametrize("name", ["pyfixest", "linearmodels", "statsmodels", "csdid"])
def test_defaults_are_those_that_the_package_states(name):
    fit = asked_of(name)
    checked = PROPERTIES["defaults"].check(questions(name, 3), fit)
    assert checked.compared, checked.reason
    assert not checked.discrepancies


def test_a_default_that_is_not_the_one_stated_is_noticed():
    fit = asked_of("pyfixest")

    def otherwise(name, request, frame):
        made = fit(name, request, frame)
        return made if request.options["call"] == "explicit" else made.with_(coefs=made.coefs[:1])

    found = PROPERTIES["defaults"].check(questions("pyfixest", 3), otherwise).discrepancies
    assert [d.identity.quantity for d in found] == ["terms"]


def test_the_stated_defaults_of_a_signature_are_written_out():
    def call(a, b=1, *, c=2, **rest):
        return a, b, c, rest

    assert written_out(call, {"a": 0}, "default") == {"a": 0}
    assert written_out(call, {"a": 0, "b": 5}, "explicit", ("c",)) == {"a": 0, "b": 5}
    assert written_out(call, {"a": 0}, "explicit") == {"a": 0, "b": 1, "c": 2}
