"""Twelve ways to divide a canvas into five colours with given shares.

A composition returns `(labels, heights)`: for each pixel the place of its colour, and how high the paper lies there (for shadows).
Most are a field, a number for each pixel, cut at the quantiles of the shares: whatever the field looks like, the shares are exact.
Compositions of single shapes give each shape to the colour that still lacks most area.
"""

import numpy as np
from scipy import ndimage
from scipy.spatial import Delaunay, cKDTree


class Canvas:
    """Coordinates (x from 0 to 4/3, y from 0 to 1), dice and shares of one painting."""

    def __init__(self, dice, shares, width, height):
        self.dice, self.shares, self.width, self.height = dice, np.array(shares), width, height
        self.y, self.x = np.mgrid[0:height, 0:width] / height

    def noise(self, sx, sy=None):
        """Smooth noise between about -1 and 1; `sx`, `sy` are sizes in heights of the canvas."""
        blur = np.array([sy or sx, sx]) * self.height  # in pixels
        coarse = np.maximum(1, blur / 6).astype(int)  # wide noise is made small and enlarged
        shape = -(-np.array([self.height, self.width]) // coarse)
        soft = ndimage.gaussian_filter(self.dice.standard_normal(shape), blur / coarse, mode="wrap")
        soft = ndimage.zoom(soft, coarse, order=1, mode="grid-wrap", grid_mode=True)[: self.height, : self.width]
        return soft / (np.abs(soft).max() + 1e-9)

    def cut(self, field, order):
        """Labels by quantiles: the lowest part of the field gets `order[0]`, of its share, and so on."""
        limits = np.quantile(field, np.cumsum(self.shares[order])[:-1])
        place = np.digitize(field, limits)
        return np.array(order)[place], place

    def shuffled(self):
        return list(self.dice.permutation(5))


class Lack:
    """Who gets the next shape: the colour that lacks most of its area, never a neighbour's colour when that can be helped."""

    def __init__(self, shares, total):
        self.left = np.array(shares) * total

    def give(self, area, avoid=()):
        wish = self.left.copy()
        wish[list(avoid)] -= self.left.max() * 0.7
        label = int(np.argmax(wish))
        self.left[label] -= area
        return label


def fields(c):
    """Two or three soft rectangles on a ground, their rims rough like rubbed pigment."""
    rim = c.noise(0.012) * 0.006 + c.noise(0.05) * 0.008
    inside = np.minimum(np.minimum(c.x - 0.09, 4 / 3 - 0.09 - c.x), np.minimum(c.y - 0.07, 1 - 0.07 - c.y)) + rim
    ground = inside < np.quantile(inside, c.shares[1])
    order = [0, 4, 2, 3] if c.dice.random() < 0.5 else [2, 4, 0, 3]
    field = c.y + rim
    limits = np.quantile(field[~ground], (np.cumsum(c.shares[order]) / c.shares[order].sum())[:-1])
    place = np.digitize(field, limits)
    labels = np.where(ground, 1, np.array(order)[place])
    return labels, np.where(ground, 0, 1 + (place % 2) * 0.4)


def waves(c):
    """Swells, one behind another."""
    slope, field = c.dice.uniform(-0.25, 0.25), c.y.copy()
    for _ in range(3):
        length, phase = c.dice.uniform(2.5, 9), c.dice.uniform(0, 6.3)
        field = field + np.sin(c.x * length + phase + 2.2 * c.y) * c.dice.uniform(0.25, 0.5) / length
    return c.cut(field + slope * c.x, c.dice.permutation([[0, 3, 1, 4, 2], [2, 4, 1, 3, 0], [1, 4, 0, 3, 2]])[0].tolist())


def brush(c):
    """Broad strokes laid side by side, with the streaks of a dry brush."""
    bend = c.dice.uniform(-0.3, 0.3)
    along = c.y + bend * (c.x - 0.66) ** 2 + 0.1 * c.noise(0.35)
    streaks = c.noise(0.22, 0.0035) * 0.055 + c.noise(0.5, 0.012) * 0.05
    return c.cut(along + streaks, c.dice.permutation([[0, 2, 4, 1, 3], [3, 0, 4, 2, 1]])[0].tolist())


def arcs(c):
    """Rings round a point near the rim, and a second, smaller sun."""
    cx, cy = c.dice.choice([0.1, 0.66, 1.2]), c.dice.choice([-0.05, 1.05])
    radius = np.hypot(c.x - cx, c.y - cy)
    sx, sy = 4 / 3 - cx * 0.8 if cx != 0.66 else c.dice.choice([0.3, 1.0]), 0.32 if cy > 0.5 else 0.68
    sun = np.hypot(c.x - sx, c.y - sy)
    disc = sun < np.sqrt(c.shares[3] * 4 / 3 / np.pi)
    rings = [0, 4, 1, 2]
    repeat = 2
    limits = np.quantile(radius[~disc], np.cumsum(np.tile(c.shares[rings] / c.shares[rings].sum() / repeat, repeat))[:-1])
    place = np.digitize(radius, limits)
    return np.where(disc, 3, np.array(rings * repeat)[place]), np.where(disc, 3, 8 - place)


def arches(c):
    """A row of doorways, each an arch within an arch."""
    count = int(c.dice.integers(3, 6))
    width = 4 / 3 / count
    column = np.minimum((c.x / width).astype(int), count - 1)
    offset = c.x / width - column - 0.5
    spring = 0.5 - 0.16 * np.sin(column * 2.1 + c.dice.uniform(0, 6))
    reach = np.where(c.y > spring, np.abs(offset), np.hypot(offset, (c.y - spring) / width))
    labels, place = c.cut(reach, c.dice.permutation([[3, 2, 4, 1, 0], [1, 4, 2, 3, 0], [2, 3, 1, 4, 0]])[0].tolist())
    return labels, place * 0.8


def tiles(c):
    """Quarter circles and half circles in a grid."""
    rows = int(c.dice.choice([4, 5, 6]))
    columns = rows * 4 // 3
    labels, heights = np.zeros(c.x.shape, int), np.zeros(c.x.shape)
    lack = Lack(c.shares, c.x.size)
    cells = [(row, column) for row in range(rows) for column in range(columns)]
    c.dice.shuffle(cells)
    for row, column in cells:
        window = np.s_[row * c.height // rows : (row + 1) * c.height // rows, column * c.width // columns : (column + 1) * c.width // columns]
        h, w = labels[window].shape
        v, u = np.mgrid[0:h, 0:w] / [[[h]], [[w]]]
        for turn in range(int(c.dice.integers(4))):
            u, v = v, 1 - u
        shape = int(c.dice.integers(5))
        if shape == 0:
            mask = np.hypot(u, v) < 0.98
        elif shape == 1:
            mask = (np.hypot(u, v) < 0.98) & (np.hypot(u, v) > 0.5)
        elif shape == 2:
            mask = np.hypot(u - 0.5, v) < 0.49
        elif shape == 3:
            mask = np.hypot(u - 0.5, v - 0.5) < 0.33
        else:
            mask = u + v < 1
        ground = lack.give((~mask).sum())
        labels[window] = np.where(mask, lack.give(mask.sum(), avoid=(ground,)), ground)
        heights[window] = mask * 1.0
    return labels, heights


def dots(c):
    """Discs of many sizes on a ground, some with a disc within."""
    labels, heights = np.zeros(c.x.shape, int), np.zeros(c.x.shape)
    lack = Lack(np.r_[0, c.shares[1:]], c.x.size)
    placed, radius = [], 0.16
    while lack.left[1:].max() > c.x.size * 0.004 and radius > 0.008:
        for _ in range(60):
            x, y = c.dice.uniform(0, 4 / 3), c.dice.uniform(0, 1)
            if all(np.hypot(x - a, y - b) > radius + r + 0.008 for a, b, r in placed):
                break
        else:
            radius *= 0.93
            continue
        placed.append((x, y, radius))
        distance = np.hypot(c.x - x, c.y - y)
        label = lack.give((distance < radius).sum())
        labels[distance < radius], heights[distance < radius] = label, 1
        if radius > 0.04 and c.dice.random() < 0.55:
            core = distance < radius * c.dice.uniform(0.35, 0.65)
            lack.left[label] += core.sum()
            labels[core], heights[core] = lack.give(core.sum(), avoid=(label,)), 2
        radius = max(0.009, radius * c.dice.uniform(0.93, 1.0))
    return labels, heights


def mountains(c):
    """Ridges behind ridges under a sky, and a sun."""
    x = np.arange(c.width) / c.height
    sun_x, sun_y = c.dice.uniform(0.3, 1.05), c.dice.uniform(0.17, 0.26)
    sun = np.hypot(c.x - sun_x, c.y - sun_y) < np.sqrt(c.shares[4] * 4 / 3 / np.pi)
    order = [0, 2, 3, 1] if c.shares[0] > 0.3 and c.dice.random() < 0.8 else [0, 3, 2, 1]
    labels, heights = np.where(sun, 4, order[0]), np.where(sun, 0.2, 0.0)
    behind = np.ones(c.x.shape, bool)
    for depth, label in enumerate(order[1:], start=1):
        ridge = np.zeros(c.width)
        for octave in range(1, 6):
            wave = c.dice.uniform(0, 6.3) + x * 2.1 * 1.9**octave
            ridge += (np.abs(np.sin(wave / 2)) - 0.6) * 0.26 / 1.75**octave
        field = np.where(behind, c.y - ridge[None, :], -9)  # no ridge rises above the one behind it
        behind = field > np.quantile(field, 1 - c.shares[order[depth:]].sum())
        labels[behind], heights[behind] = label, depth * 1.2
    return labels, heights


def contours(c):
    """The lines of equal height of an invented country."""
    height = c.noise(0.16) + 0.35 * c.noise(0.07)
    labels, place = c.cut(height, [0, 2, 1, 4, 3])
    return labels, place * 1.0


def marble(c):
    """Noise that was stirred: veins and folds."""
    x, y = c.x, c.y
    for strength in (0.35, 0.2):
        x, y = x + strength * c.noise(0.14), y + strength * c.noise(0.14)
    turn = c.dice.uniform(0, 3.1)
    field = np.sin((np.cos(turn) * x + np.sin(turn) * y) * 11) + 0.7 * np.sin((np.sin(turn) * x - np.cos(turn) * y) * 5)
    return c.cut(field, [0, 1, 4, 3, 2])


def glass(c):
    """Panes between strips of lead."""
    points = c.dice.uniform([-0.1, -0.1], [4 / 3 + 0.1, 1.1], (110, 2))
    for _ in range(2):  # a little evener, by moving each point to the middle of its pane
        _, owner = cKDTree(points).query(np.c_[c.x[::6, ::6].ravel(), c.y[::6, ::6].ravel()])
        for place in np.unique(owner):
            mine = owner == place
            points[place] = c.x[::6, ::6].ravel()[mine].mean(), c.y[::6, ::6].ravel()[mine].mean()
    distance, owner = cKDTree(points).query(np.c_[c.x.ravel(), c.y.ravel()], k=2)
    gap = (distance[:, 1] - distance[:, 0]).reshape(c.x.shape)
    lead_label = 4
    lead = gap < np.quantile(gap, c.shares[lead_label])
    owner = owner[:, 0].reshape(c.x.shape)
    shares = c.shares.copy()
    shares[lead_label] = -1
    return _shapes(c, owner, points, shares, lead, lead_label)


def _shapes(c, owner, points, shares, lead, lead_label):
    areas = np.bincount(owner[~lead].ravel(), minlength=len(points))
    lack, given = Lack(shares, c.x.size), np.full(len(points), -1)
    near = cKDTree(points).query(points, k=6)[1]
    for place in np.argsort(-areas):
        given[place] = lack.give(areas[place], avoid=[label for label in given[near[place][1:]] if label >= 0])
    return np.where(lead, lead_label, given[owner]), np.where(lead, 1.0, 0.0)


def facets(c):
    """Triangles of folded paper."""
    rim = [(x, y) for x in np.linspace(-0.1, 1.44, 6) for y in (-0.1, 1.1)] + [(x, y) for x in (-0.1, 1.44) for y in np.linspace(0.1, 0.9, 3)]
    points = np.vstack([rim, c.dice.uniform([0, 0], [4 / 3, 1], (26, 2))])
    mesh = Delaunay(points)
    owner = mesh.find_simplex(np.c_[c.x.ravel(), c.y.ravel()]).reshape(c.x.shape)
    areas = np.bincount(owner.ravel(), minlength=len(mesh.simplices))
    lack, given = Lack(c.shares, c.x.size), np.full(len(mesh.simplices), -1)
    for place in np.argsort(-areas):
        given[place] = lack.give(areas[place], avoid=[given[n] for n in mesh.neighbors[place] if n >= 0 and given[n] >= 0])
    tilt = c.dice.uniform(0, 1.4, len(mesh.simplices))
    return given[owner], tilt[owner]


def leaves(c):
    """Leaves in the wind, each with its rib left out."""
    labels, heights = np.zeros(c.x.shape, int), np.zeros(c.x.shape)
    lack = Lack(np.r_[0, c.shares[1:]], c.x.size)
    wind, length, placed = c.dice.uniform(0, 3.1), 0.17, []
    while lack.left[1:].max() > c.x.size * 0.006 and length > 0.05:
        x, y = c.dice.uniform(0, 4 / 3), c.dice.uniform(0, 1)
        if any(np.hypot(x - a, y - b) < 0.56 * (length + other) for a, b, other in placed):
            length *= 0.9985
            continue
        placed.append((x, y, length))
        angle = wind + 0.9 * np.sin(x * 2.4 + wind) + c.dice.normal(0, 0.35)
        u = np.clip(((c.x - x) * np.cos(angle) + (c.y - y) * np.sin(angle)) / length, -1, 1)
        v = np.abs((c.y - y) * np.cos(angle) - (c.x - x) * np.sin(angle)) / length
        mask = (v < 0.46 * (1 - u**2) ** 0.8 * (1 - 0.25 * u)) & ~((v < 0.022 + 0.01 * u) & (u > -0.9) & (u < 0.75))
        covered = np.bincount(labels[mask], minlength=5)
        lack.left[1:] += covered[1:]
        labels[mask] = lack.give(mask.sum())
        heights[mask] = 1 + 0.02 * len(placed)
    return labels, heights


COMPOSITIONS = {f.__name__: f for f in (fields, waves, brush, arcs, arches, tiles, dots, mountains, contours, marble, glass, facets, leaves)}
