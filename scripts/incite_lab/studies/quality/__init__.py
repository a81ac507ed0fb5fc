"""The loss against compression on a few networks, with alternatives: docs/quality.md."""
