"""Slices and heads as the paper's public program makes them from the clusters that it keeps, or with some of its mistakes."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from incite_lab.models.paper.subjects import NETWORKS
from incite_lab.studies.artifact.ways import FLATTEN, NORM, REGRESSION, ROUNDING, SEEDS, START, VALIDATION, WAYS

EPOCHS, BATCH, LEARNING_RATE = 128, 32, 1e-3
DECAYS, EPSILON = (0.9, 0.999), 1e-7  # Adam's, as Keras has them
VALIDATING = 0.1  # share of a class's samples
PENALTIES = (1e-4, 1e-3, 1e-2)  # of logistic regression, of which the validation samples choose

Kept = Mapping[str, Sequence[int]]  # channels by layer


class Artifact:
    """The modules that keep these channels, with heads that are trained in `seeds` orders of their samples.

    Data: x uint8 [N, 1, H, W], y [N]. The network ends with its output layer and a softmax.
    """

    def __init__(
        self, network: nn.Sequential, kept: Sequence[Kept], train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], seeds: int
    ) -> None:
        self.network, self.kept, self.train, self.test, self.seeds = network.eval(), kept, train, test, seeds
        self.fitted_to = [balanced(train[1], output) for output in range(len(kept))]
        # Ways share what their mistakes do not change.
        self.features_of: dict[frozenset[str], list[tuple[Tensor, Tensor]]] = {}
        self.odds_of: dict[frozenset[str], Tensor] = {}

    @torch.no_grad()
    def combined_accuracies(self, mistakes: Collection[str]) -> list[float]:
        """Of the modules together, for each order."""
        odds = self.odds(frozenset(mistakes) - {ROUNDING})
        scores = odds.softmax(3)[..., 1] if ROUNDING in mistakes else odds[..., 1] - odds[..., 0]
        return (scores.argmax(0) == self.test[1]).double().mean(1).tolist()

    @torch.no_grad()
    def accuracy_by_regression(self) -> float:
        """Of the modules together without mistakes, with heads by logistic regression on the same samples: what the features allow."""
        torch.manual_seed(0)
        columns = [
            test @ (head := regressed(train, own))[:-1] + head[-1]
            for (_, own), (train, test) in zip(self.fitted_to, self.features(frozenset()), strict=True)
        ]
        return float((torch.stack(columns).argmax(0) == self.test[1]).double().mean())

    def odds(self, mistakes: frozenset[str]) -> Tensor:
        """What heads say of the test data that are trained as that program trains them: [outputs, seeds, N, 2]."""
        if mistakes not in self.odds_of:
            features = self.features(mistakes & {FLATTEN, NORM})
            last = self.network[-2]
            assert isinstance(last, nn.Linear)
            before = [name for name, module in self.network[:-2].named_children() if isinstance(module, nn.Conv2d | nn.Linear)][-1]
            torch.manual_seed(0)
            columns = []
            for output, ((_, own), (train, test)) in enumerate(zip(self.fitted_to, features, strict=True)):
                weight, bias = start(last, torch.tensor(self.kept[output][before]), output, exchanged=START in mistakes)
                heads = trained(torch.cat([weight, bias[:, None]], 1), train, own, VALIDATION in mistakes, self.seeds)
                columns.append(test @ heads[..., :-1].mT + heads[:, None, :, -1])
            self.odds_of[mistakes] = torch.stack(columns)
        return self.odds_of[mistakes]

    def features(self, mistakes: frozenset[str]) -> list[tuple[Tensor, Tensor]]:
        """What each output's slice gives for the samples that its head is fitted to, and for the test data."""
        if mistakes not in self.features_of:
            bodies = [nn.Sequential(*sliced(self.network, channels, mistakes)).eval() for channels in self.kept]
            self.features_of[mistakes] = [
                (evaluated(body, self.train[0][rows]), evaluated(body, self.test[0]))
                for body, (rows, _) in zip(bodies, self.fitted_to, strict=True)
            ]
        return self.features_of[mistakes]


def accuracies(network: str, folder: Path, kept: Sequence[Kept], threads: int) -> dict[str, list[float]]:
    """By way, of the modules together, for each seed. `folder`: the original's, with its data."""
    torch.set_num_threads(threads)
    state = torch.jit.load(str(folder / "model.pt")).state_dict()
    original = NETWORKS[network].make(1, len([*state.values()][-1]))
    original.load_state_dict(state)
    artifact = Artifact(original, kept, arrays(folder / "train.npz"), arrays(folder / "test.npz"), SEEDS)
    found = {way: artifact.combined_accuracies(mistakes) for way, mistakes in WAYS.items()}
    return {REGRESSION: [artifact.accuracy_by_regression()], **found}


def arrays(file: Path) -> tuple[Tensor, Tensor]:
    data = np.load(file)
    return torch.from_numpy(data["x"]), torch.from_numpy(data["y"])


def evaluated(body: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([body(rows.float() / 255) for rows in x.split(250)])


def sliced(network: nn.Sequential, kept: Kept, mistakes: Collection[str]) -> list[nn.Module]:
    """The layers before the output layer."""
    layers: list[nn.Module] = []
    channels: Tensor | None = None  # kept of the `width` of the layer before
    width = 0
    for name, module in [*network.named_children()][:-2]:
        if isinstance(module, nn.Conv2d | nn.Linear):
            rows = torch.tensor(kept[name])
            weight = module.weight if channels is None else columns_of(module.weight, channels, width, FLATTEN in mistakes)
            layers.append(layer_of(module, weight[rows], module.bias[rows]))
            channels, width = rows, len(module.weight)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            layers.append(nn.Identity() if NORM in mistakes else norm_of(module, channels))
        else:
            layers.append(module)
    return layers


def columns_of(weight: Tensor, channels: Tensor, width: int, mistaken: bool) -> Tensor:
    """Of these of `width` channels; each is some columns of a dense layer after a flattening."""
    if weight.dim() > 2 or weight.shape[1] == width:
        return weight[:, channels]
    positions = weight.shape[1] // width
    by_channel = weight.unflatten(1, (width, positions))
    if not mistaken:
        return by_channel[:, channels].flatten(1)
    channels_last = by_channel.transpose(1, 2).flatten(1)
    chosen = (channels[:, None] * positions + torch.arange(positions)).flatten()
    return channels_last[:, chosen].unflatten(1, (positions, len(channels))).transpose(1, 2).flatten(1)


def layer_of(module: nn.Conv2d | nn.Linear, weight: Tensor, bias: Tensor) -> nn.Module:
    rows, columns = weight.shape[:2]
    layer: nn.Conv2d | nn.Linear
    if isinstance(module, nn.Conv2d):
        layer = nn.Conv2d(columns, rows, module.kernel_size, module.stride, module.padding)
    else:
        layer = nn.Linear(columns, rows)
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)
    return layer


def norm_of(module: nn.BatchNorm1d | nn.BatchNorm2d, channels: Tensor) -> nn.Module:
    norm = type(module)(len(channels), module.eps)
    norm.load_state_dict({key: value[channels] if value.dim() else value for key, value in module.state_dict().items()})
    return norm


def balanced(y: Tensor, output: int) -> tuple[Tensor, Tensor]:
    """All samples of the class, then as many of others, by turns; and which are of it."""
    classes = [(y == k).nonzero()[:, 0] for k in range(int(y.max()) + 1)]
    own = classes.pop(output)
    others = nn.utils.rnn.pad_sequence(classes, padding_value=-1).flatten()  # the first of each class, the second of each, …
    others = others[others >= 0]
    # That program ends with a whole turn.
    turns = -(-len(own) // len(classes)) * len(classes)
    rows = torch.cat([own, others[:turns]])
    return rows, (torch.arange(len(rows)) < len(own)).long()


def start(last: nn.Linear, channels: Tensor, output: int, exchanged: bool) -> tuple[Tensor, Tensor]:
    """The mean of the other outputs' rows, and the output's own."""
    weight, bias = last.weight[:, channels], last.bias
    others = torch.arange(len(bias)) != output
    rows = [weight[others].mean(0), weight[output]], [bias[others].mean(0), bias[output]]
    weight, bias = (torch.stack(pair) for pair in rows)
    return (weight.flip(0), bias.flip(0)) if exchanged else (weight, bias)


def trained(head: Tensor, x: Tensor, own: Tensor, ordered: bool, seeds: int) -> Tensor:
    """By Adam on the cross entropy of two columns; the first epoch of the greatest validation accuracy is taken.

    head: two rows of weights, a bias last. ordered: the last samples validate, else random ones. Gives [seeds, 2, D + 1]: seeds are
    trained side by side, each in an order of its own.
    """
    count, fitted = len(x), len(x) - int(VALIDATING * len(x))
    order = torch.arange(count).expand(seeds, -1) if ordered else torch.rand(seeds, count).argsort(1)
    x = torch.cat([x, torch.ones(count, 1)], 1)
    target = nn.functional.one_hot(own, 2).float()
    head = head.repeat(seeds, 1, 1)
    moments = [torch.zeros_like(head), torch.zeros_like(head)]
    best, taken, step = torch.full([seeds], -1.0), head, 0
    for _ in range(EPOCHS):
        for rows in order[:, :fitted].gather(1, torch.rand(seeds, fitted).argsort(1)).split(BATCH, 1):
            step += 1
            batch = x[rows]
            gradient = ((batch @ head.mT).softmax(2) - target[rows]).mT @ batch / rows.shape[1]
            for moment, decay, value in zip(moments, DECAYS, (gradient, gradient * gradient), strict=True):
                moment.lerp_(value, 1 - decay)
            rate = LEARNING_RATE * (1 - DECAYS[1] ** step) ** 0.5 / (1 - DECAYS[0] ** step)
            head = head - rate * moments[0] / (moments[1].sqrt() + EPSILON)
        predicted = (x @ head.mT).argmax(2).gather(1, order[:, fitted:])
        accuracy = (predicted == own[order[:, fitted:]]).float().mean(1)
        better = accuracy > best
        best, taken = torch.where(better, accuracy, best), torch.where(better[:, None, None], head, taken)
    return taken


def regressed(x: Tensor, own: Tensor) -> Tensor:
    """Weights, and a bias last, of the log-odds; the penalty is on weights of features of deviation 1."""
    count = int(VALIDATING * len(x))
    validating, fitted = torch.randperm(len(x)).split([count, len(x) - count])
    middle, deviation = x.mean(0), x.std(0) + 1e-6
    x = torch.cat([(x - middle) / deviation, torch.ones(len(x), 1)], 1)
    sign = 2 * own.float() - 1

    def head_at(penalty: float) -> Tensor:
        head = torch.zeros(x.shape[1], requires_grad=True)
        optimizer = torch.optim.LBFGS([head], max_iter=100, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            with torch.enable_grad():
                value = nn.functional.softplus(-sign[fitted] * (x[fitted] @ head)).mean() + penalty * head[:-1].square().sum()
                value.backward()
            return value

        optimizer.step(closure)
        return head.detach()

    def loss(head: Tensor) -> float:
        return float(nn.functional.softplus(-sign[validating] * (x[validating] @ head)).mean())

    head = min(map(head_at, PENALTIES), key=loss)
    weight = head[:-1] / deviation
    return torch.cat([weight, (head[-1] - weight @ middle)[None]])
