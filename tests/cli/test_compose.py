"""incite compose: modules of one or several models joined into one file."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from conftest import Cli

QUICK = ("--threads", "1", "--quiet")
KINDS = {"logits": None, "probabilities": nn.Softmax(1), "log-probabilities": nn.LogSoftmax(1), "sigmoid": nn.Sigmoid()}


def decompose(cli: Cli, model: str, out: str, *options: Any) -> None:
    cli.done("decompose", model, "--data", "data.npz", "--out", out, *QUICK, *options)


def compose(cli: Cli, *arguments: Any) -> dict[str, Any]:
    return json.loads(cli.done("compose", *arguments, "--out", "combined.pt", "--json", "--threads", "1"))


def load(cli: Cli, file: str = "combined.pt") -> torch.jit.ScriptModule:
    return torch.jit.load(str(cli.folder / file))


@torch.no_grad()
def log_odds(cli: Cli, file: str, x: Tensor) -> Tensor:
    """The log-odds of a module with logits."""
    outputs = load(cli, file)(x)
    return outputs[:, 1] - outputs[:, 0]


def some_samples() -> Tensor:
    return torch.from_numpy(networks.samples(40, seed=5)[0])


@pytest.fixture(scope="session")
def decompositions(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Two classifiers and a regression, decomposed into a, b and values. Tests must not change them."""
    cli = Cli(binary, tmp_path_factory.mktemp("decompositions"))
    networks.save_data(cli.folder / "data.npz")
    for name, seed in (("a", 0), ("b", 1)):
        model = networks.mlp(seed=seed)
        networks.train(model, *networks.samples())
        networks.save(model, cli.folder / f"{name}.pt")
        decompose(cli, f"{name}.pt", name)
    x, _ = networks.samples()
    np.savez(cli.folder / "values.npz", x=x, y=x[:, :3])
    cli.done("decompose", "a.pt", "--data", "values.npz", "--out", "values", *QUICK)
    return cli


@pytest.fixture
def made(decompositions: Cli, tmp_path: Path) -> Cli:
    """A copy of the decompositions, with their models and data."""
    shutil.copytree(decompositions.folder, tmp_path, dirs_exist_ok=True)
    return Cli(decompositions.binary, tmp_path)


# What a combined file gives


def test_a_column_is_the_log_odds_of_its_module(made: Cli) -> None:
    compose(made, "a")
    x = some_samples()
    combined = load(made)(x)
    assert combined.dtype == torch.float32
    assert combined.shape == (40, 3)
    for output in range(3):
        assert torch.equal(combined[:, output], log_odds(made, f"a/module-{output}.pt", x))


def test_modules_of_two_models_side_by_side(made: Cli) -> None:
    compose(made, "b/module-2.pt", "a/module-0.pt", "a/module-1.pt")
    x = some_samples()
    expected = [log_odds(made, file, x) for file in ("b/module-2.pt", "a/module-0.pt", "a/module-1.pt")]
    assert torch.equal(load(made)(x), torch.stack(expected, 1))


@pytest.mark.parametrize("head", ["lbfgs", "original"])
@pytest.mark.parametrize("kind", KINDS)
def test_its_arg_max_is_what_evaluate_measures(cli: Cli, kind: str, head: str) -> None:
    networks.save(networks.mlp(KINDS[kind]), cli.folder / "model.pt")
    networks.save_data(cli.folder / "data.npz")
    networks.save_data(cli.folder / "test.npz", count=300, seed=1)
    decompose(cli, "model.pt", "out", "--test", "test.npz", "--head", head)
    compose(cli, "out")
    document = json.loads((cli.folder / "out/decomposition.json").read_text())
    assert document["model"]["output_kind"] == kind
    x, y = networks.samples(300, seed=1)
    combined = load(cli)(torch.from_numpy(x))
    accuracy = (combined.argmax(1).numpy() == y).mean()
    assert accuracy == pytest.approx(document["evaluation"]["combined_accuracy"])


@pytest.mark.parametrize("head", ["lbfgs", "original"])
def test_a_regression_gives_values(made: Cli, head: str) -> None:
    made.done("decompose", "a.pt", "--data", "values.npz", "--out", "other", "--head", head, *QUICK)
    compose(made, "other")
    x = some_samples()
    for output in range(3):
        value = load(made, f"other/module-{output}.pt")(x)[:, 0 if head == "lbfgs" else output]
        assert torch.equal(load(made)(x)[:, output], value)


def test_modules_of_a_model_of_several_inputs(cli: Cli) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = networks.mlp()

        def forward(self, x: Tensor, shift: Tensor) -> Tensor:
            return self.net(x - shift)

    x, y = networks.samples()
    np.savez(cli.folder / "data.npz", x=x, shift=0.1 * x, y=y)
    networks.save(Two(), cli.folder / "model.pt")
    decompose(cli, "model.pt", "out", "--input-key", "x,shift")
    compose(cli, "out")
    inputs = (torch.from_numpy(x), torch.from_numpy(0.1 * x))
    outputs = load(cli, "out/module-1.pt")(*inputs)
    assert torch.equal(load(cli)(*inputs)[:, 1], outputs[:, 1] - outputs[:, 0])


# What is in it


def test_names_are_the_outputs_numbers(made: Cli) -> None:
    compose(made, "a/module-2.pt", "b/module-0.pt")
    assert load(made).names == ["2", "0"]


def test_names_of_models_with_the_same_numbers_have_the_folders_name(made: Cli) -> None:
    compose(made, "a", "b/module-1.pt")
    assert load(made).names == ["a-0", "a-1", "a-2", "b-1"]


def test_folders_of_the_same_name_are_told_apart(made: Cli) -> None:
    for name in ("a", "b"):
        (made.folder / f"of-{name}").mkdir()
        (made.folder / name).rename(made.folder / f"of-{name}/modules")
    compose(made, "of-a/modules/module-0.pt", "of-b/modules/module-0.pt")
    assert load(made).names == ["of-a/modules-0", "of-b/modules-0"]


def test_names_can_be_given(made: Cli) -> None:
    compose(made, "a", "--names", "cat,dog,Ϙ")
    assert load(made).names == ["cat", "dog", "Ϙ"]


def test_its_state_dict_is_that_of_its_modules(made: Cli) -> None:
    compose(made, "a/module-1.pt", "b/module-1.pt", "a/module-0.pt")
    state = load(made).state_dict()
    files = {"module_a_1": "a/module-1.pt", "module_b_1": "b/module-1.pt", "module_a_0": "a/module-0.pt"}
    expected = {f"{key}.{name}": value for key, file in files.items() for name, value in load(made, file).state_dict().items()}
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], value) for name, value in expected.items())


def test_its_code_names_its_modules(made: Cli) -> None:
    compose(made, "a")
    code = load(made).code
    assert "def forward(self,\n    input: Tensor) -> Tensor:" in code
    assert all(f"self.module_{output}" in code for output in range(3))


def test_it_holds_no_path_of_this_machine(made: Cli) -> None:
    compose(made, "a")
    assert str(made.folder).encode() not in (made.folder / "combined.pt").read_bytes()


def test_the_same_modules_give_the_same_bytes(made: Cli) -> None:
    compose(made, "a", "b")
    first = (made.folder / "combined.pt").read_bytes()
    made.done("compose", made.folder / "a", made.folder / "b", "--out", "again.pt", *QUICK)
    assert (made.folder / "again.pt").read_bytes() == first


def test_it_survives_python(made: Cli) -> None:
    compose(made, "a")
    combined = load(made)
    combined.save(str(made.folder / "saved.pt"))
    assert load(made, "saved.pt").names == ["0", "1", "2"]
    x = some_samples()
    assert torch.equal(load(made, "saved.pt")(x), combined(x))


def test_all_of_its_modules_can_be_trained(made: Cli) -> None:
    compose(made, "a/module-0.pt", "b/module-1.pt", "b/module-2.pt")
    combined = load(made)
    before = copy.deepcopy(combined.state_dict())
    x, y = networks.samples()
    optimiser = torch.optim.SGD(combined.parameters(), 0.1)
    losses = []
    for _ in range(5):
        optimiser.zero_grad()
        losses.append(nn.functional.cross_entropy(combined(torch.from_numpy(x)), torch.from_numpy(y)))
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < losses[0]
    moved = {name.split(".")[0] for name, value in combined.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"module_0", "module_1", "module_2"}


def test_inspect_and_decompose_take_it_as_any_model(made: Cli) -> None:
    decompose(made, "a.pt", "whole", "--keep", "1")
    compose(made, "whole")
    result = made.run("inspect", "combined.pt", "--data", "data.npz", "--json", "--threads", "1")
    document = json.loads(result.out)
    assert document["outputs"]["count"] == 3
    assert "module_0.0" in [layer["name"] for layer in document["layers"]]
    decompose(made, "combined.pt", "again", "--head", "original")
    assert load(made, "again/module-1.pt")(some_samples()).shape == (40, 3)


# Replacing and leaving out


def test_a_replacement_takes_over_place_name_and_key(made: Cli) -> None:
    document = compose(made, "a", "--replace", "1=b/module-2.pt")
    assert [module["file"] for module in document["modules"]] == ["a/module-0.pt", "b/module-2.pt", "a/module-2.pt"]
    combined = load(made)
    assert combined.names == ["0", "1", "2"]
    assert {key.split(".")[0] for key in combined.state_dict()} == {"module_0", "module_1", "module_2"}
    x = some_samples()
    assert torch.equal(combined(x)[:, 1], log_odds(made, "b/module-2.pt", x))


def test_several_replacements(made: Cli) -> None:
    document = compose(made, "a", "--replace", "0=b/module-0.pt", "--replace", "2=b/module-2.pt")
    assert [module["file"] for module in document["modules"]] == ["b/module-0.pt", "a/module-1.pt", "b/module-2.pt"]


def test_what_is_removed_is_not_there(made: Cli) -> None:
    compose(made, "a", "--remove", "1")
    combined = load(made)
    assert combined.names == ["0", "2"]
    assert {key.split(".")[0] for key in combined.state_dict()} == {"module_0", "module_2"}
    x = some_samples()
    assert torch.equal(combined(x)[:, 1], log_odds(made, "a/module-2.pt", x))


def test_columns_of_two_models_are_removed_by_their_names(made: Cli) -> None:
    compose(made, "a", "b", "--remove", "a-2,b-0,b-1", "--names", "x,y,z")
    x = some_samples()
    assert torch.equal(load(made)(x)[:, 2], log_odds(made, "b/module-2.pt", x))


# What is printed and written


def test_its_document(made: Cli) -> None:
    document = compose(made, "a/module-1.pt", "b/module-2.pt", "--names", "one,two")
    assert list(document) == ["schema", "file", "task", "parameters", "bytes", "checked_on", "modules", "versions"]
    assert (document["schema"], document["file"], document["task"]) == (1, "combined.pt", "classification")
    assert document["bytes"] == (made.folder / "combined.pt").stat().st_size
    assert document["parameters"] == sum(p.numel() for p in load(made).parameters())
    assert document["checked_on"] == "data.npz"
    assert [list(module) for module in document["modules"]] == [["name", "key", "file", "output", "parameters"]] * 2
    assert document["modules"][1]["name"] == "two"
    assert document["modules"][1]["key"] == "module_2"
    assert document["modules"][1]["file"] == "b/module-2.pt"
    assert document["modules"][1]["output"] == 2


def test_its_table(made: Cli) -> None:
    lines = made.done("compose", "a", "--out", "combined.pt", "--threads", "1").splitlines()
    assert lines[0].startswith("combined.pt: 3 modules (classification), ")
    assert [line.split()[:4] for line in lines[4:7]] == [[str(i), str(i), f"module_{i}", f"a/module-{i}.pt"] for i in range(3)]
    assert lines[-1] == "Checked on the first samples of data.npz: each column equals its module's output."


def test_the_file_may_lie_in_a_new_folder(made: Cli) -> None:
    made.done("compose", "a", "--out", "new/folder/combined.pt", *QUICK)
    assert [path.name for path in (made.folder / "new/folder").iterdir()] == ["combined.pt"]


def test_a_file_that_is_there_is_kept(made: Cli) -> None:
    (made.folder / "combined.pt").write_text("mine")
    message = "combined.pt: already exists; pass --force to replace it, or another --out"
    made.refused(7, message, "compose", "a", "--out", "combined.pt")
    compose(made, "a", "--force")
    assert load(made).names == ["0", "1", "2"]


def test_a_module_is_not_written_over(made: Cli) -> None:
    message = "a/module-1.pt: is one of the modules to join; pass another --out"
    made.refused(7, message, "compose", "a", "--out", "a/module-1.pt", "--force")


def test_out_is_no_folder(made: Cli) -> None:
    message = "--out a: not the name of a file; expected one such as combined.pt"
    made.refused(7, message, "compose", "a", "--out", "a", "--force")


def test_one_model_without_its_data_is_joined_unchecked(made: Cli) -> None:
    (made.folder / "data.npz").unlink()
    assert compose(made, "a")["checked_on"] is None
    out = made.done("compose", "a", "--out", "combined.pt", "--force", "--threads", "1")
    note = "Not checked on samples: the data of the decomposition is not there; pass samples with --data.\n"
    assert out.endswith(note)


def test_samples_can_be_given(made: Cli) -> None:
    (made.folder / "data.npz").unlink()
    np.savez(made.folder / "other.npz", images=networks.samples()[0])
    assert compose(made, "a", "b", "--data", "other.npz", "--input-key", "images")["checked_on"] == "other.npz"


# What is refused


OUT = ("--out", "combined.pt", "--threads", "1")
HELP = "See 'incite compose --help'"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("a", "--replace", "1"), "--replace 1: expected a column's name and a module file, such as 3=other/module-3.pt"),
        (("a", "--replace", "7=b/module-1.pt"), "--replace 7: no such column; expected one of 0, 1, 2"),
        (
            ("a", "--replace", "1=b/module-1.pt", "--replace", "1=b/module-2.pt"),
            "--replace 1: given twice; expected one module per column",
        ),
        (("a", "--remove", "3"), "--remove 3: no such column; expected one of 0, 1, 2"),
        (("a", "b", "--remove", "0"), "--remove 0: no such column; expected one of a-0, a-1, a-2, b-0, b-1, b-2"),
        (
            ("a", "--remove", "1", "--replace", "1=b/module-1.pt"),
            "--remove 1: --replace names this column too; expected one of the two",
        ),
        (("a", "--remove", "0,1,2"), "--remove: no column would be left; expected at least one to stay"),
        (("a", "--names", "x,y"), "--names: 2 names; expected 3, one for each module"),
        (("a", "--names", "x,y,x"), "--names: 'x' is given twice; expected different names"),
        (("a", "a/module-1.pt"), "a/module-1.pt: given for two columns; expected each module once. Leave one out"),
        (
            ("a", "--replace", "0=a/module-1.pt"),
            "a/module-1.pt: given for two columns; expected each module once. Leave one out",
        ),
        (("a", "--input-key", "x"), "--input-key names arrays of --data; expected --data as well"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_line_that_makes_no_sense(made: Cli, options: tuple[str, ...], message: str) -> None:
    made.refused(2, message, "compose", *options, *OUT)


def test_no_modules(made: Cli) -> None:
    made.refused(2, ("modules", HELP), "compose", *OUT)


def test_a_module_that_is_not_there(made: Cli) -> None:
    message = "a/module-7.pt: no such file; expected a module that 'incite decompose' wrote"
    made.refused(3, message, "compose", "a/module-7.pt", *OUT)


def test_a_damaged_module(made: Cli) -> None:
    (made.folder / "a/module-1.pt").write_bytes(b"PK\x03\x04")
    made.refused(3, "a/module-1.pt: the file is truncated or damaged; copy or export it again", "compose", "a", *OUT)


def test_a_file_that_neither_says_what_it_is_nor_has_a_decomposition_beside_it(made: Cli) -> None:
    message = (
        "a.pt: neither the file nor a decomposition.json beside it says which output it is for; expected a module that "
        "'incite decompose' wrote, or such a module loaded and saved again"
    )
    made.refused(4, message, "compose", "a.pt", *OUT)


def test_a_folder_without_a_decomposition(made: Cli) -> None:
    (made.folder / "empty").mkdir()
    message = "empty/decomposition.json: no such file; expected the folder that 'incite decompose --out' wrote"
    made.refused(4, message, "compose", "empty", *OUT)


def test_a_file_that_neither_says_what_it_is_nor_is_listed_beside_it(made: Cli) -> None:
    shutil.copy(made.folder / "a.pt", made.folder / "a/mine.pt")
    message = (
        "a/mine.pt: neither the file nor a/decomposition.json says which output it is for; expected one of module-0.pt, "
        "module-1.pt, module-2.pt, or one of these loaded and saved again"
    )
    made.refused(4, message, "compose", "a/mine.pt", *OUT)


def test_a_module_that_was_renamed(made: Cli) -> None:
    (made.folder / "a/module-1.pt").rename(made.folder / "a/mine.pt")
    document = compose(made, "a/mine.pt")
    assert [module["output"] for module in document["modules"]] == [1]


def test_modules_of_both_tasks(made: Cli) -> None:
    message = "values/module-0.pt: its task is regression; expected classification, as for a/module-1.pt. Join modules of one task"
    made.refused(5, message, "compose", "a/module-1.pt", "values/module-0.pt", *OUT)


ADVICE = "Join modules of models that take the same inputs"


def test_models_of_other_shapes(made: Cli) -> None:
    x, y = networks.samples()
    np.savez(made.folder / "wide.npz", x=np.concatenate([x, x], 1), y=y)
    networks.save(nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)), made.folder / "wide.pt")
    made.done("decompose", "wide.pt", "--data", "wide.npz", "--out", "wide", *QUICK)
    message = (
        "wide/module-1.pt: its model takes samples of shape [12]; expected [6], as for a/module-0.pt. " + ADVICE
    )
    made.refused(5, message, "compose", "a/module-0.pt", "wide/module-1.pt", *OUT)
    (made.folder / "wide.npz").unlink()
    made.refused(5, message, "compose", "a/module-0.pt", "wide/module-1.pt", *OUT)
    module = torch.jit.freeze(load(made, "wide/module-1.pt").eval())  # says nothing of itself, as those of older versions
    module.save(str(made.folder / "wide/module-1.pt"))
    phrases = ("wide/module-1.pt: does not run on samples of shape [6] from data.npz: ", ". " + ADVICE)
    made.refused(5, phrases, "compose", "a/module-0.pt", "wide/module-1.pt", *OUT)


def test_models_of_other_scales(made: Cli) -> None:
    decompose(made, "b.pt", "half", "--input-scale", "0.5")
    message = (
        "half/module-1.pt: its model takes float32 inputs times 0.5; expected float32 inputs times 1, as for a/module-0.pt. "
        "Pass samples that suit both models with --data, or decompose again with the same --input-scale"
    )
    made.refused(5, message, "compose", "a/module-0.pt", "half/module-1.pt", *OUT)


def test_models_of_other_types(made: Cli) -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.table = nn.Embedding(9, 8)
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.relu(self.table(x)).mean(1))

    np.savez(made.folder / "tokens.npz", x=np.arange(540).reshape(90, 6) % 9, y=np.arange(90) % 3)
    networks.save(Tokens(), made.folder / "tokens.pt")
    made.done("decompose", "tokens.pt", "--data", "tokens.npz", "--out", "tokens", *QUICK)
    message = "tokens/module-0.pt: its model takes int64; expected float32, as for a/module-0.pt. " + ADVICE
    made.refused(5, message, "compose", "a/module-0.pt", "tokens/module-0.pt", *OUT)


def test_two_models_without_data(made: Cli) -> None:
    (made.folder / "data.npz").unlink()
    message = (
        "data.npz: missing or changed since the model of a/module-0.pt was decomposed with it; samples are needed to "
        "check that all models take the same inputs. Pass some with --data"
    )
    made.refused(4, message, "compose", "a", "b", *OUT)


def test_a_module_that_is_another_file(made: Cli) -> None:
    shutil.copy(made.folder / "a.pt", made.folder / "a/module-1.pt")
    message = "a/module-1.pt: has 3 outputs; expected 2, as stated by the decomposition.json beside it. Decompose again"
    made.refused(3, message, "compose", "a", *OUT)
