"""Two versions of a tiny package, each in an environment made by hand: pins are tested without a network."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from pathlib import Path

from crosscheck.bridge.environments import MANIFEST, SCHEMA, environments_dir, folder_name
from crosscheck.engines.base import YES, Support
from crosscheck.engines.oracle import ENGINE as ORACLE

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = "toy=tests.pinned_support:ENGINE"


class Toy:
    """An engine whose numbers are the oracle's, passed through whatever version of ``toyreg`` is installed."""

    id = "toy"
    language = "python"
    packages = ("toyreg",)

    def supports(self, request) -> Support:
        return YES

    def fit(self, request, frame):
        import toyreg

        return toyreg.spoil(ORACLE.fit(request, frame).with_(engine=self.id))

    def code(self, request, data_path) -> str:
        return "import toyreg"


ENGINE = Toy()


def make_version(cache: Path, version: str, source: str, package: str = "toyreg") -> Path:
    """Make the environment of ``toy@version`` whose ``toyreg`` has this source; return its folder."""
    requirements = (f"{package}=={version}",)
    folder = environments_dir(cache) / folder_name(requirements)
    site = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    for made in (folder / "bin", site):
        made.mkdir(parents=True)
    base = Path(sys._base_executable).resolve()
    (folder / "bin" / "python").symlink_to(base)
    (folder / "pyvenv.cfg").write_text(f"home = {base.parent}\n", "utf-8")
    (site / f"{package}.py").write_text(source, "utf-8")
    info = site / f"{package}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n", "utf-8")
    # what an environment has beside the package comes from this interpreter
    borrowed = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(ROOT)]
    (site / "borrowed.pth").write_text("\n".join(dict.fromkeys(borrowed)) + "\n", "utf-8")
    versions = {package: version, "python": sys.version.split()[0], "platform": "here", "numpy": "0"}
    manifest = {"schema": SCHEMA, "requirements": list(requirements), "versions": versions}
    (folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    return folder


def with_toy(monkeypatch, tmp_path: Path) -> Path:
    """Make the toy an engine like any other, and return the cache's folder."""
    from crosscheck import engines

    cache = tmp_path / "cache"
    monkeypatch.setenv("CROSSCHECK_ENGINES", ENVIRONMENT)
    monkeypatch.setenv("CROSSCHECK_CACHE", str(cache))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])))
    engines._plugins.cache_clear()
    engines.get.cache_clear()
    return cache


def forget() -> None:
    """Forget the toy."""
    from crosscheck import engines

    engines._plugins.cache_clear()
    engines.get.cache_clear()


HONEST = "def spoil(result):\n    return result\n"
SSC = """
from dataclasses import replace
def spoil(result):
    n, k = result.stats.nobs, result.conventions.k or len(result.coefs)
    factor = ((n - k) / n) ** 0.5
    return result.with_(coefs=tuple(replace(c, std_error=c.std_error * factor, statistic=c.statistic / factor)
                                    for c in result.coefs))
"""
SHIFT = """
from dataclasses import replace
def spoil(result):
    return result.with_(coefs=(replace(result.coefs[0], estimate=result.coefs[0].estimate * 1.25), *result.coefs[1:]))
"""
RAISES = "def spoil(result):\n    raise ValueError('the matrix is singular')\n"
WARNS = """
import warnings
def spoil(result):
    warnings.warn('one regressor is nearly collinear')
    return result
"""
REFUSES = """
from crosscheck.errors import Unsupported
def spoil(result):
    raise Unsupported('not at this version (notyet)')
"""
DROPS = "def spoil(result):\n    return result.with_(coefs=result.coefs[1:])\n"
EXTRA = """
from dataclasses import replace
def spoil(result):
    return result.with_(coefs=(*result.coefs, replace(result.coefs[0], term="phantom")))
"""
LOOSE = """
from dataclasses import replace
def spoil(result):
    return result.with_(coefs=tuple(replace(c, std_error=c.std_error * (1 + 1e-7)) for c in result.coefs))
"""
