# SPDX-License-Identifier: MIT
"""Configurations: the shape of a student, and everything that decides a training run.

A configuration is a JSON file of `TrainConfig` fields; the ones in `configs/` have names.  A flag
of the same name overrides a field.  `student` is the shape:

    {"lr": 0.003, "student": {"size": 64, "stem": 8, "blocks": [{"out": 16, "expand": 0}], ...}}

A block with the key `expand` is a Bottleneck, one without it is a Conv.  No torch in here.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

DIMS = (16, 32, 64, 128, 256)  # Matryoshka prefixes
CONFIGS = Path(__file__).with_name("configs")


@dataclass(frozen=True)
class Bottleneck:
    """Inverted residual: 1x1 to `expand` channels, depthwise kernel x kernel, linear 1x1 to `out`.

    expand 0 leaves the first 1x1 out.  Others make a residual sum when shape in = shape out (a
    depthwise convolution's input is stored for it alone).
    """

    out: int
    expand: int
    stride: int = 1
    kernel: int = 3


@dataclass(frozen=True)
class Conv:
    """[Average pool `pool` x `pool`, then] a kernel x kernel convolution of stride 1 with ReLU."""

    out: int
    kernel: int = 3
    pool: int = 1


@dataclass(frozen=True)
class StudentConfig:
    """The shape of a student.

    size    image side in pixels
    stem    scheme tflite: channels of the first 3x3 stride-2 convolution;
            scheme max78000: side of the squares that are folded into channels (4: 3 -> 48)
    last    channels of the final 1x1 convolution with ReLU (0: there is none)
    scheme  whose arithmetic the int8 net follows: "tflite" or "max78000"
    relu6   scheme tflite: ReLUs end at 6, as in MobileNetV2; in int8 that is the saturation
    thin    scheme tflite: behind the last depthwise convolution the embedding is made of every
            second cell, rows and columns, a quarter of the work; the dense map has all of them
    """

    size: int
    stem: int
    blocks: tuple[Bottleneck | Conv, ...]
    last: int
    dim: int = DIMS[-1]
    scheme: str = "tflite"
    relu6: bool = False
    thin: bool = False


def student_config(raw: dict) -> StudentConfig:
    """A shape from its JSON form. ValueError, KeyError or TypeError: it is none."""
    blocks = [Bottleneck(**b) if "expand" in b else Conv(**b) for b in raw["blocks"]]
    scheme = raw.get("scheme", "tflite")
    if scheme not in ("tflite", "max78000"):
        raise ValueError(f"scheme {scheme!r} is neither tflite nor max78000")
    if scheme == "max78000" and any(isinstance(b, Bottleneck) for b in blocks):
        raise ValueError("scheme max78000 has no depthwise convolution: no block may `expand`")
    if raw.get("thin") and not (len(blocks) > 1 and is_thinnable(*blocks[-2:])):
        raise ValueError("`thin` needs a last block with `expand`, without a residual sum")
    return StudentConfig(**{**raw, "blocks": tuple(blocks)})


def is_thinnable(before: Bottleneck | Conv, last: Bottleneck | Conv) -> bool:
    """May cells be left out in the last block? In one with a residual sum they may not."""
    if not isinstance(last, Bottleneck):
        return False
    return not last.expand or last.stride > 1 or last.out != before.out


def option(default, text: str):
    """A field that is also a flag, with the flag's help."""
    return field(default=default, metadata={"help": text})


@dataclass
class TrainConfig:
    """Everything that decides a run, and where it goes."""

    train_data: str = option(
        "", "shards: a/{00000..00331}.tar, a glob, a URL, pipe:COMMAND, or several joined by ::"
    )
    train_num_samples: int = option(0, "images an epoch, of all processes together (0: all)")
    text_vectors: str = option(
        "",
        "CLIP's vectors of names (.npz), else the shipped lexicon's; among captions a text of 5 or"
        " more images is a name",
    )
    text_space: str = option("", "map of `tinyvlm-train map` (.npz); else a whitened PCA")
    teacher: str = option(
        "labels", "labels (class names), or a folder of `tinyvlm-train cache`, or A+B"
    )
    model: str = option("base", "shape of the student: base, nano, max78000, smoke or FILE.json")
    init: str = option("", "start from what fits of this run, checkpoint or pretrained body")

    freeze: int = option(0, "the first n blocks and the stem stay as --init has them (0: none)")

    epochs: int = option(20, "passes")
    batch_size: int = option(96, "images a step and process")
    accum_freq: int = option(1, "batches that count as one: a step is made after so many")
    lr: float = option(3e-3, "peak learning rate of AdamW; falls along a cosine")
    body_rate: float = option(1.0, "learning rate of all but `last` and head, as a part of --lr")
    wd: float = option(0.02, "weight decay")
    warmup: int = option(500, "steps of linear warm-up")
    grad_clip_norm: float = option(5.0, "max gradient norm")
    precision: str = option("fp32", "fp32 or amp_bf16")
    seed: int = option(1, "random seed")
    small: int = option(0, "image side at first (0: about two thirds of the model's)")
    large_from: float = option(0.8, "part of the run after which images have the model's size")
    balance: float = option(0.5, "a class with n images is shown in proportion to n**balance")
    captions: float = option(1.0, "images with captions are shown so many times as often")

    augment: str = option("mild", "what is done to the images: mild, or strong")

    prefix_weights: tuple[float, ...] = option((1.0,) * len(DIMS), f"weights of prefixes {DIMS}")
    label_weight: float = option(1.0, "weight of naming the class")
    distill_weight: float = option(1.0, "weight of the teacher's image embeddings")
    mend: float = option(
        0.0,
        "mend the teacher's points of classes whose name is farther than this cosine, or "
        "farther than five other names; 0: of none",
    )
    relation_weight: float = option(
        1.0, "weight of relational distillation: how alike the images are"
    )
    contrast_weight: float = option(1.0, "weight of telling the batch's captions apart")
    smoothing: float = option(0.1, "part of a class target that its neighbours share")
    hypernyms: float = option(0.25, "chance of using the hypernym")
    alpha: float = option(0.5, "whitening of the text space: 0 none, 1 full")
    learn_matrix: bool = option(False, "train the map from CLIP's space to the student's, too")
    matrix_rate: float = option(0.01, "learning rate of that map, as a part of --lr")

    device: str = option("auto", "auto, cpu, cuda, mps ...")
    workers: int = option(0, "processes that load images (0: a thread of this one)")
    memory: int = option(1024, "MiB of encoded images that a process keeps: all, or a buffer")
    grad_checkpointing: bool = option(False, "compute blocks twice instead of keeping them")
    torchcompile: bool = option(False, "compile the student with torch.compile")
    logs: str = option("./logs", "folder of runs")
    name: str = option("", "name of the run (default: the model's)")
    resume: str = option("", "`latest`, or a checkpoint, to go on from")
    save_frequency: int = option(1, "epochs between checkpoints that stay (0: none stay)")
    save_most_recent: bool = option(True, "keep epoch_latest.safetensors up to date")
    zeroshot_frequency: int = option(1, "epochs between validations (0: none)")
    log_every_n_steps: int = option(100, "steps between two lines of the log")
    report_to: str = option("", "`tensorboard`, `wandb`, both with a comma, or nothing")

    student: StudentConfig | None = None

    @property
    def run(self) -> Path:
        """The folder of this run."""
        return Path(self.logs) / (self.name or Path(self.model).stem)

    @property
    def step_images(self) -> int:
        """Images that a process shows in a step."""
        return self.batch_size * self.accum_freq

    @property
    def memory_bytes(self) -> int:
        """--memory in bytes."""
        return self.memory << 20

    def sizes(self) -> tuple[int, int]:
        """Image sides (at first, at the end)."""
        large = self.student.size
        return self.small or -(-large * 2 // 3 // 16) * 16, large


# What may change between the two halves of an interrupted run without changing its result.
PLACES = ("device", "workers", "torchcompile", "logs", "name", "resume", "save_frequency")
PLACES += ("save_most_recent", "zeroshot_frequency", "report_to", "train_data", "text_vectors")
PLACES += ("text_space", "log_every_n_steps", "grad_checkpointing")


def to_json(config: TrainConfig) -> str:
    return json.dumps(asdict(config), indent=1) + "\n"


def from_dict(raw: dict) -> TrainConfig:
    """The inverse of `dataclasses.asdict`, after JSON."""
    raw = {**raw, "prefix_weights": tuple(raw["prefix_weights"])}
    return TrainConfig(**{**raw, "student": student_config(raw["student"])})


# -- files and flags -----------------------------------------------------------------------------


def names() -> list[str]:
    """The configurations of this package."""
    return sorted(path.stem for path in CONFIGS.glob("*.json"))


def read(name: str, flag: str) -> dict:
    """The fields in configuration `name`, or in the file of that name; `flag` is for the error."""
    path = Path(name) if name.endswith(".json") else CONFIGS / f"{name}.json"
    try:
        raw = json.loads(path.read_text())
        if "student" in raw:
            raw["student"] = student_config(raw["student"])
    except OSError:
        known = ", ".join(names())
        raise SystemExit(f"{flag} {name}: unknown; take {known}, or name a FILE.json") from None
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise SystemExit(f"{flag} {name}: {path} is no configuration: {e}") from None
    strange = sorted(set(raw) - {f.name for f in fields(TrainConfig)})
    if strange:
        raise SystemExit(f"{flag} {name}: {path} sets {strange[0]!r}, which does not exist")
    for f in fields(TrainConfig):
        if f.name in raw and f.name != "student" and not _is_like(raw[f.name], f.default):
            raise SystemExit(
                f"{flag} {name}: {path} sets {f.name!r} to {json.dumps(raw[f.name])}; "
                f"it must be like {json.dumps(f.default)}"
            )
    if "prefix_weights" in raw:
        raw["prefix_weights"] = tuple(raw["prefix_weights"])
    return raw


def _is_like(value: object, default: object) -> bool:
    """Is it of the default's kind? A whole number will do for one with a point."""
    if isinstance(default, tuple):
        return (
            isinstance(value, list)
            and len(value) == len(default)
            and all(_is_like(x, 0.0) for x in value)
        )
    if isinstance(default, float):
        return type(value) in (int, float)
    return type(value) is type(default)


def weights(text: str) -> tuple[float, ...]:
    """'1,1,2,1,1' -> a weight for each prefix."""
    try:
        out = tuple(float(part) for part in text.split(","))
    except ValueError:
        out = ()
    if len(out) != len(DIMS) or min(out) < 0 or not any(out):
        raise argparse.ArgumentTypeError(
            f"{text}: give {len(DIMS)} numbers of 0 or more, such as 1,1,1,1,1"
        )
    return out


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """With the defaults, of those options that have one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        empty = action.default in ("", None)
        return action.help if empty else super()._get_help_string(action)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="tinyvlm-train",
        formatter_class=Help,
        description="Train a student on shards of photos with class names or captions. "
        "(`tinyvlm-train cache` asks a teacher; `tinyvlm-train export` makes the int8 file.)",
    )
    p.add_argument(
        "--config", default="", help=f"defaults for all: {', '.join(names())}, FILE.json"
    )
    for f in fields(TrainConfig):
        if "help" not in f.metadata:
            continue
        flags, how = ["--" + f.name.replace("_", "-")], {"default": f.default, **f.metadata}
        if f.name == "logs":
            flags.append("--logs-dir")  # torchrun takes --logs for a short form of one of its own
        if isinstance(f.default, bool):
            how["action"] = argparse.BooleanOptionalAction
        else:
            how["type"] = weights if f.name == "prefix_weights" else type(f.default)
        p.add_argument(*flags, **how)
    return p


def parse(argv: list[str] | None = None) -> TrainConfig:
    """The run that flags and configuration files ask for."""
    p = parser()
    first, _ = p.parse_known_args(argv)
    raw = read(first.config, "--config") if first.config else {}
    shape = raw.pop("student", None)
    name = raw.pop("model", Path(first.config).stem) if shape else ""
    p.set_defaults(**raw)
    if shape:
        p.set_defaults(model="")  # a flag may still say otherwise
    args = vars(p.parse_args(argv))
    del args["config"]
    if args["model"]:
        name, shape = args["model"], read(args["model"], "--model").get("student")
        if shape is None:
            p.error(f"--model {name}: the file has no `student`")
    config = TrainConfig(**{**args, "model": name}, student=shape)
    check(config, p)
    return config


def check(config: TrainConfig, p: argparse.ArgumentParser) -> None:
    """Refuse what cannot work, in one sentence."""
    if not config.train_data:
        p.error(
            "--train-data is needed: the shards to train on, such as 'cc3m/{00000..00331}.tar'"
        )
    for name in ("epochs", "batch_size", "accum_freq", "lr", "log_every_n_steps", "memory"):
        if getattr(config, name) <= 0:
            p.error(f"--{name.replace('_', '-')} must be more than 0")
    for f in fields(TrainConfig):
        if type(f.default) in (int, float) and getattr(config, f.name) < 0 and f.name != "seed":
            p.error(f"--{f.name.replace('_', '-')} must not be negative")
    choices = {
        "precision": ("fp32", "amp_bf16"),
        "report_to": ("", "tensorboard", "wandb", "tensorboard,wandb"),
        "augment": ("mild", "strong"),
    }
    for name, known in choices.items():
        if getattr(config, name) not in known:
            p.error(f"--{name.replace('_', '-')} {getattr(config, name)}: take one of {known}")
    if config.grad_checkpointing and config.torchcompile:
        p.error("--grad-checkpointing and --torchcompile do not go together: leave one out")
    if config.student.scheme == "max78000" and any(s % 16 for s in config.sizes()):
        p.error("max78000 needs image sides that are multiples of 16")
