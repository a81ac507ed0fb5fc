"""The section of docs/quality.md about scores from gradients."""

from collections.abc import Sequence
from statistics import mean, median
from typing import Any

from incite_lab.pages.tables import markdown
from incite_lab.run.record import spread
from incite_lab.studies.quality import results

WAYS = ("exact", "gradient")
AGREEMENTS = ("rho", "jaccard", "jaccard_of_seeds")
BAR = 0.1  # points that gradients may lose more, on the mean


def section(part: dict[str, Any]) -> list[str]:
    text = (
        f"`incite-lab gradients`, {results.conditions(part)}. exact: `--scoring mutation`, mutants run; gradient: `--scoring gradient`, "
        "their effects are estimated. Both ways score the same samples (`--samples 2000`), which the seed draws; the networks stay the same. "
        "Fit: training samples given. ρ: Spearman's correlation of the clusters' contributions, mean over outputs, groups and seeds. "
        "Jaccard: channels that both ways' modules keep, as a share of those that one of them keeps, at the first size; mean over modules, "
        "groups and seeds. Of seeds: the same for two exact runs with different seeds. Scoring: billions of multiply-adds. CPU: seconds of a run "
        "at the first size, in all, waiting for other processes not counted. Change: combined accuracy (or mean absolute error) against the "
        "original's, on test data that no choice used. Difference: gradient against exact, by seed; above 0, gradients are "
        "better. ±: sample standard deviation over seeds; without it: one seed."
    )
    header = [
        "network", "outputs", "modules", "fit", "ρ", "Jaccard", "of seeds", "scoring, exact", "gradient", "CPU, exact", "gradient",
        "size", "change, exact", "gradient", "difference",
    ]  # fmt: skip
    lines = [line for one in part["subjects"].values() for line in rows_of(one)]
    groups = [line for one in part["subjects"].values() for line in groups_of(one)]
    return [
        text, "", *markdown(header, lines, "lr"), "", *verdicts(part), "",
        "By group, named by its first layer:", "",
        *markdown(["network", "group", "clusters", "ρ", "Jaccard", "of seeds"], groups, "llr"),
    ]  # fmt: skip


def rows_of(one: dict[str, Any]) -> list[list[str]]:
    """A line for each size; only the first says what all have in common."""
    common = [
        one["title"], str(one["outputs"]), str(one["modules"]), f"{one['fit']:,}", f"{over_groups(one, 'rho'):.3f}",
        f"{over_groups(one, 'jaccard'):.3f}", f"{over_groups(one, 'jaccard_of_seeds'):.3f}" if len(one["groups"][0]["rho"]) > 1 else "",
        *(f"{one['cost'][way]['multiply_adds'] / 1e9:.2f}" for way in WAYS), *(f"{one['cost'][way]['cpu_seconds']:.1f} s" for way in WAYS),
    ]  # fmt: skip
    lines = []
    for row in one["rows"]:
        unit = "points" if one["kind"] == "accuracy" else "% of MAE"
        changes = [f"{results.change_of(one['kind'], row[way])} {unit}" for way in WAYS]
        lines.append([*common, f"{row['target']}x", *changes, spread(gains(row), "+.2f")])
        common = [""] * len(common)
    return lines


def groups_of(one: dict[str, Any]) -> list[list[str]]:
    titles = [one["title"]] + [""] * len(one["groups"])
    return [
        [title, group["layer"], str(group["clusters"]), *(f"{mean(group[what]):.3f}" if group[what] else "" for what in AGREEMENTS)]
        for title, group in zip(titles, one["groups"], strict=False)
    ]


def over_groups(one: dict[str, Any], what: str) -> float:
    """The mean over groups and seeds."""
    return mean(mean(group[what]) for group in one["groups"])


def gains(row: dict[str, Any]) -> list[float]:
    """By seed: what modules of gradients lose less than those of exact scores; points, or per cent of the mean absolute error."""
    return [exact - estimated for exact, estimated in zip(row["exact"]["loss"], row["gradient"]["loss"], strict=True)]


def verdicts(part: dict[str, Any]) -> list[str]:
    """The bar for all classifiers together, and which miss it by themselves; regressions have no points."""
    lines = []
    if networks := [one for one in part["subjects"].values() if one["kind"] == "accuracy"]:
        lines.append(of_classifiers(networks))
    for one in part["subjects"].values():
        if one["kind"] == "mae":
            each = ", ".join("{:+.1f} % of MAE at {}x".format(mean(gains(row)), row["target"]) for row in one["rows"])
            lines.append(f"- {one['title']}: {each}.")
    return lines


def of_classifiers(networks: Sequence[dict[str, Any]]) -> str:
    means = {f"{one['title']}, {row['target']}x": mean(gains(row)) for one in networks for row in one["rows"]}
    missed = [f"{name} ({gain:+.2f})" for name, gain in means.items() if not holds(gain)]
    whole = mean(means.values())
    count = f"{len(networks)} {'classifier' if len(networks) == 1 else 'classifiers'}"
    return (
        f"- At most {BAR:g} points worse on the mean: {whole:+.2f} points over {count} and two sizes each, "
        f"{'held' if holds(whole) else 'missed'}; median {median(means.values()):+.2f}. By themselves {len(means) - len(missed)} of {len(means)} hold it"
        + (f"; not {', '.join(missed)}." if missed else ".")
    )


def holds(gain: float) -> bool:
    return round(gain, 2) >= -BAR
