"""The land of a scene: water, hills, mountains, forests, fields, dunes and cities."""

import math
import random
from dataclasses import replace

from lib.provider.simulator.canvas import Canvas, Colour, Point, mixed
from lib.provider.simulator.scenes import WHITE, Scene, ground_at, land_at, sky_at


def _ridge(
    canvas: Canvas, chance: random.Random, base: float, height: float, colour: Colour
) -> list[Point]:
    """Fill the land below a line of hills, and return the line."""
    waves = [
        (chance.uniform(1.6, 3.2) * 2**octave, chance.uniform(0, math.tau), height / 2**octave)
        for octave in range(3)
    ]
    line = []
    for step in range(121):
        x = canvas.aspect * step / 120
        lift = sum(size * math.sin(x * rate + phase) for rate, phase, size in waves)
        line.append((x, base - lift))
    canvas.polygon([(0, 1.01), *line, (canvas.aspect, 1.01)], colour)
    return line


def _hills(canvas: Canvas, scene: Scene, chance: random.Random, to: float = 1.0) -> None:
    """Ridges from the horizon down to the height `to`, the nearest darkest."""
    count = 5
    for place in range(count):
        nearness = (place + 1) / count
        base = scene.horizon + (to - scene.horizon) * 0.92 * (place / (count - 1)) ** 1.25
        far = place < 2
        line = _ridge(canvas, chance, base, 0.05 if far else 0.035, ground_at(scene, nearness))
        if place > 1:
            _trees(canvas, scene, chance, line, nearness, count=6 * place)


def _trees(
    canvas: Canvas,
    scene: Scene,
    chance: random.Random,
    line: list[Point],
    nearness: float,
    count: int,
) -> None:
    colour = mixed(land_at(scene, nearness), scene.light.near, 0.55)
    for x, y in sorted(chance.choices(line, k=count)):
        size = 0.045 * nearness * chance.uniform(0.6, 1.4)
        for level in range(3):
            top, wide = y - size * (1 - level * 0.25), size * (0.16 + 0.07 * level)
            foot = top + size * 0.5
            canvas.polygon([(x, top), (x + wide, foot), (x - wide, foot)], colour)


def _mountains(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    cap = mixed(land_at(scene, 0.0), WHITE, 0.75)
    count = round(2.6 * canvas.aspect) + 2
    for order, place in enumerate(chance.sample(range(count), count)):
        rock = land_at(scene, 0.06 + 0.18 * order / count)
        x = canvas.aspect * (place + chance.uniform(0.2, 0.8)) / count
        y, foot = scene.horizon - chance.uniform(0.1, 0.27), scene.horizon + 0.12
        left, right = chance.uniform(0.8, 1.2), chance.uniform(0.8, 1.2)
        canvas.polygon(
            [(x, y), (x + (foot - y) * right, foot), (x - (foot - y) * left, foot)], rock
        )
        canvas.polygon(
            [(x, y), (x + (foot - y) * right, foot), (x + (foot - y) * 0.15, foot)],
            mixed(rock, scene.light.near, 0.16),
        )
        edge = [(0.3, right), (0.42, 0.32), (0.3, 0.12), (0.44, -0.22), (0.28, -left)]
        low = (foot - y) * chance.uniform(0.8, 1.1)
        canvas.polygon([(x, y), *((x + low * d * s, y + low * d) for d, s in edge)], cap)
    _hills(canvas, scene, chance)


def _forest(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    for place in range(5):
        nearness = (place + 1) / 5
        base = scene.horizon + 0.46 * (place / 4) ** 1.15
        line = _ridge(canvas, chance, base, 0.03, ground_at(scene, nearness))
        for _ in range(3):
            _trees(canvas, scene, chance, line, 0.6 + 1.9 * nearness, count=16)
        # Each row stands before the next.
        canvas.polygon(
            [(0, 1.01), *((x, y + 0.012) for x, y in line), (canvas.aspect, 1.01)],
            ground_at(scene, nearness),
        )


def _water(canvas: Canvas, scene: Scene, chance: random.Random, shore: float) -> None:
    light = scene.light
    for band in range(14):
        depth = band / 13
        colour = mixed(light.horizon, mixed(light.top, light.near, 0.35), 0.25 + 0.7 * depth)
        top = shore + (1.01 - shore) * depth**1.4 * 0.97
        canvas.rectangle(0, top, canvas.aspect, 1.01 - top, colour)
    # The sun's path, and streaks of light.
    for _ in range(70):
        depth = chance.random() ** 1.5
        y = shore + (1 - shore) * depth
        near_sun = chance.random() < 0.55
        x = chance.gauss(scene.sun[0], 0.03 + 0.08 * depth)
        colour = mixed(sky_at(scene, 1), light.sun, 0.85)
        if not near_sun:
            x = chance.uniform(0, canvas.aspect)
            colour = mixed(light.horizon, light.top, 0.35 + 0.4 * round(depth, 1))
        long = chance.uniform(0.012, 0.05) * (0.4 + depth)
        canvas.rectangle(x - long / 2, y, long, 0.0025 + 0.004 * depth, colour)


def _sea(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    _ridge(canvas, chance, scene.horizon - 0.015, 0.012, land_at(scene, 0.1))
    _water(canvas, scene, chance, scene.horizon)


def _lake(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    shore = scene.horizon + 0.1
    far = replace(scene, horizon=scene.horizon - 0.12)
    _mountains(canvas, far, chance)
    _water(canvas, scene, chance, shore)
    near = _ridge(canvas, chance, 0.99, 0.03, land_at(scene, 1.0))
    _trees(canvas, scene, chance, near, 3.4, count=9)


def _desert(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    sand, shade = mixed(scene.light.horizon, (236, 178, 104), 0.6), scene.light.near
    for place in range(5):
        nearness = place / 4
        base = scene.horizon + 0.46 * nearness**1.2
        colour = mixed(sand, shade, 0.1 + 0.3 * nearness + (0.25 if scene.light.dark else 0))
        line = _ridge(canvas, chance, base, 0.045, colour)
        # The side of a dune that the sun does not reach.
        crest = min(line, key=lambda point: point[1])
        lee = [(x, y) for x, y in line if crest[0] <= x <= crest[0] + 0.7]
        if len(lee) > 2:
            foot = (crest[0] - 0.12, min(crest[1] + 0.3, 1.01))
            canvas.polygon(
                [*lee, (lee[-1][0], lee[-1][1] + 0.004), foot], mixed(colour, shade, 0.3)
            )


def _field(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    _hills(canvas, replace(scene, horizon=scene.horizon - 0.06), chance, to=scene.horizon + 0.04)
    light, vanishing = scene.light, canvas.aspect * chance.uniform(0.35, 0.65)
    top = scene.horizon + 0.02
    soil = mixed(light.near, light.horizon, 0.18)
    canvas.rectangle(0, top, canvas.aspect, 1.01 - top, soil)
    bloom = mixed((140, 96, 200), light.near, 0.45 if light.dark else 0.05)
    for row in range(-16, 17):
        at, wide = vanishing + row * 0.17, 0.115
        canvas.polygon(
            [(vanishing + row * 0.012, top), (at + wide / 2, 1.01), (at - wide / 2, 1.01)],
            mixed(bloom, light.sun, 0.16 * (row % 2)),
        )


def _city(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    lamp = mixed(scene.light.sun, (255, 206, 120), 0.5)
    for place in range(4):
        nearness = (place + 1) / 4
        colour, x = land_at(scene, nearness), -0.05
        while x < canvas.aspect:
            wide = chance.uniform(0.05, 0.11) * (0.7 + 0.5 * nearness)
            tall = chance.uniform(0.12, 0.5 - 0.07 * place)
            top = scene.horizon + 0.08 * place - tall
            canvas.rectangle(x, top, wide, 1.01 - top, colour)
            if chance.random() < 0.25:
                canvas.rectangle(x + wide / 2 - 0.002, top - 0.06, 0.004, 0.06, colour)
            lit = mixed(colour, lamp, 0.9 if scene.light.dark or place > 1 else 0.3)
            for column in range(int(wide / 0.016)):
                for floor in range(int(tall / 0.024)):
                    if chance.random() < 0.16:
                        at = x + 0.006 + column * 0.016, top + 0.012 + floor * 0.024
                        canvas.rectangle(*at, 0.007, 0.011, lit)
            x += wide + chance.uniform(0, 0.012)


LANDS = {
    "sea": _sea, "city": _city, "desert": _desert, "field": _field, "lake": _lake,
    "forest": _forest, "mountains": _mountains,
}  # fmt: skip
