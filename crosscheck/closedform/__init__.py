"""What do the formulas of the papers give, computed plainly and in extended precision?

The arithmetic behind the ``oracle`` engine: least squares with dummies, covariance estimators, random effects, Sun and
Abraham's estimator, Callaway and Sant'Anna's. Nothing here imports an estimation package.
"""
