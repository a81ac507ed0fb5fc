"""Models as .pt2 archives, read and written: the same units, modules and outputs as with TorchScript."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import exported
import networks
from conftest import Cli

FAMILIES = list(exported.FAMILIES)
KEEP = ("--keep", "0.6", "--threads", "1")


class Made:
    """A family's model in both formats, and what was made of it."""

    def __init__(self, binary: Path, folder: Path, family: str) -> None:
        self.cli, self.family, self.model = Cli(binary, folder), family, exported.model_of(family)
        torch.jit.script(self.model).save(str(folder / "model.pt"))
        self.program = exported.export(self.model, exported.inputs_of(family, 4))
        torch.export.save(self.program, folder / "model.pt2")
        exported.save_data(family, folder / "data.npz")
        self.options = ("--data", "data.npz", *exported.keys_of(family))

    def inspect(self, model: str) -> dict[str, Any]:
        return json.loads(self.cli.done("inspect", model, *self.options, "--json"))

    def decompose(self, model: str, out: str, *more: str) -> None:
        if not (self.cli.folder / out).exists():
            self.cli.done("decompose", model, *self.options, *KEEP, "--out", out, *more, "--quiet")

    def module(self, out: str, number: int, ending: str) -> Path:
        return self.cli.folder / out / f"module-{number}.{ending}"


@pytest.fixture(scope="module", params=FAMILIES)
def made(request: pytest.FixtureRequest, binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(binary, tmp_path_factory.mktemp("made"), request.param)


@pytest.fixture(scope="module")
def mlp(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The smallest, decomposed in both formats. Tests must not change it."""
    one = Made(binary, tmp_path_factory.mktemp("mlp"), "mlp")
    one.decompose("model.pt2", "exported", "--format", "pt2")
    one.decompose("model.pt2", "scripted")
    return one


def structure(inspected: dict[str, Any]) -> dict[str, Any]:
    groups = [{key: group[key] for key in ("layers", "units", "pinned")} for group in inspected["groups"]]
    # A script and a program name other lines of PyTorch's own code.
    layers = [{key: value for key, value in layer.items() if key != "source"} for layer in inspected["layers"]]
    return {"groups": groups, "layers": layers, "outputs": inspected["outputs"]}


def load(file: Path) -> torch.nn.Module:
    return torch.export.load(file).module()


def test_a_model_has_the_same_units_as_from_torchscript(made: Made) -> None:
    assert structure(made.inspect("model.pt2")) == structure(made.inspect("model.pt"))


def test_modules_of_both_formats_give_the_same(made: Made) -> None:
    made.decompose("model.pt2", "exported", "--format", "pt2")
    made.decompose("model.pt2", "scripted", "--format", "torchscript")
    for number in range(exported.OUTPUTS):
        found, wanted = load(made.module("exported", number, "pt2")), torch.jit.load(made.module("scripted", number, "pt"))
        for count in (1, 4, 9):
            inputs = exported.inputs_of(made.family, count, seed=count)
            with torch.no_grad():
                difference = (found(*inputs) - wanted(*inputs)).abs().max()
            assert difference <= 1e-6, (number, count)


def test_a_module_has_the_names_of_the_original(made: Made) -> None:
    made.decompose("model.pt2", "exported", "--format", "pt2")
    program = torch.export.load(made.module("exported", 0, "pt2"))
    assert set(program.state_dict) <= set(made.model.state_dict())
    parameters, buffers = dict(made.model.named_parameters()), dict(made.model.named_buffers())
    assert {name for name, _ in program.named_parameters()} <= set(parameters)
    assert {name for name, _ in program.named_buffers()} <= set(buffers)
    assert all(value.requires_grad for _, value in program.named_parameters())


def test_a_module_takes_a_step_of_training_and_decompositions(made: Made) -> None:
    made.decompose("model.pt2", "exported", "--format", "pt2")
    program = torch.export.load(made.module("exported", 1, "pt2"))
    inputs = exported.inputs_of(made.family, 4)
    module = program.module()
    optimiser = torch.optim.SGD(module.parameters(), 0.1)
    before = module(*inputs)
    before.square().sum().backward()
    optimiser.step()
    assert not torch.equal(module(*inputs), before)
    lowered = torch.export.load(made.module("exported", 1, "pt2")).run_decompositions().module()
    assert torch.allclose(lowered(*inputs), before, rtol=1e-4, atol=1e-5)


def test_a_module_decomposes_further(made: Made) -> None:
    made.decompose("model.pt2", "exported", "--format", "pt2")
    folder = made.cli.folder
    exported.save_data(made.family, folder / "own.npz", classes=2)  # the output against all others
    options = ("--data", "own.npz", *made.options[2:])
    options = tuple(word for word in options if word not in ("--output", "logits"))
    made.cli.done("decompose", "exported/module-0.pt2", *options, *KEEP, "--format", "pt2", "--out", "further", "--quiet")
    inputs = exported.inputs_of(made.family, 9)
    assert load(folder / "further" / "module-1.pt2")(*inputs).shape == (9, 2)


def test_a_model_after_run_decompositions(made: Made) -> None:
    torch.export.save(made.program.run_decompositions(), made.cli.folder / "lowered.pt2")
    if made.family in ("lstm", "gru"):  # taken apart step by step: the weights of all steps are one
        made.cli.refused(6, ("lowered.pt2: no unit can be removed",), "decompose", "lowered.pt2", *made.options, "--out", "none")
        return
    found, wanted = made.inspect("lowered.pt2"), made.inspect("model.pt")
    if made.family != "attention":  # its heads are pinned
        assert [layer["name"] for layer in found["layers"]] == [layer["name"] for layer in wanted["layers"]]
        assert structure(found)["groups"] == structure(wanted)["groups"]


def test_the_name_of_a_file_says_nothing_about_its_kind(mlp: Made) -> None:
    (mlp.cli.folder / "other.bin").write_bytes((mlp.cli.folder / "model.pt2").read_bytes())
    assert structure(mlp.inspect("other.bin")) == structure(mlp.inspect("model.pt2"))


def test_the_same_module_is_the_same_bytes(mlp: Made) -> None:
    mlp.decompose("model.pt2", "again", "--format", "pt2")
    assert mlp.module("again", 0, "pt2").read_bytes() == mlp.module("exported", 0, "pt2").read_bytes()


def test_a_torchscript_model_gives_pt2_modules(made: Made) -> None:
    made.decompose("model.pt", "from_script", "--format", "pt2")
    made.decompose("model.pt", "as_script")
    found = load(made.module("from_script", 2, "pt2"))
    wanted = torch.jit.load(made.module("as_script", 2, "pt"))
    inputs = exported.inputs_of(made.family, 9, seed=5)
    with torch.no_grad():
        assert (found(*inputs) - wanted(*inputs)).abs().max() <= 1e-6


def test_evaluate_takes_modules_of_either_format(mlp: Made) -> None:
    found, wanted = (
        json.loads(mlp.cli.done("evaluate", folder, "--data", "data.npz", "--json")) for folder in ("exported", "scripted")
    )
    assert found["evaluation"] == wanted["evaluation"]
    found, wanted = (
        json.loads(mlp.cli.done("evaluate", file, "--data", "data.npz", "--json"))
        for file in ("exported/module-1.pt2", "scripted/module-1.pt")
    )
    assert found["evaluation"] == wanted["evaluation"]


def test_compose_mixes_formats(mlp: Made) -> None:
    modules = ("exported/module-0.pt2", "scripted/module-1.pt", "exported/module-2.pt2")
    for ending, form in (("pt", "torchscript"), ("pt2", "pt2")):
        mlp.cli.done("compose", *modules, "--out", f"mixed.{ending}", "--format", form, "--quiet")
    mlp.cli.done("compose", "scripted", "--out", "plain.pt", "--quiet")
    wanted = torch.jit.load(mlp.cli.folder / "plain.pt")
    scripted, program = torch.jit.load(mlp.cli.folder / "mixed.pt"), load(mlp.cli.folder / "mixed.pt2")
    for count in (1, 4, 9):
        inputs = exported.inputs_of("mlp", count, seed=count)
        for found in (scripted, program):
            assert torch.allclose(found(*inputs), wanted(*inputs), rtol=1e-6, atol=1e-6)
    qualities = [json.loads(mlp.cli.done("evaluate", file, "--data", "data.npz", "--json"))["evaluation"] for file in ("plain.pt", "mixed.pt2")]
    assert qualities[0] == qualities[1]


def test_extra_files_say_what_a_module_is(mlp: Made) -> None:
    extra = {"incite": ""}
    torch.export.load(mlp.module("exported", 2, "pt2"), extra_files=extra)
    assert json.loads(extra["incite"])["output"] == 2


def test_constants_and_no_grad_regions(cli: Cli) -> None:
    class Model(networks.TwoLayers):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scale", torch.linspace(1, 2, networks.HIDDEN), persistent=False)
            self.shift = torch.linspace(0, 1, networks.HIDDEN)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                spread = x.mean(1, keepdim=True)
            h = torch.relu(self.first(x - spread) * self.scale + self.shift) * torch.tensor(0.5)
            return self.second(h) + torch.zeros(x.shape[0] * 2, 1)[: x.shape[0]]

    model = Model().eval()
    exported.save(model, cli.folder / "model.pt2", [torch.randn(4, networks.FEATURES)])
    networks.save_data(cli.folder / "data.npz")
    cli.done("decompose", "model.pt2", "--data", "data.npz", "--keep", "1", "--head", "original", "--repair", "none",
             "--calibration", "none", "--format", "pt2", "--out", "out", "--quiet")  # fmt: skip
    module = load(cli.folder / "out" / "module-0.pt2")
    x = torch.randn(7, networks.FEATURES)
    assert torch.allclose(module(x), model(x), atol=1e-6)
    assert np.isfinite(module(x).detach().numpy()).all()
