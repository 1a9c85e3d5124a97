"""The parts of an upgrade check by themselves: what is drift, whom a number moved toward, what the user means."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crosscheck.errors import UsageError
from crosscheck.frame import Column, Frame
from crosscheck.judging import LEGEND, Context
from crosscheck.results import Block, CoefRow, EstimationResult, FitStats, failed
from crosscheck.upgrade.calls import Call
from crosscheck.upgrade.cases import Case
from crosscheck.upgrade.causes import replay_defaults
from crosscheck.upgrade.changes import pair, study_changes
from crosscheck.upgrade.check import exit_code
from crosscheck.upgrade.defaults import Replay
from crosscheck.upgrade.make import Wanted
from crosscheck.upgrade.measure import measure
from crosscheck.upgrade.questions import Question
from crosscheck.upgrade.releases import _order
from crosscheck.upgrade.sides import NotRepeatable
from crosscheck.upgrade.sides import unstable as differing

CONTEXT = Context(study="s", table="t", column="c", legend=LEGEND, decimals={}, tolerances={})


def result(engine, estimate=1.0, error=0.1, *, df=20.0, term="x", more=(), **fields):
    t = estimate / error
    row = CoefRow(term=term, estimate=estimate, std_error=error, statistic=t, p_value=1e-6, df=df)
    given = {"stats": FitStats(nobs=30.0, r2=0.5), **fields}
    return EstimationResult(engine=engine, version=engine.partition("@")[2], coefs=(row, *more), **given)


def frame():
    return Frame(
        tuple(Column(n, "float", np.array(v)) for n, v in (("y", [1.0, 2.0, 4.0]), ("x", [0.0, 1.0, 1.0]))), nrows=3
    )


def question(**fields):
    case = Case(id="q", frame=frame(), call=Call(package="pyfixest", function="feols", formula="y ~ x"))
    given = {
        "id": "q", "study": "s", "table": "t", "column": "c", "title": "", "function": "feols", "frame": frame(),
        "request": None, "case": case, "context": CONTEXT,
    }  # fmt: skip
    return Question(**{**given, **fields})


def changed(old, new, *, said=None, unsteady=None, q=None, reasons=()):
    q = q or question()
    made = study_changes("s", "S", [pair(q, old, new)], reasons, {q.id: said or {}}, (), {q.id: unsteady or ((), ())})
    return made, {c.kind: c for c in made.changes}


@pytest.mark.parametrize(("by", "size"), [(2e-6, "drift"), (5e-6, "drift"), (2e-5, "break"), (0.01, "break")])
def test_drift_is_of_the_size_of_a_tolerance_and_a_break_is_more(by, size):
    found = measure(result("p@1"), result("p@2", error=0.1 * (1 + by)), CONTEXT)
    assert found.sizes["x", "std_error"][0] == size
    assert found.sizes["x", "std_error"][1] == pytest.approx(by, rel=0.02)


def test_a_coefficient_near_zero_is_measured_by_its_standard_error():
    found = measure(result("p@1", estimate=1e-9), result("p@2", estimate=5e-7), CONTEXT)
    assert found.sizes["x", "estimate"][0] == "drift"


def test_drift_of_numbers_that_no_table_prints_is_cosmetic():
    old, new = result("p@1", estimate=0.1234999), result("p@2", estimate=0.1235002)
    assert {c.severity for c in measure(old, new, CONTEXT, printed=False).cells if c.verdict == "unexplained"} == {
        "cosmetic"
    }


def test_counts_and_degrees_of_freedom_do_not_drift():
    old, new = result("p@1"), result("p@2", df=19.0, stats=FitStats(nobs=29.0, r2=0.5))
    sizes = measure(old, new, CONTEXT).sizes
    assert sizes["x", "df"] == ("break", None)
    assert sizes["", "nobs"] == ("break", None)


def rows(*values, quantity="fitted", labels=()):
    return Block(term="rows", labels=labels, quantities=(quantity,), values=(tuple(values),))


def test_fitted_values_are_measured_by_the_largest_of_them():
    old = result("p@1", blocks=(rows(1e6, 0.0, 2.0),))
    same = measure(old, result("p@2", blocks=(rows(1e6, 1e-4, 2.0),)), CONTEXT)
    assert next(c for c in same.cells if c.quantity == "fitted").verdict == "numerical"
    moved = measure(old, result("p@2", blocks=(rows(1e6, 0.0, 2.5e5),)), CONTEXT)
    assert moved.sizes["rows", "fitted"] == ("break", pytest.approx(0.249998))


def test_predictions_that_become_nan_are_gone_and_rows_without_labels_are_not_matched():
    old = result("p@1", blocks=(rows(1.0, 2.0, quantity="prediction"),))
    made, kinds = changed(old, result("p@2", blocks=(rows(1.0, math.nan, quantity="prediction"),)))
    assert "no prediction for 1 of 2" in kinds["term gone"].title
    _, kinds = changed(old, result("p@2", blocks=(rows(1.0, quantity="prediction"),)))
    assert "2 rows before, 1 now" in kinds["term gone"].title
    assert made.compared


def test_covariances_are_compared_as_correlations():
    more = (CoefRow(term="z", estimate=1.0, std_error=0.2),)
    old = result("p@1", more=more, vcov=((0.01, 0.001), (0.001, 0.04)))
    new = result("p@2", more=more, vcov=((0.01, 0.002), (0.002, 0.04)))
    assert measure(old, new, CONTEXT).sizes["x, z", "covariance"] == ("break", pytest.approx(0.05))


R = "R's fixest 0.14.2"


@pytest.mark.parametrize(
    ("witness", "side", "words"),
    [
        (0.2, "new", f"toward {R} in 1"),
        (0.2 * (1 + 3e-6), "new", f"toward {R} in 1"),
        (0.1, "old", f"away from {R} in 1"),
        (0.4, "neither", f"{R} agrees with neither in 1 (nearer to the new number in 1)"),
    ],
)
def test_a_number_moved_toward_or_away_from_a_witness_with_its_version(witness, side, words):
    from crosscheck.upgrade.phrases import support_lines, toward

    said = {"r.fixest": (R, result("r.fixest", error=witness))}
    _, kinds = changed(result("p@1"), result("p@2", error=0.2), said=said)
    moved = next(m for m in kinds["number"].moved if m.quantity == "std_error")
    assert [w.side for w in moved.witnesses] == [side]
    assert R in toward(moved.witnesses[0])
    assert words in support_lines(kinds["number"])


def test_a_witness_near_neither_says_which_side_is_nearer():
    said = {"r.fixest": (R, result("r.fixest", error=0.25))}
    _, kinds = changed(result("p@1"), result("p@2", error=0.2), said=said)
    moved = next(m for m in kinds["number"].moved if m.quantity == "std_error")
    assert (moved.witnesses[0].side, moved.witnesses[0].nearer) == ("neither", "new")


def unstable(spread, quantity="std_error"):
    return NotRepeatable(case="q", term="x", quantity=quantity, values=(0.1, 0.1 * (1 + spread)), spread=spread)


def test_a_number_that_hash_seeds_move_is_not_repeatable_and_did_not_move():
    new = result("p@2", error=0.11)
    _, kinds = changed(result("p@1"), new, unsteady=((), (unstable(0.1),)))
    assert kinds["not repeatable"].standing == "worse"
    assert kinds["not repeatable"].severity == "printed"
    assert "std_error" not in {m.quantity for m in kinds.get("number").moved} if "number" in kinds else True


def test_the_order_of_a_sum_does_not_hide_a_break():
    made, kinds = changed(result("p@1"), result("p@2", error=0.11), unsteady=((), (unstable(1e-15),)))
    assert "not repeatable" not in kinds
    assert kinds["number"].size == "break"
    assert exit_code([made], "printed") == 1


@pytest.mark.parametrize(("old", "new", "standing"), [(True, False, "better"), (True, True, "note")])
def test_what_repeats_now_or_never_did_is_no_fault_of_the_new_side(old, new, standing):
    sides = tuple((unstable(0.1),) if on else () for on in (old, new))
    made, kinds = changed(result("p@1"), result("p@2"), unsteady=sides)
    assert kinds["not repeatable"].standing == standing
    assert exit_code([made], "printed") == 0


def test_another_name_with_the_same_number_is_a_name():
    made, kinds = changed(result("p@1", term="C(x)[T.1]"), result("p@2", term="x::1"))
    assert list(kinds) == ["renamed"]
    assert exit_code([made], "printed") == 0


@pytest.mark.parametrize(
    ("witness", "standing", "exits"),
    [(1.0, "better", 0), (2.0, "moved", 1), (None, "better", 0)],
)
def test_an_error_that_is_gone_counts_only_where_a_witness_contradicts_the_new_number(witness, standing, exits):
    old = EstimationResult(engine="p@1", status="error", reason="singular")
    said = {} if witness is None else {"r.fixest": (R, result("r.fixest", estimate=witness))}
    made, kinds = changed(old, result("p@2"), said=said)
    assert kinds["error gone"].standing == standing
    assert exit_code([made], "printed") == exits


def test_dropped_names_and_messages_are_for_information():
    _, kinds = changed(result("p@1", dropped=("z",)), result("p@2", dropped=("w",)))
    assert kinds["dropped"].severity == "cosmetic"
    fails = [EstimationResult(engine=f"p@{i}", status="error", reason=r) for i, r in enumerate(("singular", "rank"))]
    _, kinds = changed(*fails)
    assert kinds["error changed"].standing == "note"


def test_a_changed_default_is_asked_for_and_named_only_where_it_gives_the_old_number():
    q, old, new = question(), result("pyfixest@1", error=0.1), result("pyfixest@2", error=0.2)
    p = pair(q, old, new)
    asked = []

    def ask(cases):
        asked.extend(cases)
        return {c.id: result("pyfixest@2", error=0.1 if c.call.arguments["vcov"] == "HC1" else 0.3) for c in cases}

    def written(value):
        return lambda call: [Replay(arguments={"vcov": (value, "iid")}, call=call.with_(arguments={"vcov": value}))]

    item = [(q, p.old, p.new, p.measured)]
    found = replay_defaults(item, written("HC1"), ask, ("1", "2"))
    assert [c.call.arguments for c in asked] == [{"vcov": "HC1"}]
    assert 'vcov from "HC1" to "iid"' in found["q"]["x", "std_error"][0].title
    made, kinds = changed(old, new, q=q, reasons=[found])
    assert kinds["number"].cause == "convention"
    assert exit_code([made], "printed") == 1
    assert replay_defaults(item, written("HC2"), ask, ("1", "2")) == {}
    assert replay_defaults(item, lambda call: (), lambda cases: 1 / 0, ("1", "2")) == {}


def read(**given):
    words = {"package": None, "words": (), "old": (), "new": (), "requirements": (), "pins": (), "old_pins": (),
             "new_pins": (), "libraries": (), "recorded": None, "between": False, "needs_both": True}  # fmt: skip
    return Wanted.read(**{**words, **given})


def test_options_and_words_mean_the_same():
    options = read(package="pyfixest", words=("study",), old=("0.40.1",), new=("0.60.0",))
    assert options == read(words=("pyfixest", "0.40.1", "0.60.0", "study"))
    assert (options.versions, options.studies) == (("0.40.1", "0.60.0"), ("study",))


def test_several_versions_by_repeating_or_by_commas():
    assert read(package="pyfixest", old=("0.30.2, 0.40.1", "0.50.1"), new=("latest",)).versions == (
        "0.30.2", "0.40.1", "0.50.1", "latest",
    )  # fmt: skip


def test_a_dependency_alone_with_the_same_version_on_both_sides():
    wanted = read(package="pyfixest", old=("0.60.0",), old_pins=("numpy==1.26.4",), new_pins=("numpy==2.2.0",))
    assert wanted.versions == ("0.60.0", "0.60.0")
    assert wanted.pins == (("numpy==1.26.4",), ("numpy==2.2.0",))


def test_requirements_files_name_the_package_that_differs(tmp_path):
    for name, version in (("a.txt", "0.50.1"), ("b.txt", "0.60.0")):
        (tmp_path / name).write_text(f"pyfixest=={version}  # fixed effects\nstatsmodels==0.14.6\n", "utf-8")
    wanted = read(requirements=(tmp_path / "a.txt", tmp_path / "b.txt"))
    assert wanted.package == "pyfixest"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"package": "pyfixest", "old": ("0.5",)}, "--to is not given"),
        ({"package": "pyfixes", "old": ("1",), "new": ("2",)}, "there is no engine 'pyfixes'"),
        ({"package": "pyfixest", "old": ("1",), "new": ("1",)}, "both versions are pyfixest@1"),
        ({"package": "pyfixest", "old": ("1",), "new": ("2",), "pins": ("numpy; rm",)}, "pins no dependency"),
        ({"package": "fixest", "old": ("1",), "new": ("2",)}, "cannot be pinned"),
        ({"package": "pyfixest", "recorded": "x"}, "is no R package"),
        ({"words": ("study",)}, "no package is named"),
        ({"old": ("1",), "new": ("2",)}, "no package is named"),
        ({"package": "pyfixest", "old": ("1", "2"), "new": ("3",), "between": True}, "a range has two ends"),
    ],
)
def test_what_makes_no_comparison_is_refused(given, words):
    with pytest.raises(UsageError, match=words):
        read(**given)


def test_releases_are_in_the_order_of_their_numbers():
    assert sorted(["0.10.0", "0.9.1", "0.10.0.post1", "0.9"], key=_order) == ["0.9", "0.9.1", "0.10.0", "0.10.0.post1"]


def test_a_record_of_the_same_version_is_told_from_the_live_one():
    from crosscheck.upgrade.model import SideRow
    from crosscheck.upgrade.summary import label

    live = SideRow(id="a", package="p", version="1", asked="", transport="live", state={"p": "1", "numpy": "2"})
    kept = SideRow(id="b", package="p", version="1", asked="", transport="recorded", state={"p": "1"})
    assert label(kept, live) == "1 (recorded) -> 1"
    other = SideRow(id="c", package="p", version="1", asked="", transport="live", state={"p": "1", "numpy": "1"})
    assert label(other, live) == "1, numpy 1 -> 2"


def test_a_comparison_without_a_number_on_both_sides_is_no_agreement():
    failures = [EstimationResult(engine=f"p@{i}", status="error", reason=f"no {i}") for i in (1, 2)]
    made, _ = changed(*failures)
    assert exit_code([made], "printed") == 3
    nothing = [
        EstimationResult(
            engine=f"p@{i}", version=str(i), coefs=(CoefRow(term="x", estimate=math.nan, std_error=math.nan),)
        )
        for i in (1, 2)
    ]
    made, _ = changed(*nothing)
    assert made.compared == 0
    assert exit_code([made], "printed") == 3
    assert exit_code([changed(nothing[0], result("p@2"))[0]], "printed") != 3
    assert exit_code([changed(result("p@1"), nothing[1])[0]], "printed") == 1


def test_a_warning_about_kept_machine_code_is_ours():
    from types import SimpleNamespace

    from crosscheck.upgrade.thin.compiled import about_cache

    class NumbaWarning(UserWarning):
        pass

    text = 'Cannot cache compiled function "f" as it uses dynamic globals'
    assert about_cache(SimpleNamespace(category=NumbaWarning, message=NumbaWarning(text)))
    assert not about_cache(SimpleNamespace(category=NumbaWarning, message=NumbaWarning("the loop is slow")))
    assert not about_cache(SimpleNamespace(category=UserWarning, message=UserWarning(text)))


def test_sides_never_have_the_same_name():
    from crosscheck.upgrade.model import SideRow
    from crosscheck.upgrade.summary import label, side_names

    def side(id_="p@1", version="1", transport="live", **state):
        return SideRow(id=id_, package="p", version=version, asked="", transport=transport, state={"p": "1", **state})

    assert side_names(side(), side(version="2")) == ("1", "2")
    assert side_names(side(numpy="1.26.4"), side(numpy="2.4.6")) == ("1 with numpy 1.26.4", "1 with numpy 2.4.6")
    assert label(side(numpy="1.26.4"), side(numpy="2.4.6")) == "1, numpy 1.26.4 -> 2.4.6"
    assert side_names(side(), side("p@1+local.0a")) == ("1", "1+local.0a")
    assert side_names(side(transport="frozen"), side()) == ("1 (frozen)", "1")
    assert len(set(side_names(side(), side()))) == 2


def test_one_message_that_names_a_unit_is_one_message():
    from crosscheck.upgrade.pairs import shape

    assert shape("entity 'u12' is given twice in 2003") == shape("entity 'firm b' is given twice in 1999.5")
    assert shape("periods [1 2 3] lack N12") == shape("periods [4] lack A7")
    assert shape("the matrix is singular") != shape("the matrix is not square")
    assert shape("ValueError: x1 has 3 missing values") == shape("ValueError: x20 has 1,234 missing values")


def test_what_a_witness_says_of_a_fit_is_said_of_a_fit():
    from crosscheck.upgrade.model import Change
    from crosscheck.upgrade.phrases import support_lines

    def lines(kind, side):
        change = Change(kind=kind, size="", cause="", severity="structural", standing="worse", title="", study="s",
                        places=(), supports=((R, side, 2),))  # fmt: skip
        return support_lines(change)

    assert lines("error new", "neither") == [f"{R} gives other numbers than the old ones in 2"]
    assert lines("error new", "old") == [f"{R} gives the old numbers in 2"]
    assert lines("error gone", "old") == [f"{R} fails still in 2"]
    assert lines("term gone", "new") == [f"{R} has no such number either in 2"]


def test_what_follows_from_an_explained_standard_error_has_its_cause():
    from crosscheck.explain import Explanation
    from crosscheck.judging import Cell
    from crosscheck.results import CoefRow, EstimationResult, FitStats
    from crosscheck.upgrade.follows import with_followers

    def cell(term, quantity, old, new, verdict="unexplained", why=()):
        return Cell(study="s", table="t", column="c", term=term, quantity=quantity, reference="p@1", candidate="p@2",
                    reference_value=old, candidate_value=new, verdict=verdict, severity="printed",
                    explanations=why)  # fmt: skip

    def fit(engine, error):
        rows = (CoefRow(term="x", estimate=1.0, std_error=error, df=20.0),)
        return EstimationResult(engine=engine, coefs=rows, stats=FitStats(nobs=100, df_resid=90))

    r2 = (100 - 2) / (100 - 12)
    why = (Explanation(rule="k", title="counts K = 12"),)
    cells = [
        cell("x", "std_error", 0.1, 0.1 * r2**0.5, "convention", why),
        cell("model", "f_statistic", 7.0, 7.0 / r2),
        cell("model", "df_k", 2.0, 12.0),
        cell("other", "f_statistic", 7.0, 5.0),
    ]
    found = {(c.term, c.quantity): c.verdict for c in with_followers(cells, fit("p@1", 0.1), fit("p@2", 0.12))}
    assert found["model", "f_statistic"] == found["model", "df_k"] == "convention"
    assert found["other", "f_statistic"] == "unexplained"


@pytest.mark.parametrize(("package", "function"), [("differences", "ATTgt"), ("diff-diff", "CallawaySantAnna")])
def test_group_time_effects_are_asked_in_the_words_of_other_packages(package, function):
    from pathlib import Path

    from crosscheck.study import load_study
    from crosscheck.upgrade.cases import Case
    from crosscheck.upgrade.translate import calls_of

    study = load_study(Path(__file__).parents[1] / "fixtures" / "studies" / "mpdta")
    found = calls_of(study, package)
    dynamic = found["extra_did", "notyet_dynamic"]
    assert isinstance(dynamic, Case)
    assert dynamic.call.function == function
    assert "not_yet_treated" in (
        dynamic.call.fit["fit"].get("control_group"),
        dynamic.call.arguments.get("control_group"),
    )
    assert "aggregate" in dynamic.call.fit
    reasons = {v for v in found.values() if isinstance(v, str)}
    assert any("group-time effects only" in r for r in reasons)


def test_a_crash_whose_words_differ_in_a_thread_alone_is_repeated():
    """A number in a message is that of a process or thread; another kind of failure is another answer."""
    words = "crashed: signal 6 (SIGABRT); last output: thread '<unnamed>' ({}) panicked at demean.rs:71:48"
    first, again = (failed("p@1", words.format(n)) for n in (19321, 19319))
    assert not list(differing("case", (first, again)))
    assert [n.values for n in differing("case", (first, failed("p@1", "no answer within 60 s: killed")))]
