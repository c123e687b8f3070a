# SPDX-License-Identifier: MIT
"""The open_clip path on a small random model: nothing is downloaded."""

import importlib
import json
import sys

import numpy as np
import pytest

from tinyvlm.words.clip import OpenClipText, create_model
from tinyvlm.words.encoders import create_text_encoder
from tinyvlm.words.space import TextMap, save_space

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from tinyvlm.train.teacher import OpenClip  # noqa: E402

TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
WORDS = ["cat", "dog", "motorcycle", "cup of coffee"]
PROMPTS = ("a photo of a {}.", "a blurry photo of the {}.", "art of a {}")


@pytest.fixture(scope="module")
def encoder(open_clip):
    torch.manual_seed(0)
    model = open_clip.CLIP(**TINY).eval()
    rng = np.random.default_rng(0)
    space = TextMap("tiny", rng.normal(size=32).astype("f"), rng.normal(size=(32, 8)).astype("f"))
    return OpenClipText(model, open_clip.SimpleTokenizer(), space, "open_clip:tiny/random")


def test_equals_open_clips_own_zero_shot_head(open_clip, encoder):
    head = open_clip.build_zero_shot_classifier(
        encoder.model,
        tokenizer=encoder.tokenizer,
        classnames=WORDS,
        templates=[prompt.format for prompt in PROMPTS],
        num_classes_per_batch=2,
        device="cpu",
    )
    ours = np.stack([encoder.teacher_vector(word, PROMPTS) for word in WORDS])
    assert ours.shape == (4, 32)
    assert np.abs(ours - head.T.numpy()).max() < 1e-6


def test_encode_projects_and_normalises(encoder):
    encoded = encoder.encode("cat", PROMPTS)
    assert encoded.vector.shape == (8,)
    assert np.isclose(np.linalg.norm(encoded.vector), 1, atol=1e-6)
    teacher = encoder.teacher_vector("cat", PROMPTS)
    assert np.allclose(encoded.vector, encoder.text_space.project(teacher[None])[0], atol=1e-6)


def test_a_text_tower_of_another_size_is_refused(encoder):
    other = TextMap("512", np.zeros(512, "f"), np.zeros((512, 8), "f"))
    wrong = OpenClipText(encoder.model, encoder.tokenizer, other, encoder.name)
    with pytest.raises(ValueError, match="makes 32-dimensional vectors"):
        wrong.encode("cat")


def test_the_map_beside_an_encoder_is_taken(encoder, monkeypatch, tmp_path):
    """As `tinyvlm-train export` leaves it for an encoder that learned from another CLIP."""
    own = encoder.text_space
    space = TextMap("clip-vit-l-14-openai/0", own.centre, own.projection)
    made = []
    monkeypatch.setattr(OpenClipText, "create", lambda *a: made.append(a))
    create_text_encoder("open_clip:ViT-L-14/openai", tmp_path / "mine.tvlm")
    save_space(space, tmp_path / "mine.space.npz")
    create_text_encoder("open_clip:ViT-L-14/openai", tmp_path / "mine.tvlm")
    assert made[0] == ("ViT-L-14", "openai", None)
    found = made[1][2]
    assert found.name == space.name
    assert np.array_equal(found.centre, space.centre.astype(np.float16))
    assert np.array_equal(found.projection, space.projection.astype(np.float16))
    (tmp_path / "mine.space.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="mine.space.npz: not the map of a text space"):
        create_text_encoder("open_clip:ViT-L-14/openai", tmp_path / "mine.tvlm")


def test_weights_may_be_a_file(open_clip, monkeypatch, tmp_path):
    """A teacher's may, too; its name is in the name of the text space."""
    weights = tmp_path / "mine.pt"
    weights.write_bytes(b"")
    model, asked = open_clip.CLIP(**TINY), []
    monkeypatch.setattr(open_clip, "create_model", lambda *a, **k: asked.append(k) or model)
    monkeypatch.setattr(open_clip, "get_tokenizer", lambda name: None)
    space = TextMap("clip-vit-b-32-mine.pt/0", np.zeros(32, "f"), np.zeros((32, 8), "f"))
    made = OpenClipText.create("ViT-B-32", str(weights), space)
    assert made.text_space is space and asked[0]["pretrained"] == str(weights)


def test_unknown_tags_are_named(open_clip):
    with pytest.raises(ValueError, match="tags of ViT-B-32: openai"):
        OpenClipText.create("ViT-B-32", "nonsense")
    with pytest.raises(ValueError, match="no such model"):
        OpenClipText.create("nonsense", "openai")


@pytest.mark.parametrize(
    ("tag", "activation"), [("openai", "QuickGELU"), ("laion2b_s34b_b79k", "GELU")]
)
def test_weights_get_the_activation_they_were_trained_with(
    open_clip, monkeypatch, tmp_path, tag, activation
):
    """open_clip itself takes GELU for both, and only warns."""
    factory = importlib.import_module("open_clip.factory")
    tiny = tmp_path / "tiny-of-clip.json"
    tiny.write_text(json.dumps(TINY))
    open_clip.add_model_config(tiny)
    about = open_clip.get_pretrained_cfg("ViT-B-32", tag)
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda *_: about)
    monkeypatch.setattr(factory, "get_pretrained_cfg", lambda *_: about)
    monkeypatch.setattr(factory, "download_pretrained", lambda *_, **__: "weights")
    monkeypatch.setattr(factory, "load_checkpoint", lambda *_, **__: None)
    model = create_model("tiny-of-clip", tag)
    for tower in (model.visual.transformer, model.transformer):
        assert type(tower.resblocks[0].mlp.gelu).__name__ == activation


def test_another_text_tower_of_the_same_size_is_refused(open_clip):
    """512 numbers, too, but others: every word would be nonsense."""
    with pytest.raises(ValueError, match="another text tower .*clip-vit-b-32-openai/"):
        OpenClipText.create("ViT-B-16", "openai")


@pytest.mark.parametrize(
    "error", [OSError("no route to host"), RuntimeError("Failed to download")]
)
def test_without_a_network_one_sentence_says_so(open_clip, monkeypatch, error):
    def create_model(*_, **__):
        raise error

    monkeypatch.setattr(open_clip, "create_model", create_model)
    with pytest.raises(ValueError, match="ViT-B-32/openai could not be fetched; connect once"):
        OpenClipText.create("ViT-B-32", "openai")


def test_a_torchvision_for_another_torch_is_named(monkeypatch, tmp_path):
    """Its import ends in a RuntimeError, and open_clip's with it; the extra is there already."""
    (tmp_path / "open_clip.py").write_text("raise RuntimeError('operator does not exist')\n")
    (tmp_path / "torchvision-9.8.7.dist-info").mkdir()
    (tmp_path / "torchvision-9.8.7.dist-info" / "METADATA").write_text("Version: 9.8.7\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "open_clip", raising=False)
    for create in (OpenClipText.create, lambda *a: OpenClip.create(*a, "cpu", "fp32")):
        with pytest.raises(ValueError, match="operator does not exist") as error:
            create("ViT-B-32", "openai")
        said = str(error.value)
        assert f"torchvision 9.8.7 does not fit torch {torch.__version__}" in said
        assert "pip install --force-reinstall torch torchvision" in said and "[train]" not in said
