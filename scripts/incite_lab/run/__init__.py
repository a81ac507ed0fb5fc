"""Runs of the incite program: one at a time, side by side, and finished ones read back from a store."""
