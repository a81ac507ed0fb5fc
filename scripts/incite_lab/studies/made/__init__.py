"""Modules of models that are not plain classifiers or regressors, on made data: docs/quality.md."""
