"""The user's own experiments, from a TOML file to a table: docs/experiments.md."""
