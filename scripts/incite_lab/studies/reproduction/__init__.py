"""The paper's tables, from data and training to pages: docs/reproduction.md."""
