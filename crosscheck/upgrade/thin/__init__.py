"""What runs in the environment of another version: standard library, numpy, pandas and the package itself.

Nothing here imports crosscheck, and crosscheck imports nothing from here: ``worker.py`` is started by the interpreter
of that environment, which may be as old as Python 3.9.
"""
