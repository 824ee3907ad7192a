"""Draws the fifteen emotion illustrations: one small round being, in fifteen situations. `python3 tools/draw_emotions.py`.

Each scene is a function of a `Scene`, whose canvas is 100 units wide and high; shapes are drawn in order, the being among them.
Drawn three times as large and reduced, then to a palette of 220 colours: flat, and small as a file.
"""

import math
import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from story_generation.emotions import EMOTIONS, FOLDER  # noqa: E402

SIDE, SCALE = 384, 3
BEING, BLUSH, INK = "#FFB38A", "#F7876B", "#2B2440"


def rgb(color):
    return tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))


def mixed(one, other, part):
    return tuple(round(a + (b - a) * part) for a, b in zip(rgb(one), rgb(other)))


class Scene:
    """Shapes in units of a hundredth of the side."""

    def __init__(self, top, bottom, seed):
        self.size, self.dice = SIDE * SCALE, random.Random(seed)
        column = Image.new("RGB", (1, self.size))
        column.putdata([mixed(top, bottom, y / self.size) for y in range(self.size)])
        self.image = column.resize((self.size, self.size))
        self.unit = self.size / 100
        self._pen()

    def _pen(self):
        self.draw = ImageDraw.Draw(self.image, "RGBA")

    def _color(self, color, alpha):
        return (*rgb(color), round(alpha * 255))

    def disc(self, x, y, r, color, alpha=1.0, ry=None):
        ry, u = ry or r, self.unit
        self.draw.ellipse([(x - r) * u, (y - ry) * u, (x + r) * u, (y + ry) * u], fill=self._color(color, alpha))

    def shape(self, points, color, alpha=1.0):
        self.draw.polygon([(x * self.unit, y * self.unit) for x, y in points], fill=self._color(color, alpha))

    def smooth(self, points, color, alpha=1.0):
        """A shape with its corners cut round (Chaikin), four times."""
        for _ in range(4):
            pairs = list(zip(points, points[1:] + points[:1]))
            points = [(a * (1 - t) + c * t, b * (1 - t) + d * t) for (a, b), (c, d) in pairs for t in (0.25, 0.75)]
        self.shape(points, color, alpha)

    def crescent(self, x, y, r, bite, color):
        """A disc without the part that lies under another disc, `bite` = (x, y, r)."""
        mask = Image.new("L", self.image.size)
        pen = ImageDraw.Draw(mask)
        pen.ellipse(self._bounds(x, y, r), fill=255)
        pen.ellipse(self._bounds(*bite), fill=0)
        self.image.paste(Image.new("RGB", self.image.size, color), mask=mask)
        self._pen()

    def box(self, x0, y0, x1, y1, color, alpha=1.0, r=0):
        u = self.unit
        self.draw.rounded_rectangle([x0 * u, y0 * u, x1 * u, y1 * u], r * u, fill=self._color(color, alpha))

    def line(self, points, width, color, alpha=1.0):
        points = [(x * self.unit, y * self.unit) for x, y in points]
        self.draw.line(points, fill=self._color(color, alpha), width=round(width * self.unit), joint="curve")
        for x, y in (points[0], points[-1]):
            r = width * self.unit / 2
            self.draw.ellipse([x - r, y - r, x + r, y + r], fill=self._color(color, alpha))

    def arc(self, x, y, r, start, end, width, color, alpha=1.0):
        steps = [math.radians(start + (end - start) * n / 40) for n in range(41)]
        self.line([(x + r * math.cos(a), y + r * math.sin(a)) for a in steps], width, color, alpha)

    def hill(self, base, height, waves, color, alpha=1.0, phase=0.0):
        top = [(x, base - height * math.sin(x / 100 * math.pi * waves + phase)) for x in range(-1, 102)]
        self.shape([(-1, 101), *top, (101, 101)], color, alpha)

    def glow(self, x, y, r, color, strength=0.6):
        mask = Image.new("L", (200, 200))
        ImageDraw.Draw(mask).ellipse([(x - r) * 2, (y - r) * 2, (x + r) * 2, (y + r) * 2], fill=round(255 * strength))
        mask = mask.filter(ImageFilter.GaussianBlur(r * 0.75)).resize(self.image.size)
        self.image.paste(Image.new("RGB", self.image.size, color), mask=mask)
        self._pen()

    def star(self, x, y, r, color, points=4, depth=0.32, turn=0.0):
        ring = [(r if n % 2 == 0 else r * depth, math.pi * n / points - math.pi / 2 + turn) for n in range(points * 2)]
        self.shape([(x + d * math.cos(a), y + d * math.sin(a)) for d, a in ring], color)

    def heart(self, x, y, r, color, alpha=1.0):
        curve = [math.tau * n / 60 for n in range(60)]
        points = [(16 * math.sin(t) ** 3, 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) for t in curve]
        self.shape([(x + a * r / 16, y - b * r / 16) for a, b in points], color, alpha)

    def shadow(self, x, y, r):
        self.disc(x, y, r, INK, 0.22, r * 0.22)

    def being(self, x, y, r=11, eyes="open", mouth="smile", look=(0.0, 0.0), color=BEING):
        """The small round one. `look` moves its face by parts of its radius."""
        self.disc(x, y, r, color)
        self.disc(x - r * 0.3, y - r * 0.38, r * 0.42, "#FFFFFF", 0.16)
        fx, fy = x + look[0] * r, y + look[1] * r
        for side in (-1, 1):
            self.disc(fx + side * r * 0.56, fy + r * 0.26, r * 0.17, BLUSH, 0.55)
            ex, ey = fx + side * r * 0.36, fy - r * 0.04
            if eyes == "open":
                self.disc(ex, ey, r * 0.115, INK, 1, r * 0.15)
            elif eyes == "wide":
                self.disc(ex, ey, r * 0.2, "#FFFFFF", 1, r * 0.24)
                self.disc(ex + look[0] * r * 0.15, ey + look[1] * r * 0.15, r * 0.115, INK)
            elif eyes == "happy":
                self.arc(ex, ey + r * 0.07, r * 0.16, 200, 340, r * 0.09, INK)
            elif eyes == "closed":
                self.arc(ex, ey - r * 0.05, r * 0.16, 20, 160, r * 0.09, INK)
        my = fy + r * 0.3
        if mouth == "smile":
            self.arc(fx, my - r * 0.1, r * 0.2, 25, 155, r * 0.085, INK)
        elif mouth == "laugh":
            self.draw.pieslice(self._bounds(fx, my - r * 0.08, r * 0.28), 0, 180, fill=self._color(INK, 1))
            self.disc(fx, my + r * 0.1, r * 0.11, BLUSH, 1, r * 0.07)
        elif mouth == "o":
            self.disc(fx, my + r * 0.06, r * 0.11, INK, 1, r * 0.14)
        elif mouth == "sad":
            self.arc(fx, my + r * 0.22, r * 0.18, 210, 330, r * 0.085, INK)
        elif mouth == "flat":
            self.line([(fx - r * 0.14, my + r * 0.05), (fx + r * 0.14, my + r * 0.05)], r * 0.085, INK)

    def _bounds(self, x, y, r):
        return [(x - r) * self.unit, (y - r) * self.unit, (x + r) * self.unit, (y + r) * self.unit]

    def reduced(self):
        small = self.image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        return small.quantize(220, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def joy(s):
    for n in range(16):
        a, b = math.tau * n / 16, math.tau * (n + 0.5) / 16
        s.shape([(50, 46), (50 + 90 * math.cos(a), 46 + 90 * math.sin(a)), (50 + 90 * math.cos(b), 46 + 90 * math.sin(b))], "#FFE39A", 0.75)
    s.disc(50, 46, 27, "#FFF3CF")
    s.hill(84, 5, 1, "#F26B5E")
    s.shadow(50, 81, 12)
    for x, y, c in ((20, 30, "#2A9D8F"), (80, 24, "#E4572E"), (29, 64, "#6C5CE7"), (74, 62, "#2A9D8F"), (16, 52, "#E4572E"), (86, 46, "#6C5CE7")):
        s.disc(x, y, 2.1, c)
    s.being(50, 46, 16, "happy", "laugh")


def serenity(s):
    s.disc(50, 52, 21, "#FFE9C9")
    s.box(-1, 52, 101, 101, "#4F9DA6")
    for n, (y, w) in enumerate(((72.5, 17), (77, 12), (81.5, 14), (86, 7))):
        s.box(50 - w, y, 50 + w, y + 1.6, "#FFE9C9", 0.75 - n * 0.1, 0.8)
    s.shape([(31, 63), (69, 63), (62, 70), (38, 70)], "#2E4A62")
    s.being(50, 53, 10, "closed", "smile")
    s.shape([(31, 62.5), (69, 62.5), (68, 65), (32, 65)], "#3E6480")
    for x in (10, 78):
        s.box(x, 88, x + 14, 89.2, "#BFE3E0", 0.6, 0.6)


def wonder(s):
    s.glow(64, 26, 22, "#7B5BD6", 0.5)
    for _ in range(46):
        s.disc(s.dice.uniform(0, 100), s.dice.uniform(0, 68), s.dice.choice((0.4, 0.6, 0.9)), "#FFFFFF", s.dice.uniform(0.4, 1))
    s.line([(92, 8), (64, 30)], 1.6, "#FFF3CF", 0.35)
    s.line([(80, 17.5), (64, 30)], 2.2, "#FFF3CF", 0.6)
    s.star(63, 31, 9, "#FFD166")
    for x, y, r in ((22, 20, 3.5), (38, 38, 2.4), (84, 48, 3)):
        s.star(x, y, r, "#FFF3CF")
    s.hill(84, 7, 1.3, "#241C4A", phase=0.4)
    s.being(37, 70, 13, "wide", "o", (0.22, -0.28))


def hope(s):
    s.glow(50, 78, 34, "#FFD98E", 0.9)
    s.disc(50, 79, 20, "#FFE6B0")
    s.hill(80, 3, 1, "#3B4A6B")
    s.hill(89, 4, 1, "#2A3452", phase=0.3)
    s.line([(66, 85), (66.5, 74), (65, 66)], 1.7, "#6FBF73")
    s.shape([(65, 70), (57, 67), (53, 60), (61, 61)], "#7FD187")
    s.shape([(65.5, 67), (74, 63), (77, 55), (69, 57)], "#6FBF73")
    s.being(37, 75, 12, "open", "smile", (0.25, -0.05))


def love(s):
    s.glow(50, 52, 30, "#FFD7D0", 0.7)
    for x, y, r, a in ((50, 24, 9, 1), (30, 30, 4, 0.8), (70, 33, 4.6, 0.8), (22, 48, 2.6, 0.6), (79, 50, 2.8, 0.6), (61, 13, 2.6, 0.6)):
        s.heart(x, y, r, "#E23E57", a)
    s.hill(80, 4, 1, "#C94F6D")
    s.shadow(50, 80, 25)
    s.being(38, 65, 14, "closed", "smile", (0.18, 0))
    s.being(63, 67, 12, "happy", "smile", (-0.18, 0), "#FFE0B5")


def nostalgia(s):
    s.box(20, 12, 80, 72, "#7A4B2E", r=2)
    s.box(24, 16, 76, 68, "#F6C987")
    s.disc(50, 52, 13, "#F9E3B4")
    s.shape([(24, 68), (24, 55), (36, 48), (50, 57), (63, 50), (76, 58), (76, 68)], "#C98248")
    s.shape([(58, 68), (58, 58), (64, 53), (70, 58), (70, 68)], "#8C5430")
    s.box(62.5, 61, 65.5, 64, "#F9E3B4")
    s.box(48.7, 16, 51.3, 68, "#7A4B2E")
    s.box(24, 40.7, 76, 43.3, "#7A4B2E")
    s.box(14, 71, 86, 76, "#8E5A38", r=1)
    s.shape([(-1, 10), (12, 10), (17, 76), (9, 92), (-1, 92)], "#A65D4E")
    s.shape([(101, 10), (88, 10), (83, 76), (91, 92), (101, 92)], "#A65D4E")
    s.being(36, 84, 12, "open", "smile", (0.2, -0.25))


def melancholy(s):
    for _ in range(34):
        x, y = s.dice.uniform(4, 98), s.dice.uniform(34, 90)
        s.line([(x, y), (x - 1.2, y + 4.6)], 0.8, "#B9CFE4", 0.6)
    for x, y, r in ((34, 26, 12), (50, 20, 16), (66, 27, 12)):
        s.disc(x, y, r, "#DCE6F1")
    s.box(24, 26, 77, 38, "#DCE6F1", r=6)
    s.box(24, 33, 77, 38, "#B7C7DA", r=2.5)
    s.hill(84, 2, 1, "#3C5273")
    s.disc(50, 88, 26, "#7F9BBD", 0.7, 3.6)
    s.being(50, 72, 14, "open", "sad", (0, 0.12))


def longing(s):
    s.glow(80, 40, 12, "#FFE6A8", 0.8)
    s.box(-1, 55, 101, 101, "#20566B")
    s.shape([(70, 55), (78, 49), (93, 50), (101, 55)], "#153646")
    s.shape([(78.3, 50), (79.3, 36), (82.7, 36), (83.7, 50)], "#F4EDE1")
    s.box(78.9, 40.5, 83.1, 43.5, "#E4572E")
    s.box(78.4, 32, 83.6, 36, "#FFD166", r=0.6)
    s.shape([(78.5, 33), (78.5, 35), (-1, 50), (-1, 17)], "#FFF3CF", 0.28)
    for y, w in ((59, 8), (64, 6), (70, 9), (77, 5)):
        s.box(81 - w, y, 81 + w, y + 1.2, "#FFE6A8", 0.6, 0.6)
    s.smooth([(-20, 74), (18, 70), (42, 75), (53, 86), (57, 120), (-20, 120)], "#D9B382")
    s.smooth([(-20, 86), (22, 83), (46, 91), (51, 120), (-20, 120)], "#C49A68")
    s.being(25, 66, 12, "open", "flat", (0.3, -0.06))


def courage(s):
    wave = [(120, 4), (78, 12), (60, 26), (54, 46), (60, 60), (66, 50), (73, 46), (71, 60), (62, 75), (40, 84), (-20, 89), (-20, 120), (120, 120)]
    s.smooth(wave, "#1D6A96")
    s.smooth([(120, 18), (84, 26), (73, 38), (69, 48), (78, 44), (76, 60), (64, 81), (40, 90), (-20, 93), (-20, 120), (120, 120)], "#2A8CBF")
    for x, y, r in ((57.5, 46, 4), (60.5, 54, 4.4), (66.5, 50.5, 3.6), (71, 47.5, 3), (58.8, 37, 3), (63.5, 29, 2.8), (71, 21.5, 2.4)):
        s.disc(x, y, r, "#EAF6FB")
    s.shape([(8, 84), (52, 84), (46, 91), (14, 91)], "#8C3B2A")
    s.box(29, 44, 30.6, 84, "#5B2A1E")
    s.shape([(31, 46), (48, 52), (31, 60)], "#FFD166")
    s.being(26, 73, 12, "open", "flat", (0.3, -0.12))
    s.line([(26.6, 66.3), (29.5, 67.5)], 1, INK)
    s.line([(35.5, 66.6), (32.9, 67.8)], 1, INK)


def curiosity(s):
    s.box(28, 8, 80, 93, "#5A3E8C", r=3)
    s.box(33, 13, 75, 93, "#FFE8A3")
    s.glow(54, 52, 18, "#FFF9E3", 0.9)
    for x, y, r in ((62, 30, 4), (47, 25, 2.4), (66, 48, 2.2), (55, 40, 1.8)):
        s.star(x, y, r, "#F4A261")
    s.shape([(33, 13), (47, 19), (47, 99), (33, 93)], "#7D5BBF")
    s.disc(44.2, 57, 1.7, "#FFD166")
    s.box(-1, 92, 101, 101, "#3A2A5E")
    s.shape([(47, 93), (75, 93), (92, 101), (47, 101)], "#FFE8A3", 0.55)
    s.being(62, 80, 13, "wide", "smile", (-0.12, -0.3))


def mystery(s):
    s.glow(50, 44, 26, "#8FE0C8", 0.35)
    s.crescent(50, 42, 20, (58, 37, 17.5), "#E9F5DB")
    for x, h in ((6, 46), (20, 60), (80, 58), (94, 44)):
        s.box(x - 2, 100 - h, x + 2, 101, "#0B1C26")
        for n in range(3):
            s.shape([(x - 13 + n * 2, 92 - h + n * 13 + 14), (x, 90 - h + n * 9), (x + 13 - n * 2, 92 - h + n * 13 + 14)], "#0F2733")
    s.being(50, 79, 13, "wide", "none", (0, -0.1))
    s.hill(84, 4, 2, "#0F2733", phase=1.2)
    for x, y in ((22, 84), (26.5, 84), (76, 80), (80.5, 80)):
        s.disc(x, y, 1.1, "#FFD166")
    for y, w, a in ((70, 30, 0.16), (76, 44, 0.2), (90, 50, 0.14)):
        s.box(50 - w, y, 50 + w, y + 3.4, "#DDF4EC", a, 1.7)


def solitude(s):
    s.disc(72, 26, 9, "#FDF6E3")
    s.box(-1, 66, 101, 101, "#6C8EAD")
    for x, y, w in ((10, 74, 16), (66, 78, 22), (28, 88, 20), (74, 92, 14)):
        s.box(x, y, x + w, y + 1.3, "#A9C3D9", 0.7, 0.6)
    s.disc(48, 70, 29, "#E7CFA2", 1, 7)
    s.disc(48, 68.5, 24, "#8DB580", 1, 5.5)
    s.line([(60, 68), (61, 52), (59, 38)], 2.2, "#7A5C43")
    for x, y, r in ((50, 33, 8), (60, 27, 10), (69, 34, 8), (59, 37, 8)):
        s.disc(x, y, r, "#5C946E")
    s.disc(57, 26, 4, "#7DB08B")
    s.being(39, 60, 11, "closed", "smile")


def playfulness(s):
    for _ in range(38):
        x, y, c = s.dice.uniform(2, 98), s.dice.uniform(2, 74), s.dice.choice(("#EF476F", "#118AB2", "#06B58C", "#FFFFFF"))
        s.star(x, y, s.dice.uniform(1.1, 2), c, 2, 0.5, s.dice.uniform(0, 3))
    s.hill(90, 2, 1, "#E07A2F")
    s.shape([(50, 72), (42, 90), (58, 90)], "#7B2D8B")
    s.line([(18, 82), (82, 62)], 3, "#5B1F6B")
    s.being(26, 68, 11, "happy", "laugh")
    s.being(76, 42, 9, "wide", "laugh", (-0.1, 0.1), "#9BE3DE")
    for x in (71, 76, 81):
        s.line([(x, 54), (x, 58)], 0.9, "#FFFFFF", 0.8)
    s.shape([(18, 60), (26, 44), (34, 60)], "#EF476F")
    s.disc(26, 44, 2.2, "#FFFFFF")


def grief(s):
    s.glow(50, 30, 22, "#8A86A8", 0.4)
    s.hill(80, 3, 1, "#2C2B40")
    s.line([(67, 80), (67, 58), (64, 48), (58, 46), (55, 50)], 1.5, "#6B7A5E")
    s.shape([(67, 70), (74, 65), (76, 70), (69, 73)], "#6B7A5E")
    for a in range(0, 180, 36):
        s.disc(54.6 + 3.4 * math.cos(math.radians(a)), 53 + 3.4 * math.sin(math.radians(a)), 2.5, "#B56576")
    s.disc(54.6, 52.4, 2.3, "#E8C07D")
    for x, y in ((58, 80), (50, 82), (63, 83)):
        s.disc(x, y, 1.9, "#B56576", 1, 1)
    s.being(36, 70, 13, "closed", "sad", (0.1, 0.18), "#D9A08C")
    s.disc(33.4, 77.4, 1.3, "#BFD7EA", 1, 1.8)


def triumph(s):
    for n in range(9):
        a = math.radians(200 + n * 17.5)
        b = math.radians(207 + n * 17.5)
        s.shape([(50, 46), (50 + 95 * math.cos(a), 46 + 95 * math.sin(a)), (50 + 95 * math.cos(b), 46 + 95 * math.sin(b))], "#FFF3CF", 0.4)
    s.shape([(-1, 101), (-1, 82), (16, 66), (30, 76), (50, 56), (70, 76), (86, 64), (101, 80), (101, 101)], "#8E5572")
    s.shape([(12, 101), (50, 50), (90, 101)], "#4B3F72")
    s.shape([(50, 50), (38.6, 65.3), (45, 62.5), (50, 68), (55, 63), (62, 65.3)], "#FFFFFF")
    s.shape([(50, 50), (90, 101), (58, 101), (54, 74)], "#3A2F5E", 0.5)
    s.line([(63, 52), (63, 20)], 1.4, "#5B2A1E")
    s.shape([(63.5, 20), (82, 24.5), (76, 28.5), (82, 33), (63.5, 34)], "#E23E57")
    s.being(49, 40, 12, "happy", "laugh", (0.05, -0.08))


GROUNDS = {  # sky from top to bottom
    "joy": ("#FFC94D", "#FFB03B"),
    "serenity": ("#F7B59C", "#F9D9B8"),
    "wonder": ("#1B1545", "#5A3FA6"),
    "hope": ("#35406B", "#F29E6D"),
    "love": ("#F58E8E", "#F9B8A8"),
    "nostalgia": ("#D9A66F", "#B97B50"),
    "melancholy": ("#8CA6C4", "#5F7BA1"),
    "longing": ("#F2A77E", "#7FA7A8"),
    "courage": ("#F6C667", "#F08A4B"),
    "curiosity": ("#4A3378", "#3A2866"),
    "mystery": ("#12303F", "#2D5B66"),
    "solitude": ("#BFD7E3", "#E6E2D3"),
    "playfulness": ("#FFD84D", "#FFB648"),
    "grief": ("#4A4860", "#6F6A86"),
    "triumph": ("#FF9F5A", "#FFD27A"),
}


def main():
    folder = ROOT / FOLDER
    folder.mkdir(exist_ok=True)
    for emotion in EMOTIONS:
        scene = Scene(*GROUNDS[emotion.slug], seed=emotion.id)
        globals()[emotion.slug](scene)
        scene.reduced().save(folder / emotion.file_name, optimize=True)


if __name__ == "__main__":
    main()
