"""What does a paper do beyond one regression, and which numbers follow?

One module a design: pure functions on arrays. ``docs/designs.md`` lists formulas, options and sources; the engines
``designs`` (Python) and ``r.designs`` (R) answer requests for them.
"""
