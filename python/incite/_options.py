"""The options of each verb, as keywords. `incite-lab python-options` writes this file from `incite VERB --help`."""

import os
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

# How the words of the command line are made of a keyword's value.
KINDS: dict[str, dict[str, str]] = {
    "inspect": {
        "device": "text",
        "dot": "text",
        "full": "flag",
        "input_key": "commas",
        "input_layout": "text",
        "input_scale": "text",
        "input_shape": "commas",
        "modules": "sets",
        "names": "commas",
        "output": "text",
        "outputs": "commas",
        "target_key": "text",
        "task": "text",
        "threads": "text",
    },
    "decompose": {
        "agreement": "text",
        "allocation": "text",
        "calibration": "text",
        "cluster_size": "text",
        "clustering": "text",
        "device": "text",
        "epochs": "text",
        "factors": "commas",
        "finetune": "text",
        "force": "flag",
        "format": "text",
        "head": "text",
        "held_out": "text",
        "input_key": "commas",
        "input_layout": "text",
        "input_scale": "text",
        "input_shape": "commas",
        "keep": "text",
        "keep_scores": "flag",
        "max_loss": "text",
        "memory": "text",
        "metric": "text",
        "modules": "sets",
        "names": "commas",
        "output": "text",
        "outputs": "commas",
        "preset": "text",
        "repair": "text",
        "resume": "flag",
        "samples": "text",
        "scores": "text",
        "scoring": "text",
        "seed": "text",
        "target_compression": "text",
        "target_key": "text",
        "task": "text",
        "test_input_key": "commas",
        "test_target_key": "text",
        "tf32": "flag",
        "threads": "text",
    },
    "compose": {
        "force": "flag",
        "format": "text",
        "input_key": "commas",
        "input_layout": "text",
        "names": "commas",
        "remove": "commas",
        "replace": "pairs",
        "threads": "text",
    },
    "evaluate": {
        "device": "text",
        "input_key": "commas",
        "input_layout": "text",
        "input_scale": "text",
        "input_shape": "commas",
        "latency": "flag",
        "model": "text",
        "output": "text",
        "target_key": "text",
        "task": "text",
        "threads": "text",
    },
}


class InspectOptions(TypedDict, total=False):
    """Options of `incite inspect`. None stands for the default."""

    device: str | None
    """Device to run on: cpu, cuda or cuda:INDEX (default: cpu)."""

    dot: str | os.PathLike[str] | None
    """Write the layer graph for Graphviz to FILE; -: to stdout, instead of the table."""

    full: bool | None
    """Show all layers of every group, and every pin, in the table."""

    input_key: str | Sequence[str | int] | None
    """Name of the array of samples; for a model with several inputs, their arrays in the order of forward's arguments, such as image,mask
    (default: x)."""

    input_layout: Literal["as-stored", "nhwc"] | None
    """Order of image axes in the archive; nhwc: channels last, passed to the model as [N, C, H, W] (default: as-stored)."""

    input_scale: float | Literal["auto"] | None
    """Factor for inputs that are passed as float32; auto: 1/255 for uint8, 1 for other types (default: auto)."""

    input_shape: Sequence[int] | None
    """Shape of one sample, such as 1,28,28, for a model with one input; default: as in the archive."""

    modules: str | os.PathLike[str] | Mapping[str, int | str | Sequence[int]] | None
    """What modules to make; each: one for each output; all: one for all outputs, the pruned network; or sets of outputs with names, such as
    digits=0-9 letters=10-35, or a file with one on each line (default: each)."""

    names: str | os.PathLike[str] | Sequence[str] | None
    """Names of all outputs, such as cat,dog, or a file with one on each line; default: the text array names of --data, if there is one."""

    output: int | str | None
    """Tensor to use if the model returns a tuple, list or dict, such as logits, 0 or 0.logits; default: the only one of shape [N, K]."""

    outputs: int | str | Sequence[int] | None
    """Outputs to make modules for, such as 0,3-7; present: the classes of which the data has samples (default: all)."""

    target_key: str | None
    """Name of the array of targets: class labels [N], one-hot rows [N, K] or values [N, K]; without targets, the model's own outputs serve
    as targets (default: y)."""

    task: Literal["auto", "classification", "multilabel", "regression"] | None
    """Task of the model; auto: inferred from the targets, or from the outputs if there are no targets (default: auto)."""

    threads: int | None
    """CPU threads, 1 to 1024; default: OMP_NUM_THREADS if it is set, else one per core."""


class DecomposeOptions(TypedDict, total=False):
    """Options of `incite decompose`. None stands for the default."""

    agreement: float | None
    """For --samples auto: required agreement of what a group keeps with what it would keep after all samples (default: 0.99)."""

    allocation: Literal["global", "uniform"] | None
    """How a module's size is divided among the groups; global: all clusters compete by contribution per parameter; uniform: the same share
    of each group's clusters (default: global)."""

    calibration: Literal["layers", "heads", "scales", "none"] | None
    """How modules are made comparable; layers: all heads are refitted together, then the last hidden layers with them; heads: only the
    heads; scales: only a scale and an offset for each module (default: layers)."""

    cluster_size: int | Literal["auto"] | None
    """Mean number of units in a cluster, 1 or more; auto: 1/64 of the group, from 1 to 10 (default: auto)."""

    clustering: Literal["kmeans", "agglomerative", "none"] | None
    """How units are grouped into clusters, which are mutated as one (default: kmeans)."""

    device: str | None
    """Device to run on: cpu, cuda or cuda:INDEX (default: cpu)."""

    epochs: int | None
    """Maximum number of epochs for --head adam, 1 or more (default: 128)."""

    factors: float | Sequence[float] | None
    """Factors by which mutants multiply weights and biases; 0 removes the units (default: 0)."""

    finetune: int | None
    """Train the modules for up to this many epochs, on the targets and, for classification, the original's probabilities; the best epoch is
    kept (default: 0)."""

    force: bool | None
    """Replace the decomposition in the folder, if there is one."""

    format: Literal["torchscript", "pt2"] | None
    """What the modules are written as; torchscript: files for torch.jit.load; pt2: exported programs, for torch.export.load (default:
    torchscript)."""

    head: Literal["lbfgs", "adam", "original"] | None
    """How a module's output layer is made; lbfgs, adam: a new one is fitted; original: the model's own, with all outputs and the inputs
    that stay (default: lbfgs)."""

    held_out: float | None
    """Share of --data to evaluate on if there is no --test, above 0 and below 1 (default: 0.2)."""

    input_key: str | Sequence[str | int] | None
    """Name of the array of samples; for a model with several inputs, their arrays in the order of forward's arguments, such as image,mask
    (default: x)."""

    input_layout: Literal["as-stored", "nhwc"] | None
    """Order of image axes in the archive; nhwc: channels last, passed to the model as [N, C, H, W] (default: as-stored)."""

    input_scale: float | Literal["auto"] | None
    """Factor for inputs that are passed as float32; auto: 1/255 for uint8, 1 for other types (default: auto)."""

    input_shape: Sequence[int] | None
    """Shape of one sample, such as 1,28,28, for a model with one input; default: as in the archive."""

    keep: float | None
    """Share of each group's clusters that a module keeps, above 0 and up to 1 (the paper: 0.6)."""

    keep_scores: bool | None
    """Also save the scores, in scores.npz, for the --scores of later runs."""

    max_loss: float | None
    """Find the smallest modules that lose at most this much on validation samples: points of combined accuracy (for a single module, of
    balanced accuracy), or per cent of mean absolute error."""

    memory: int | str | None
    """Memory for activations, such as 2GB; default: half of the free memory, on a CPU at most 4 GiB."""

    metric: Literal["auto", "probability", "flips", "absolute", "random", "magnitude"] | None
    """Measure of a mutant's effect; auto: probability for classification, absolute for regression; random and magnitude (of weights) are
    baselines that run no mutants (default: auto)."""

    modules: str | os.PathLike[str] | Mapping[str, int | str | Sequence[int]] | None
    """What modules to make; each: one for each output; all: one for all outputs, the pruned network; or sets of outputs with names, such as
    digits=0-9 letters=10-35, or a file with one on each line (default: each)."""

    names: str | os.PathLike[str] | Sequence[str] | None
    """Names of all outputs, such as cat,dog, or a file with one on each line; default: the text array names of --data, if there is one."""

    output: int | str | None
    """Tensor to use if the model returns a tuple, list or dict, such as logits, 0 or 0.logits; default: the only one of shape [N, K]."""

    outputs: int | str | Sequence[int] | None
    """Outputs to make modules for, such as 0,3-7; present: the classes of which the data has samples (default: all)."""

    preset: Literal["paper"] | None
    """paper: the published method (flips, agglomerative clusters of 10, keep 0.6, no repair, head by Adam); options given with it take
    precedence."""

    repair: Literal["none", "mean", "least-squares"] | None
    """How the weights that stay are refitted to the original's pre-activations; mean: only biases. With --head original, the default is
    none (default: least-squares)."""

    resume: bool | None
    """Continue a run with the same options that was stopped."""

    samples: int | Literal["auto", "all"] | None
    """Number of samples to score, or all; auto: until more would not change what modules keep. Where not all are scored, most are samples
    on which the model is uncertain (default: auto)."""

    scores: str | os.PathLike[str] | None
    """Use scores.npz of an earlier run on the same model and data (see --keep-scores) instead of scoring again."""

    scoring: Literal["auto", "mutation", "gradient"] | None
    """How the effects of mutants are found; mutation: each runs; gradient: they are estimated, by one backward pass for each output; auto:
    mutants run unless they take over 5 times the multiply-adds (default: auto)."""

    seed: float | None
    """Seed for all random choices, 0 to 2^53 (default: 0)."""

    target_compression: float | None
    """How many times smaller than the model each module becomes, by parameters; default: 5."""

    target_key: str | None
    """Name of the array of targets: class labels [N], one-hot rows [N, K] or values [N, K]; without targets, the model's own outputs serve
    as targets (default: y)."""

    task: Literal["auto", "classification", "multilabel", "regression"] | None
    """Task of the model; auto: inferred from the targets, or from the outputs if there are no targets (default: auto)."""

    test_input_key: str | Sequence[str | int] | None
    """Names of the arrays of samples in --test; default: as in --input-key."""

    test_target_key: str | None
    """Name of the array of targets in --test; default: as in --target-key."""

    tf32: bool | None
    """Let a GPU multiply in TF32 while scoring: factors are rounded to 10 bits, and convolutions are faster."""

    threads: int | None
    """CPU threads, 1 to 1024; default: OMP_NUM_THREADS if it is set, else one per core."""


class ComposeOptions(TypedDict, total=False):
    """Options of `incite compose`. None stands for the default."""

    force: bool | None
    """Replace the file if it exists."""

    format: Literal["torchscript", "pt2"] | None
    """What to write; torchscript: a file for torch.jit.load; pt2: an exported program, for torch.export.load; default: torchscript."""

    input_key: str | Sequence[str | int] | None
    """Names of the arrays of samples in --data; default: as decomposed."""

    input_layout: Literal["as-stored", "nhwc"] | None
    """Order of image axes in the archive; nhwc: channels last, passed to the model as [N, C, H, W]; default: as decomposed."""

    names: str | Sequence[str | int] | None
    """Names of the outputs, such as cat,dog; default: their numbers in the original models."""

    remove: str | Sequence[str | int] | None
    """Modules to leave out, by their default names, such as 3,7."""

    replace: Mapping[str, str | os.PathLike[str]] | None
    """Replace one module by another, such as 3=other/module-3.pt; may be repeated."""

    threads: int | None
    """CPU threads, 1 to 1024; default: OMP_NUM_THREADS if it is set, else one per core."""


class EvaluateOptions(TypedDict, total=False):
    """Options of `incite evaluate`. None stands for the default."""

    device: str | None
    """Device to run on: cpu, cuda or cuda:INDEX (default: cpu)."""

    input_key: str | Sequence[str | int] | None
    """Names of the arrays of samples; default: as decomposed, or x."""

    input_layout: Literal["as-stored", "nhwc"] | None
    """Order of image axes in the archive; nhwc: channels last, passed to the model as [N, C, H, W]; default: as decomposed, or as-
    stored."""

    input_scale: float | Literal["auto"] | None
    """Factor for inputs that are passed as float32; default: as decomposed, or auto."""

    input_shape: Sequence[int] | None
    """Shape of one sample; default: as decomposed, or as in the archive."""

    latency: bool | None
    """Also measure milliseconds for batches of 1 and 256."""

    model: str | os.PathLike[str] | None
    """For a folder: the original model, if its file has moved."""

    output: int | str | None
    """For a model file: tensor to use if it returns a tuple, list or dict; default: the only one."""

    target_key: str | None
    """Name of the array of targets; default: as decomposed, or y."""

    task: Literal["auto", "classification", "multilabel", "regression"] | None
    """For a model file: its task; auto: inferred from the targets (default: auto)."""

    threads: int | None
    """CPU threads, 1 to 1024; default: OMP_NUM_THREADS if it is set, else one per core."""
