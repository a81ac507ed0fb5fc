"""Reuses, replaces and removes modules of LeNet-5 models, and writes the results to docs/compose.md.

Trains and decomposes models that are not in the cache folder. `incite compose` joins modules; Python loads the joined files and measures
them. Data are .npz files with x_train, y_train, x_test, y_test (uint8 [N, 28, 28]). MNIST is fetched if you give no file; other data that
you don't give is left out.

  incite-lab compose-demo --mnist mnist.npz --kuzushiji kmnist.npz --letters cmnist26.npz
"""

import argparse
from pathlib import Path

from incite_lab.models import data
from incite_lab.paths import BUILD, DOCS, MODELS, PROGRAM
from incite_lab.run.program import executable

PAGE = DOCS / "compose.md"
BEGIN, END = "<!-- results: written by incite-lab compose-demo -->\n", "<!-- end of results -->\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mnist", type=Path, metavar="FILE.npz", help="x_train, y_train, x_test, y_test")
    parser.add_argument("--kuzushiji", type=Path, metavar="FILE.npz", help="Kuzushiji-MNIST, the same arrays")
    parser.add_argument("--letters", type=Path, metavar="FILE.npz", help="CMNIST-26, handwritten Cyrillic letters, the same arrays")
    parser.add_argument("--cache", type=Path, default=BUILD / "compose", help="folder for models and modules (default: build/compose)")
    parser.add_argument("--incite", type=Path, default=PROGRAM, metavar="PROGRAM", help="the program (default: the release build)")
    parser.add_argument("--no-anew", action="store_true", help="don't train models on joined data for comparison")
    parser.add_argument("--print", action="store_true", help="print the results and leave the page as it is")


def main(args: argparse.Namespace) -> None:
    from incite_lab.models.training import repeatable
    from incite_lab.studies.compose.joining import Demo, results

    repeatable(threads=1)
    demo = Demo(executable(args.incite), args.cache.resolve())
    digits = demo.source("MNIST", data.mnist(args.mnist), MODELS / "lenet5-mnist" / "model.pt")
    given = (("Kuzushiji", args.kuzushiji), ("CMNIST-26", args.letters))
    others = [demo.source(name, data.from_npz(path)) for name, path in given if path is not None]
    text = "\n".join(results(demo, digits, others, not args.no_anew))
    print(text)
    if not args.print:
        head, _, rest = PAGE.read_text().partition(BEGIN)
        _, _, tail = rest.partition(END)
        PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}")
