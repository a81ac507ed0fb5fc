"""What compression costs, against what else one could do, on a few networks: docs/quality.md."""
