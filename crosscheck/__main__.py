"""``python -m crosscheck`` is the ``crosscheck`` command."""

from crosscheck.cli import main

main()
