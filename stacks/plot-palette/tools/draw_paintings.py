"""Draws the sixty paintings of `image/` and writes their catalogue. `python3 tools/draw_paintings.py`; the same files each time.

A painting: colours and wished shares from `paintings.py` -> areas by its composition, drawn twice as large -> light (shadows at the edges
of the paper, strokes, grain) that brightens as much as it darkens, so the colours stay those of the catalogue -> half size -> WebP.
"""

import json
import re
import unicodedata
from pathlib import Path

import numpy as np
from compositions import COMPOSITIONS, Canvas
from paintings import paintings
from PIL import Image
from scipy import ndimage

FOLDER = Path(__file__).resolve().parent.parent / "image"
WIDTH, HEIGHT, SCALE = 640, 480, 2
QUALITY = 80


def draw(painting):
    """The picture, and the share of each colour that came out."""
    dice = np.random.default_rng(4000 + painting["id"])
    canvas = Canvas(dice, [color["share"] for color in painting["colors"]], WIDTH * SCALE, HEIGHT * SCALE)
    labels, heights = COMPOSITIONS[painting["composition"]](canvas)
    palette = np.array([[int(color["hex"][i : i + 2], 16) for i in (1, 3, 5)] for color in painting["colors"]], float)
    picture = palette[labels] * light(canvas, heights)[..., None]
    picture = picture.reshape(HEIGHT, SCALE, WIDTH, SCALE, 3).mean(axis=(1, 3))
    return Image.fromarray(np.clip(np.rint(picture), 0, 255).astype(np.uint8)), np.bincount(labels.ravel(), minlength=5) / labels.size


def light(canvas, heights):
    """A factor for each pixel, 1 in the middle: shadow below edges, a thin lit rim, brush strokes, grain of the canvas."""
    heights = np.asarray(heights, float)
    cast = ndimage.gaussian_filter(ndimage.shift(heights, (9, 6), order=0, mode="nearest"), 9)
    shadow = np.clip(cast - heights, 0, 1.2) * 0.26
    rim = np.clip(heights - ndimage.shift(heights, (2, 2), order=0, mode="nearest"), 0, 0.6) * 0.1
    strokes = ndimage.rotate(canvas.noise(0.09, 0.004), float(canvas.dice.uniform(-20, 20)), reshape=False, order=1, mode="wrap") * 0.05
    grain = canvas.noise(0.0022) * 0.022
    return 1 - shadow + rim + strokes + grain


def rounded(shares):
    """Shares as painted, in hundredths that add up to one: shapes cannot always meet the shares wished for."""
    hundredths = np.rint(shares * 100)
    hundredths[np.argmax(hundredths)] += 100 - hundredths.sum()
    return [float(part) / 100 for part in hundredths]


def slug(title):
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain.replace("'", "")).strip("-")


def main():
    catalogue = []
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.webp"):
        old.unlink()
    for painting in paintings():
        picture, shares = draw(painting)
        name = f"{painting['id']:03d}-{slug(painting['title'])}.webp"
        picture.save(FOLDER / name, quality=QUALITY, method=6)
        colors = [color | {"share": share} for color, share in zip(painting["colors"], rounded(shares))]
        colors.sort(key=lambda color: -color["share"])
        catalogue.append({"id": painting["id"], "title": painting["title"], "artist": painting["artist"], "file": name, "colors": colors})
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in catalogue)
    (FOLDER / "catalogue.json").write_text(f"[\n{lines}\n]\n", "utf-8")


if __name__ == "__main__":
    main()
