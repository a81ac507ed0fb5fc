"""Modules as the answer to a smaller problem, beside the original and networks trained for it: docs/quality.md."""
