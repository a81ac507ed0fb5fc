"""Loads the modules that the property tests wrote, and checks that Python sees the same function, keys and code.

check_exchange.py NETWORKS FOLDER...: how many there must be, and the folders that the tests wrote to.
"""

import sys
from pathlib import Path

import torch

MOST_DIFFERENCE = 1e-5  # relative


def check(folder: Path, seed: str) -> bool:
    """Whether a gradient step moved a parameter, of a module that is right in all else."""
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
    output.square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
    optimizer.step()
    return any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


def main() -> None:
    networks, folders = int(sys.argv[1]), sys.argv[2:]
    torch.set_num_threads(1)
    written = sorted(path for folder in folders for path in Path(folder).glob("*.io"))
    assert len(written) == networks, f"{len(written)} modules; expected {networks}: run the tests RandomNetworks.* first"
    still = []  # a rectified head that is 0 on all samples has no gradient, which is no mistake; many would be
    for path in written:
        seed = path.stem
        try:
            if not check(path.parent, seed):
                still.append(seed)
        except AssertionError as error:
            sys.exit(f"seed {seed}: {error}")
    if len(still) > 0.01 * len(written):
        sys.exit(f"a gradient step changed nothing in seeds {', '.join(still)}: {len(still)} of {len(written)}")
    print(f"{len(written)} modules load in Python and give the same")


if __name__ == "__main__":
    main()
