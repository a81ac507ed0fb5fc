"""What charts share: colours and axes. Needs matplotlib, which scripts/setup.sh does not install."""

from pathlib import Path

from matplotlib import pyplot, ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's colours, which the colour-blind can tell apart.
BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
# Colour and mark of each way to make modules.
STYLES = {"paper": (ORANGE, "s"), "defaults": (BLUE, "o"), "finetune": (GREEN, "^"), "paper-sized": (PURPLE, "D")}
COMPRESSIONS = (1, 1.5, 2, 3, 5, 8, 10, 15, 20, 30, 50, 100, 200, 300, 500, 1000)

pyplot.switch_backend("Agg")


def save(figure: Figure, file: Path) -> None:
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def as_compression(axes: Axes) -> None:
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    ticks = [x for x in COMPRESSIONS if low <= x <= high]
    axes.xaxis.set_major_locator(ticker.FixedLocator(ticks) if len(ticks) > 2 else ticker.MaxNLocator(6))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:g}×"))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.set_xlabel("mean compression of a module: the original's parameters over its own (logarithmic)")
