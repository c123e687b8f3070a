# SPDX-License-Identifier: MIT
"""Gradients of a step: several batches as one, blocks computed twice, several processes."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

import processes  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.parallel import DistributedDataParallel  # noqa: E402

from tinyvlm.train import config, distributed  # noqa: E402
from tinyvlm.train.loss import MatryoshkaLoss  # noqa: E402
from tinyvlm.train.step import Net, backward  # noqa: E402
from tinyvlm.train.student import Student  # noqa: E402

N, SIZE, WIDTH = 16, 32, 40


def net(norms=True, checkpointing=False, amp=False):
    """The smoke student (without batch norm's statistics of a batch, if said so) and its loss."""
    options = config.parse(["--train-data", "x", "--model", "smoke", "--learn-matrix"])
    torch.manual_seed(0)
    centre = torch.zeros(WIDTH)
    loss = MatryoshkaLoss(
        replace(options, teacher="cache"), torch.randn(256, WIDTH) / 6, centre, centre
    )
    student = Student(options.student)
    student.set_grad_checkpointing(checkpointing)
    for module in student.modules():
        if isinstance(module, nn.BatchNorm2d) and not norms:
            module.eval()
    return Net(student, loss, amp)


def batches(count, judged=True):
    """The same images, captions and teacher's vectors in `count` batches. Some have none.

    judged: with vectors of the images; whose losses are within a process.
    """
    made = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (N, SIZE, SIZE, 3), generator=made, dtype=torch.uint8)
    image, text = (torch.randn(N, WIDTH, generator=made) for _ in "12")
    image[[1, 11]] = text[[2, 9, 12]] = 0
    columns = [x.chunk(count) for x in (images, torch.full((N,), -1), image, text)]
    if not judged:
        columns[2] = [None] * count
    return list(zip(*columns, strict=True))


def gradients(model, inputs):
    """{name: gradient} of a step, and the loss."""
    total, parts = backward(model, inputs)
    judged = set() if inputs[0][2] is None else {"distill", "relation"}
    assert set(parts) == judged | {"contrast"} and not total.requires_grad
    plain = getattr(model, "module", model)
    found = {name: p.grad.clone() for name, p in plain.named_parameters()}
    assert {"loss.log_scale", "loss.matrix"} < set(found)
    return found | {"total": total}


def same(some, others, atol=1e-6):
    assert some.keys() == others.keys()
    for name in some:
        assert some[name].abs().max() > 0, name
        assert torch.allclose(some[name], others[name], rtol=1e-3, atol=atol), name


@pytest.mark.parametrize("count", [2, 4, 8])
def test_several_batches_have_the_gradients_of_the_large_one(count):
    one, several = (gradients(net(norms=False), batches(n)) for n in (1, count))
    same(one, several)
    alone = [backward(net(norms=False), [batch])[0] for batch in batches(count)]
    assert sum(alone) / count < one["total"], "captions of the other batches are wrong answers too"


def test_batch_norm_counts_every_batch_once():
    whole, apart = net(), net()
    backward(whole, batches(2))
    apart.train()
    for images, *_ in batches(2):
        apart.embed(images)
    for (name, a), b in zip(whole.named_buffers(), apart.buffers(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("count", [1, 2])
def test_blocks_computed_twice_change_nothing(count):
    kept, twice = net(), net(checkpointing=True)
    same(*(gradients(model, batches(count)) for model in (kept, twice)))
    for (name, a), b in zip(kept.named_buffers(), twice.buffers(), strict=True):
        assert torch.equal(a, b), name


def test_bfloat16_points_where_fp32_does():
    full, half = (gradients(net(amp=amp), batches(2)) for amp in (False, True))
    assert abs(full["total"] - half["total"]) < 0.02 * full["total"]
    for name, gradient in full.items():
        assert half[name].dtype == torch.float32, name
        a, b = gradient.flatten(), half[name].flatten()
        assert len(a) < 100 or torch.cosine_similarity(a, b, dim=0) > 0.9, name
    assert any((full[name] != half[name]).any() for name in full)


def test_blocks_computed_twice_hold_less():
    held = []

    def hold(x):
        held[-1] += x.numel() * x.element_size()
        return x

    for checkpointing in (False, True):
        held.append(0)
        model = net(checkpointing=checkpointing)
        with torch.autograd.graph.saved_tensors_hooks(hold, lambda x: x):
            model.embed(batches(1)[0][0])
    assert held[1] < held[0] / 2


def process(rank, size):
    model = DistributedDataParallel(net(checkpointing=True), gradient_as_bucket_view=True)
    per = 4 // size
    found = gradients(model, batches(4, judged=False)[rank * per : (rank + 1) * per])
    torch.distributed.all_reduce(found["total"])
    found["total"] /= size
    return found


def worker(rank, size, store, out):
    """Train a step, leave, and write down which threads of gloo are left."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": store}
    world = distributed.join("cpu")
    backward(DistributedDataParallel(net()), batches(1))
    world.barrier()
    distributed.leave()
    names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    Path(f"{out}.{rank}").write_text("".join(name for name in names if "gloo" in name))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are listed in /proc")
def test_no_thread_is_left_when_training_is_over(tmp_path, gloo):
    """One that lives while the interpreter ends aborts the process, now and then."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    torch.multiprocessing.spawn(worker, (2, port, str(tmp_path / "left")), nprocs=2)
    assert [(tmp_path / f"left.{rank}").read_text() for rank in range(2)] == ["", ""]


def test_batches_of_processes_and_of_one_process_are_the_same(tmp_path, gloo):
    """Batch norm has statistics of a batch, whoever computes it."""
    same(*(processes.run(process, size, tmp_path)[0] for size in (4, 2)), atol=1e-5)
