"""The families of checks, each a pure function from a paper to checks."""
