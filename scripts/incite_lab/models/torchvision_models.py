"""torchvision's classification and segmentation models, with random weights through which a signal passes."""

import math
import re
from collections.abc import Iterable
from typing import Any

import torch
import torchvision
from torch import nn

SAMPLES = 6
CALIBRATION = 16  # samples that set batch norms' statistics
SIZES = (32, 48, 64, 75, 96, 112, 128, 160, 192, 224, 256, 299)  # inputs to try, smallest first


class NotExported(Exception):
    """PyTorch can't write it in this form."""


class Failed(Exception):
    """No result: out of time or memory, or a mistake in the study."""


def one_line(error: BaseException | str) -> str:
    """The line of an error that says what happened: TorchScript puts frames before it and code after it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    messages = [line for line in lines if re.match(r"(RuntimeError|Error|.*Exception): ", line)]
    return (messages or lines or [type(error).__name__])[0]


def is_segmentation(name: str) -> bool:
    return name in torchvision.models.list_models(module=torchvision.models.segmentation)


def new_model(name: str, size: int) -> nn.Module:
    """A model with torchvision's initial weights, for square inputs of this size where its constructor asks for one."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"weights": None}
    if is_segmentation(name):
        options["weights_backbone"] = None
    if name.startswith("vit_"):
        options["image_size"] = size
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False  # minutes of truncated normals, which fill_in would replace anyway
    return torchvision.models.get_model(name, **options).eval()


def fill_in(model: nn.Module) -> None:
    """Gives values to parameters that start at 0, 1 or another constant.

    A head, a layer scale or a gamma of 0 would hide every mistake before it; a norm that is the identity could be cut in the
    wrong places unseen.
    """
    norms = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
    known = (nn.modules.conv._ConvNd, nn.Linear, nn.MultiheadAttention)
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            constant = bool(parameter.min() == parameter.max())
            if isinstance(module, norms):
                nn.init.uniform_(parameter, 0.5, 1.5) if name == "weight" else nn.init.normal_(parameter, std=0.1)
            elif not isinstance(module, known):  # layer scales, tokens, tables of positions
                parameter.add_(torch.randn_like(parameter), alpha=0.5)
            elif constant:
                nn.init.normal_(parameter, std=0.1)


def unit_scale(layer: nn.Module, _: Any, output: torch.Tensor) -> torch.Tensor:
    """A forward hook: scales a layer's weights so that its output has a standard deviation of 1."""
    scale = float(output.std())
    if not math.isfinite(scale) or scale < 1e-6:
        return output
    layer.weight.div_(scale)
    if layer.bias is not None:
        layer.bias.div_(scale)
    return output / scale


def forward_scaling(model: nn.Module, layers: Iterable[nn.Module], samples: torch.Tensor) -> None:
    hooks = [layer.register_forward_hook(unit_scale) for layer in layers]
    model(samples)
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def calibrate(model: nn.Module, size: int) -> None:
    """Sets scales and batch norms' statistics: in 200 layers of initial ones a signal dies out or overflows."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    layers = [module for module in model.modules() if isinstance(module, (nn.modules.conv._ConvNd, nn.Linear))]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0  # take this batch's statistics as they are
    forward_scaling(model, layers, normal(CALIBRATION, size, seed=2))
    for norm, momentum in zip(norms, momenta):
        norm.eval()
        norm.momentum = momentum
    # One pixel a sample says little of a channel's variance: on other samples the error would grow with each layer.
    forward_scaling(model, norms, normal(CALIBRATION, size, seed=5))


def normal(count: int, size: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, size, size, generator=generator)


def logits_of(output: Any) -> torch.Tensor:
    """The logits: GoogLeNet and Inception give a tuple with auxiliary heads, as TorchScript even without; segmentation a dict."""
    if isinstance(output, dict):
        return output["out"]
    return output[0] if isinstance(output, tuple) else output


@torch.no_grad()
def check_signal(model: nn.Module, samples: torch.Tensor) -> None:
    """Stops at a model whose output says nothing about its input: every later check would pass on it."""
    logits = logits_of(model(samples))
    spread, moved = float(logits.std()), float(logits.std(dim=0).mean())
    if not (torch.isfinite(logits).all() and 1e-3 < spread < 1e3 and moved > 1e-3 * spread):
        raise Failed(f"logits of standard deviation {spread:.2g}, between samples {moved:.2g}: calibrate the model otherwise")


def sizes_to_try(name: str) -> tuple[int, ...]:
    """ViT accepts one patch, but then its sequence has nothing to attend to: two patches a side."""
    patch = re.fullmatch(r"vit_\w+_(\d+)", name)
    return (2 * int(patch[1]),) if patch else SIZES


def smallest(name: str) -> tuple[nn.Module, int]:
    """The model, ready to export, and the smallest input that it accepts."""
    refusal = ""
    for size in sizes_to_try(name):
        try:
            model = new_model(name, size)
            with torch.no_grad():
                model(normal(2, size, seed=1))
        except (RuntimeError, ValueError, AssertionError) as error:
            refusal = one_line(error)
            continue
        with torch.no_grad():
            fill_in(model)
        calibrate(model, size)
        check_signal(model, normal(SAMPLES, size, seed=3))
        return model, size
    raise NotExported(f"accepts no input of up to {SIZES[-1]} pixels: {refusal}")


class Exported:
    """A program of torch.export, for batches of any size."""

    def __init__(self, model: nn.Module, example: torch.Tensor) -> None:
        axes = ({0: torch.export.Dim("n")},)
        self.program = torch.export.export(model, (example,), dynamic_shapes=axes, strict=False)

    def __call__(self, samples: torch.Tensor) -> Any:
        return self.program.module()(samples)

    def save(self, file: str) -> None:
        with open(file, "wb") as stream:  # a name must end in .pt2; incite takes any
            torch.export.save(self.program, stream)


def export(model: nn.Module, form: str, size: int) -> torch.jit.ScriptModule | Exported:
    example = normal(2, size, seed=1)
    try:
        if form == "export":
            return Exported(model, example)
        if form == "script":
            return torch.jit.script(model)
        if form == "frozen":
            return torch.jit.freeze(torch.jit.script(model))
        with torch.set_grad_enabled(form == "trace"):
            return torch.jit.trace(model, example, check_trace=False, strict=False)  # it may return a dict
    except Exception as error:  # both raise whatever their compilers' Python raised
        raise NotExported(one_line(error)) from error
