"""The commands by which two programs are compared."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A command; in/ holds models and data."""

    command: str
    kill_at: str = ""  # SIGKILL as soon as there is a file of this pattern
    by_before: bool = False  # BEFORE runs it for both: AFTER must read what it writes


@dataclass(frozen=True)
class Case:
    steps: tuple[Step, ...]
    data: str = "digits"  # whose first samples compositions are run on
    equal: tuple[str, str] | None = None  # two folders that must hold the same


def case(*steps: str | Step, data: str = "digits", equal: tuple[str, str] | None = None) -> Case:
    return Case(tuple(Step(step) if isinstance(step, str) else step for step in steps), data, equal)


def stopped(command: str, kill_at: str, *between: str) -> Case:
    """Undisturbed; killed; perhaps more; and gone on."""
    steps: tuple[str | Step, ...] = (command.replace("--out out", "--out whole"), Step(command, kill_at), *between, f"{command} --resume")
    return case(*steps, equal=("whole", "out"))


MEMORY = "--memory 1GB -v"
D = f"decompose in/lenet.pt --data in/digits.npz --out out {MEMORY}"
FEW = f"{D} --outputs 0,3,8"


def small(name: str, options: str = "", model: str = "") -> Case:
    return case(f"decompose in/{model or name}.pt --data in/{name}.npz --out out {MEMORY} {options}")


POINTS = "decompose in/points.pt --data in/points.npz --outputs 0,2 --clustering none --samples all --memory 16MB -v --out"
PART = "decompose in/lenet.pt --data in/digits.npz --calibration heads --samples 256 --memory 1GB -q --out"
SINES = "decompose in/sines.pt --data in/sines.npz -q --out"

CASES: dict[str, Case] = {
    "defaults": case("decompose in/lenet.pt --data in/digits.npz --out out"),
    "test-and-json": case(f"{D} --test in/digits-test.npz --json"),
    "held-out": case(f"{FEW} --held-out 0.4"),
    "outputs": case(f"{D} --outputs 3,7 --seed 7"),
    "one-output": case(f"{D} --outputs 5"),
    "preset-paper": case(f"{D} --preset paper"),
    "paper-but-keep": case(f"{FEW} --preset paper --keep 0.3 --repair mean --epochs 20"),
    "keep": case(f"{D} --keep 0.4"),
    "target-uniform": case(f"{D} --target-compression 8 --allocation uniform"),
    "keep-uniform": case(f"{FEW} --keep 0.5 --allocation uniform"),
    "max-loss": case(f"{FEW} --max-loss 4"),
    "max-loss-one": case(f"{D} --max-loss 2 --outputs 6"),
    "finetune": case(f"{D} --target-compression 15 --finetune 2"),
    "head-original": case(f"{D} --head original"),
    "head-original-repair": case(f"{FEW} --head original --repair least-squares --calibration none"),
    "head-adam": case(f"{FEW} --head adam --epochs 12"),
    **{f"calibration-{way}": case(f"{FEW} --calibration {way}") for way in ("heads", "scales", "none")},
    **{f"repair-{way}": case(f"{FEW} --repair {way}") for way in ("mean", "none")},
    **{f"metric-{way}": case(f"{FEW} --metric {way}") for way in ("flips", "random", "magnitude")},
    "factors": case(f"{FEW} --factors 0,0.5,-1"),
    **{f"clustering-{way}": case(f"{FEW} --clustering {way}") for way in ("none", "agglomerative")},
    "cluster-size": case(f"{FEW} --cluster-size 4"),
    "samples-all": case(f"{FEW} --samples all"),
    "samples-count": case(f"{FEW} --samples 300"),
    "agreement": case(f"{FEW} --agreement 0.9 --clustering none"),
    "little-memory": case(f"{FEW} --memory 8MB --samples all".replace("--memory 1GB ", "")),
    "scores": case(f"{FEW} --keep-scores", f"{FEW} --scores out/scores.npz --keep 0.3".replace("--out out", "--out again")),
    "killed-scoring": stopped(
        f"{POINTS} out --keep-scores",
        "out/checkpoint.npz",
        f"{POINTS} out --keep-scores --resume --metric flips",
        f"{POINTS} out --keep-scores",
    ),
    "killed-modules": stopped(D, "out/checkpoint-module-*.pt"),
    "killed-search": stopped(f"{FEW} --max-loss 4", "out/checkpoint-module-*.pt"),
    "old-files": case(
        Step(f"{POINTS} whole", by_before=True),
        Step(f"{POINTS} out", "out/checkpoint.npz", by_before=True),
        f"{POINTS} out --resume",
        Step(f"{PART} parts --outputs 0,3,8 --keep-scores", by_before=True),
        f"{PART} again --outputs 1,8 --scores parts/scores.npz --keep 0.5",
        "compose parts --out joined.pt",
        "evaluate parts --data in/digits-test.npz --json",
        "evaluate joined.pt --data in/digits-test.npz",
        equal=("whole", "out"),
    ),
    "force": case(f"{PART} out --outputs 0", f"{PART} out --outputs 1", f"{PART} out --outputs 2,3 --force"),
    "regression": small("sines"),
    "regression-search": small("sines", "--max-loss 20"),
    "regression-finetune": small("logs", "--target-compression 12 --finetune 2 --held-out 0.3"),
    "regression-paper": small("logs", "--preset paper --epochs 8"),
    "regression-flips": small("sines", "--clustering none --repair mean --calibration none --outputs 0,2"),
    "lstm": small("digits-rows", "--outputs 0,4", model="lstm"),
    "gru": small("rows"),
    "transformer": small("tokens"),
    "transformer-finetune": small("tokens", "--keep 0.5 --finetune 1 --metric magnitude"),
    "resnet-own-targets": small("digits-own", "--task classification --outputs 2,8 --samples 128", model="resnet"),
    "depthwise": small("images"),
    "pooled-head": small("images", "--target-compression 3", model="pooled"),
    "frozen": small("images", "--keep 0.5", model="frozen"),
    "nhwc": small("images-nhwc", "--input-layout nhwc", model="images"),
    "two-inputs": small("two", "--input-key image,facts --output logits"),
    "binary": small("binary", "--target-compression 3"),
    "binary-flat": small("binary", "--target-compression 3 --calibration scales", model="flat"),
    "binary-paper": small("binary", "--preset paper --epochs 10", model="flat"),
    "shape-and-one-hot": small("digits-few", "--input-shape 1,28,28 --target-key target --task classification --outputs 1,7", model="lenet"),
    "wrong-scale": small("digits", "--input-scale 1 --outputs 1,7", model="lenet"),
    "tanh": small("odd", "--head original --keep 0.5", model="tanh"),
    "inspect": case(
        *(f"inspect in/{model}.pt --data in/{data}.npz {options}" for model, data, options in (
            ("lenet", "digits", "-v"), ("lenet", "digits", "--json"), ("lenet", "digits", "--dot -"), ("resnet", "digits", ""),
            ("resnet", "digits", "--full"), ("resnet", "digits", "--dot out/resnet.dot"), ("resnet", "digits", "--json"),
            ("resnet", "digits-own", ""),
            ("lstm", "digits-rows", "--full"), ("tokens", "tokens", ""), ("tokens", "tokens", "--json"), ("tokens", "tokens", "--dot -"),
            ("images", "images", "--full"), ("frozen", "images", "--json"), ("images", "images-nhwc", "--input-layout nhwc"),
            ("two", "two", "--input-key image,facts --output logits --json"), ("flat", "binary", ""), ("sines", "sines", "--json"),
            ("tanh", "odd", "--json"), ("branch", "odd", ""), ("noise", "odd", "--json"), ("rows", "rows", "-q"),
        )),
    ),  # fmt: skip
    "evaluate": case(
        f"{PART} out --outputs 0,3,8",
        "evaluate out --data in/digits-test.npz -v",
        "evaluate out --data in/digits-test.npz --json",
        "evaluate out --data in/digits-test.npz --latency",
        "evaluate out --data in/digits-test.npz --latency --json",
        "evaluate out --data in/digits-test.npz --model in/lenet.pt",
        "evaluate out/module-3.pt --data in/digits-test.npz",
        "evaluate out/module-8.pt --data in/digits-test.npz --json",
        "evaluate in/lenet.pt --data in/digits-test.npz",
        "evaluate in/lenet.pt --data in/digits-test.npz --latency --json",
        "evaluate in/two.pt --data in/two.npz --input-key image,facts --output logits --json",
        f"{SINES} sines --outputs 1,2",
        "evaluate sines --data in/sines.npz",
        "evaluate sines --data in/sines.npz --json",
        "evaluate sines/module-2.pt --data in/sines.npz --json",
        "evaluate in/sines.pt --data in/sines.npz",
    ),
    "compose": case(
        f"{PART} a --outputs 0,1,2,3",
        f"{PART} b --outputs 2 --target-compression 10",
        f"{PART} c --outputs 4,5 --head original",
        "decompose in/fashion.pt --data in/digits-own.npz --task classification --outputs 3,6 --calibration none -q --out d",
        "compose a/module-0.pt c/module-5.pt --out join.pt -v",
        "compose a c --out all.pt --json",
        "compose a --replace 2=b/module-2.pt --out replace.pt",
        "compose a --remove 1,3 --out remove.pt",
        "compose a --names zero,one,two,three --out names.pt",
        "compose a d/module-3.pt d/module-6.pt --data in/digits.npz --out two-models.pt",
        "compose b --out alone.pt",
        *(f"evaluate {name}.pt --data in/digits-test.npz --json" for name in ("join", "all", "replace", "remove", "names", "two-models", "alone")),
        "evaluate all.pt --data in/digits-test.npz",
        "inspect all.pt --data in/digits.npz",
    ),
    "compose-regression": case(
        f"{SINES} a --outputs 0,1",
        f"{SINES} b --outputs 1 --keep 0.5",
        "compose a --replace 1=b/module-1.pt --out new.pt --names sin,cos",
        "evaluate new.pt --data in/sines.npz --json",
        data="sines",
    ),
    "decompose-composition": case(
        f"{PART} a --outputs 0,1,2",
        "compose a --out join.pt",
        "decompose join.pt --data in/digits.npz --outputs 0,2 --head original --keep 0.7 --samples 128 --out out",
    ),
    "errors-usage": case(
        "", "take-apart", "--version", *(f"{verb} --help" for verb in ("inspect", "decompose", "compose", "evaluate")),
        "decompose", f"{D} --kep 0.5", f"{D} --keep 1.5", f"{D} --keep 0.5 --target-compression 4", f"{D} --outputs 12", f"{D} --seed -1",
        f"{D} --metric best", f"{D} --json -q", f"{D} --metric absolute", f"{D} --task regression", f"{D} --output logits",
        f"{D} --device tpu", f"{D} --memory much", f"{D} --held-out 1", f"{D} --input-shape 3,28,28", f"{D} --max-loss 1 --keep 0.5",
        f"{D} --target-compression 100000 --outputs 0,1",
    ),  # fmt: skip
    "errors-files": case(
        *(f"decompose in/{model}.pt --data in/{data}.npz --out out {options}" for model, data, options in (
            ("missing", "digits", ""), ("text", "digits", ""), ("cut", "digits", ""), ("lenet", "missing", ""), ("lenet", "cut", ""),
            ("lenet", "digits", "--input-key image"), ("lenet", "digits", "--target-key label"), ("lenet", "digits-rows", ""),
            ("lenet", "digits", "--test in/sines.npz"), ("images", "images-nhwc", ""), ("points", "odd", ""), ("tokens", "odd", ""),
            ("batch", "odd-labels", ""), ("batch", "odd", ""), ("branch", "odd", ""), ("noise", "odd", ""), ("tanh", "odd", ""),
            ("tanh", "odd-labels", "--head original"), ("tanh", "odd-length", "--head original"), ("two", "two", "--input-key image,facts"),
        )),
    ),  # fmt: skip
    "errors-results": case(
        f"{PART} out --outputs 0,1 --keep-scores",
        f"{PART} out --outputs 0,1",
        f"{PART} in/lenet.pt",
        f"{PART} new --scores out/scores.npz --metric flips",
        "decompose in/lenet.pt --data in/digits-test.npz --scores out/scores.npz --out new",
        "decompose in/fashion.pt --data in/digits.npz --scores out/scores.npz --out new",
        "decompose in/lenet.pt --data in/digits.npz --scores in/digits.npz --out new",
        f"{PART} new --resume --outputs 0",
        f"{SINES} sines --outputs 0",
        "compose out sines --out join.pt",
        "compose out --remove 7 --out join.pt",
        "compose out --names one --out join.pt",
        "compose out --replace 5=out/module-1.pt --out join.pt",
        "compose in/lenet.pt --out join.pt",
        "compose out --out out/module-0.pt",
        "evaluate missing --data in/digits.npz",
        "evaluate sines --data in/digits.npz",
        "evaluate out --data in/digits.npz --model in/fashion.pt",
        "evaluate in --data in/digits.npz",
        "evaluate out --data in/digits-rows.npz",
    ),
}
