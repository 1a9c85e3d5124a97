"""Which JSON Schema describes a file or message of crosscheck?"""

from __future__ import annotations

from importlib import resources

from crosscheck.canon import dumps


def schema_text(name: str) -> str:
    """Return the JSON Schema (draft 2020-12) of ``report``, ``study``, ``request`` or ``result`` as text.

    Raises
    ------
    KeyError
        For any other name.
    """
    if name == "report":
        return resources.files("crosscheck.report").joinpath("schema.json").read_text("utf-8").rstrip("\n")
    from pydantic import TypeAdapter

    from crosscheck.results import EstimationResult
    from crosscheck.spec import FitRequest
    from crosscheck.study import StudyFile

    models = {"study": StudyFile, "request": FitRequest, "result": EstimationResult}
    body = TypeAdapter(models[name]).json_schema()
    return dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **body, "title": name}, indent=1)
