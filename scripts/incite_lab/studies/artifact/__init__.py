"""The paper's public program against what the paper says: docs/artifact.md."""
