"""Do the rendered reports say what the run says, safely, and the same each time?"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from crosscheck.report import fold, html, junit, latex, markdown, print_summary, render_stdout, terminal, write_all
from crosscheck.report.digits import full
from crosscheck.report.html import render_notes
from crosscheck.report.json_ import report_data
from crosscheck.report.junit import counts_against
from crosscheck.report.latex import escape as tex
from crosscheck.report.layout import Layout, merge
from crosscheck.report.layout import _text as layout_text
from crosscheck.report.markdown import escape as md
from crosscheck.report.markdown import fence
from crosscheck.report.plots import _families, panels, svg, ticks
from crosscheck.verdict import AGREE
from tests.report_runs import HOSTILE, agreeing_events, big_events, events, write_run

CONTROL = "\x1b[31mred\x00\x08"
VOID = {"meta", "br", "wbr", "hr", "img", "input", "link", "path"}
OPTIONAL = {"td", "th", "tr", "tbody", "thead", "li", "p"}


class Page(HTMLParser):
    """Collects what a page holds, and checks that its elements nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.words, self.problems = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        while self.open and self.open[-1] != tag and self.open[-1] in OPTIONAL:
            self.open.pop()
        if not self.open or self.open.pop() != tag:
            self.problems.append((tag, self.getpos()))

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def report():
    return fold(events(notes="# Why\n\nOne *cause*.\n\n| a | b |\n| - | - |\n| 1 | 2 |\n"))


@pytest.fixture(scope="module")
def page(report):
    return Page(html(report))


def spiked():
    """The hostile run, with control characters in what the engines said."""
    run = events(
        study=f"x y_%{HOSTILE}",
        hostile=True,
        notes=f"<b>{HOSTILE}</b>\n\n[l](javascript:alert(1)) ![i](http://e.example/i.png)",
    )
    for e in run:
        if e["event"] == "cell" and e["reason"]:
            e["reason"] += f" {HOSTILE} {CONTROL}"
            break
    for e in run:
        if e["event"] == "result" and "result" in e:
            e["code"] += CONTROL
            e["result"]["conditions"] = [{"kind": "warning", "text": HOSTILE + CONTROL, "cls": "<W>"}]
    return fold(run)


@pytest.mark.parametrize("make", [lambda: fold(events()), spiked, lambda: fold(agreeing_events())])
def test_the_page_nests_and_every_link_leads_somewhere(make):
    page = Page(html(make()))
    assert page.problems == []
    assert page.open == []
    ids = [v for _, name, v in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {v[1:] for _, name, v in page.attributes if name == "href" and v.startswith("#")}
    assert targets
    assert targets <= set(ids)


def test_the_page_loads_nothing_and_runs_nothing():
    text = html(spiked())
    page = Page(text)
    assert not {"script", "img", "link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert not [n for _, n, _ in page.attributes if n.startswith("on") or n in ("src", "srcset", "srcdoc")]
    links = {v for _, n, v in page.attributes if n == "href" and not v.startswith("#")}
    assert links <= {"http://e.example/x.png", "http://e.example/i.png"}  # plain links in the study's own notes
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import", text)
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", text)


def test_hostile_names_are_shown_as_they_are():
    assert " ".join(HOSTILE.split()) in Page(html(spiked())).text


def test_the_first_screen_says_the_verdict_before_anything_else(report, page):
    assert page.text.index(report.summary_parts[0]) < page.text.index("Against the printed table")
    for tile in ("58 of 59 printed numbers reproduced", "10 differ, unexplained", "57 not compared"):
        assert tile in page.text
    assert "recorded 2026-11-20" in page.text


def test_verdicts_are_told_by_letter_and_word_not_by_colour_alone(page):
    labels = [v for tag, n, v in page.attributes if tag == "a" and n == "aria-label"]
    assert any(label.startswith("unexplained: differs, and no rule closes the gap") for label in labels)
    assert sum(label.startswith("error") for label in labels) == 2
    classes = [v.split() for tag, n, v in page.attributes if n == "class" and v.startswith("m ")]
    assert {c[1] for c in classes} == {"agree", "explained", "different", "missing", "silent"}


def test_tables_stand_as_in_the_paper_and_the_first_differing_digit_is_marked(report):
    text = html(report)
    table = text[text.index('<h2 id="t0"') : text.index('<h2 id="t1"')]
    assert '(0.<b class="x">3</b>57078)' in table
    assert (
        table.index(">beertax<") < table.index(">drinkage18<") < table.index(">unemp<") < table.index(">Observations<")
    )
    assert "(0.255)" in table
    assert re.search(r'linearmodels:</small>\(0\.<b class="x">3</b>12398\)', table)
    words = Page(table).text
    assert "clustered by state" in words
    assert "state, year" in words


def test_all_digits_conventions_warnings_and_code_are_on_the_page(report, page):
    numbers = {full(c.candidate_value) for c in report.cells if isinstance(c.candidate_value, float)}
    squeezed = "".join(page.words)
    assert [n for n in numbers if n not in squeezed] == []
    for said in (
        "The design matrix is close to singular",
        'd = pd.read_csv("panel.csv")',
        "library(fixest)",
        "(336 - 2) / (336 - 50) = 1.1678",
        'summary(m, ssc = ssc(K.fixef = "full"))',
        "fixest manual, ssc: K.fixef",
        full(0.289123123456789),
        "three fixed effects, default iterations",
        "the R package plm is not installed",
        "c" * 64,
        "R 4.2.2",
    ):
        assert said in squeezed, said


def test_notes_are_rendered_without_their_html_or_pictures(page):
    assert "One cause ." in page.text or "One cause." in page.text
    assert render_notes("  ") == ""
    assert "<script" not in render_notes("<script>x</script>")
    assert "<img" not in render_notes("![x](http://e.example/x.png)")
    assert "href" not in render_notes("[x](javascript:alert(1))")


def test_simulated_data_are_named_before_the_verdict_everywhere():
    header, *rest = events()
    what = "Made up <here> & there_"
    report = fold([{**header, "data": {**header["data"], "simulated": what}}, *rest])
    page = Page(html(report)).text
    assert page.index(what) < page.index(report.summary_parts[0])
    assert "Simulated data" not in html(fold(events()))
    text = markdown(report)
    assert text.index("**Simulated data.**") < text.index("**" + md(report.summary))
    assert r"\textbf{Simulated data.}" in latex(report)
    assert report_data(report)["summary"]["simulated"] == what


def test_an_incomplete_run_says_so_first_everywhere():
    report = fold(events()[:-1], allow_incomplete=True)
    assert Page(html(report)).text.index("Incomplete run") < Page(html(report)).text.index("printed as")
    assert "**Incomplete run.**" in markdown(report)
    assert r"\textbf{Incomplete run.}" in latex(report)
    assert "INCOMPLETE" in shown(report)
    root = ET.fromstring(junit(report))
    assert root.find(".//error[@type='incomplete']") is not None


def test_thousands_of_cells_stay_small_and_fast():
    report = fold(big_events(columns=14))
    began = time.process_time()
    text = html(report)
    assert time.process_time() - began < 4
    assert len(report.cells) > 5000
    assert len(text.encode()) < 2_000_000


def test_a_term_beyond_the_printed_ones_stands_apart():
    run = agreeing_events(1)
    for e in run:
        if e["event"] == "result" and "result" in e:
            coefs = e["result"]["coefs"]
            e["result"]["coefs"] = (*coefs, dict(coefs[0], term="(Intercept)"))
    report = fold(run)
    view = Layout(report).view(report.tables[0])
    assert [b.term for b in view.terms] == ["beertax"]
    assert [b.term for b in view.others] == ["(Intercept)"]
    assert "1 further term that the paper does not print" in Page(html(report)).text


def test_plots_group_families_and_draw_the_same_bytes(report):
    layout = Layout(report)
    drawn, more = panels(layout, layout.view(report.tables[0]))
    assert [p.title for p in drawn] == ["beertax", "drinkage18", "unemp", "log(income)"]
    assert [r.label for r in drawn[0].rows] == ["(1)", "(2)", "(3)", "(4)", "(5)", "(6)", "(7)"]
    assert [[p.kind for p in r.points] for r in drawn[0].rows[:2]] == [
        ["published", "python", "r"],
        ["published", "python", "python", "r"],  # linearmodels' interval is wider
    ]
    published = drawn[0].rows[2].points[0]
    assert (
        published.high - published.low < 0.6 * (drawn[0].rows[2].points[1].high - drawn[0].rows[2].points[1].low) * 1.25
    )
    family, _ = panels(layout, layout.view(report.tables[1]))
    assert [(p.title, len(p.rows)) for p in family] == [("ATT", 12)]
    assert more == 0
    drawing = svg(drawn[0])
    assert drawing == svg(drawn[0])
    root = ET.fromstring(drawing)
    assert len(root.findall(".//g")) == sum(len(r.points) for r in drawn[0].rows)


def test_terms_of_several_columns_are_merged_in_the_order_of_each():
    order = []
    for terms in (["x", "F"], ["x", "a", "b", "F"], ["x", "b", "c"], ["z"]):
        merge(order, terms)
    assert order == ["x", "a", "b", "c", "F", "z"]


def test_a_term_without_a_level_is_not_drawn_with_the_family_of_its_name():
    names = [title for title, _, _ in _families(["d18", "d19", "d", "d20", "year::1", "f1", "f2"])]
    assert names == ["d…", "d", "year::1", "f1", "f2"]


def test_another_mark_of_significance_is_marked_in_the_table():
    run = agreeing_events(1)
    for e in run:
        if e["event"] == "result" and e["source"] == "published":
            e["printed"] = [
                *e["printed"],
                {"term": "beertax", "quantity": "stars", "printed": "*", "low": None, "high": None},
            ]
    cell = next(dict(e) for e in run if e["event"] == "cell" and e["reference"] == "published")
    cell.update(
        quantity="stars", reference_value="*", candidate_value="***", verdict="unexplained", severity="decision"
    )
    report = fold([*run[:-1], cell], allow_incomplete=True)
    stack = Layout(report).view(report.tables[0]).terms[0].lines
    marked = [n for line in stack if line.quantity == "estimate" for n in line.cells[0] if n.other_stars]
    assert [(n.stars, n.verdict, n.label) for n in marked] == [("***", "unexplained", "Python")]
    assert "<i class=x>***</i>" in html(report)


def test_ticks_are_round_and_inside():
    assert ticks(-1.2, 0.3) == pytest.approx([-1.0, -0.5, 0.0])
    assert ticks(0, 100) == pytest.approx([0, 25, 50, 75, 100])
    assert ticks(1, 1) == [1]


def test_the_same_run_gives_the_same_bytes_in_another_process(tmp_path):
    path = write_run(tmp_path / "run.ndjson", events())
    script = (
        "import sys, hashlib; from pathlib import Path; from crosscheck.report import fold, write_all;"
        "paths = write_all(fold(Path(sys.argv[1])), Path(sys.argv[2]));"
        "print(hashlib.sha256(b''.join(p.read_bytes() for p in paths)).hexdigest())"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", script, str(path), str(tmp_path / seed)],
            env={"PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": str(Path(__file__).parent.parent)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1


def test_markdown_tables_have_rows_of_one_width_and_nothing_escapes():
    text = markdown(spiked())
    body = re.sub(r"(?ms)^(`{3,}).*?^\1$", "", text.split("## Notes of the study")[0])
    body = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", body)
    assert "<script" not in body
    assert not re.search(r"(?<!\\)\]\((?!#)", body)
    width = 0
    for line in body.splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        assert width in (0, cells), line
        width = cells


def test_markdown_shows_the_matrix_the_tables_and_the_provenance(report):
    text = markdown(report)
    assert f"**{md(report.summary)}**" in text
    assert "| linearmodels | 7.1 | live | **R** 5/5 | **C** 4/5 | **X** 4/5 |" in text
    assert "(0.**3**57078) X" in text.replace("\\", "")
    assert "### F1. linearmodels failed" in text
    assert "recorded 2026-11-20" in text
    assert text.rstrip().endswith("| 1 | 2 |")


def test_a_fence_cannot_be_closed_by_its_content():
    lines = fence("a\n````\nb")
    assert lines[0] == lines[-1] == "`````"


def test_junit_counts_what_the_exit_code_counts(report):
    root = ET.fromstring(junit(report))
    cases = root.findall(".//testcase")
    totals = {k: int(root.get(k)) for k in ("tests", "failures", "errors", "skipped")}
    assert totals["tests"] == len(cases)
    for kind, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert totals[kind] == len(root.findall(f".//{tag}"))
        assert totals[kind] == sum(int(s.get(kind)) for s in root.findall("testsuite"))
    bad = {(c.table, c.column, c.reference, c.candidate) for c in report.cells if counts_against(c, "printed")}
    assert totals["failures"] + totals["errors"] == len(bad) > 0
    assert all(case.get("classname") and case.get("name") for case in cases)
    failure = root.find(".//testcase[@name='published vs pyfixest']/failure")
    assert "beertax std_error: unexplained (printed); published 0.255, pyfixest 0.357078" in failure.text


def test_junit_of_an_agreeing_run_is_green_and_of_a_run_that_compared_nothing_is_not():
    good = ET.fromstring(junit(fold(agreeing_events())))
    assert (good.get("failures"), good.get("errors"), good.get("skipped")) == ("0", "0", "0")
    run = agreeing_events(1)
    cell = next(e for e in run if e["event"] == "cell")
    nothing = dict(cell, term="*", quantity="fit", verdict="missing_reference", reason="R is not here")
    footer = dict(run[-1], counts={"missing_reference": 1}, exit_code=3)
    empty = ET.fromstring(junit(fold([run[0], nothing, footer])))
    assert (empty.get("failures"), empty.get("skipped")) == ("1", "1")


def test_junit_stays_valid_xml_with_control_characters():
    assert ET.fromstring(junit(spiked())).get("tests")


def test_junit_follows_the_threshold():
    run = events()
    for level, more in (("none", False), ("cosmetic", True)):
        run[0] = dict(run[0], fail_on=level)
        failures = int(ET.fromstring(junit(fold(run))).get("failures"))
        assert (failures > 24) is more
        assert (failures == 0) is (not more)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("50% & $1_a#^~", r"50\% \& \$1\_a\#\textasciicircum{}\textasciitilde{}"),
        ("café Š ı", r"caf\'{e} \v{S} {\i}"),
        ("省", r"\crosscheckchar{7701}{省}"),
        ("a\n\n% b\x1b", r"a \% b"),
        ("R²−1", r"R\ensuremath{^2}\ensuremath{-}1"),
    ],
)
def test_tex_is_escaped(text, expected):
    assert tex(text) == expected


def test_the_tex_table_is_balanced_and_has_rows_of_one_width():
    for report in (spiked(), fold(events()), fold(agreeing_events())):
        text = latex(report)
        bare = re.sub(r"\\[{}]|^%.*$", "", text, flags=re.M)
        assert bare.count("{") == bare.count("}")
        for name in ("table", "tabular", "minipage"):
            assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
        spec = re.search(r"\\begin\{tabular\}\{@\{\}([lr]+)@\{\}\}", text)[1]
        for line in text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines():
            spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))
            assert len(re.findall(r"(?<!\\)&", line)) + 1 + spans == len(spec), line


def test_the_tex_table_compiles(tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("needs LaTeX: pdflatex not found")
    (tmp_path / "report.tex").write_text(latex(spiked()), "utf-8")
    main = r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{report}\end{document}"
    (tmp_path / "main.tex").write_text(main, "utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def shown(report, width=100, folder=None):
    stream = io.StringIO()
    terminal(report, Console(file=stream, width=width, highlight=False, force_terminal=False), folder=folder)
    return stream.getvalue()


def test_the_terminal_shows_engines_by_tables_the_sentence_and_the_exit_code(report):
    text = shown(report, width=160, folder=Path("reports") / "fatalities")
    flat = " ".join(text.split())
    assert re.search(r"linearmodels +7\.1 +live +49/51 X", text)
    assert re.search(r"r\.fixest +0\.14\.2 +recorded 2026-11-20 +47/48 X", text)
    assert re.search(r"r\.plm +2\.6-2 +missing +missing \?", text)
    assert "10 different (unexplained 10)" in flat
    assert "exit 1: a difference at or above the threshold, or an engine that failed" in flat
    assert "report: reports/fatalities/report.html" in flat.replace("\\", "/")
    assert " ".join(report.summary.split()) in flat


def split(run, name):
    """Put every column of a run with one table in a table of its own."""
    columns = run[0]["tables"][0]["columns"]
    engines = [dict(e, transport="live") for e in run[0]["engines"]]
    header = dict(run[0], tables=[{"id": f"{name}{c['id']}", "columns": [c]} for c in columns], engines=engines)
    return [header, *(dict(e, table=f"{name}{e['column']}") if e["event"] != "footer" else e for e in run[1:])]


def test_many_tables_stand_in_rows_or_are_numbered_and_nothing_is_cut_off():
    text = shown(fold(split(agreeing_events(7), "table_")), width=60)
    assert all(re.search(rf"table_{n} +\d+/\d+ R +\d+/\d+ R +\d+/\d+ R", text) for n in range(1, 8))
    narrow = shown(fold(split(agreeing_events(7), "a_long_name_of_a_table_")), width=50)
    assert re.search(r"pyfixest +0\.60\.0 +live +R +R +R +R +R +R +R", narrow)
    assert "tables: 1 a_long_name_of_a_table_1, 2 a_long_name_of_a_table_2" in " ".join(narrow.split())
    for lines, width in ((text, 60), (narrow, 50)):
        assert "…" not in lines
        assert max(len(line.rstrip()) for line in lines.splitlines()) <= width


def test_no_engine_can_steer_the_terminal():
    stream = io.StringIO()
    terminal(spiked(), Console(file=stream, width=100, force_terminal=False, highlight=False))
    assert "\x1b" not in stream.getvalue()
    assert "[bold]" not in shown(fold(events(title="[bold]x[/bold]"))).replace("[bold]x[/bold]", "")


def test_files_are_written_whole_beside_the_run_and_nothing_else(report, tmp_path):
    paths = write_all(report, tmp_path / "out")
    names = ["report.html", "report.json", "report.md", "report.sarif", "report.tex", "report.xml"]
    assert sorted(p.name for p in paths) == sorted(p.name for p in (tmp_path / "out").iterdir()) == names


def test_a_run_in_which_nothing_changed_fills_the_kept_texts_with_its_own_times(tmp_path):
    kept = {}

    class Texts:
        get_text = staticmethod(kept.get)
        put_text = staticmethod(kept.__setitem__)

    def later(listed):
        listed = [dict(e) for e in listed]
        listed[0]["started"], listed[-1]["finished"] = "2027-01-01T00:00:00Z", "2027-01-01T00:00:09Z"
        listed[-1]["seconds"] = 9.125
        for e in listed:
            if "cached" in e:
                e["cached"] = True
        return fold(listed)

    first, second = fold(events()), later(events())
    for name, report in (("first", first), ("second", second)):
        write_all(report, tmp_path / f"{name} kept", cache=Texts(), content="same")
        write_all(report, tmp_path / name)
        assert len(kept) == 1
        for file in (tmp_path / name).iterdir():
            assert file.read_bytes() == (tmp_path / f"{name} kept" / file.name).read_bytes()
            assert not re.search("[\ue000\ue001]", file.read_text("utf-8"))
    changed = (tmp_path / "second kept" / "report.html").read_text("utf-8")
    assert "started 2027-01-01 00:00:00 UTC" in changed
    assert "9.125 s" in changed
    assert changed != (tmp_path / "first kept" / "report.html").read_text("utf-8")
    write_all(fold(agreeing_events()), tmp_path / "other", cache=Texts(), content="another")
    assert len(kept) == 2


def test_nothing_is_written_where_one_report_cannot_be_rendered(report, tmp_path, monkeypatch):
    monkeypatch.setattr("crosscheck.report.write.latex", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_all(report, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_stdout_has_one_object_for_one_study_and_an_array_for_several(report):
    import json

    assert json.loads(render_stdout([report], "json"))["study"] == "fatalities"
    both = json.loads(render_stdout([report, fold(agreeing_events())], "json"))
    assert [r["study"] for r in both] == ["fatalities", "small"]
    assert render_stdout([report], "markdown").startswith("# Beer taxes")
    with pytest.raises(ValueError, match="yaml"):
        render_stdout([report], "yaml")


def test_the_summary_of_several_runs_goes_to_stdout(report, capsys):
    print_summary([report, fold(agreeing_events())], [Path("a"), Path("b")])
    out = capsys.readouterr().out
    assert "fatalities" in out
    assert "exit 0: everything" in out


def test_the_fixture_itself_agrees_where_it_should(report):
    between = [c for c in report.cells if c.column == "1" and c.reference == "r.fixest" and c.candidate == "pyfixest"]
    assert between
    assert all(c.verdict in AGREE for c in between)


def test_small_p_values_are_shown_in_powers_of_ten():
    assert layout_text(4.7e-9, 10, "p_value") == "4.7e−09"
    assert layout_text(0.00047, 6, "p_value") == "0.000470"
    assert layout_text(4.7e-9, 10, "estimate") == "0.0000000047"


def test_observations_that_one_side_left_out_are_listed_and_written(tmp_path):
    listed = list(events())
    cell = next(e for e in listed if e["event"] == "cell" and e.get("explanations"))
    cell["explanations"][0]["dropped"] = [
        {"row": i, "side": "pyfixest", "reason": "the only row of its <id>", "what": f"id {i}, year 1983"}
        for i in range(1, 26)
    ]
    report = fold(listed)
    text = html(report)
    assert "the only row of its &lt;id&gt;" in text
    assert "5 more rows are in dropped.csv" in text
    assert "5 more rows are in `dropped.csv`" in markdown(report)
    paths = write_all(report, tmp_path)
    assert tmp_path / "dropped.csv" in paths
    lines = (tmp_path / "dropped.csv").read_text("utf-8").splitlines()
    assert lines[0] == "table,column,reference,candidate,left_out_by,row,observation,reason"
    assert len(lines) == 26
    assert '"id 1, year 1983"' in lines[1]
    tex_text = latex(report)
    assert "% Footnotes to paste" in tex_text
    assert r"\footnote{" in tex_text
    write_all(fold(events()), tmp_path)
    assert not (tmp_path / "dropped.csv").exists()
