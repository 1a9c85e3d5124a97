"""What lives between runs: nothing old stands in for something new, and nothing is done twice that did not change."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from crosscheck import columns
from crosscheck.bridge import Worker
from crosscheck.bridge.py_worker import run as fit_here
from crosscheck.canon import dumps
from crosscheck.errors import ReferenceError_
from crosscheck.results import CoefRow, EstimationResult, failed
from crosscheck.runner import side_by_side
from crosscheck.session import RunRequest, run_studies
from crosscheck.spec import FitRequest, SscSpec, VcovSpec
from crosscheck.store import Cache, read_reference, reference_path, references_root, why_stale, write_reference
from tests.conftest import STUDY, quoted

REQUEST = FitRequest(formula="`y` ~ `x`")
RESULT = EstimationResult(
    engine="r.fixest",
    version="0.14.2",
    coefs=(CoefRow(term="x", estimate=0.1, std_error=float("inf"), df=float("inf")),),
    vcov=((0.1 + 0.2,),),
    environment=(("R", "4.2.2"), ("fixest", "0.14.2")),
)
KEY = {"engine": "oracle", "versions": {"numpy": "2.0"}, "request": REQUEST, "data_key": "d", "code_hash": "c"}


@pytest.mark.parametrize(
    "change",
    [
        {"engine": "pyfixest"},
        {"versions": {"numpy": "2.1"}},
        {"versions": {"numpy": "2.0", "scipy": "1.0"}},
        {"request": FitRequest(formula="`y` ~ `x`", conf_level=0.9)},
        {"request": FitRequest(formula="`y` ~ `x`", ssc=SscSpec(k_adj=False))},
        {"data_key": "e"},
        {"code_hash": "f"},
    ],
)
def test_whatever_decides_a_number_is_in_its_key(change):
    assert Cache.key(**KEY) == Cache.key(**KEY)
    assert Cache.key(**{**KEY, **change}) != Cache.key(**KEY)


def test_a_cache_returns_what_it_was_given_and_no_failures(tmp_path):
    cache = Cache(tmp_path)
    assert cache.get("ab") is None
    cache.put("ab", RESULT)
    assert cache.get("ab") == RESULT
    cache.put("cd", failed("oracle", "timeout"))
    assert cache.get("cd") is None
    cache.put("ef", failed("oracle", "never", status="unsupported"))
    assert cache.get("ef").status == "unsupported"


def test_texts_come_back_whole(tmp_path):
    cache, text = Cache(tmp_path), 'first\n{"a": "ü\u2028\x85"}\n'
    assert cache.get_text("ab") is None
    cache.put_text("ab", text)
    assert cache.get_text("ab") == text


@pytest.mark.parametrize(
    "content", [b"", b"{", b"not json", b"\xff\xfe", b'{"engine": "r.fixest", "colour": 1}', b"[1]"]
)
def test_what_cannot_be_read_is_absent(tmp_path, content):
    cache = Cache(tmp_path)
    cache.put("ab", RESULT)
    cache.put_text("ab", "text")
    for path in tmp_path.rglob("ab.*"):
        path.write_bytes(content)
    assert cache.get("ab") is None
    assert cache.get_text("ab") is None


def test_a_cache_switched_off_neither_reads_nor_writes(tmp_path):
    Cache(tmp_path).put("ab", RESULT)
    off = Cache(tmp_path, enabled=False)
    assert off.get("ab") is None
    off.put("cd", RESULT)
    off.put_text("ef", "text")
    assert [p.stem for p in tmp_path.rglob("*.*")] == ["ab"]


def record(root, result=RESULT, request=REQUEST):
    return write_reference(
        root,
        study="s",
        table="t1",
        column="1",
        request=request,
        data_hash="d" * 64,
        result=result,
        script_hash="c" * 64,
        recorded_on="2024-05-06T07:08:09Z",
    )


def test_a_reference_comes_back_as_recorded(tmp_path):
    path = record(tmp_path)
    assert path == reference_path(tmp_path, "r.fixest", "t1", "1")
    back = read_reference(path)
    assert back.result == RESULT.with_(transport="recorded")
    assert (back.version, back.recorded_on[:10]) == ("0.14.2", "2024-05-06")
    assert why_stale(back, REQUEST, "d" * 64) == ""
    assert read_reference(tmp_path / "none.json") is None


def test_a_reference_of_another_question_or_other_data_is_stale(tmp_path):
    back = read_reference(record(tmp_path))
    other = FitRequest(formula="`y` ~ `x`", vcov=VcovSpec(type="HC1"))
    assert why_stale(back, other, "d" * 64) == "the specification has changed since 2024-05-06"
    assert why_stale(back, REQUEST, "e" * 64) == "the data have changed since 2024-05-06"
    assert "specification has changed and the data" in why_stale(back, other, "e" * 64)


@pytest.mark.parametrize(
    "digits", [("0.10000000000000001", "0.10000000000000002"), ("4.2.2", "4.2.3"), ("2024", "2025")]
)
def test_a_reference_edited_by_hand_is_refused(tmp_path, digits):
    path = record(tmp_path)
    text = path.read_text("utf-8")
    assert digits[0] in text
    path.write_text(text.replace(*digits, 1), "utf-8")
    with pytest.raises(ReferenceError_, match="changed after it was recorded"):
        read_reference(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seal": 1}', '{"seal": 1, "schema": 99}', "{"])
def test_a_malformed_reference_is_an_error_that_names_its_file(tmp_path, text):
    path = tmp_path / "r.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ReferenceError_) as caught:
        read_reference(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("result", [failed("r.fixest", "no"), RESULT.with_(transport="recorded")])
def test_only_live_results_are_recorded(tmp_path, result):
    with pytest.raises(ReferenceError_, match="no live result"):
        record(tmp_path, result)
    assert not list(tmp_path.rglob("*.json"))


def test_references_stand_beside_the_studies(tmp_path):
    assert references_root(tmp_path / "studies" / "a", "a") == tmp_path / "references" / "a"
    assert references_root(tmp_path / "own", "a") == tmp_path / "own" / "references"


def task(engine, formula, data="d", **more):
    return SimpleNamespace(engine=engine, data_hash=data, request=FitRequest(formula=formula, **more))


def test_fits_of_one_model_stand_next_to_each_other_and_the_rest_stays_in_order():
    tasks = [
        task("a", "y ~ x"),
        task("b", "y ~ x"),
        task("a", "y ~ z"),
        task("a", "y ~ x", vcov=VcovSpec(type="HC1")),
        task("a", "y ~ x", data="e"),
        task("b", "y ~ x", ssc=SscSpec(k_adj=False)),
        task("a", "y ~ x", conf_level=0.9),
        task("a", "y ~ x", options={"seed": 1}),
    ]
    ordered = side_by_side(tasks)
    assert [tasks.index(t) for t in ordered] == [0, 3, 6, 1, 5, 2, 4, 7]


@pytest.fixture
def study(write_study, fake_engines, tmp_path, monkeypatch):
    """Write a study with unexplained and printed numbers; return how to run it, in this process, and read its cells."""
    monkeypatch.setattr(
        Worker, "fit", lambda self, engine, request, frame, timeout: fit_here(engine, request, frame)[0]
    )
    printed = "t1,1,x,estimate,0.9\nt1,1,x,std_error,0.2\nt1,1,x,stars,**\n"
    engines = {"candidates": ("fake.ssc", "fake.sign", "fake.refuses"), "references": ("oracle",)}
    folder = write_study(**engines, published=printed)

    def run(**more):
        run_studies(RunRequest(studies=(folder,), out=tmp_path / "out", transport="recorded", **more))
        lines = (tmp_path / "out" / "run.ndjson").read_text("utf-8").splitlines()
        return [line for line in lines if json.loads(line)["event"] == "cell"]

    run.folder, run.toml = folder, STUDY.format(**{k: quoted(v) for k, v in engines.items()})
    return run


@pytest.fixture
def compared(monkeypatch):
    """Count comparisons of two results, and refuse every fit once told to."""
    calls = []
    original = columns.compare
    monkeypatch.setattr(columns, "compare", lambda *a: calls.append(a) or original(*a))
    return calls


def no_fits(monkeypatch):
    def fit(*_, **__):
        raise AssertionError("a worker was asked")

    monkeypatch.setattr(Worker, "fit", fit)
    monkeypatch.setattr(Worker, "start", fit)


def test_a_second_run_asks_no_worker_and_compares_nothing(study, compared, monkeypatch):
    cold = study()
    verdicts = {json.loads(line)["verdict"] for line in cold}
    assert {"unexplained", "exact", "unsupported"} <= verdicts
    assert compared
    no_fits(monkeypatch)
    compared.clear()
    assert study() == cold
    assert not compared


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("published.csv", "estimate,0.9", "estimate,0.8"),
        ("study.toml", "[[table]]", '[legend]\n"**" = 0.2\n[[table]]'),
        (
            "study.toml",
            "[[table]]",
            "[[tolerance]]\ntable = 't1'\nquantity = 'std_error'\nrtol = 0.9\nreason = 'r'\n[[table]]",
        ),
        (
            "study.toml",
            "[[table]]",
            "[[known]]\ntable = 't1'\ncandidate='fake.sign'\nkind='package_bug'\nreason='r'\nsource='s'\n[[table]]",
        ),
    ],
)
def test_whatever_decides_a_verdict_is_in_its_key(study, compared, monkeypatch, file, old, new):
    cold = study()
    no_fits(monkeypatch)
    monkeypatch.setattr(columns, "second_opinion", lambda cells, *_: cells)
    path = study.folder / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    compared.clear()
    changed = study()
    assert compared
    assert changed != cold
    path.write_text(text, "utf-8")
    compared.clear()
    assert study() == cold
    assert not compared


def test_without_the_cache_everything_is_made_again(study, compared):
    cold = study()
    compared.clear()
    again = study(use_cache=False)
    assert compared
    assert again == cold


def test_a_damaged_comparison_is_made_again(study, compared, tmp_path, monkeypatch):
    cold = study()
    cache = Cache(tmp_path / "cache")
    kept = list(cache.folder.rglob("*.z"))
    assert kept
    for damaged in ("", "{}\n", '{"applied": []}\n{"event": "cell"', dumps({"applied": []})[:5]):
        for path in kept:
            cache.put_text(path.stem, damaged)
        compared.clear()
        assert study() == cold
        assert compared
