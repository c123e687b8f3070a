# SPDX-License-Identifier: MIT
"""Real photos for the demo and the tests: those inside scikit-image and scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from ..shipped import extra


@dataclass(frozen=True)
class Photo:
    """A photo file with what it shows, as a label of device/examples/things.txt."""

    name: str
    shows: str
    path: Path

    def image(self) -> Image.Image:
        """The photo in RGB."""
        with Image.open(self.path) as image:
            return image.convert("RGB")


# name, label, package, file
_PHOTOS = (
    ("astronaut", "person", "skimage", "data/astronaut.png"),
    ("chelsea", "cat", "skimage", "data/chelsea.png"),
    ("china", "temple", "sklearn", "datasets/images/china.jpg"),
    ("coffee", "coffee", "skimage", "data/coffee.png"),
    ("coins", "coins", "skimage", "data/coins.png"),
    ("dahlia", "flower", "sklearn", "datasets/images/flower.jpg"),
    ("motorcycle", "motorcycle", "skimage", "data/motorcycle_left.png"),
    ("rocket", "rocket", "skimage", "data/rocket.jpg"),
)


def photos() -> list[Photo]:
    """The photos, by name. ImportError says which package is missing."""
    found = []
    for name, shows, package, file in _PHOTOS:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ImportError(f"the photos come with {package}; {extra('dev')}")
        found.append(Photo(name, shows, Path(spec.origin).parent / file))
    return found


def save_ppm(photo: Photo, path: Path, short_side: int = 120) -> None:
    """Write the photo as a small binary PPM, as a camera of that resolution would see it."""
    image = photo.image()
    scale = short_side / min(image.size)
    size = tuple(round(side * scale) for side in image.size)
    image.resize(size, Image.Resampling.LANCZOS).save(path, format="PPM")
