"""What changed between two versions of an engine, and which side do the witnesses support?

Both versions run every column of some studies through the ordinary runner, beside witnesses that need neither: engines
of R, live or recorded, closed forms, the printed table. What is shown is a fold of those runs.
"""
