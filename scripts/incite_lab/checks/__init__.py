"""Checks that take too long for every test run: resuming after kills, and whether tests notice broken rules."""
