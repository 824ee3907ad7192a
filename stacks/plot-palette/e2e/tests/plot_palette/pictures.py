"""Draws the pictures that the tests upload into the folder of the first argument; the second is the paintings' catalogue.
Same bytes in every run."""

import json
import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw, PngImagePlugin

folder = Path(sys.argv[1])
BANDS = (("#264653", 40), ("#2A9D8F", 25), ("#E9C46A", 20), ("#F4A261", 10), ("#E76F51", 5))


def bands(colours):
    image, left = Image.new("RGB", (100, 100)), 0
    for colour, width in colours:
        ImageDraw.Draw(image).rectangle((left, 0, left + width - 1, 99), fill=colour)
        left += width
    return image


bands(BANDS).save(folder / "bands.png")
bands(BANDS).save(folder / "bands.jpg", quality=90)
bands(BANDS).save(folder / "bands.gif")
bands(BANDS).save(folder / "bands.webp", lossless=True)

# the colours of a painting whose title needs four bytes for one character
(night,) = (painting for painting in json.loads(Path(sys.argv[2]).read_text("utf-8")) if "🎨" in painting["title"])
bands([(color["hex"], round(color["share"] * 100)) for color in night["colors"]]).save(folder / "night.png")

page = PngImagePlugin.PngInfo()
page.add_text("Comment", "<html><body><script>alert(1)</script></body></html>")
bands(BANDS).save(folder / "page-inside.png", pnginfo=page)

# what many people send at once: noise, none like the other
numbers = random.Random(4)
for index in range(20):
    noise = Image.frombytes("RGB", (60, 45), numbers.randbytes(60 * 45 * 3))
    noise.resize((160, 120)).save(folder / f"noise-{index}.png")

Image.new("1", (6000, 5000)).save(folder / "many-pixels.png")
