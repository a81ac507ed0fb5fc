"""Studies, benchmarks, sample models and pages of Incite. `incite-lab --help` lists the commands."""
