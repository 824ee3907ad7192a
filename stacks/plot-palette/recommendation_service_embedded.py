"""The machine learning of Plot & Palette, embedded in the Flask process: pictures to palettes, palettes to paintings.

Flow: `read_picture` (magic bytes, bounds, full decode by Pillow) -> `extract_palette` (k-means, k = 5) ->
`RecommendationService.recommend` (nearest neighbours in CIELAB over the catalogue of paintings).

Invariants:
- Bytes become a picture only when magic bytes and decoder agree on one of four types, and within `MAX_PIXELS`.
- The same bytes give the same palette, and the same palette the same order: nothing here is random.
- The model is built once in a process; the time that took, and the time of each inference, is logged.
"""

import hashlib
import io
import json
import logging
import math
import threading
import time
import warnings
from dataclasses import dataclass

_imports_began = time.perf_counter()
import numpy as np  # noqa: E402  (the time these imports take is part of the model's load time)
import pandas as pd  # noqa: E402
from PIL import Image  # noqa: E402
from scipy.optimize import linear_sum_assignment  # noqa: E402
from sklearn.cluster import KMeans  # noqa: E402
from sklearn.neighbors import NearestNeighbors  # noqa: E402

IMPORT_SECONDS = time.perf_counter() - _imports_began

log = logging.getLogger("plot_palette.model")

COLORS = 5
RECOMMENDED = 10
MAX_PIXELS = 24_000_000  # 72 MB decoded; one picture at a time in each process
SAMPLES = 160  # k-means sees a grid of at most this many pixels a side
EXTENSIONS = {".png", ".jpg", ".jpeg", ".webp", ".gif"}
ALGORITHM = "lab-assignment-1"  # change it when the same palette would be ranked differently
KINDS = {  # Pillow's name: (media type, extension of the stored file)
    "PNG": ("image/png", ".png"),
    "JPEG": ("image/jpeg", ".jpg"),
    "WEBP": ("image/webp", ".webp"),
    "GIF": ("image/gif", ".gif"),
}
Image.MAX_IMAGE_PIXELS = MAX_PIXELS

_one_at_a_time = threading.Lock()


class UnsupportedImage(Exception):
    """The bytes are no picture that we take."""


class TooManyPixels(Exception):
    """A picture, but larger than `MAX_PIXELS`."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture: what is kept about it, and a sample of its pixels (n × 3, uint8, sRGB)."""

    mime: str
    extension: str
    width: int
    height: int
    pixels: np.ndarray


def sniff(data):
    """Pillow's name of the type that the first bytes announce, or None."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return None


def read_picture(data):
    """Decodes an upload in full. Raises `UnsupportedImage` or `TooManyPixels`; memory is bounded by `MAX_PIXELS`."""
    kind = sniff(data)
    if kind is None:
        raise UnsupportedImage("unknown magic bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=[kind])
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise TooManyPixels
            with _one_at_a_time:
                pixels = _sample(image)
    except (TooManyPixels, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooManyPixels from None
    except Exception as error:  # a decoder fed with hostile bytes raises almost anything
        raise UnsupportedImage(f"{kind}: {type(error).__name__}") from error
    return Picture(*KINDS[kind], width, height, pixels)


def _sample(image):
    """The first frame's pixels on an even grid. Taken, not averaged: a flat colour stays exactly what it was."""
    step = math.ceil(max(image.size) / SAMPLES)
    if step > 1:
        image = image.resize([math.ceil(side / step) for side in image.size], Image.Resampling.NEAREST)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB")).reshape(-1, 3)


def extract_palette(pixels):
    """Five colours as `{"hex", "share"}` by falling share: the centres of k-means over the pixels.

    A centre is the median of its pixels, so the blurred seams between two areas (JPEG) do not tint it. A picture of fewer than
    five colours is its own clustering; its first colour fills the list with share 0.
    """
    began = time.perf_counter()
    packed = (pixels.astype(np.uint32) << np.array([16, 8, 0], np.uint32)).sum(axis=1, dtype=np.uint32)
    values, counts = np.unique(packed, return_counts=True)
    colors = np.stack([values >> 16, values >> 8 & 255, values & 255], axis=1).astype(np.float64)
    if len(values) <= COLORS:
        labels = np.arange(len(values))
    else:
        labels = KMeans(COLORS, n_init=4, random_state=0).fit(colors, sample_weight=counts).labels_
    found = []
    for label in np.unique(labels):
        members = labels == label
        center = [_weighted_median(colors[members, channel], counts[members]) for channel in range(3)]
        found.append({"hex": "#%02X%02X%02X" % tuple(center), "share": round(float(counts[members].sum() / len(pixels)), 4)})
    found.sort(key=lambda color: (-color["share"], color["hex"]))
    found += [{"hex": found[0]["hex"], "share": 0.0}] * (COLORS - len(found))
    log.info("inference palette ms=%.1f pixels=%d distinct=%d", _since(began), len(pixels), len(values))
    return found


def _weighted_median(values, weights):
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return int(values[order][np.searchsorted(reached, reached[-1] / 2)])


def lab(hex_colors):
    """sRGB (IEC 61966-2-1) colours as CIELAB under D65, n × 3."""
    rgb = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in hex_colors]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
    xyz = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def _features(colors):
    """A palette as one row of 20 numbers: L*, a*, b* and share of each colour."""
    shares = np.array([[color["share"]] for color in colors], dtype=np.float64)
    return np.hstack([lab([color["hex"] for color in colors]), shares]).ravel()


def palette_distance(one, other):
    """How far two palettes are apart, in units of CIELAB (CIE76): the cheapest pairing of their colours, each pair's difference
    weighted by its mean share, and half a unit for each percent of area that a pair does not have in common."""
    one, other = one.reshape(COLORS, 4), other.reshape(COLORS, 4)
    difference = np.linalg.norm(one[:, None, :3] - other[None, :, :3], axis=2)
    share, other_share = one[:, None, 3], other[None, :, 3]
    cost = difference * (share + other_share) / 2 + 50 * np.abs(share - other_share) / COLORS
    return float(cost[linear_sum_assignment(cost)].sum())


class RecommendationService:
    """The catalogue of paintings and the neighbours model over it. Built on the first use, or by `load`, once."""

    def __init__(self, catalogue_path):
        self._path, self._guard, self._model = catalogue_path, threading.Lock(), None
        self.catalogue, self.version = None, None

    def load(self):
        with self._guard:
            if self._model is not None:
                return self
            began = time.perf_counter()
            source = self._path.read_bytes()
            catalogue = pd.DataFrame(json.loads(source)).set_index("id", drop=False).sort_index()
            rows = np.stack([_features(colors) for colors in catalogue["colors"]])
            model = NearestNeighbors(n_neighbors=RECOMMENDED, algorithm="brute", metric=palette_distance).fit(rows)
            self.version = f"{ALGORITHM}-{hashlib.sha256(source).hexdigest()[:8]}"
            self.catalogue, self._model = catalogue, model
            log.info(
                "model loaded ms=%.1f imports_ms=%.0f paintings=%d version=%s",
                *(_since(began), IMPORT_SECONDS * 1000, len(catalogue), self.version),
            )
            return self

    def recommend(self, colors):
        """The ten nearest paintings as `(id, score)`, best first; score 1 is the same palette, and it falls with distance."""
        began = time.perf_counter()
        distances, places = self.load()._model.kneighbors([_features(colors)])
        ids = self.catalogue["id"].to_numpy()[places[0]]
        ranked = [(int(i), round(math.exp(-distance / 60), 6)) for i, distance in zip(ids, distances[0])]
        log.info("inference recommendation ms=%.1f", _since(began))
        return ranked

    def painting(self, painting_id):
        """A painting's entry in the catalogue as a dictionary, or None."""
        catalogue = self.load().catalogue
        return catalogue.loc[painting_id].to_dict() if painting_id in catalogue.index else None


def _since(began):
    return (time.perf_counter() - began) * 1000
