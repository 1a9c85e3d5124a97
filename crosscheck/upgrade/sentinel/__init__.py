"""Which panels and specifications show that the numbers of a package have moved?

A sentinel set is a few hundred estimations for each package, on panels recorded in the repository, with the answers
of R and of the closed forms to them. Panels and specifications are drawn by seed over a grid of what users ask and
what data look like (:mod:`grid`); none was chosen for a bug (docs/upgrade_history.md says how this was checked).
"""
