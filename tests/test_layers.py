"""Does the code keep the arrows of ``docs/architecture.md``, and the promises that no run can show?"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "crosscheck"
MODULES = sorted(PACKAGE.rglob("*.py"))
ESTIMATORS = ("pyfixest", "linearmodels", "statsmodels", "csdid", "drdid", "rpy2", "matplotlib", "formulaic")
ENTRY = {"__init__", "__main__"}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def name_of(path: Path) -> str:
    """Return the module or subpackage of crosscheck that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Yield the full names that a file imports, but for those that only its types need."""
    for node in runtime(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("importlib.import_module", "import_module")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


def runtime(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield child
            yield from runtime(child)


def ours(path: Path) -> set[str]:
    """Return the modules and subpackages of crosscheck that a file imports."""
    parts = (name.split(".") for name in imported(path))
    found = {p[1] for p in parts if p[0] == "crosscheck" and len(p) > 1}
    return found - {"__version__", name_of(path)}


@lru_cache(maxsize=1)
def arrows() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in MODULES:
        found.setdefault(name_of(path), set()).update(ours(path))
    return found


@lru_cache(maxsize=1)
def layers() -> dict[str, int]:
    """Read the layer of every module from the table of the document."""
    found: dict[str, int] = {}
    for line in (ROOT / "docs" / "architecture.md").read_text("utf-8").splitlines():
        row = re.fullmatch(r"\| ([0-9]) \| [^|]+ \|([^|]+)\|", line)
        for name in re.findall(r"`([a-z_0-9]+)`", row[2]) if row else ():
            assert name not in found, f"{name} stands twice in the table"
            found[name] = int(row[1])
    return found


def test_the_document_names_every_module_once_and_no_other():
    assert set(layers()) == set(arrows()) - ENTRY
    assert len((ROOT / "docs" / "architecture.md").read_text("utf-8").splitlines()) <= 70


def test_arrows_point_downwards():
    rank = layers()
    upwards = {(a, b) for a, targets in arrows().items() if a not in ENTRY for b in targets if rank[b] > rank[a]}
    assert upwards == set()
    assert len(set(rank.values())) >= 6
    assert sum(len(targets) for targets in arrows().values()) > 100


def test_no_modules_import_each_other_in_a_circle():
    graph, done = arrows(), set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " imports ".join((*above[above.index(name) :], name))
        if name not in done:
            for target in sorted(graph.get(name, ())):
                visit(target, (*above, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


FORBIDDEN = {
    "engines": {"published", "truth", "study", "compare", "explain", "store", "plan", "report", "audit", "bridge"},
    "closedform": {"engines", "published", "truth", "compare", "bridge"},
    "designs": {"engines", "published", "truth", "compare", "bridge"},
    "report": {"engines", "bridge", "plan", "runner", "store", "study", "data", "explain", "compare", "session"},
    "compare": {"engines", "bridge", "study", "explain", "report"},
    "audit": {"engines", "bridge", "plan", "runner", "study"},
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_must_not_know_of_each_other_does_not(name):
    """Engines never see the number that is expected of them; a report never estimates; the comparator is blind."""
    assert arrows()[name] & FORBIDDEN[name] == set()
    assert FORBIDDEN[name] <= set(layers())


def test_only_the_worker_of_r_imports_rpy2():
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        for full in imported(path)
        if full.split(".")[0] == "rpy2"
    }
    assert users == {"bridge/rpy2_worker.py", "bridge/rconvert.py"}
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        for full in imported(path)
        if re.match(r"crosscheck\.bridge\.(rconvert|rpy2_worker)", full)
    }
    assert importers <= {"bridge/rpy2_worker.py"}


def test_importing_engines_bridge_and_plan_imports_no_estimator():
    names = [f"crosscheck.{'.'.join(p.relative_to(PACKAGE).with_suffix('').parts)}" for p in MODULES]
    wanted = [
        n
        for n in names
        if re.match(r"crosscheck\.(engines|plan|session|doctor|explaining|scaffold|report|explain|closedform)\b", n)
    ]
    assert len(wanted) > 40
    wanted = [n.removesuffix(".__init__") for n in wanted]
    code = f"import sys, importlib\nfor n in {wanted!r}: importlib.import_module(n)\nprint(*sorted(sys.modules))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.split(".")[0] for name in process.stdout.split()}
    assert "numpy" in loaded
    assert loaded & set(ESTIMATORS) == set()


def test_the_engines_import_their_library_when_they_fit_and_nowhere_else():
    at_top = {
        (path.relative_to(PACKAGE).as_posix(), alias)
        for path in MODULES
        for node in tree(path).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if alias.split(".")[0] in ESTIMATORS
    }
    assert at_top == set()


NEVER = {"eval", "exec", "compile", "__import__"}
NEVER_METHODS = {"query", "eval", "system", "popen"}


def test_no_text_is_run_as_code_in_python():
    found = []
    for path in [*MODULES, ROOT / "noxfile.py", *sorted((ROOT / "benchmarks").glob("*.py"))]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import) and {a.name.split(".")[0] for a in node.names} & {
                "pickle",
                "marshal",
                "yaml",
            }:
                found.append((path.name, node.lineno))
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            named = isinstance(function, ast.Name) and function.id in NEVER
            method = isinstance(function, ast.Attribute) and function.attr in NEVER_METHODS
            shell = any(k.arg == "shell" for k in node.keywords)
            if named or method or shell:
                found.append((path.name, node.lineno))
    assert found == []


def test_no_text_is_run_as_code_in_r():
    words = r"\b(parse|str2lang|str2expression|as\.formula|reformulate|system|system2|shell)\("
    # guard.R reads a formula in order to check it; the other two name columns that R itself has numbered.
    allowed = {("guard.R", "str2lang"): 1, ("did.R", "reformulate"): 1, ("matchit.R", "reformulate"): 1}
    found, read = [], 0
    for path in sorted((ROOT / "r_scripts").glob("*.R")):
        for line in path.read_text("utf-8").splitlines():
            read += 1
            found += [(path.name, word) for word in re.findall(words, line.partition("#")[0])]
    assert Counter(found) == allowed
    assert read > 500


def tracked() -> list[Path]:
    try:
        process = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True, cwd=ROOT)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git: not a checkout")
    return [ROOT / name for name in process.stdout.split("\0") if name and (ROOT / name).is_file()]


PATHS = re.compile(r"(?<![\w.~*}/])/(?:root|work|home|opt|tmp|Users|mnt)/[\w.]|\b[A-Z]:\\\\?Users")
HOSTS = re.compile(
    r"\b(?:[\w-]+\.)*(?:pypi\.(?:org|python\.org)|pythonhosted\.org|r-project\.org|anaconda\.(?:org|com)|"
    r"packagemanager\.(?:posit|rstudio)\.\w+|r-universe\.dev|npmjs\.(?:org|com)|debian\.org|ubuntu\.com)\b"
)


def test_the_patterns_find_what_they_are_for():
    for text in ("see " + "/ro" + "ot/x", '"' + "/tm" + 'p/y"', "C:" + "\\Users\\me"):
        assert PATHS.search(text), text
    for text in ("https://py" + "pi.org/simple", "cran." + "r-pro" + "ject.org", "deb." + "deb" + "ian.org"):
        assert HOSTS.search(text), text
    assert not PATHS.search("reports/t" + "mp/x and ~/wo" + "rk/x and https://example.org/home/page")


def test_tracked_files_name_no_machine_and_no_registry():
    found = []
    files = tracked()
    for path in files:
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
            if PATHS.search(line) or HOSTS.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []
    assert len(files) > 200
