"""Loads the modules that the property test wrote, and checks that Python sees the same function, keys and code."""

import sys
from pathlib import Path

import torch

MOST_DIFFERENCE = 1e-5  # relative


def check(folder: Path, seed: str) -> None:
    module = torch.jit.load(folder / f"{seed}.pt")
    original = torch.jit.load(folder / f"{seed}.original.pt")
    x, expected = torch.load(folder / f"{seed}.io")
    output = module(x)
    difference = (output - expected).abs().max() / expected.abs().max().clamp_min(1e-30)
    assert difference <= MOST_DIFFERENCE, f"the output differs by {difference:.2g}"
    assert set(module.state_dict()) <= set(original.state_dict()), "keys that the original does not have"
    assert "def forward(self" in module.code, "no readable code"
    before = [parameter.detach().clone() for parameter in module.parameters()]
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    try:
        output.square().sum().backward()
    except RuntimeError as error:
        assert "native_channel_shuffle" in str(error), error  # PyTorch itself has no derivative for it
        return
    optimizer.step()
    moved = any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    flat = all(parameter.grad is None or parameter.grad.abs().max() < 1e-5 for parameter in module.parameters())  # a dead relu, say
    assert moved or flat, "a gradient step changed nothing"


def main() -> None:
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    seeds = sorted(path.name.removesuffix(".io") for path in folder.glob("*.io"))
    assert len(seeds) >= 200, f"{len(seeds)} modules in {folder}; expected 200 or more: run the test RandomNetworks first"
    for seed in seeds:
        try:
            check(folder, seed)
        except AssertionError as error:
            sys.exit(f"seed {seed}: {error}")
    print(f"{len(seeds)} modules load in Python and give the same")


if __name__ == "__main__":
    main()
