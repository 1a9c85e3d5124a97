"""A campaign finds faults that were put in, reports each once, resumes where it stopped, and gives the same lines again."""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from crosscheck.campaign import confirm, driver
from crosscheck.campaign.budget import budget_of
from crosscheck.campaign.case import Case, Checked, Discrepancy, Identity, Outcome, Property, features
from crosscheck.campaign.command import CORPUS_FOLDER, DEFAULT_ENGINES, settings_of
from crosscheck.campaign.corpus import CORPUS_FILE, read_corpus
from crosscheck.campaign.coverage import coverage, possible_quirks
from crosscheck.campaign.differential import EnginesAgree, pair_cells, primary
from crosscheck.campaign.executors import executor_of
from crosscheck.campaign.families import DRAW_MORE, FAMILIES, WHY_NOT, family_of, meetings, reason_of
from crosscheck.campaign.known import KnownDiscrepancy, known_rows, recognise
from crosscheck.campaign.plainer import plainer_request
from crosscheck.campaign.plan import PROFILES, cases_of, panel_of
from crosscheck.campaign.properties import ON_REQUEST, chosen, properties
from crosscheck.campaign.render import fold, to_markdown, to_text
from crosscheck.campaign.requests import FEATURES, draw_requests
from crosscheck.campaign.requests_designs import TWO_STAGE, draw_designs
from crosscheck.campaign.stream import CAMPAIGN_FILE, is_complete, read_events
from crosscheck.cli import cli, main
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.errors import CrosscheckError, EngineMissing, UsageError
from crosscheck.findings import read_finding
from crosscheck.results import failed
from crosscheck.simulate import Limits, PanelSpec, make_panel, seeded_spec
from crosscheck.spec import FitRequest, SscSpec, VcovSpec
from tests import fakes
from tests.conftest import ROOT

HONEST = "oracle,fake.honest"


def run(*arguments, expect=None):
    """Run the command line in this process; return the exit code and what it said."""
    result = CliRunner().invoke(cli, ["campaign", *map(str, arguments)], obj=["campaign"], standalone_mode=False)
    if isinstance(result.exception, CrosscheckError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if expect is not None:
        assert result.return_value == expect, result.output
    return result.return_value, result.output


def lines(folder, kind=None):
    events = read_events(folder / CAMPAIGN_FILE)
    return [e for e in events if kind is None or e["event"] == kind]


def fit_here(engine, request, frame):
    """Fit in this process, as a worker would."""
    made = {"oracle": ORACLE, **{f.id: f for f in vars(fakes).values() if isinstance(f, fakes.Fake)}}[engine]
    try:
        return made.fit(request, frame)
    except CrosscheckError as error:
        return failed(engine, error.what)


def small_case(engines=("oracle", "fake.ssc"), **request):
    panel = make_panel(PanelSpec(units=6, periods=4, regressors=1, seed=3))
    asked = FitRequest(
        formula="`y` ~ `treated` + `x1` | `unit`",
        columns=("y", "treated", "x1", "unit", "time"),
        unit="unit",
        time="time",
        **request,
    )
    return Case(seed=3, frame=panel.frame, requests=(asked,), engines=engines, rule="engines_agree", panel=panel)


# --- budgets, names, usage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds", "panels"),
    [("10m", 600, None), ("90s", 90, None), ("1.5h", 5400, None), ("500p", None, 500), ("3 panels", None, 3)],
)
def test_budgets_are_times_or_numbers_of_panels(text, seconds, panels):
    budget = budget_of(text)
    assert (budget.seconds, budget.panels) == (seconds, panels)


@pytest.mark.parametrize("text", ["", "10", "-1m", "0m", "0p", "1.5p", "99999h", "1e3s", "ten minutes", "10m; ls"])
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(UsageError, match=r"budget|panels|run for"):
        budget_of(text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--engines", " ,"), ("no engine is named", "leave --engines out")),
        (("--engines", "pyfixset"), ("no engine 'pyfixset'", "did you mean 'pyfixest'?")),
        (("--properties", "engines_agre"), ("no property 'engines_agre'", "did you mean 'engines_agree'?")),
        (("--profile", "nightlyy"), ("no profile 'nightlyy'", "did you mean 'nightly'?")),
        (("--budget", "soon"), ("the budget 'soon' cannot be read", "10m")),
        (("--budget", "5p", "--executor", "dask"), ("no executor 'dask'", "dask://HOST:PORT")),
        (("--budget", "5p", "--executor", "local:0"), ("no executor 'local:0'", "local:N")),
        (("--budget", "5p", "--seed", "-1"), ("seed -1 is out of range",)),
        (("--resume",), ("no campaign to resume",)),
    ],
)
def test_bad_usage_is_one_message_and_leaves_no_file(tmp_path, fake_engines, arguments, words):
    code, said = run("--out", tmp_path / "c", *arguments)
    assert code == 2
    for word in words:
        assert word in said
    assert not (tmp_path / "c" / CAMPAIGN_FILE).exists()


def test_bad_usage_leaves_with_2_and_no_traceback(capsys):
    with pytest.raises(SystemExit) as left:
        main(["campaign", "--budget", "soon"])
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("crosscheck: the budget 'soon'")


def test_an_executor_is_here_or_processes_or_a_cluster():
    assert type(executor_of(None)).__name__ == "Here"
    with pytest.raises(UsageError):
        executor_of("dask://nowhere; rm -rf:1")


# --- what is drawn ---------------------------------------------------------------------------------------------------


def test_requests_follow_from_the_seed_and_name_columns_of_the_panel():
    settings = settings_of("nightly", ("oracle",), ("engines_agree",), 0)
    seen = set()
    for number in range(150):
        panel = panel_of(settings, number)
        drawn = draw_requests(panel, number, 4)
        assert [r.hash for r in drawn] == [r.hash for r in draw_requests(panel, number, 4)]
        for request in drawn:
            assert set(request.columns) <= set(panel.frame.names)
            seen.update(features(request).split())
    assert set(FEATURES) - seen <= {"balance_e", "lag", "probit", "winsor_feols", "describe", "mediation", "fe^fe"}
    assert not seen - set(FEATURES)


def test_features_say_what_a_request_has():
    request = FitRequest(
        formula="`y` ~ i(`time`, ref = 1) | `unit` + `a`^`b` | `e` ~ `z`",
        vcov=VcovSpec(type="CRV1", cluster=("unit", "time")),
        ssc=SscSpec(k_adj=False),
    )
    assert features(request) == "feols CRV1:2 fe:2 fe^fe iv i ssc"


def test_every_property_says_what_it_is():
    for prop in properties().values():
        assert isinstance(prop, Property)
        assert prop.kind in ("relation", "differential", "truth")
        assert prop.title.endswith(".")
    assert set(properties()) - set(chosen(())) == ON_REQUEST
    assert chosen(("differential",)) == ("engines_agree", "conditions", "predictions")


# --- comparing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "quantity"),
    [
        ("fake.ssc", "std_error"),
        ("fake.sign", "estimate"),
        ("fake.drops", "terms"),
        ("fake.extra", "terms"),
        ("fake.nan_se", "std_error"),
        ("fake.nobs", "nobs"),
        ("fake.se_1e5", "std_error"),
        ("fake.raises", "status"),
        ("fake.permuted", "estimate"),
    ],
)
def test_each_fault_is_found_and_named_once(engine, quantity, fake_engines):
    case = small_case(engines=("oracle", engine), vcov=VcovSpec(type="HC1"))

    def fit(name, request, frame):
        try:
            return fit_here(name, request, frame)
        except ValueError as error:
            return failed(name, str(error))

    checked = EnginesAgree().check(case, fit)
    found = {d.identity.quantity for d in checked.discrepancies}
    if engine == "fake.ssc":
        # another K is a convention that the rules name and replay: explained, and counted as such
        assert checked.explained or found == {quantity}
        return
    assert found == {quantity}
    assert {d.identity.engine for d in checked.discrepancies} == {engine}


@pytest.mark.parametrize("engine", ["fake.honest", "fake.reordered", "fake.se_1e7"])
def test_a_correct_twin_agrees(engine, fake_engines):
    checked = EnginesAgree().check(small_case(engines=("oracle", engine)), fit_here)
    assert checked.discrepancies == ()
    assert checked.compared > 10


def test_nothing_compared_is_no_agreement(fake_engines):
    case = small_case(engines=("oracle",))
    assert EnginesAgree().applies(case) == "1 of the engines takes this request"
    assert Outcome(case=case, checked=Checked()).status == "not_compared"


def test_only_the_first_of_what_follows_from_one_another_is_a_discrepancy():
    case = small_case()
    right = ORACLE.fit(case.request, case.frame)
    wrong = fakes.SIGN.spoil(right).with_(engine="fake.sign")
    cells = pair_cells(right, wrong, case.request, case.frame, fit_here)
    assert [d.identity.quantity for d in primary(cells, right, wrong, case.request)] == ["estimate"]


def test_shrinking_keeps_to_one_identity():
    one = Identity(rule="r", engine="e", version="1", quantity="std_error", features="feols HC1 weights:analytic")
    assert one.same_bug(Identity(rule="r", engine="e", version="2", quantity="std_error", features="feols HC1"))
    assert not one.same_bug(Identity(rule="r", engine="e", version="1", quantity="std_error", features="feols CRV1"))
    assert not one.same_bug(Identity(rule="r", engine="e", version="1", quantity="estimate", features="feols HC1"))


def test_known_rows_are_read_and_recognise_by_identity():
    assert len({row.id for row in known_rows()}) == len(known_rows()) > 3
    row = KnownDiscrepancy(
        id="k", kind="bug", engine="e", quantities=("r2",), features=("iv",), why="because of this", source="here"
    )
    there = Discrepancy(identity=Identity(rule="r", engine="e", quantity="r2", features="feols iid iv"))
    assert recognise(there, (row,)) is row
    elsewhere = Discrepancy(identity=Identity(rule="r", engine="e", quantity="r2", features="feols iid"))
    assert recognise(elsewhere, (row,)) is None


# --- running ---------------------------------------------------------------------------------------------------------


def test_honest_engines_give_no_discrepancy_and_leave_with_0(tmp_path, fake_engines):
    code, said = run("--budget", "20p", "--engines", HONEST, "--properties", "engines_agree", "--out", tmp_path)
    assert code == 0, said
    assert "0 new" in said or "20 panels" in said
    report = json.loads((tmp_path / "campaign.json").read_text("utf-8"))
    assert report["complete"]
    assert report["compared"] > 200
    assert report["discrepancies"] == []
    assert "Never reached" in (tmp_path / "campaign.md").read_text("utf-8")


def test_a_fault_is_found_shrunk_and_reported_once(tmp_path, fake_engines):
    code, said = run(
        *("--budget", "12p", "--engines", "oracle,fake.sign", "--properties", "engines_agree", "--out", tmp_path)
    )
    assert code == 1
    assert "estimate of fake.sign" in said
    findings = lines(tmp_path, "finding")
    assert findings
    assert len({i for f in findings for i in f["identities"][:1]}) == len(findings)
    first = findings[0]
    assert first["status"] == "new"
    assert first["rows"] <= 12
    assert first["discrepancy"]["identity"]["quantity"] == "estimate"
    folder = tmp_path / first["folder"]
    assert {"panel.csv", "study.toml", "finding.toml", "issue.md", "repro.py"} <= {p.name for p in folder.iterdir()}
    assert read_finding(folder).identity.engine == "fake.sign"


def test_every_design_that_is_drawn_can_be_made_plainer():
    seen = set()
    for seed in range(60):
        panel = make_panel(seeded_spec(seed, Limits()))
        for request in (*draw_designs(panel, seed * TWO_STAGE + 1), *draw_designs(panel, seed * TWO_STAGE)):
            case = Case(seed=seed, frame=panel.frame, requests=(request,), engines=("designs",), rule="r", panel=panel)
            made = plainer_request(case, lambda candidate: True).request
            assert set(made.columns) <= set(request.columns)
            seen.add((request.estimator, bool(request.formula)))
    assert {formula for _, formula in seen} == {True, False}, seen


def test_a_panel_that_cannot_be_made_smaller_ends_no_campaign(tmp_path, fake_engines, monkeypatch):
    monkeypatch.setattr(confirm, "plainer_request", lambda case, shows: 1 / 0)
    asked = ("--budget", "4p", "--engines", "oracle,fake.sign", "--properties", "engines_agree", "--shrink", "60")
    code, _ = run(*asked, "--out", tmp_path)
    assert code == 1
    assert is_complete(read_events(tmp_path / CAMPAIGN_FILE))
    assert {f["says"] for f in lines(tmp_path, "finding") if f["status"] == "new"} == {
        "could not be made smaller: ZeroDivisionError: division by zero"
    }


def panel_lines(folder):
    return [json.dumps(e, sort_keys=True) for e in lines(folder) if e["event"] in ("panel", "finding")]


def reports(folder):
    return {n: (folder / n).read_bytes() for n in ("campaign.json", "campaign.md")} | {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.glob("findings/**/*")) if p.is_file()
    }


def test_a_seed_gives_the_same_bytes_and_a_resumed_campaign_too(tmp_path, fake_engines):
    common = ("--engines", "oracle,fake.nobs", "--properties", "engines_agree", "--seed", "5")
    run("--budget", "18p", "--shrink", "1", *common, "--out", tmp_path / "a")
    run("--budget", "18p", "--shrink", "1", *common, "--out", tmp_path / "b")
    assert panel_lines(tmp_path / "a") == panel_lines(tmp_path / "b")
    assert reports(tmp_path / "a") == reports(tmp_path / "b")
    whole = (tmp_path / "b" / CAMPAIGN_FILE).read_bytes().splitlines(keepends=True)
    first = next(k for k, line in enumerate(whole) if b'"event": "finding"' in line[:60])
    # killed in the middle of a line, and between a panel's line and its finding's
    for end, torn in ((first + 5, whole[first + 5][:50]), (first, b"")):
        (tmp_path / "b" / CAMPAIGN_FILE).write_bytes(b"".join(whole[:end]) + torn)
        assert not is_complete(lines(tmp_path / "b"))
        run("--budget", "18p", "--shrink", "1", *common, "--out", tmp_path / "b", "--resume")
        assert is_complete(lines(tmp_path / "b"))
        assert panel_lines(tmp_path / "a") == panel_lines(tmp_path / "b")
        assert reports(tmp_path / "a") == reports(tmp_path / "b")


def test_a_complete_campaign_goes_on_to_a_larger_budget(tmp_path, fake_engines):
    common = ("--engines", HONEST, "--properties", "engines_agree", "--shrink", "0")
    run("--budget", "2p", *common, "--out", tmp_path / "a")
    run("--budget", "4p", *common, "--out", tmp_path / "a", "--resume")
    run("--budget", "4p", *common, "--out", tmp_path / "b")
    assert reports(tmp_path / "a") == reports(tmp_path / "b")
    assert [e["event"] for e in lines(tmp_path / "a")].count("footer") == 1


def test_ctrl_c_leaves_reports_of_what_was_done_and_says_how_to_go_on(tmp_path, fake_engines, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(driver, "_footer", interrupted)
    code, said = run("--budget", "2p", "--engines", HONEST, "--out", tmp_path)
    assert code == 2
    assert "interrupted after 2 panels" in said
    assert "--resume" in said
    assert "**Interrupted**" in (tmp_path / "campaign.md").read_text("utf-8")


ORPHAN = """
import os, signal, time
from crosscheck.campaign.executors import LocalProcesses
if __name__ == "__main__":
    made = LocalProcesses(1)
    print(made._pool.submit(os.getpid).result(), flush=True)
    made._pool.submit(time.sleep, 600)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_local_processes_end_with_a_campaign_that_is_killed(tmp_path):
    (tmp_path / "orphan.py").write_text(ORPHAN, encoding="utf-8")
    said = subprocess.run(
        [sys.executable, str(tmp_path / "orphan.py")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    child = Path("/proc") / said.stdout.decode().strip()
    if not Path("/proc/self").exists():
        pytest.skip("no /proc here")
    for _ in range(200):
        if not child.exists() or "Z" in (child / "stat").read_text().split(")")[-1].split()[0]:
            return
        time.sleep(0.1)
    raise AssertionError(f"{child} is still there")


def test_other_settings_cannot_resume(tmp_path, fake_engines):
    run("--budget", "2p", "--engines", HONEST, "--out", tmp_path)
    code, said = run("--budget", "4p", "--engines", HONEST, "--seed", "9", "--out", tmp_path, "--resume")
    assert code == 2
    assert "seed was 0, is 9" in said


def test_a_campaign_that_was_there_is_kept(tmp_path, fake_engines):
    run("--budget", "1p", "--engines", HONEST, "--out", tmp_path)
    before = (tmp_path / CAMPAIGN_FILE).read_bytes()
    run("--budget", "2p", "--engines", HONEST, "--out", tmp_path)
    assert (tmp_path / "campaign.previous.ndjson").read_bytes() == before


def test_nothing_compared_leaves_with_3(tmp_path, fake_engines):
    code, said = run(
        "--budget", "3p", "--engines", "oracle,fake.refuses", "--properties", "engines_agree", "--out", tmp_path
    )
    assert code == 3, said


def test_a_crashing_engine_costs_its_fits_and_not_the_campaign(tmp_path, fake_engines):
    code, _ = run("--budget", "1p", "--shrink", "0", "--engines", "oracle,fake.aborts", "--out", tmp_path)
    assert code == 1
    found = {
        d["identity"]["quantity"]
        for e in lines(tmp_path, "panel")
        for c in e["cases"]
        for d in c.get("discrepancies", ())
    }
    assert found == {"status"}


def test_local_processes_write_the_same_lines(tmp_path, fake_engines):
    common = ("--budget", "18p", "--engines", HONEST, "--properties", "engines_agree")
    run(*common, "--out", tmp_path / "here", expect=0)
    run(*common, "--out", tmp_path / "there", "--executor", "local:1", expect=0)
    assert panel_lines(tmp_path / "here") == panel_lines(tmp_path / "there")


def test_a_dask_cluster_writes_the_same_lines(tmp_path, fake_engines):
    distributed = pytest.importorskip("distributed", reason="needs dask.distributed")
    common = ("--budget", "18p", "--engines", HONEST, "--properties", "engines_agree")
    run(*common, "--out", tmp_path / "here", expect=0)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        address = cluster.scheduler_address.replace("tcp://", "dask://")
        run(*common, "--out", tmp_path / "there", "--executor", address, expect=0)
    assert panel_lines(tmp_path / "here") == panel_lines(tmp_path / "there")


def test_a_cluster_that_is_not_there_is_said_plainly():
    try:
        import distributed  # noqa: F401
    except ImportError:
        with pytest.raises(EngineMissing, match="not installed"):
            executor_of("dask://127.0.0.1:1")


# --- reports ---------------------------------------------------------------------------------------------------------


def test_coverage_counts_what_gave_compared_numbers_and_names_what_was_never_reached():
    panel = {
        "event": "panel",
        "spec": {"weights": "frequency", "seed": 4},
        "cases": [
            {"rule": "coherence", "features": "feols HC1", "compared": 9, "engines": {"oracle": "ok", "x": "error"}},
            {"rule": "row_order", "features": "feols CRV3", "compared": 0, "engines": {"oracle": "ok"}},
        ],
    }
    found = coverage([panel], ("coherence", "row_order"))
    assert found.checks == {"coherence": {"oracle": 1}}
    assert found.never_checked == ("row_order",)
    assert found.features == {"HC1": {"oracle": 1}, "feols": {"oracle": 1}}
    assert found.panels == {"weights=frequency": 1}
    assert "CRV3" in found.never_features
    assert "weights=frequency" not in found.never_panels
    assert set(found.never_panels) < set(possible_quirks())


def test_an_interrupted_campaign_says_so(tmp_path, fake_engines):
    run("--budget", "1p", "--engines", HONEST, "--out", tmp_path)
    report = fold([e for e in lines(tmp_path) if e["event"] != "footer"])
    assert "Interrupted" in to_markdown(report)
    assert to_text(report).startswith("interrupted")


def test_each_profile_makes_settings():
    for profile in PROFILES:
        settings = settings_of(profile, ("oracle", "r.fixest"), ("engines_agree",), 1)
        assert next(iter(cases_of(settings, 0))).seed == 1


# --- without R -------------------------------------------------------------------------------------------------------


def test_recorded_answers_of_r_are_sealed_and_fit_the_panels_of_today():
    corpus = read_corpus(ROOT / CORPUS_FOLDER)
    assert corpus is not None
    assert corpus.path.stat().st_size < 2_000_000
    assert len(corpus.answers) > 200
    settings = settings_of("ci", DEFAULT_ENGINES, ("engines_agree",), 0)
    asked = hits = 0
    for number in corpus.seeds[:40]:
        for case in cases_of(settings, number):
            for ask in EnginesAgree().asks(case) if not EnginesAgree().applies(case) else ():
                if ask.engine.startswith("r."):
                    asked += 1
                    hits += corpus.get(ask.engine, ask.request.hash, ask.frame.key) is not None
    assert asked > 40
    assert hits == asked, "panels or requests have changed: crosscheck campaign --record --budget 150p"


def test_an_edited_corpus_is_refused(tmp_path):
    lines_ = gzip.decompress((ROOT / CORPUS_FOLDER / CORPUS_FILE).read_bytes()).decode("utf-8").splitlines()
    at = next(k for k, line in enumerate(lines_) if re.search(r'"estimate": -?[0-79]', line))
    lines_[at] = re.sub(r'"estimate": -?[0-79]', '"estimate": 8', lines_[at], count=1)
    (tmp_path / CORPUS_FILE).write_bytes(gzip.compress("\n".join(lines_).encode("utf-8")))
    with pytest.raises(CrosscheckError, match="changed after it was recorded"):
        read_corpus(tmp_path)


def test_without_r_the_corpus_is_replayed(tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSCHECK_RSCRIPT", "none")
    _, said = run("--budget", "8p", "--shrink", "0", "--properties", "engines_agree", "--out", tmp_path)
    assert "R is replayed from" in said
    report = json.loads((tmp_path / "campaign.json").read_text("utf-8"))
    assert report["engines"]["r.fixest"]["ok"] >= 3


# --- what else a request may ask -------------------------------------------------------------------------------------


def test_a_request_that_asks_for_nothing_more_hashes_as_before():
    plain_ = FitRequest(formula="`y` ~ `x`")
    assert "also" not in plain_.to_json()
    assert plain_.hash != FitRequest(formula="`y` ~ `x`", also=("fitted",)).hash


@pytest.mark.parametrize("also", [("fitted",), ("fitted", "residuals", "log_likelihood")])
def test_fitted_values_and_residuals_stand_in_the_rows_of_the_data(also):
    panel = make_panel(PanelSpec(units=6, periods=4, regressors=1, missing_y=2, seed=3))
    request = FitRequest(formula="`y` ~ `x1` | `unit`", columns=("y", "x1", "unit"), also=also)
    result = ORACLE.fit(request, panel.frame)
    block = result.block("rows")
    assert set(block.quantities) == set(also) & {"fitted", "residuals"}
    missing = panel.frame["y"].missing
    assert [v != v for v in block["fitted"]] == missing.tolist()
    if "residuals" in also:
        y = panel.frame["y"].as_float()
        gaps = [abs(f + r - v) for f, r, v in zip(block["fitted"], block["residuals"], y, strict=True) if v == v]
        assert max(gaps) < 1e-9
        assert [e.quantity for e in result.extras] == ["log_likelihood"]


def test_a_wrong_fitted_value_is_a_discrepancy():
    case = small_case()
    request = case.request.model_copy(update={"also": ("fitted", "residuals")})
    right = ORACLE.fit(request, case.frame)
    block = right.block("rows")
    values = tuple((v[0] + 1e-3, *v[1:]) if k == 0 else v for k, v in enumerate(block.values))
    wrong = right.with_(engine="fake.honest", blocks=(dataclasses.replace(block, values=values),))
    cells = pair_cells(right, wrong, request, case.frame, fit_here)
    found = list(primary(cells, right, wrong, request))
    assert [d.identity.quantity for d in found] == ["fitted"]
    assert found[0].term == "row 1"


# --- what is reached -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
def test_300_panels_draw_every_trait_for_every_family_of_estimators_or_say_why_not(profile):
    settings = settings_of(profile, ("oracle",), ("engines_agree",), 0)
    events = []
    for number in range(300):
        panel = panel_of(settings, number)
        cases = [{"compared": 1, "features": features(r)} for r in draw_requests(panel, number, settings.requests)]
        events.append({"event": "panel", "spec": panel.spec.changes(), "cases": cases})
    found = meetings(events)
    by_chance = found.none.get(DRAW_MORE, ())
    assert sum(row.count(",") + 1 for row in by_chance) <= 8, by_chance
    assert set(found.none) - {DRAW_MORE} <= {why for _, _, why in WHY_NOT}
    reached = {family for counts in found.traits.values() for family in counts}
    assert reached == set(FAMILIES)
    for word in ("iid", "HC1", "CRV1", "CRV1:2", "CRV3", "DK", "NW", "ssc"):
        assert sum(found.options[word].values()) >= 20, word
    assert min(found.traits[f"ids={name}"].get("2 effects", 0) for name in ("huge", "na_like", "logical")) > 0


def test_families_are_told_by_the_features_of_a_request():
    told = {
        **{
            "feols iid": "OLS",
            "feols CRV1 fe:1 lag": "1 effect",
            "feols CRV1 fe:2": "2 effects",
            "feols fe:3": "3 effects",
        },
        **{"feols iid fe:2 iv i": "IV", "feols HC1 fe:2 i": "i()", "feols iid fe:1 fe^fe": "effects^"},
        **{"fepois iid": "Poisson", "feglm iid probit": "logit", "att_gt iid dr": "ATT(g,t)", "re iid swar": "random"},
        **{
            "between iid": "random",
            "placebo CRV1 fe:2": "designs",
            "sunab iid fe:2": "Sun-Abraham",
            "did2s iid": "two-stage",
        },
    }
    assert {text: family_of(text) for text in told} == told
    assert reason_of("instruments", "ATT(g,t)") == "has no instruments"
    assert reason_of("holes", "IV") == ""


def test_a_report_shows_what_each_family_met_and_what_none_met():
    row = {"rule": "engines_agree", "features": "feols HC1 fe:2", "status": "agrees", "compared": 9, "engines": {}}
    panel = {"event": "panel", "number": 0, "seed": 0, "spec": {"ids": "huge"}, "rows": 4, "cases": [row]}
    found = meetings([panel]).to_json()
    assert found["traits"]["ids=huge"] == {"2 effects": 1}
    assert found["options"]["HC1"] == {"2 effects": 1}
    assert any(text.startswith("ids=huge: OLS, 1 effect, 3 effects") for text in found["not_met"][DRAW_MORE])
    assert any(text.startswith("instruments: ATT(g,t)") for text in found["not_met"]["has no instruments"])
