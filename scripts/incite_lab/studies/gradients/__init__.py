"""Scores from gradients against scores of mutants that run: docs/quality.md."""
