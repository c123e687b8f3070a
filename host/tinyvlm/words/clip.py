# SPDX-License-Identifier: MIT
"""The real thing: an open_clip text tower, projected into the student's space.

Vectors are made as open_clip's `build_zero_shot_classifier` makes its zero-shot head: encode the
phrase in every template, normalize, average over the templates, normalize again. Then the linear
map of the text space is applied. The weights are fetched once, by open_clip.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..shipped import DATA, extra
from .space import JOIN, Encoded, TextMap, space_of

DEFAULT_PROMPTS = ("a photo of a {}.",)


@dataclass
class OpenClipText:
    """A text tower with its tokenizer, and the map from its space to the student's."""

    model: Any
    tokenizer: Any
    text_space: TextMap
    name: str
    more: tuple[OpenClipText, ...] = ()  # further towers: vectors side by side, together 1 long

    @classmethod
    def create(
        cls, model_name: str, tag: str, space: TextMap | None = None, *more: str
    ) -> OpenClipText:
        """Load `model_name` with the weights `tag`. ValueError says what is missing.

        space: the map of the image encoder; None: that of the encoders that ship. more:
        "MODEL/TAG" of further towers, whose vectors lie beside those of the first.
        """
        try:
            open_clip = imported()
        except ValueError as error:
            raise ValueError(f"{error}, or use --text-encoder lexicon") from error
        towers = [(model_name, tag), *(tower.partition("/")[::2] for tower in more)]
        name = JOIN.join("/".join(tower) for tower in towers)
        name, space = f"open_clip:{name}", space or default_text_space()
        for model_name, tag in towers:
            known = open_clip.list_pretrained_tags_by_model(model_name)
            if tag not in known and not Path(tag).is_file():
                tags = f"tags of {model_name}: {', '.join(known)}; or name a file of weights"
                raise ValueError(
                    f"open_clip has no {model_name}/{tag}; {tags if known else 'no such model'}"
                )
        if not space.name.startswith(space_of(name)):
            raise ValueError(
                f"{name} is another text tower than the one that the encoder was trained with "
                f"({space.name}); `tinyvlm-inspect` names it"
            )
        loaded = []
        for model_name, tag in towers:
            try:
                model = create_model(model_name, tag).eval()
            except (OSError, RuntimeError) as error:
                raise ValueError(
                    f"the weights of {model_name}/{tag} could not be fetched; connect once, or"
                    " use --text-encoder lexicon"
                ) from error
            loaded.append(cls(model, open_clip.get_tokenizer(model_name), space, name))
        first, *others = loaded
        return replace(first, more=tuple(others))

    @property
    def space(self) -> str:
        """Name of the text space, to be compared with the encoder's."""
        return self.text_space.name

    def encode(self, phrase: str, prompts: tuple[str, ...] = ()) -> Encoded:
        """Vector of a phrase: the mean over the prompts, projected and normalized."""
        prompts = prompts or DEFAULT_PROMPTS
        teacher = self.teacher_vector(phrase, prompts)
        expected = len(self.text_space.centre)
        if teacher.shape != (expected,):
            raise ValueError(
                f"{self.name} makes {len(teacher)}-dimensional vectors, the encoder was aligned "
                f"to a text space of {expected}; use open_clip:ViT-B-32/openai"
            )
        return Encoded(self.text_space.project(teacher[None])[0], f"{len(prompts)} prompt(s)")

    def teacher_vector(self, phrase: str, prompts: tuple[str, ...]) -> np.ndarray:
        """Unit vector (teacher dim,) as in open_clip's zero-shot head."""
        import torch

        with torch.no_grad():
            tokens = self.tokenizer([prompt.replace("{}", phrase) for prompt in prompts])
            vectors = self.model.encode_text(tokens, normalize=True)
            vector = vectors.mean(dim=0)
            own = (vector / vector.norm()).float().numpy()
        if not self.more:
            return own
        all_towers = [own, *(tower.teacher_vector(phrase, prompts) for tower in self.more)]
        return np.concatenate(all_towers) / np.float32(np.sqrt(len(all_towers)))


def imported() -> ModuleType:
    """The module open_clip. ValueError: it is not there, or its torchvision does not fit torch."""
    try:
        import open_clip
    except ImportError as error:
        raise ValueError(f"open_clip cannot be imported ({error}); {extra('train')}") from error
    except RuntimeError as error:  # torchvision asks torch for operators that it did not load
        has = " does not fit ".join(f"{name} {version(name)}" for name in ("torchvision", "torch"))
        raise ValueError(
            f"{has} ({error}): install both from one index, as"
            " `pip install --force-reinstall torch torchvision` does"
        ) from error
    return open_clip


def create_model(model_name: str, tag: str) -> Any:
    """open_clip's model with the weights `tag`, and with the activation they were trained with.

    open_clip only warns that weights such as OpenAI's want QuickGELU, and takes GELU for a
    ViT-B-32 all the same: its vectors would be others than CLIP's.
    """
    import open_clip

    quick = bool(open_clip.get_pretrained_cfg(model_name, tag).get("quick_gelu"))
    return open_clip.create_model(model_name, pretrained=tag, force_quick_gelu=quick)


def default_text_space() -> TextMap:
    """The text space that ships with the package (it lies beside the lexicon)."""
    from .lexicon import Lexicon

    return Lexicon.load(DATA / "lexicon.npz").text_space
