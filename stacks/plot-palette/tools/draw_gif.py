"""Draws `palette GIF/drifting-palette.gif`: five bands of colour that drift like water, in a seamless loop."""

import math
from pathlib import Path

from PIL import Image, ImageDraw

FOLDER = Path(__file__).resolve().parent.parent / "palette GIF"
COLORS = ("#264653", "#2A9D8F", "#E9C46A", "#F4A261", "#E76F51")
WIDTH, HEIGHT, SCALE, FRAMES, MILLISECONDS = 480, 160, 3, 32, 70


def frame(number):
    turn = math.tau * number / FRAMES
    image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), COLORS[0])
    draw = ImageDraw.Draw(image)
    for band, color in enumerate(COLORS[1:], start=1):
        height = HEIGHT * SCALE * (0.06 + band * 0.185)
        top = []
        for x in range(0, WIDTH * SCALE + 1, SCALE):
            at = math.tau * x / (WIDTH * SCALE)
            swing = 13 * math.sin(at * (1 + band % 2) + turn + band * 1.7) + 7 * math.sin(at * 3 - turn + band)
            top.append((x, height + swing * SCALE))
        draw.polygon([(x, y - 3 * SCALE) for x, y in top] + [(WIDTH * SCALE, HEIGHT * SCALE), (0, HEIGHT * SCALE)], fill=shaded(color))
        draw.polygon([*top, (WIDTH * SCALE, HEIGHT * SCALE), (0, HEIGHT * SCALE)], fill=color)
    return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).quantize(48, dither=Image.Dither.NONE)


def shaded(color):
    return tuple(round(int(color[i : i + 2], 16) * 0.55 + 255 * 0.45) for i in (1, 3, 5))


def main():
    FOLDER.mkdir(exist_ok=True)
    frames = [frame(number) for number in range(FRAMES)]
    frames[0].save(FOLDER / "drifting-palette.gif", save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=0, optimize=True)


if __name__ == "__main__":
    main()
