"""Puts the pictures of a folder on one sheet, to look at: `python3 tools/contact_sheet.py FOLDER OUT.png [COLUMNS]`."""

import sys
from pathlib import Path

from PIL import Image


def main(folder, out, columns=8):
    files = sorted(path for path in Path(folder).iterdir() if path.suffix in (".webp", ".png", ".jpg"))
    size = Image.open(files[0]).size
    width = 1920 // columns
    height = width * size[1] // size[0]
    sheet = Image.new("RGB", (width * columns, height * -(-len(files) // columns)), "#888")
    for place, path in enumerate(files):
        sheet.paste(Image.open(path).convert("RGB").resize((width - 6, height - 6)), (place % columns * width + 3, place // columns * height + 3))
    sheet.save(out)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
