# SPDX-License-Identifier: MIT
"""The same frames in the page's engine (both builds), on the PC and on the virtual board."""

import json
import subprocess

import numpy as np
import web_golden
from PIL import Image

import tinyvlm
from tinyvlm.boards.romfs import make_image
from tinyvlm.shipped import model_path

MOST = 250_000  # bytes of a frame: all of them must lie in the board's ROMFS

ON_BOARD = """
import binascii, tinyvlm
for model in {models}:
    tinyvlm.load("/rom/%s.tvlm" % model)
    for name, (width, height) in {sizes}.items():
        pixels = memoryview(open("/rom/%s.rgb" % name, "rb"))
        found = tinyvlm.embed(tinyvlm.Frame(pixels, width, height, "RGB888"))
        print(model, name, binascii.hexlify(bytes(found)).decode())
"""


def pictures() -> dict[str, np.ndarray]:
    """Of all sizes, noise and photos; of a photo fewer pixels, where it has too many."""
    found = {}
    for name, pixels in web_golden.pictures().items():
        if name.startswith("made") and pixels.nbytes > MOST:
            continue
        factor = -(-max(pixels.shape) // 240)
        photo = Image.fromarray(pixels)
        found[name] = pixels if name.startswith("made") else np.asarray(photo.reduce(factor))
    return found


def in_browser(web, folder, seen) -> dict[str, dict[str, str]]:
    """Build -> encoder and frame -> embedding, of WebAssembly."""
    asked = {
        "frames": {n: {"width": p.shape[1], "height": p.shape[0]} for n, p in seen.items()},
        "encoders": {name: str(model_path(name)) for name in web_golden.ENCODERS},
    }
    (folder / "asked.json").write_text(json.dumps(asked))
    node = ["npx", "vite-node", "engine/embeddings.ts", "--", folder]
    subprocess.run(node, cwd=web, check=True, timeout=600)
    return json.loads((folder / "embeddings.json").read_text())


def on_pc(seen) -> dict[str, str]:
    found = {}
    for model in web_golden.ENCODERS:
        tinyvlm.load(model)
        for name, pixels in seen.items():
            found[f"{model} {name}"] = bytes(tinyvlm.embed(pixels)).hex()
    return found


def on_board(start_board, folder, seen) -> dict[str, str]:
    files = [(f"/rom/{m}.tvlm", model_path(m).read_bytes()) for m in web_golden.ENCODERS]
    files += [(f"/rom/{name}.rgb", pixels.tobytes()) for name, pixels in seen.items()]
    (folder / "rom.img").write_bytes(make_image(files))
    board = start_board(romfs=folder / "rom.img")
    sizes = {name: (pixels.shape[1], pixels.shape[0]) for name, pixels in seen.items()}
    said = board.exec(ON_BOARD.format(models=web_golden.ENCODERS, sizes=sizes), timeout=280)
    return {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in said.splitlines()}


def test_embeddings_are_the_same_everywhere(web, start_board, tmp_path):
    seen = pictures()
    web_golden.write_rgba(tmp_path, seen)
    everywhere = in_browser(web, tmp_path, seen)
    everywhere["PC"] = on_pc(seen)
    everywhere["virtual board"] = on_board(start_board, tmp_path, seen)
    assert len(everywhere) == 4
    truth, differ, count = everywhere["PC"], 0, 0
    for where, found in everywhere.items():
        assert found.keys() == truth.keys(), where
        for name, text in found.items():
            one, other = (np.frombuffer(bytes.fromhex(t), np.int8) for t in (text, truth[name]))
            assert len(one) == len(other) == 256
            differ += int((one != other).sum())
            count += len(one) * (where != "PC")
    print(
        f"{len(seen)} frames, {len(web_golden.ENCODERS)} encoders: {differ} of {count:,} values "
        f"differ between {', '.join(everywhere)}"
    )
    assert differ == 0 and count >= 45_000
    for model in web_golden.ENCODERS:  # that frames differ is seen
        mine = [text for name, text in truth.items() if name.startswith(f"{model} ")]
        assert len(set(mine)) == len(seen)
