"""Networks pruned by Torch-Pruning, as it is used: by importance over all layers, and then fine-tuned on the labels."""

import copy
from dataclasses import dataclass
from functools import partial

import torch
import torch_pruning
from torch import Tensor, nn
from torch.nn import functional as F

from incite_lab.models.training import as_input
from incite_lab.studies.quality.subjects import Subject

BATCH = 64
LEARNING_RATES = (3e-3, 1e-3, 3e-4)  # the one that is best on held-out training samples is taken
HELD_OUT = 0.2
TAYLOR_SAMPLES = 1_024
IMPORTANCES = {
    "magnitude": partial(torch_pruning.importance.GroupMagnitudeImportance, p=2),
    "taylor": torch_pruning.importance.GroupTaylorImportance,
}


@dataclass(frozen=True)
class Pruned:
    combined: float  # accuracy, or mean absolute error, on the test data
    parameters: int


class Data:
    """A subject's samples as tensors, and its loss."""

    def __init__(self, subject: Subject) -> None:
        arrays = subject.arrays()
        self.regression = subject.regression
        self.x, self.x_test = arrays["x_train"], as_input(arrays["x_test"])
        self.y, self.y_test = torch.from_numpy(arrays["y_train"]), torch.from_numpy(arrays["y_test"])

    def loss(self, model: nn.Module, rows: Tensor) -> Tensor:
        outputs = model(as_input(self.x[rows.numpy()]))
        return F.l1_loss(outputs, self.y[rows]) if self.regression else F.cross_entropy(outputs, self.y[rows])

    @torch.no_grad()
    def measure(self, model: nn.Module) -> float:
        outputs = torch.cat([model(batch) for batch in self.x_test.split(500)])
        found = (outputs - self.y_test).abs() if self.regression else (outputs.argmax(1) == self.y_test).double()
        return float(found.mean())


def original(subject: Subject) -> nn.Module:
    """The subject's network with its trained weights."""
    weights = torch.jit.load(str(subject.model)).state_dict()
    outputs = weights[list(weights)[-1]].shape[0]
    model = subject.make()(outputs)  # type: ignore[call-arg]
    model.load_state_dict(weights)
    return model.eval()


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def pruned(model: nn.Module, ratio: float, importance: str, data: Data, seed: int) -> nn.Module:
    """The network with this share of all channels gone, those of least importance."""
    model = copy.deepcopy(model)
    last = list(model.children())[-1]
    example = as_input(data.x[:2])
    pruner = torch_pruning.pruner.BasePruner(
        model, example, importance=IMPORTANCES[importance](), global_pruning=True, pruning_ratio=ratio, ignored_layers=[last]
    )
    if importance == "taylor":
        rows = torch.randperm(len(data.y), generator=torch.Generator().manual_seed(seed))[:TAYLOR_SAMPLES]
        data.loss(model, rows).backward()
    pruner.step()
    model.zero_grad(set_to_none=True)
    return model


def of_size(model: nn.Module, most: int, importance: str, data: Data, seed: int) -> nn.Module:
    """The largest pruned network of at most so many parameters, by bisection of the share."""
    low, high = 0.0, 1.0
    found: nn.Module | None = None
    for _ in range(12):
        middle = (low + high) / 2
        candidate = pruned(model, middle, importance, data, seed)
        if parameters(candidate) <= most:
            found, high = candidate, middle
        else:
            low = middle
    assert found is not None
    return found


def finetuned(model: nn.Module, epochs: int, rate: float, rows: Tensor, data: Data, seed: int) -> nn.Module:
    """Adam with half a cosine of the learning rate."""
    model = copy.deepcopy(model).train()
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    steps = epochs * -(-len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for batch in rows[torch.randperm(len(rows), generator=generator)].split(BATCH):
            optimizer.zero_grad()
            data.loss(model, batch).backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def best_finetuned(model: nn.Module, epochs: int, data: Data, seed: int) -> nn.Module:
    """With the learning rate that is best on a fifth of the samples, which it is not trained on."""
    order = torch.randperm(len(data.y), generator=torch.Generator().manual_seed(seed))
    held_out, rows = order[: int(HELD_OUT * len(order))], order[int(HELD_OUT * len(order)) :]
    tried = [finetuned(model, epochs, rate, rows, data, seed) for rate in LEARNING_RATES]
    with torch.no_grad():
        losses = [float(data.loss(each, held_out)) for each in tried]
    return tried[losses.index(min(losses))]


def prune(subject: Subject, times: float, importance: str, epochs: int, seed: int, threads: int) -> Pruned:
    """Prunes the subject's network to the original's parameters divided by `times`, and fine-tunes it."""
    torch.set_num_threads(threads)
    data, model = Data(subject), original(subject)
    small = of_size(model, int(parameters(model) / times), importance, data, seed)
    if epochs > 0:
        small = best_finetuned(small, epochs, data, seed)
    return Pruned(data.measure(small), parameters(small))
