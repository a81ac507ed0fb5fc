"""The incite-lab command: studies, benchmarks, sample models and pages of Incite."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast


class Command(Protocol):
    """A module with a command. HELP, or else the docstring, is the command's help.

    main: imports what is slow to import. `args.error(message)` ends the process as a wrong option does.
    """

    __doc__: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def main(self, args: argparse.Namespace) -> int | None: ...


# The module of each command, or an object in it; commands of a group have two words.
COMMANDS = {
    "reproduce": "studies.reproduction.reproduce",
    "artifact": "studies.artifact.artifact",
    "quality": "studies.quality.curves",
    "controls": "studies.quality.controls",
    "promises": "studies.quality.promises",
    "pruning": "studies.sets.pruning",
    "sets": "studies.sets.curve",
    "gradients": "studies.gradients.gradients",
    "reuse": "studies.reuse.reuse",
    "multilabel": "studies.made.studies:MULTILABEL",
    "segmentation": "studies.made.studies:SEGMENTATION",
    "experiments": "studies.experiments.experiments",
    "zoo": "studies.zoo.zoo",
    "compose-demo": "studies.compose.compose_demo",
    "options-page": "pages.options",
    "python-options": "pages.python_options",
    "onnx-page": "pages.onnx_page",
    "check resume": "checks.resume",
    "check rules": "checks.rules",
    "check same": "checks.same.command",
    "check wheel": "checks.wheel",
    "bench factors": "bench.factors",
    "bench growth": "bench.growth",
    "bench inspection": "bench.inspection",
    "bench large": "bench.large",
    "bench latency": "bench.latency",
    "bench outputs": "bench.outputs",
    "bench profile": "bench.scoring_profile",
    "bench few-samples": "bench.few_samples",
    "bench sampling": "bench.sampling",
    "bench speedup": "bench.speedup",
    "bench threads": "bench.threads",
    "bench vggnet16": "bench.vggnet16",
    "data digits": "models.made_data:DIGITS",
    "data shapes": "models.made_data:SHAPES",
    "train lenet5": "models.classifiers:LENET5",
    "train lenet5-mnist": "models.classifiers:LENET5_MNIST",
    "train lstm-mnist": "models.classifiers:LSTM_MNIST",
    "train resnet-fmnist": "models.classifiers:RESNET_FMNIST",
    "train resnet26-fmnist": "models.classifiers:RESNET26_FMNIST",
    "train transformer-fmnist": "models.classifiers:TRANSFORMER_FMNIST",
    "train lenet5-places": "models.classifiers:LENET5_PLACES",
    "train multilabel-mnist": "models.made_models:MULTILABEL_MNIST",
    "train unet-shapes": "models.made_models:UNET_SHAPES",
    "train fcn-shapes": "models.made_models:FCN_SHAPES",
    "train regression": "models.regression",
    "train vggnet16": "models.vggnet16",
    "train paper": "models.paper.train",
}


def overview(group: str) -> str:
    """Each command with the start of its help."""
    names = [name for name in COMMANDS if name.startswith(group)]
    lines = [f"usage: {' '.join(filter(None, ['incite-lab', group.strip(), 'COMMAND ...']))}", ""]
    lines += [f"  {name:20} {start_of_help(name)}" for name in names]
    return "\n".join([*lines, "", "incite-lab COMMAND --help shows the options of a command."])


def start_of_help(name: str) -> str:
    """The first line, up to a colon."""
    return help_of(command_of(name)).partition("\n")[0].partition(": ")[0].removesuffix(".")


def command_of(name: str) -> Command:
    module, _, attribute = COMMANDS[name].partition(":")
    found = import_module(f"incite_lab.{module}")
    return cast(Command, getattr(found, attribute) if attribute else found)


def help_of(command: Command) -> str:
    return getattr(command, "HELP", command.__doc__)


def main(words: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if words is None else [*words]
    name = next((name for count in (1, 2) if (name := " ".join(words[:count])) in COMMANDS), None)
    if name is None:
        group = f"{words[0]} " if words and any(known.startswith(f"{words[0]} ") for known in COMMANDS) else ""
        rest = words[1:] if group else words
        if rest and rest[0] in ("-h", "--help"):
            print(overview(group))
            return 0
        problem = f"no command {' '.join(words[: 2 if group else 1])!r}" if rest else "expected a command"
        print(f"{overview(group)}\n\nincite-lab: {problem}", file=sys.stderr)
        return 2
    command = command_of(name)
    parser = argparse.ArgumentParser(f"incite-lab {name}", description=help_of(command), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(error=parser.error)
    command.add_arguments(parser)
    return command.main(parser.parse_args(words[len(name.split()) :])) or 0
