"""Which disagreements between estimators has nobody reported yet? Panels of known effect, drawn from seeds, find out.

:mod:`crosscheck.campaign.case` holds what a case, a property and a discrepancy are.
"""
