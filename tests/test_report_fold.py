"""Is a report a faithful fold of its run: nothing lost, nothing counted twice, nothing missing shown as green?"""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest

from crosscheck.errors import RunFileError
from crosscheck.report import fold, report_json, report_schema
from crosscheck.report.findings import find
from crosscheck.report.matrix import column_matrix, table_matrix
from crosscheck.report.pairs import least_digits, worst_verdict
from crosscheck.report.summary import printed_standing, standing
from crosscheck.report.words import fixed_effects, listing, pairs_name, places_name, plain_formula
from crosscheck.results import failed
from crosscheck.verdict import AGREE, SEVERITIES, VERDICTS
from tests.report_runs import agreeing_events, big_events, events, write_run


@pytest.fixture(scope="module")
def run():
    return events()


@pytest.fixture(scope="module")
def report(run):
    return fold(run)


def test_the_fixture_has_every_verdict(report):
    assert {v for v, _ in report.counts} == set(VERDICTS)


def test_every_cell_of_the_run_is_in_the_report_once_and_counts_are_those_of_the_footer(run, report):
    cells = [e for e in run if e["event"] == "cell"]
    assert len(report.cells) == len(cells)
    assert dict(report.counts) == run[-1]["counts"]
    assert dict(report.severities) == run[-1]["severities"]
    assert sum(p.compared + p.silent + p.not_compared for p in report.pairs) == len(cells)


def test_a_run_read_from_its_file_folds_to_the_same_report(run, report, tmp_path):
    assert fold(write_run(tmp_path / "run.ndjson", run)) == report


def test_every_cell_that_does_not_plainly_agree_is_in_exactly_one_finding(report):
    found = Counter(id(c) for f in report.findings for c in f.cells)
    assert set(found.values()) == {1}
    assert set(found) == {id(c) for c in report.cells if c.verdict not in AGREE}


def test_findings_are_numbered_and_the_gravest_comes_first(report):
    ranks = [SEVERITIES.index(f.severity) for f in report.findings]
    assert ranks == sorted(ranks, reverse=True)
    assert [f.id for f in report.findings] == [f"F{n}" for n in range(1, len(ranks) + 1)]
    assert all(
        SEVERITIES.index(f.severity) == max(SEVERITIES.index(c.severity) for c in f.cells) for f in report.findings
    )


def test_one_failed_fit_is_one_finding_that_names_the_engine(report):
    errors = [f for f in report.findings if f.verdict == "error"]
    assert [f.title for f in errors] == [
        "linearmodels failed in column (5) of table1: the worker died (signal 11) while fitting"
    ]
    assert len(errors[0].cells) == 5


def test_one_missing_package_is_one_finding_over_all_its_columns(report):
    (missing,) = [f for f in report.findings if f.example.whole and f.verdict == "missing_reference"]
    assert missing.culprit == "r.plm"
    assert len(missing.places) == 6
    assert "install.R plm" in missing.title


def test_the_odd_one_out_is_named_whatever_side_it_stands_on():
    run = agreeing_events(2)
    for e in run:
        if e["event"] == "cell" and e["quantity"] == "std_error" and e["reference"] == "r.fixest":
            e.update(verdict="unexplained", severity="cosmetic", digits=4.0)
    other = [dict(e, candidate="statsmodels") for e in run if e["event"] == "cell" and e["reference"] == "r.fixest"]
    cells = fold([run[0], *run[1:-1], *other], allow_incomplete=True).cells
    (finding,) = find(cells, fold(agreeing_events(2)).tables, ())
    assert finding.culprit == "r.fixest"
    assert finding.title == (
        "r.fixest differs from pyfixest and statsmodels in the standard errors of beertax, columns (1) and (2) "
        "(4.0 digits agree)"
    )


def test_a_printed_number_that_no_engine_gives_leads_the_summary(report):
    assert report.summary.startswith(
        "The standard error of beertax in column (3) of table1 is printed as 0.255, but pyfixest, linearmodels, "
        "statsmodels and 3 more give 0.357078"
    )
    assert "58 of 59 printed numbers are reproduced" in report.summary
    assert "r.plm is missing in 6 columns" in report.summary
    assert report.summary.endswith(".")


def test_a_printed_number_is_reproduced_where_one_engine_gives_it(report):
    held = standing(report.cells)
    assert held["table1", "3", "beertax", "std_error"] == "met by none"
    assert held["table1", "2", "beertax", "std_error"] == "reproduced"  # linearmodels differs by convention
    assert held["table1", "6", "beertax", "estimate"] == "reproduced"  # statsmodels alone differs
    assert Counter(held.values()) == {"reproduced": 58, "met by none": 1}


def test_the_summary_says_where_numbers_are_printed_that_differ_by_a_named_cause():
    held = {("t1", "1", term, "estimate"): "reproduced" for term in "abc"}
    assert printed_standing(held) == "all 3 printed numbers are reproduced"
    held["t1", "2", "a", "estimate"] = "explained"
    assert printed_standing(held) == "3 of 4 printed numbers are reproduced, 1 differs by a named cause in t1 (2)"
    held |= {("t2", "5", term, "estimate"): "explained" for term in "ab"}
    assert printed_standing(held).endswith("reproduced, 3 differ by a named cause in t2 (5) and t1 (2)")


def test_an_agreeing_run_says_so_with_its_digits():
    report = fold(agreeing_events())
    assert report.findings == ()
    assert report.exit_code == 0
    between = [c for c in report.cells if c.reference != "published"]
    least = min(c.digits for c in between if c.quantity == "std_error")
    assert report.summary == (
        "All 12 printed numbers are reproduced; all 66 comparisons between engines agree (coefficients to 13.5 digits, "
        f"standard errors to {math.floor(least * 10) / 10} digits, or more)."
    )


def test_nothing_compared_is_said_and_is_no_agreement():
    run = agreeing_events(1)
    cell = next(e for e in run if e["event"] == "cell")
    nothing = dict(
        cell,
        term="*",
        quantity="fit",
        verdict="missing_reference",
        reason="R is not here",
        reference_value=None,
        candidate_value=None,
        digits=None,
    )
    footer = dict(run[-1], counts={"missing_reference": 1}, severities={"none": 1}, exit_code=3)
    report = fold([run[0], nothing, footer])
    assert report.summary == "Nothing was compared: Not compared in column (1): R is not here."
    assert report.exit_code == 3


def test_a_run_without_a_footer_is_an_error_or_an_incomplete_report(run, tmp_path):
    path = write_run(tmp_path / "run.ndjson", run[:-1])
    with pytest.raises(RunFileError, match="no footer") as caught:
        fold(path)
    assert caught.value.exit_code == 2
    report = fold(path, allow_incomplete=True)
    assert not report.complete
    assert report.exit_code == 2
    assert report.summary.startswith("The run did not finish; of the 1,807 cells that it wrote:")


def test_a_line_cut_by_a_kill_is_incomplete_and_a_spoiled_line_within_is_an_error(run, tmp_path):
    path = write_run(tmp_path / "run.ndjson", run)
    text = path.read_text("utf-8")
    path.write_text(text[:-40], "utf-8")
    with pytest.raises(RunFileError, match="last line is cut"):
        fold(path)
    assert not fold(path, allow_incomplete=True).complete
    lines = text.splitlines(keepends=True)
    path.write_text("".join([*lines[:5], '{"event": "ce\n', *lines[6:]]), "utf-8")
    with pytest.raises(RunFileError, match="not a line of JSON"):
        fold(path, allow_incomplete=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r[1:], "does not start with a header"),
        (lambda r: [dict(r[0], schema=99), *r[1:]], "schema 99"),
        (
            lambda r: (
                [r[0], *r[2:]] if r[1]["event"] == "cell" else [r[0], *[e for e in r[1:] if e["event"] != "cell"]]
            ),
            "counts other cells",
        ),
        (lambda r: [*r, r[-1]], "unexpected event 'footer'"),
        (lambda r: [r[0], {"event": "cell"}, *r[1:]], "malformed"),
        (
            lambda r: [r[0], dict(next(e for e in r if e["event"] == "cell"), verdict="fine"), *r[1:]],
            "'fine' is not one of",
        ),
        (lambda r: [], "does not start with a header"),
    ],
)
def test_what_is_not_a_whole_run_is_refused(run, change, said):
    with pytest.raises(RunFileError, match=said):
        fold(change(list(run)))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(RunFileError, match="cannot be read"):
        fold(tmp_path / "run.ndjson")


def test_the_matrix_shows_a_failed_fit_in_the_row_of_the_engine_that_failed_only(report):
    matrix = column_matrix(report)
    printed, between, own = matrix.blocks

    def letters(block):
        return {r.engine.id: "".join(e.letter if e else " " for e in r.entries) for r in block.rows}

    assert letters(printed) == {
        "pyfixest": "RRXRRRR ",
        "linearmodels": "RCXR!RR ",
        "statsmodels": "RRX?RXR ",
        "oracle": "RRXRRRR ",
        "r.fixest": "RRXRRR? ",
        "r.lm": "RRXRRRS ",
        "r.plm": "–?????? ",
    }
    assert letters(between) == {
        "pyfixest": "NNNNNVSK",
        "linearmodels": "NCNN!NS ",
        "statsmodels": "NNN?NXS ",
        "oracle": "NNNNNNS ",
        "draws": "       ~",
    }
    assert letters(own) == {"r.fixest": "       %"}


def test_an_engine_that_nothing_could_be_compared_with_still_has_its_row():
    run = agreeing_events(2)
    result = next(e for e in run if e["event"] == "result" and e["source"] == "r.fixest")
    lost = failed("r.fixest", "R is not here", transport="missing").to_json()
    cell = next(e for e in run if e["event"] == "cell" and e["reference"] == "r.fixest")
    alone = dict(cell, term="*", quantity="fit", verdict="missing_reference", reason="R is not here")
    report = fold([run[0], dict(result, result=lost), alone], allow_incomplete=True)
    (block,) = column_matrix(report).blocks
    assert [(r.engine.id, [e and e.letter for e in r.entries]) for r in block.rows] == [("r.fixest", ["?", None])]
    assert "R is not here" in block.rows[0].entries[0].title


def test_nothing_missing_is_ever_in_the_agreeing_group(report):
    for block in (*column_matrix(report).blocks, *table_matrix(report).blocks):
        for row in block.rows:
            for entry in row.entries:
                if entry is not None and entry.group == "agree":
                    assert entry.agreeing == entry.compared > 0


def test_a_quantity_that_is_not_reported_is_counted_beside_the_verdict():
    silent = {(p.reference, p.candidate): p.silent for p in fold(events()).pairs if p.column == "1"}
    assert silent["r.fixest", "statsmodels"] == 1
    assert silent["r.fixest", "pyfixest"] == 0


def test_worst_verdicts_and_least_digits(report):
    cells = [c for c in report.cells if (c.reference, c.candidate, c.column) == ("r.fixest", "pyfixest", "6")]
    assert worst_verdict(cells) == "convergence"
    assert least_digits(cells, "std_error") == pytest.approx(-math.log10(3e-5), abs=1e-3)
    near_zero = fold(agreeing_events(1)).cells[0]
    assert near_zero.agreeing_digits >= near_zero.digits


def test_the_json_fits_its_schema_and_reads_back_the_same_numbers(report):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(report_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    data = json.loads(report_json(report))
    validator.validate(data)
    for raw, cell in zip(data["cells"], report.cells, strict=True):
        assert raw["reference_value"] == cell.reference_value
        assert raw["candidate_value"] == cell.candidate_value
        assert raw["digits"] == cell.digits
    assert data["summary"]["counts"] == dict(report.counts)
    assert {e["id"] for e in data["engines"]} >= {c.reference for c in report.cells} | {
        c.candidate for c in report.cells
    }


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(extra=1),
        lambda d: d.pop("findings"),
        lambda d: d["cells"][0].update(verdict="fine"),
        lambda d: d["cells"][0].pop("digits"),
        lambda d: d["cells"][0].update(digits="many"),
        lambda d: d["engines"][0].update(transport="guessed"),
        lambda d: d["findings"][0].update(id="1"),
        lambda d: d["findings"][0]["example"].update(surprise=True),
        lambda d: d["summary"].update(exit_code=7),
        lambda d: d["summary"]["counts"].update(fine=1),
    ],
)
def test_the_schema_refuses_what_a_report_is_not(report, spoil):
    jsonschema = pytest.importorskip("jsonschema")
    data = json.loads(report_json(report))
    data["cells"] = data["cells"][:2]
    spoil(data)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json.loads(report_schema())).validate(data)


def test_nan_and_infinity_survive_as_words(run):
    changed = [dict(e) for e in run]
    cell = next(e for e in changed if e["event"] == "cell" and e["quantity"] == "estimate")
    cell.update(reference_value=math.nan, candidate_value=math.inf, abs_diff=None, rel_diff=None, digits=0.0)
    data = json.loads(report_json(fold(changed)))
    found = [c for c in data["cells"] if c["reference_value"] == "NaN"]
    assert [c["candidate_value"] for c in found] == ["Infinity"]


def test_a_fold_of_thousands_of_cells_is_fast():
    import time

    run = big_events()
    began = time.process_time()
    report = fold(run)
    assert len(report.cells) > 5000
    assert time.process_time() - began < 2


def test_words():
    assert listing(["a"]) == "a"
    assert listing(["a", "b", "a"]) == "a and b"
    assert listing("abcdef") == "a, b, c and 3 more"
    assert pairs_name([("r.lm", "a"), ("published", "r.lm")]) == "r.lm against a and published"
    assert plain_formula("`y` ~ `my var` + log(`x`) | `省份`") == "y ~ `my var` + log(x) | 省份"
    tables = fold(events()).tables
    assert fixed_effects(tables[0].columns[3]) == ("state", "year")
    assert fixed_effects(tables[0].columns[0]) == ()
    assert places_name([("table1", "1"), ("table1", "2"), ("did", "att")], tables) == (
        "columns (1) and (2) of table1 and column att of did"
    )
