"""Pages of docs/: their sections, tables and charts."""
