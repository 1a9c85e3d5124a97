"""How does a worker find crosscheck in an environment where it is not installed?

Run as a script by the interpreter of another environment. It makes ``crosscheck`` importable from the folder that this
file is in, and nothing else of the environment that crosscheck is installed in: a search path to that folder's parent
would put our versions of numpy and of the estimators before the pinned ones.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def adopt(package: Path) -> None:
    """Make a package importable from its folder alone."""
    spec = importlib.util.spec_from_file_location(
        package.name, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{package} is no package")
    module = importlib.util.module_from_spec(spec)
    sys.modules[package.name] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    adopt(Path(__file__).resolve().parents[1])
    from crosscheck.bridge.py_worker import main

    main()
