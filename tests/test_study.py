"""Studies: what a complete one resolves to, and every mistake as one message with file, key and remedy."""

import textwrap
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from crosscheck.errors import CrosscheckError, DataError, FormulaError, PublishedError, StudyError
from crosscheck.modelmatrix import model_matrix
from crosscheck.spec import SscSpec, VcovSpec, WeightsSpec
from crosscheck.study import load_study
from crosscheck.study_file import KnownRow, ToleranceRow

STUDIES = Path(__file__).parent.parent / "fixtures" / "studies"

CSV = """\
state,year,y,x,w,region,first,ln(Labor),my var,day,on,extra
al,2001,1.0,0.5,1,East,2002,1,2,2020-01-01,TRUE,a
al,2002,2.5,0.7,2,East,2002,2,3,2020-01-02,FALSE,b
al,2003,2.0,0.1,1,East,2002,3,5,2020-01-03,TRUE,c
az,2001,0.5,0.9,2,West,0,4,7,2020-01-01,FALSE,d
az,2002,1.5,0.2,1,West,0,5,8,2020-01-02,TRUE,e
az,2003,,0.4,3,West,0,6,9,2020-01-03,FALSE,f
ca,2001,3.5,0.3,1,East,2003,7,1,2020-01-01,TRUE,g
ca,2002,4.0,0.8,2,East,2003,8,2,2020-01-02,FALSE,h
ca,2003,3.0,0.6,1,East,2003,9,4,2020-01-03,TRUE,i
"""

TOML = """\
schema = 1
study = "demo"
title = "A demonstration"

[data]
path = "panel.csv"
unit = "state"
time = "year"

[data.kinds]
state = "category"
year = "integer"
y = "float"
x = "float"
w = "integer"
region = "category"
first = "integer"
"ln(Labor)" = "float"
"my var" = "float"
day = "date"
on = "boolean"

[data.levels]
region = ["West", "East"]

[macros]
controls = "`ln(Labor)` + log(`my var`)"

[defaults]
vcov = { type = "CRV1", cluster = ["state"] }
candidates = ["pyfixest", "linearmodels"]
references = ["r.fixest"]

[[table]]
id = "t1"
title = "Main"
source = "p. 3"

[[table.column]]
id = "1"
formula = "y ~ x + ..controls | state + year"

[[table.column]]
id = "2"
title = "Weighted, East"
formula = "y ~ i(year, ref = 2001) + x:i2 - 1"
vcov = { type = "hetero" }
ssc = { k_fixef = "full" }
weights = "w"
sample = { where = "region == 'East' and year < 2003" }
candidates = ["oracle"]
references = []
conf_level = 0.9

[[table]]
id = "t2"
legend = { "+" = 0.10 }

[[table.column]]
id = "att"
estimator = "att_gt"
options = { y = "y", cohort = "first", aggregation = "dynamic" }
""".replace(" + x:i2 - 1", " - 1")


def write(folder, toml=TOML, csv=CSV, published=None):
    folder.mkdir(exist_ok=True)
    (folder / "study.toml").write_text(toml, "utf-8")
    if csv is not None:
        (folder / "panel.csv").write_text(csv, "utf-8")
    if published is not None:
        (folder / "published.csv").write_text("table,column,term,quantity,printed\n" + published, "utf-8")
    return folder


def refused(folder, *parts, error=CrosscheckError):
    """Load the study (and draw its samples); the message must hold the parts, and be an error that ends with code 2."""
    with pytest.raises(error) as caught:
        every_sample(folder)
    message = str(caught.value)
    for part in parts:
        assert part in message, message
    assert caught.value.exit_code == 2
    return message


def every_sample(folder):
    study = load_study(folder)
    return study, [study.sample(c) for c in study.columns if c.estimated]


def test_a_complete_study(tmp_path):
    folder = write(tmp_path / "demo", published="t1,1,x,estimate,0.50\nt1,1,,nobs,8\n")
    (folder / "NOTES.md").write_text("Some notes.\n", "utf-8")
    study = load_study(folder)
    assert (study.id, study.title, study.unit, study.time) == ("demo", "A demonstration", "state", "year")
    assert study.folder == folder
    assert study.notes == "Some notes.\n"
    assert [t.id for t in study.tables] == ["t1", "t2"]
    assert study.tables[0].source == "p. 3"
    assert len(study.toml_sha256) == len(study.published_sha256) == 64
    assert study.data_path == "panel.csv"
    provenance = study.data_provenance()
    assert (provenance["path"], provenance["rows"], provenance["columns"]) == ("panel.csv", 9, 12)

    first = study.column("t1", "1")
    assert first.request.formula == "`y` ~ `x` + `ln(Labor)` + log(`my var`) | `state` + `year`"
    assert first.request.columns == ("y", "x", "ln(Labor)", "my var", "state", "year")
    assert first.request.vcov == VcovSpec(type="CRV1", cluster=("state",))
    assert (first.request.unit, first.request.time, first.request.conf_level) == ("state", "year", 0.95)
    assert (first.candidates, first.references) == (("pyfixest", "linearmodels"), ("r.fixest",))
    assert first.where is None
    assert dict(first.legend) == {"***": 0.01, "**": 0.05, "*": 0.10}
    assert study.sample(first).names == ("state", "year", "y", "x", "ln(Labor)", "my var")
    assert study.sample(first).nrows == 9

    second = study.column("t1", "2")
    assert second.request.vcov == VcovSpec(type="hetero")
    assert second.request.ssc == SscSpec(k_fixef="full")
    assert second.request.weights == WeightsSpec(column="w")
    assert second.request.conf_level == 0.9
    assert second.where == '`region` == "East" and `year` < 2003'
    assert (second.candidates, second.references) == (("oracle",), ())
    assert second.request.columns == ("y", "year", "w", "state")
    assert study.sample(second).row_ids.tolist() == [0, 1, 6, 7]
    assert second.formula is not None
    assert model_matrix(second.formula, study.sample(second)).names == ("year::2002",)

    att = study.column("t2", "att")
    assert att.request.formula == ""
    assert att.request.vcov == VcovSpec()
    assert att.request.options["unit"] == "state"
    assert att.request.options["time"] == "year"
    assert att.request.options["control_group"] == "nevertreated"
    assert att.request.columns == ("y", "state", "year", "first")
    assert dict(att.legend) == {"+": 0.10}

    assert [(n.term, n.quantity, n.printed) for n in study.printed(first)] == [
        ("x", "estimate", "0.50"),
        ("", "nobs", "8"),
    ]
    assert study.printed(second) == ()
    assert study.frame() is study.frame()
    assert load_study(folder / "study.toml").toml_sha256 == study.toml_sha256


def test_levels_and_samples(tmp_path):
    study = load_study(write(tmp_path))
    assert study.frame()["region"].levels == ("West", "East")
    assert study.frame()["state"].levels == ("al", "az", "ca")


def test_hashes_tell_questions_apart(tmp_path):
    study = load_study(write(tmp_path / "a"))
    same = load_study(write(tmp_path / "b", TOML.replace('id = "t1"', 'id = "other"').replace("Main", "Same")))
    assert [c.request.hash for c in study.columns] == [c.request.hash for c in same.columns]
    assert len({c.request.hash for c in study.columns}) == 3
    moved = load_study(write(tmp_path / "c", TOML.replace("0.9\n", "0.8\n")))
    assert moved.columns[1].request.hash != study.columns[1].request.hash


def test_repeated_cross_sections(tmp_path):
    again = CSV + "ca,2003,3.1,0.6,1,East,2003,9,4,2020-01-03,TRUE,j\n"
    refused(
        write(tmp_path / "a", csv=again), "state = 'ca', year = '2003' occurs twice", "line 10 and line 11", "panel.csv"
    )
    study = load_study(
        write(tmp_path / "b", TOML.replace('time = "year"\n', 'time = "year"\nrepeated = true\n', 1), again)
    )
    assert study.frame().nrows == 10
    without = load_study(
        write(
            tmp_path / "c",
            TOML.replace('unit = "state"\n', "", 1).replace('first", agg', 'first", panel = false, agg'),
            again,
        )
    )
    assert without.unit is None


def edit(old, new, toml=TOML):
    assert old in toml
    return toml.replace(old, new, 1)


def row(kind, *lines):
    return TOML + "\n".join([f"[[{kind}]]", *lines]) + "\n"


ERRATUM = ('table = "t1"', 'kind = "erratum"', 'reason = "x"', 'source = "y"')
STD_ERROR = ('quantity = "std_error"', "rtol = 1e-3")
TOML_MISTAKES = {
    "unknown key at the top": (
        edit('title = "A', 'titel = "A'),
        ("study.toml, titel", "there is no key 'titel'", "did you mean 'title'?"),
    ),
    "unknown key in data": (edit("path =", "file ="), ("study.toml, data.", "path")),
    "unknown key in a column": (
        edit('title = "Weighted', 'titel = "Weighted'),
        ("table[1].column[2].titel (t1/2)", "there is no key 'titel'", "formula, vcov", "did you mean 'title'?"),
    ),
    "unknown key in vcov": (
        edit('vcov = { type = "hetero" }', 'vcov = { typ = "hetero" }'),
        ("table[1].column[2].vcov.typ (t1/2)", "allowed: type, cluster, lag", "did you mean 'type'?"),
    ),
    "unknown key in ssc": (edit("k_fixef", "fixef_k"), ("table[1].column[2].ssc.fixef_k", "k_adj, k_fixef, g_adj")),
    "unknown key in weights": (edit('weights = "w"', 'weights = { col = "w" }'), ("weights", "column")),
    "wrong vcov type": (
        edit('"hetero"', '"HC9"'),
        ("table[1].column[2].vcov.type (t1/2)", "'HC9' is not allowed", "iid, hetero, HC1", "did you mean 'HC"),
    ),
    "cluster without CRV1": (edit('"hetero"', '"hetero", cluster = ["state"]'), ("takes no cluster", 'type = "CRV1"')),
    "CRV1 without cluster": (edit(', cluster = ["state"]', ""), ("defaults.vcov", "needs cluster")),
    "wrong estimator": (
        edit('estimator = "att_gt"', 'estimator = "att"'),
        ("table[2].column[1].estimator (t2/att)", "'att' is not allowed", "feols", "did you mean 'att_gt'?"),
    ),
    "wrong ssc word": (edit('"full"', '"nested"'), ("ssc.k_fixef", "none, nonnested, full")),
    "missing schema": (edit("schema = 1\n", ""), ("the key 'schema' is missing", "schema = 1")),
    "wrong schema": (edit("schema = 1", "schema = 2"), ("schema", "2 is not allowed here", "allowed: 1")),
    "missing study": (edit('study = "demo"\n', ""), ("the key 'study' is missing",)),
    "missing column id": (edit('id = "1"\n', ""), ("table[1].column[1].id", "the key 'id' is missing")),
    "id is a number": (edit('id = "1"', "id = 1"), ("table[1].column[1].id", "1 is not a text", 'write "1"')),
    "id with a slash": (edit('id = "1"', 'id = "a/b"'), ("'a/b' cannot be an id", "file name")),
    "id with dots": (edit('study = "demo"', 'study = ".."'), ("'..' cannot be an id",)),
    "id too long": (edit('id = "1"', f'id = "{"a" * 200}"'), ("cannot be an id",)),
    "column twice": (edit('id = "2"', 'id = "1"'), ("table[1].column", "the id '1' is used twice")),
    "table twice": (edit('id = "t2"', 'id = "T1"'), ("'t1' and 'T1' differ by case only",)),
    "file names collide": (
        edit('id = "t2"', 'id = "t1-1"', edit('id = "att"', 'id = "x"', edit('id = "2"', 'id = "1-x"'))),
        ("'t1-1-x' is used twice", "file name"),
    ),
    "conf_level": (edit("0.9\n", "95\n"), ("conf_level", "less than 1")),
    "legend": (edit('"+" = 0.10', '"+" = 10'), ("table[2].legend", "the threshold of +", "0.05")),
    "legend mark": (edit('"+" = 0.10', '"a" = 0.1'), ("'a' is no star",)),
    "no data": ('schema = 1\nstudy = "x"\n', ("the study has no data", 'path = "panel.csv"')),
    "path missing": (
        edit('path = "panel.csv"', 'path = "panle.csv"'),
        ("there is no file 'panle.csv'", "data.path", "did you mean 'panel.csv'?"),
    ),
    "path outside": (
        edit('path = "panel.csv"', 'path = "../panel.csv"'),
        ("does not name a file of the study", "data.path"),
    ),
    "path absolute": (edit('path = "panel.csv"', 'path = "/panel.csv"'), ("does not name a file of the study",)),
    "wrong kind word": (
        edit('y = "float"', 'y = "number"'),
        ("data.kinds.y", "'number' is not allowed", "category, integer, float"),
    ),
    "kind of no column": (
        edit('y = "float"', 'yy = "float"'),
        ("there is no column 'yy'", "data.kinds", "state, year"),
    ),
    "unit without kind": (
        edit('state = "category"\n', ""),
        ("column 'state' is used and has no kind", "data.unit", 'add state = "category"'),
    ),
    "unknown unit": (
        edit('unit = "state"', 'unit = "sate"'),
        ("there is no column 'sate'", "data.unit", "did you mean 'state'?"),
    ),
    "unit is time": (edit('unit = "state"', 'unit = "year"'), ("unit and time are the same",)),
    "used without kind": (
        edit('x = "float"\n', ""),
        ("column 'x' is used and has no kind", "table[1].column[1] (t1/1), formula", 'x = "float"'),
    ),
    "undeclared name in quotes": (edit('"my var" = "float"\n', ""), ('add "my var" = "integer"',)),
    "unknown column in a formula": (
        edit("y ~ x +", "y ~ xx +"),
        ("there is no column 'xx'", "table[1].column[1] (t1/1), formula, character 5"),
    ),
    "unknown macro": (edit("..controls |", "..control |"), ("there is no macro ..control", "did you mean 'controls'?")),
    "mistake in a macro": (edit("log(`my var`)", "log(`my var`"), ("macro ..controls", "a ) is missing")),
    "outside the language": (edit("y ~ x +", "y ~ system('id') +"), ("system() is not a function",)),
    "category as a number": (
        edit("y ~ x +", "y ~ log(region) +"),
        ("'region' is a category and is used as log()", "i(region)", "table[1].column[1]"),
    ),
    "category as outcome": (
        edit("y ~ x +", "region ~ x +"),
        ("'region' is a category and is used as the left-hand side",),
    ),
    "date as a number": (edit("y ~ x +", "y ~ day +"), ("'day' is a date and is used as a regressor",)),
    "float as a factor": (edit("y ~ x +", "y ~ i(x) +"), ("'x' is a float and is used as i()", "integer or category")),
    "category in i(f, x)": (
        edit("y ~ x +", "y ~ i(year, region) +"),
        ("'region' is a category", "second column of i()"),
    ),
    "reference level": (
        edit("ref = 2001", "ref = 1990"),
        ("ref = 1990 is no level of year in the sample", "2001, 2002", "(t1/2)"),
    ),
    "weights are a category": (
        edit('weights = "w"', 'weights = "region"'),
        ("'region' is a category and is used as a weight",),
    ),
    "weights unknown": (edit('weights = "w"', 'weights = "ww"'), ("there is no column 'ww'", "weights")),
    "cluster unknown": (edit('["state"]', '["sate"]'), ("there is no column 'sate'", "vcov.cluster")),
    "no formula": (
        edit('formula = "y ~ x + ..controls | state + year"\n', ""),
        ("the column has no formula", "y ~ x | unit"),
    ),
    "formula for att_gt": (
        edit("options = { y", 'formula = "y ~ x"\noptions = { y'),
        ("att_gt takes no formula", "cohort"),
    ),
    "unknown option": (edit('cohort = "first"', 'cohorts = "first"'), ("options.co", "cohort")),
    "wrong option": (edit('"dynamic"', '"event"'), ("options.aggregation", "none, simple, dynamic, group, calendar")),
    "option of another estimator": (
        edit('weights = "w"', 'options = { method = "swar" }'),
        ("there is no key 'method'", "options.method"),
    ),
    "option names no column": (edit('y = "y", cohort', 'y = "yy", cohort'), ("there is no column 'yy'", "options.y")),
    "option is a category": (
        edit('cohort = "first"', 'cohort = "region"'),
        ("'region' is a category and is used as a period",),
    ),
    "filter unknown column": (
        edit("region == 'East'", "regoin == 'East'"),
        ("there is no column 'regoin'", "sample.where", "did you mean 'region'?"),
    ),
    "filter column without kind": (
        edit("region == 'East'", "extra == 'a'"),
        ("column 'extra' is used and has no kind", "sample.where"),
    ),
    "filter type": (
        edit("region == 'East'", "region == 1"),
        ("region is a category and 1 is not a text", "sample.where"),
    ),
    "filter level": (edit("region == 'East'", "region == 'Est'"), ("region is never 'Est'", "did you mean 'East'?")),
    "filter leaves nothing": (
        edit("year < 2003", "year < 1900"),
        ("no row is left after the filter", "year: 2001, 2002, 2003", "(t1/2)"),
    ),
    "filter empty": (edit("region == 'East' and year < 2003", " "), ("sample.where", "the text is empty")),
    "unknown engine": (
        edit('["oracle"]', '["pyfixset"]'),
        ("there is no engine 'pyfixset'", "candidates", "did you mean 'pyfixest'?"),
    ),
    "unknown engine in defaults": (
        edit('["r.fixest"]', '["fixest"]'),
        ("there is no engine 'fixest'", "defaults.references", "did you mean 'r.fixest'?"),
    ),
    "engine twice": (edit('["oracle"]', '["oracle", "oracle"]'), ("'oracle' is named twice",)),
    "sunab without sunab()": (
        edit('estimator = "att_gt"', 'estimator = "sunab"\nformula = "y ~ x | state + year"'),
        ("needs one sunab(cohort, period)",),
    ),
    "sunab() without sunab": (
        edit("y ~ x +", "y ~ sunab(first, year) + x +"),
        ("feols cannot fit sunab()", 'estimator = "sunab"'),
    ),
    "fixed effects in random effects": (
        edit('formula = "y ~ x + ..', 'estimator = "re"\nformula = "y ~ x + ..'),
        ("re takes no fixed effects",),
    ),
    "tolerance without reason": (
        row("tolerance", *STD_ERROR, 'reason = " "'),
        ("tolerance[1].reason", "the text is empty"),
    ),
    "tolerance for no table": (
        row("tolerance", *STD_ERROR, 'table = "t9"', 'reason = "x"'),
        ("there is no table 't9'", "tolerance[1].table"),
    ),
    "known without source": (
        row("known", 'table = "t1"', 'kind = "erratum"', 'reason = "x"'),
        ("known[1].source", "is missing"),
    ),
    "known for no column": (row("known", *ERRATUM, 'column = "9"'), ("there is no column '9'", "allowed: 1, 2")),
    "known engine": (
        row("known", *ERRATUM, 'candidate = "stata"'),
        ("there is no engine 'stata'", "known[1].candidate"),
    ),
    "known kind": (
        row("known", 'table = "t1"', 'kind = "bug"', 'reason = "x"', 'source = "y"'),
        ("erratum, package_bug, convention",),
    ),
    "known versions": (row("known", *ERRATUM, 'version_range = "old"'), ("'old' is no range of versions",)),
    "TOML syntax": (
        edit('title = "A demonstration"', "title = A demonstration"),
        ("the TOML is malformed", "study.toml, line 3, character 9", "quotation marks"),
    ),
    "TOML unclosed": (TOML + "[[table", ("the TOML is malformed", "study.toml")),
    "TOML key twice": (
        edit('study = "demo"', 'study = "demo"\nstudy = "demo"'),
        ("the TOML is malformed", "line 3", "written twice"),
    ),
    "notes missing": (
        edit('title = "A', 'notes = "nothing.md"\ntitle = "A'),
        ("there is no file 'nothing.md'", "notes"),
    ),
    "NW without time": (
        edit('time = "year"\n', "", edit('"hetero"', '"NW"')),
        ("vcov type NW needs time", "declare time in [data]"),
    ),
}


@pytest.mark.parametrize("case", TOML_MISTAKES)
def test_mistakes_in_the_file(tmp_path, case):
    toml, parts = TOML_MISTAKES[case]
    message = refused(write(tmp_path / "demo", toml), *parts)
    assert "where:" in message
    assert "study.toml" in message
    assert "Traceback" not in message


def test_several_mistakes_are_one_message(tmp_path):
    toml = edit(
        '"hetero"',
        '"HC9"',
        edit('title = "Weighted', 'titel = "Weighted', edit('estimator = "att_gt"', 'estimator = "x"')),
    )
    message = refused(write(tmp_path, toml), "(and also", "table[2].column[1].estimator")
    assert message.count("where:") == 1


def test_lags_need_a_panel(tmp_path):
    toml = edit("y ~ x +", "y ~ lag(x, 1) +")
    study = load_study(write(tmp_path / "a", toml))
    assert "lag(`x`, 1)" in study.columns[0].request.formula
    cut = toml.split('[[table]]\nid = "t2"')[0]
    refused(
        write(tmp_path / "b", edit('unit = "state"\n', "", cut)),
        "lag() needs unit",
        "formula",
        "declare unit in [data]",
    )
    refused(
        write(tmp_path / "c", edit('year = "integer"', 'year = "float"', cut).replace("i(year, ref = 2001)", "x")),
        "'year' is a float",
        "time of lag()",
    )


def test_where_a_study_is_looked_for(tmp_path):
    write(tmp_path / "demo")
    refused(tmp_path, "the folder has no study.toml", "its subfolders demo", error=StudyError)
    refused(tmp_path / "dmeo", "there is no study", "did you mean 'demo'?", error=StudyError)
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "the folder has no study.toml", "crosscheck init", error=StudyError)
    (tmp_path / "demo" / "study.toml").write_bytes(TOML.replace("Main", "Café").encode("latin-1"))
    refused(tmp_path / "demo", "the file is not UTF-8", "line 36", error=StudyError)


def test_mistakes_in_the_data(tmp_path):
    refused(
        write(tmp_path / "a", csv=CSV.replace("0.7", "abc")),
        "line 3, column x",
        "'abc' is not a number",
        "panel.csv",
        error=DataError,
    )
    refused(
        write(tmp_path / "b", csv=CSV.replace("0.7,2", "0.7")), "line 3", "11 fields, the header 12", error=DataError
    )
    refused(write(tmp_path / "c", csv=CSV.replace("region,", "x,", 1)), "both named 'x'", "panel.csv", error=DataError)
    refused(write(tmp_path / "d", csv=None), "there is no file 'panel.csv'", "data.path", error=DataError)
    refused(
        write(tmp_path / "e", csv=CSV.replace("West", "North")),
        "line 5, column region",
        "not a declared level",
        error=DataError,
    )
    refused(
        write(tmp_path / "f", edit('first = "integer"', 'first = "boolean"'), csv=CSV),
        "line 2, column first" if False else "first",
        error=CrosscheckError,
    )


def test_missing_texts(tmp_path):
    csv = CSV.replace("az,2003,,", "az,2003,.,")
    refused(write(tmp_path / "a", csv=csv), "'.' is not a number", 'missing = ["", "."]', error=DataError)
    for value in ('["", "."]', '{ y = ["."] }', '{ "*" = [".", ""] }', '{ "*" = [""], y = ["."] }'):
        toml = edit('unit = "state"', f'missing = {value}\nunit = "state"')
        assert np.isnan(load_study(write(tmp_path / "b", toml, csv)).frame()["y"].values).sum() == 1


PUBLISHED = {
    "t9,1,x,estimate,1\n": ("the study has no table 't9'", "line 2", "allowed: t1, t2"),
    "t1,9,x,estimate,1\n": ("the study has no column '9' in table 't1'", "line 2", "allowed: 1, 2"),
    "t1,1,x,estimate,1\nt1,1,zz,estimate,1\n": ("column t1/1 has no term 'zz'", "line 3", "x, ln(Labor), log(my var)"),
    "t1,1,ln(labor),estimate,1\n": ("has no term 'ln(labor)'", "did you mean 'ln(Labor)'?"),
    "t1,1,Constant,estimate,1\n": ("the constant is written (Intercept)", "constant_term"),
    "t1,2,year::1999,estimate,1\n": ("has no term 'year::1999'", "year::2001"),
    "t1,2,year2002,estimate,1\n": ("has no term 'year2002'", "did you mean 'year::2002'?"),
    't2,att,"ATT(2002,2003)",estimate,1\n': ("has no term 'ATT(2002,2003)'", "overall, event=-3"),
    "t2,att,group=2002,estimate,1\n": ("has no term 'group=2002'",),
    "t1,1,x,nobs,8\n": ("nobs belongs to the whole column", "leave the term empty"),
    "t1,1,x,estimat,1\n": ("no quantity 'estimat'", "did you mean 'estimate'?"),
    "t1,1,x,estimate\n": ("the line has 4 fields", "line 2"),
}


def test_printed_numbers_lie_in_the_folder(tmp_path):
    folder = write(tmp_path / "demo")
    outside = tmp_path / "outside.csv"
    outside.write_text("table,column,term,quantity,printed\n", "utf-8")
    (folder / "published.csv").symlink_to(outside)
    refused(folder, "leads out of the study's folder", "printed numbers")


@pytest.mark.parametrize("rows", PUBLISHED)
def test_printed_numbers_must_have_a_place(tmp_path, rows):
    refused(write(tmp_path / "demo", published=rows), "published.csv, line", *PUBLISHED[rows], error=PublishedError)


def test_printed_terms_that_are_accepted(tmp_path):
    toml = edit(
        "y ~ x + ..controls | state + year", "y ~ factor(region)*x + poly(w, 2) + on + i(year, x) + x^2 | first"
    )
    rows = [
        *("(Intercept)", "x", "factor(region)West", "factor(region)East:x", "x:factor(region)East", "poly(w, 2)1"),
        *("onTRUE", "year::2001:x", "I(x^2)", "`x`", "wald:x+on", "rho"),
    ]
    seen = "".join(
        f't1,1,"{term}",{"std_error" if term in ("`x`", "x:factor(region)East") else "estimate"},0.1\n' for term in rows
    )
    study = load_study(
        write(tmp_path, toml, published=seen + "t2,att,event=-1,estimate,1\nt2,att,overall,estimate,1\n")
    )
    terms = [n.term for n in study.printed(study.columns[0])]
    assert terms[4] == "factor(region)East:x"
    assert terms[9] == "x"
    assert terms[:4] == rows[:4]
    assert [n.term for n in study.printed(study.column("t2", "att"))] == ["event=-1", "overall"]


ONE_COLUMN = '[[table]]\nid = "t"\n[[table.column]]\nid = "1"\nformula = "y ~ x | u"\n'


def test_descriptives_and_audits_are_not_estimated(tmp_path):
    toml = TOML + '[[table]]\nid = "d"\nkind = "descriptives"\n[[table.column]]\nid = "all"\n'
    study = load_study(write(tmp_path / "a", toml, published="d,all,x,mean,0.5\nd,all,anything,max,1\n"))
    assert not study.column("d", "all").estimated
    assert study.column("t1", "1").estimated
    audit = f'schema = 1\nstudy = "a"\n[audit]\nnobs = 308\n{ONE_COLUMN}'
    study = load_study(write(tmp_path / "b", audit, csv=None, published="t,1,anything,estimate,0.1\n"))
    assert study.data_provenance()["rows"] == 0
    assert study.data_path == ""
    assert dict(study.audit or {}) == {"nobs": 308}
    assert not study.columns[0].estimated
    with pytest.raises(StudyError, match="the study has no data"):
        study.frame()


def test_simulated_studies_keep_their_questions(tmp_path):
    toml = f'schema = 1\nstudy = "s"\n[simulate]\nunits = 10\n{ONE_COLUMN}'
    study = load_study(write(tmp_path, toml, csv=None, published="t,1,x,estimate,0.1\n"))
    assert study.columns[0].request.formula == "`y` ~ `x` | `u`"
    assert study.columns[0].estimated
    assert dict(study.simulate or {}) == {"units": 10}


def test_default_engines(tmp_path):
    toml = edit('references = ["r.fixest"]\n', "", edit('candidates = ["pyfixest", "linearmodels"]\n', ""))
    study = load_study(write(tmp_path, toml))
    assert study.column("t1", "1").candidates == ("pyfixest", "linearmodels", "statsmodels", "oracle")
    assert study.column("t1", "1").references == ("r.fixest", "r.lm", "r.plm", "r.clubsandwich")
    att = study.column("t2", "att")
    assert (att.candidates, att.references) == (("csdid", "oracle"), ("r.did",))


def test_versions_of_engines(tmp_path):
    study = load_study(write(tmp_path, edit('["oracle"]', '["pyfixest@0.50.1", "pyfixest"]')))
    assert study.column("t1", "2").candidates == ("pyfixest@0.50.1", "pyfixest")


def test_sunab(tmp_path):
    column = (
        'estimator = "sunab"\nformula = "y ~ sunab(first, year) | state + year"\noptions = { aggregation = "simple" }\n'
    )
    toml = TOML.split('estimator = "att_gt"')[0] + column
    request = load_study(write(tmp_path / "a", toml)).column("t2", "att").request
    assert request.options == {"y": "y", "unit": "state", "time": "year", "cohort": "first", "aggregation": "simple"}
    assert request.formula == "`y` ~ sunab(`first`, `year`) | `state` + `year`"
    wrong = toml.replace("{ aggregation", '{ cohort = "region", aggregation')
    refused(
        write(tmp_path / "b", wrong), "cohort is 'region' in the options and 'first' in the formula", "options.cohort"
    )


def test_printed_terms_of_sunab(tmp_path):
    for aggregation, good, bad in (
        ("simple", "ATT", "year::-1"),
        ("dynamic", "year::-1", "first::-1"),
        ("group", "cohort::2002", "first::2002"),
        ("none", "year::-1:cohort::2003", "year::-1"),
    ):
        column = (
            'estimator = "sunab"\nformula = "y ~ x + sunab(first, year) | state + year"\n'
            f'options = {{ aggregation = "{aggregation}" }}\n'
        )
        toml = TOML.split('estimator = "att_gt"')[0] + column
        rows = f"t2,att,{good},estimate,1\nt2,att,x,estimate,1\n"
        study = load_study(write(tmp_path / "a", toml, published=rows))
        assert [n.term for n in study.published] == [good, "x"]
        refused(write(tmp_path / "b", toml, published=f"t2,att,{bad},estimate,1\n"), f"has no term '{bad}'", "line 2")
        words = {"simple": "overall", "dynamic": "event=-1", "group": "group=2002"}
        if aggregation in words:
            rows = f"t2,att,{words[aggregation]},estimate,1\nt2,att,wald:event=-2+event=-1,p_value,0.5\n"
            study = load_study(write(tmp_path / "c", toml, published=rows))
            assert [n.term for n in study.published] == [good, "wald:year::-2+year::-1"]


DESIGN = """
[[table]]
id = "d"
[[table.column]]
id = "all"
estimator = "describe"
options = { variables = ["x", "w"], quantiles = [0.5] }
[[table.column]]
id = "placebo"
estimator = "placebo"
formula = "y ~ x | state + year"
vcov = { type = "iid" }
options = { treatment = "x", start = 2002, draws = "draws.csv" }
"""


def test_designs(tmp_path):
    folder = write(tmp_path / "a", TOML + DESIGN, published="d,all,x,mean,0.5\nd,all,x,q0.5,0.5\nd,all,,nobs,9\n")
    (folder / "draws.csv").write_text("draw,unit\n1,al\n2,az\n3,ca\n", "utf-8")
    study = load_study(folder)
    described = study.column("d", "all")
    assert described.request.formula == ""
    assert described.request.columns == ("x", "w", "state", "year")
    assert described.request.options["ddof"] == 1
    assert (described.candidates, described.references) == (("pyfixest", "linearmodels"), ("r.fixest",))
    assert [n.quantity for n in study.printed(described)] == ["mean", "q0.5", "nobs"]
    placebo = study.column("d", "placebo")
    assert placebo.request.columns == ("y", "x", "state", "year")
    assert placebo.request.options["draws"]["labels"] == ["al", "az", "ca"]
    (folder / "draws.csv").write_text("draw,unit\n1,al\n2,ca\n", "utf-8")
    assert load_study(folder).column("d", "placebo").request.hash != placebo.request.hash
    (folder / "draws.csv").unlink()
    refused(folder, "the draws cannot be read", "draws.csv")
    cases = {
        'variables = ["x", "z"]': ("there is no column 'z'", "table[3].column[1] (d/all), options"),
        'variables = ["x", "region"]': ("'region' is a category",),
        'variables = "x"': ("options.variables",),
        'variable = ["x"]': ("there is no key 'variable'", "did you mean 'variables'?"),
    }
    for new, parts in cases.items():
        refused(write(tmp_path / "b", edit('variables = ["x", "w"]', new, TOML + DESIGN)), *parts)
    formula = edit('estimator = "describe"', 'estimator = "describe"\nformula = "y ~ x"', TOML + DESIGN)
    refused(write(tmp_path / "c", formula), "describe takes no formula", "variables, ddof")
    refused(write(tmp_path / "d", published="t1,1,x,weight,1\n"), "feols gives no weight", error=PublishedError)


def test_default_engines_of_designs(tmp_path):
    toml = edit('references = ["r.fixest"]\n', "", edit('candidates = ["pyfixest", "linearmodels"]\n', ""))
    folder = write(tmp_path, toml + DESIGN.partition('[[table.column]]\nid = "placebo"')[0])
    described = load_study(folder).column("d", "all")
    assert (described.candidates, described.references) == (("designs",), ("r.designs",))


def test_weights_of_att_gt(tmp_path):
    both = edit('cohort = "first"', 'cohort = "first", weights = "w"')
    request = load_study(write(tmp_path / "a", both)).column("t2", "att").request
    assert request.weights == WeightsSpec(column="w")
    outside = edit('estimator = "att_gt"', 'estimator = "att_gt"\nweights = "w"')
    assert load_study(write(tmp_path / "b", outside)).column("t2", "att").request.hash == request.hash
    refused(
        write(tmp_path / "c", both.replace('estimator = "att_gt"', 'estimator = "att_gt"\nweights = "year"')),
        "named twice",
    )


def test_rows_of_the_file():
    row = ToleranceRow(quantity="std_error", table="t1", candidate="statsmodels", rtol=1e-4, reason="IRLS stops early")
    assert row.applies("t1", "3", "r.fixest", "statsmodels")
    assert not row.applies("t2", "3", "r.fixest", "statsmodels")
    assert not row.applies("t1", "3", "r.fixest", "pyfixest")
    assert ToleranceRow(quantity="r2", column="*", rtol=0.1, reason="x").applies("any", "any", "a", "b")
    known = KnownRow(table="t1", term="x", kind="erratum", reason="typo", source="p. 3", version_range=">=0.60,<0.61")
    cell = SimpleNamespace(
        table="t1", column="1", term="x", quantity="estimate", reference="published", candidate="pyfixest"
    )
    assert known.matches(cell)
    assert not known.matches(SimpleNamespace(**{**vars(cell), "term": "z"}))


def test_unusual_names_work(tmp_path):
    csv = "省份,my var,T,if,ln(Labor),year\n" + "".join(
        f"{'甲乙丙'[i % 3]},{i},{i * i},{i % 4},{i % 5},{i}\n" for i in range(12)
    )
    toml = textwrap.dedent("""\
        schema = 1
        study = "names"
        [data]
        path = "panel.csv"
        [data.kinds]
        "省份" = "category"
        "my var" = "float"
        T = "float"
        if = "float"
        "ln(Labor)" = "float"
        [[table]]
        id = "t"
        [[table.column]]
        id = "1"
        formula = "`ln(Labor)` ~ T + `if` + `my var` | 省份"
        vcov = { type = "CRV1", cluster = ["省份"] }
        sample = { where = "省份 != '丙' and `my var` > 1 and T < 1000" }
        """)
    study, (frame,) = every_sample(write(tmp_path, toml, csv))
    assert study.columns[0].request.formula == "`ln(Labor)` ~ `T` + `if` + `my var` | `省份`"
    assert frame.row_ids.tolist() == [3, 4, 6, 7, 9, 10]
    unquoted = toml.replace("`ln(Labor)` ~", "ln(Labor) ~")
    refused(write(tmp_path, unquoted, csv), "write `ln(Labor)` in back-ticks", error=FormulaError)


@pytest.mark.parametrize(
    ("name", "columns", "rows"), [("fatalities", 23, 336), ("grunfeld", 21, 200), ("mpdta", 48, 2500)]
)
def test_the_real_studies(name, columns, rows):
    study, frames = every_sample(STUDIES / name)
    assert study.id == name
    assert len(study.columns) >= columns
    assert study.frame().nrows == rows
    assert all(c.estimated for c in study.columns)
    assert len(study.published) == len((STUDIES / name / "published.csv").read_text("utf-8").splitlines()) - 1
    assert study.notes
    for column, frame in zip(study.columns, frames, strict=True):
        assert set(frame.names) == set(column.request.columns)
        if column.formula is not None and column.request.estimator != "sunab":
            matrix = model_matrix(column.formula, frame, unit=column.request.unit, time=column.request.time)
            labels = {*matrix.names, *matrix.endogenous_names}
            for number in study.printed(column):
                known = number.term in labels or number.term in ("", "(Intercept)") or ":" in number.term
                assert (
                    known or column.request.estimator in ("re", "between") or number.term.startswith(("sigma", "rho"))
                )


def test_published_and_engine_numbers_meet_for_the_beer_tax():
    """Column 1 of Table 10.1 by least squares here: 0.36 is printed."""
    study = load_study(STUDIES / "fatalities")
    column = study.column("table10_1", "1")
    assert column.formula is not None
    matrix = model_matrix(column.formula, study.sample(column))
    estimate = np.linalg.lstsq(matrix.X, matrix.y, rcond=None)[0][matrix.names.index("beertax")]
    printed = next(n for n in study.printed(column) if (n.term, n.quantity) == ("beertax", "estimate"))
    assert printed.low <= estimate <= printed.high


def test_the_demonstration_is_valid_toml():
    assert tomllib.loads(TOML)["schema"] == 1


@pytest.mark.parametrize(
    ("candidates", "references", "said"),
    [((), ("oracle",), "no engine is a candidate"), (("oracle",), ("oracle",), "nothing is compared with itself")],
)
def test_a_column_needs_two_engines_or_one_and_the_print(write_study, candidates, references, said):
    with pytest.raises(StudyError, match=said):
        load_study(write_study(candidates=candidates, references=references))
