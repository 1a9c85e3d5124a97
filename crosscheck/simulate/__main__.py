"""Write the simulated studies: ``python -m crosscheck.simulate FOLDER [STUDY...]``."""

import sys
from pathlib import Path

from crosscheck.errors import CrosscheckError
from crosscheck.simulate.studies import write_studies


def _say(iteration: int, worst: float, label: str) -> None:
    sys.stderr.write(f"step {iteration}: {label} is {worst:.3g} half units off\n")


if len(sys.argv) < 2:
    sys.stderr.write("usage: python -m crosscheck.simulate FOLDER [STUDY...]\n")
    sys.exit(2)
try:
    write_studies(Path(sys.argv[1]), sys.argv[2:], _say)
except CrosscheckError as error:
    sys.stderr.write(f"crosscheck: {error}\n")
    sys.exit(error.exit_code)
