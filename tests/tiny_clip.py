# SPDX-License-Identifier: MIT
"""A model for open_clip that is small enough for tests, under a name: no downloads."""

import importlib
import json

NAME = "tiny-of-tests"
SHAPE = {
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


def register(folder, embed_dim):
    """Make open_clip know the model NAME with vectors of this length; writes into `folder`."""
    path = folder / f"{NAME}.json"
    path.write_text(json.dumps({"embed_dim": embed_dim, **SHAPE}))
    importlib.import_module("open_clip.factory").add_model_config(path)
