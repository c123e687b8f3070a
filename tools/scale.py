# SPDX-License-Identifier: MIT
"""`make scale`: training as at the size of CC3M, in small, from photos to an evaluated encoder.

    python tools/scale.py --out build/scale

Makes shards with captions (crops of scikit-image's photos), lets a randomly initialised CLIP of
open_clip judge them, trains on two processes with little memory, interrupts that run and resumes
it, exports, and evaluates. Prints what it counted: readings of shards, the loss of one, two and
four processes, equal tensors, images a second. What such an encoder knows is nothing: its teacher
knows nothing.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle_left", "colorwheel")
NAMES = (
    "an astronaut",
    "a cat",
    "a cup of coffee",
    "a rocket",
    "a motorcycle",
    "a wheel of colours",
)
PLACES = ("top left", "top right", "bottom left", "bottom right", "middle")
SIDE = 160  # pixels of an image's shorter side, the least that img2dataset's users keep
USUAL = 256  # what most of them keep, and speeds are measured with
STEP_IMAGES = 64  # a batch
SAME = 1e-3  # gradients that differ by less, as a part of the largest, differ by rounding


def say(text: str) -> None:
    print(text, flush=True)


def make_shards(folder: Path, images: int, shards: int, size: int = SIDE) -> None:
    """Photos at hand, cut at random, with captions that say of what and from where."""
    import skimage.data

    found = skimage.data.stereo_motorcycle()[0]
    photos = [
        Image.fromarray(found if name == "motorcycle_left" else getattr(skimage.data, name)())
        for name in PHOTOS
    ]
    photos = [photo.convert("RGB") for photo in photos]
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(1)
    for shard in range(shards):
        with tarfile.open(folder / f"{shard:05}.tar", "w") as tar:
            for i in range(shard, images, shards):
                which, photo = i % len(photos), photos[i % len(photos)]
                side = rng.randint(size // 2, min(photo.size))
                x, y = (rng.randint(0, length - side) for length in photo.size)
                view = photo.resize((size, size), Image.BILINEAR, (x, y, x + side, y + side))
                file = io.BytesIO()
                view.save(file, "JPEG", quality=95)  # as img2dataset does
                text = f"{NAMES[which]}, the {PLACES[i % len(PLACES)]} part, picture {i}"
                _add(tar, f"{i:09}.jpg", file.getvalue())
                _add(tar, f"{i:09}.txt", text.encode())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


@contextmanager
def any_torchvision() -> Iterator[None]:
    """Let a torchvision that was built for another torch be imported, as open_clip does.

    It lacks its C++ operators, and fails on describing them. open_clip uses none of them.
    """
    import torch

    register = torch.library.register_fake

    def known_only(op: str, *args: object, **kwargs: object) -> Callable:
        missing = isinstance(op, str) and op.startswith("torchvision::")
        return (lambda f: f) if missing else register(op, *args, **kwargs)

    torch.library.register_fake = known_only
    try:
        yield
    finally:
        torch.library.register_fake = register


def make_teacher(name: str, file: Path) -> None:
    """Weights of an untrained CLIP, as a file that open_clip takes for pretrained ones."""
    import open_clip
    import torch

    torch.manual_seed(0)
    torch.save(open_clip.create_model(name).state_dict(), file)


def count_readings(data: str, images: int, memory: int) -> None:
    """A table: what one, two and four ranks read and show in an epoch."""
    from tinyvlm.train.loader import Loader
    from tinyvlm.train.shards import expand

    paths = expand(data)
    say("| ranks | shards read | images shown | different ones | images/s of a rank |")
    say("|---|---|---|---|---|")
    for ranks in (1, 2, 4):
        seen, read, steps = Counter(), 0, images // (STEP_IMAGES * ranks)
        began = time.monotonic()
        for rank in range(ranks):
            loader = Loader(
                paths,
                size=96,
                batch=STEP_IMAGES,
                seed=1,
                epoch=0,
                rank=rank,
                world_size=ranks,
                memory=memory,
                length=steps,
            )
            for batch in loader:
                seen.update(batch.ids)
            read += loader.reads.total()
        speed = seen.total() / (time.monotonic() - began)
        say(f"| {ranks} | {read} | {seen.total()} | {len(seen)} | {speed:.0f} |")
        if read != len(paths):
            raise SystemExit(f"{read} shards read by {ranks} ranks together, not {len(paths)}")


def measure_speeds(folder: Path, images: int, model: str) -> None:
    """A table: images that a CPU core reads and decodes in a second of its time.

    Time of the process and not of the clock: other work on the machine changes nothing.
    """
    import torch

    from tinyvlm.train.cache import Pictures
    from tinyvlm.train.loader import Loader, Maker
    from tinyvlm.train.shards import read
    from tinyvlm.train.teacher import OpenClip

    def timed(work: Callable[[], object]) -> tuple[object, float]:
        began = time.process_time()
        return work(), images / (time.process_time() - began)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    make_shards(folder, images, 1, USUAL)
    shard, workers = folder / "00000.tar", {"workers": 2, "memory": 1}
    samples, reading = timed(lambda: list(read(shard, Counter())))
    for_student = [(s.id, s.blob, 0) for s in samples]
    loader = Loader([shard], size=96, batch=STEP_IMAGES, seed=1, epoch=0, **workers)
    handing = timed(lambda: sum(1 for _ in loader))[1]  # the workers' own time is not in it
    speeds = {"read": reading, "read and given to workers, `--read`": handing}
    for size in (96, 64):
        maker = Maker(size, 1, 0, "mild")
        name = f"decoded and changed, {size} px" + ", `--decode`" * (size == 96)
        speeds[name] = timed(lambda maker=maker: maker.__getitems__(for_student))[1]
    pictures = Pictures(OpenClip.create(model, "random", "cpu", "fp32").prepare)
    speeds["decoded for a CLIP, `--prepare`"] = timed(lambda: pictures.__getitems__(samples))[1]
    torch.set_num_threads(threads)
    kib = sum(len(s.blob) for s in samples) / images / 1024
    say(f"\n| images of {USUAL} px, {kib:.0f} KiB on average | images/s a core |")
    say("|---|---|")
    for name, speed in speeds.items():
        say(f"| {name} | {speed:.0f} |")


def share(rank: int, size: int, file: Path, images: Tensor, texts: Tensor) -> None:
    """Process `rank` of `size`: the contrastive loss of a batch that is dealt out to all, and its
    gradients, into `file`."""
    import torch
    import torch.distributed as dist

    from tinyvlm.train import config
    from tinyvlm.train.loss import MatryoshkaLoss

    store = f"file://{file.absolute()}.store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=size)
    options = ["--train-data", "none", "--teacher", "cache", "--learn-matrix"]
    torch.manual_seed(0)
    wide = images.shape[1]
    student = torch.nn.Linear(wide, 256)
    space = torch.randn(256, wide) / wide**0.5, texts.mean(0), images.mean(0)
    loss = MatryoshkaLoss(config.parse(options), *space)
    own, text = (x.chunk(size)[rank] for x in (images - space[2], texts))
    total, _ = loss(student(own), torch.full((len(own),), -1), None, text)
    total.backward()
    found = [total.detach(), student.weight.grad, loss.matrix.grad]
    for value in found:  # as DistributedDataParallel does with gradients
        dist.all_reduce(value)
        value /= size
    if rank == 0:
        torch.save(found, file)
    dist.barrier()
    dist.destroy_process_group()


def compare_losses(cache: Path, folder: Path) -> None:
    """A table: the contrastive loss of one batch, dealt out to one, two and four processes."""
    import torch

    from tinyvlm.train import teacher_cache

    cached, found = teacher_cache.read(cache, "00000"), []
    batch = [torch.tensor(x[:STEP_IMAGES]).float() for x in (cached.image, cached.text)]
    folder.mkdir(exist_ok=True)
    say(f"\n| processes | loss of {len(batch[0])} captions | gradients differ by at most |")
    say("|---|---|---|")
    for size in (1, 2, 4):
        file = folder / f"{size}.pt"
        torch.multiprocessing.spawn(share, (size, file, *batch), nprocs=size)
        found.append(torch.load(file))
        pairs = zip(found[-1], found[0], strict=True)
        loss, *apart = (((a - b).abs().max() / b.abs().max()).item() for a, b in pairs)
        say(f"| {size} | {found[-1][0]:.6f} | {max(apart):.0e} |")
        if not max(loss, *apart) < SAME:  # a NaN, too
            raise SystemExit(f"the loss of {size} processes is not that of one")


def train(options: list[str], processes: int, until: Path | None = None) -> None:
    """tinyvlm-train on several processes; ended as soon as the file `until` is there."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *launcher, "-m", "tinyvlm.train.main", *options]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    while process.poll() is None:
        if until and until.exists():
            process.terminate()  # as a cluster does; the launcher ends its processes
            process.wait()
            return
        time.sleep(0.05)
    if process.returncode or until:
        raise SystemExit(f"training ended with {process.returncode}")


def compare(one: Path, other: Path) -> int:
    """Tensors of the last checkpoints of two runs, which must be equal."""
    import torch

    from tinyvlm.train import checkpoint

    a, b = (checkpoint.read(checkpoint.find(run))[0] for run in (one, other))
    different = [key for key in a if not torch.equal(a[key], b[key])]
    if a.keys() != b.keys() or different:
        raise SystemExit(f"{one} and {other} differ: {different[:3]}")
    return len(a)


def main(argv: list[str] | None = None) -> None:
    p = argparse.ArgumentParser(description="Train as at the size of CC3M, in small.")
    p.add_argument("--out", type=Path, required=True, help="folder to write, emptied by you")
    p.add_argument("--images", type=int, default=10_000)
    p.add_argument("--shards", type=int, default=20)
    p.add_argument("--teacher", default="ViT-S-32-alt", help="a model of open_clip")
    p.add_argument("--epochs", type=int, default=3)
    p.add_argument("--config", default="nano", help="the student's configuration")
    args = p.parse_args(argv)
    with any_torchvision():
        import open_clip  # noqa: F401
    from tinyvlm import eval as evaluate
    from tinyvlm.train import cache, export

    out, began = args.out, time.monotonic()
    data = f"{out}/cc/{{00000..{args.shards - 1:05}}}.tar"
    make_shards(out / "cc", args.images, args.shards)
    size = sum(path.stat().st_size for path in (out / "cc").iterdir())
    say(f"{args.images} images in {args.shards} shards, {size / 1e6:.0f} MB\n")

    count_readings(data, args.images, size // 4)
    measure_speeds(out / "speed", min(args.images, 1024), args.teacher)

    say("\n$ tinyvlm-train cache")
    make_teacher(args.teacher, out / "clip.pt")
    teacher = f"open_clip:{args.teacher}/{out / 'clip.pt'}"
    if cache.main(["--train-data", data, "--teacher", teacher, "--cache", str(out / "soft")]):
        raise SystemExit("no cache")
    compare_losses(out / "soft", out / "losses")

    say("\n$ tinyvlm-train, two processes; then the same, interrupted and resumed")
    options = ["--config", args.config, "--train-data", data, "--teacher", str(out / "soft")]
    options += ["--logs-dir", str(out / "logs"), "--memory", str(max(1, size // 4 >> 20))]
    options += ["--batch-size", str(STEP_IMAGES), "--epochs", str(args.epochs), "--device", "cpu"]
    options += ["--train-num-samples", "0", "--warmup", "10"]
    train([*options, "--name", "whole"], 2)
    first = out / "logs" / "halved" / "checkpoints" / "epoch_1.safetensors"
    train([*options, "--name", "halved"], 2, until=first)
    done = len((out / "logs" / "halved" / "results.jsonl").read_text().splitlines())
    if done == args.epochs:
        raise SystemExit("the run was over before it was ended: more --epochs")
    say(f"ended after {done} of {args.epochs} epochs")
    train([*options, "--name", "halved", "--resume", "latest"], 2)
    equal = compare(out / "logs" / "whole", out / "logs" / "halved")
    say(f"0 of {equal} tensors differ between the two")
    rows = (out / "logs" / "whole" / "results.jsonl").read_text().splitlines()
    say("\n| epoch | shards read | images/s | waited for images |\n|---|---|---|---|")
    for row in map(json.loads, rows):
        waited = f"{row['waited']} of {row['seconds']} s"
        say(f"| {row['epoch']} | {row['shards_read']} | {row['images_per_second']} | {waited} |")

    say("\n$ tinyvlm-train export, tinyvlm-eval")
    encoder = out / "mine.tvlm"
    export.main(["--run", str(out / "logs" / "whole"), "--out", str(encoder), "--qat-steps", "5"])
    last = out / "cc" / f"{args.shards - 1:05}.tar"
    evaluate.main(
        ["--model", str(encoder), "--data", f"last={last}", "--table", "--text-encoder", teacher]
    )
    say(f"\nall of it: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
