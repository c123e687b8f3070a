# SPDX-License-Identifier: MIT
"""What an encoder is and costs, for tinyvlm-eval: from the .tvlm and the .json beside it."""

from __future__ import annotations

import json
from pathlib import Path

from ..net import cost, tvlm
from ..net.graph import INPUT, Conv, Depthwise

CARD = ("images", "images_shown", "data_sets", "class_names")  # of the .json that export writes
CONFIG = ("init", "teacher")


def facts(file: Path, encoder: tvlm.Encoder) -> dict:
    """Sizes in bytes, costs of one frame, and the training card's figures, if there is a card."""
    graph, shapes = encoder.graph, encoder.graph.shapes()
    cells = shapes[graph.dense] if graph.dense else None
    arrays = [layer.weights for layer in graph.layers if isinstance(layer, Conv | Depthwise)]
    distinct = {array.tobytes(): array.size for array in arrays}  # the map's last layer shares
    return {
        "encoder": graph.info.get("name", "unnamed"),
        "file": file.name,
        "fingerprint": encoder.fingerprint.hex(),
        "input": list(shapes.get(INPUT, graph.input_shape)),
        "map": list(cells[:2]) if cells else None,
        "dim": shapes[graph.embedding][2],
        "bytes": encoder.size,
        "arena": encoder.plan.arena_size,
        "weights": sum(distinct.values()),
        "macs": encoder.macs,
        "cortex_m7_cycles": _cortex_m7(encoder),
        "cycles": _cycles(encoder),
        "card": _card(file.with_suffix(".json")),
    }


def _cortex_m7(encoder: tvlm.Encoder) -> int | None:
    """Of the layers on a Cortex-M7, by the cost model; None for layers that it does not know."""
    try:
        return round(cost.cycles(encoder.graph, encoder.plan))
    except KeyError:
        return None


def _cycles(encoder: tvlm.Encoder) -> int | None:
    """Of the MAX78000's accelerator, by the cycle model, if the encoder is made for it."""
    if encoder.graph.info.get("scheme") != "max78000":
        return None
    from ..max78000 import cycles, mapper

    return cycles.network_cycles(mapper.map_graph(encoder.graph).network)


def _card(path: Path) -> dict | None:
    if not path.exists():
        return None
    try:
        card = json.loads(path.read_text())
        config = card.get("config", {})
        if not isinstance(config, dict):
            raise ValueError("config is no object")
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: not a card ({error}); export the encoder again") from None
    found = {key: card[key] for key in CARD if key in card}
    return found | {key: config[key] for key in CONFIG if config.get(key)}
