"""Benchmarks: each writes a JSON file of this folder, and a section of docs/performance.md from it."""
