"""What stands in a scene's land."""

import math
import random

from lib.provider.simulator.canvas import Canvas, mixed
from lib.provider.simulator.scenes import WHITE, Scene, ground_at, land_at, sky_at


def _lighthouse(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    x, foot, tall = canvas.aspect * chance.choice([0.3, 0.68]), scene.horizon + 0.04, 0.34
    rock = mixed(scene.light.near, scene.light.horizon, 0.12)
    left = x < canvas.aspect / 2
    side = -0.1 if left else canvas.aspect + 0.1
    canvas.polygon(
        [
            (side, 1.01),
            (side, foot + 0.02),
            (x - 0.09 if left else x + 0.09, foot - 0.005),
            (x + 0.11 if left else x - 0.11, foot + 0.015),
            (x + 0.16 if left else x - 0.16, foot + 0.16),
            (x + 0.27 if left else x - 0.27, 1.01),
        ],
        rock,
    )
    top = foot - tall
    wall = mixed(WHITE, scene.light.top, 0.45 if scene.light.dark else 0.12)
    for part in range(5):
        upper, lower = part / 5, (part + 1) / 5
        wide = [0.03 + 0.022 * share for share in (upper, lower)]
        ys = [top + tall * share for share in (upper, lower)]
        canvas.polygon(
            [
                (x - wide[0], ys[0]),
                (x + wide[0], ys[0]),
                (x + wide[1], ys[1]),
                (x - wide[1], ys[1]),
            ],
            scene.light.accent if part % 2 == 0 else wall,
        )
    canvas.rectangle(x - 0.042, top - 0.008, 0.084, 0.012, rock)
    canvas.rectangle(x - 0.024, top - 0.05, 0.048, 0.044, (255, 236, 170))
    canvas.polygon([(x - 0.034, top - 0.048), (x + 0.034, top - 0.048), (x, top - 0.09)], rock)
    if scene.light.dark:
        beam = mixed(sky_at(scene, top), (255, 236, 170), 0.35)
        end = canvas.aspect + 0.1 if left else -0.1
        edge = x + (0.026 if left else -0.026)
        canvas.polygon(
            [(edge, top - 0.036), (end, top - 0.14), (end, top + 0.05), (edge, top - 0.02)], beam
        )


def _boat(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    x = canvas.aspect * chance.uniform(0.35, 0.65)
    y = scene.horizon + (1 - scene.horizon) * 0.38
    sail = mixed(WHITE, scene.light.horizon, 0.3 if scene.light.dark else 0.08)
    hull = scene.light.accent
    canvas.polygon(
        [(x - 0.1, y), (x + 0.12, y), (x + 0.08, y + 0.045), (x - 0.075, y + 0.045)], hull
    )
    canvas.rectangle(x - 0.003, y - 0.26, 0.006, 0.26, scene.light.near)
    canvas.polygon([(x + 0.012, y - 0.25), (x + 0.012, y - 0.015), (x + 0.12, y - 0.015)], sail)
    canvas.polygon(
        [(x - 0.012, y - 0.2), (x - 0.012, y - 0.015), (x - 0.08, y - 0.015)],
        mixed(sail, scene.light.accent, 0.25),
    )
    for ripple in range(5):
        wide = 0.11 - 0.017 * ripple
        canvas.rectangle(
            x - wide + 0.01,
            y + 0.055 + ripple * 0.022,
            wide * 2,
            0.007,
            mixed(hull, scene.light.horizon, 0.35),
        )


def _palms(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    x, y = canvas.aspect * chance.uniform(0.3, 0.7), scene.horizon + 0.1
    canvas.disc(x, y + 0.02, 0.27, mixed((238, 206, 150), scene.light.near, 0.2), 0.2)
    canvas.disc(x, y, 0.19, mixed(scene.light.near, scene.light.horizon, 0.15), 0.17)
    leaf = mixed(scene.light.near, (40, 120, 84), 0.35)
    for lean, tall in ((-0.05, 0.26), (0.06, 0.32), (0.015, 0.2)):
        top = x + lean * 1.8, y - tall
        canvas.polygon(
            [
                (x + lean - 0.008, y),
                (x + lean + 0.008, y),
                (top[0] + 0.005, top[1]),
                (top[0] - 0.005, top[1]),
            ],
            scene.light.near,
        )
        for turn in range(7):
            angle = math.pi * (0.92 + 1.16 * turn / 6)
            tip = top[0] + 0.1 * math.cos(angle), top[1] + 0.06 * math.sin(angle) + 0.035
            middle = (top[0] + tip[0]) / 2, (top[1] + tip[1]) / 2 - 0.034
            canvas.polygon(
                [top, (middle[0], middle[1] - 0.008), tip, (middle[0], middle[1] + 0.012)], leaf
            )


def _balloon(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    for size in (1.0, 0.42, 0.3):
        x = canvas.aspect * (chance.uniform(0.35, 0.65) if size == 1 else chance.uniform(0.1, 0.9))
        y = 0.27 if size == 1 else chance.uniform(0.14, 0.42)
        radius, colour = (
            0.135 * size,
            mixed(scene.light.accent, sky_at(scene, y), 0.55 - 0.55 * size),
        )
        canvas.disc(x, y, radius, colour)
        canvas.polygon(
            [
                (x - radius * 0.9, y + radius * 0.44),
                (x + radius * 0.9, y + radius * 0.44),
                (x + radius * 0.2, y + radius * 1.45),
                (x - radius * 0.2, y + radius * 1.45),
            ],
            colour,
        )
        stripe = mixed(WHITE, colour, 0.25)
        canvas.disc(x, y, radius * 0.56, stripe, 1.78)
        canvas.disc(x, y, radius * 0.24, colour, 4.15)
        canvas.polygon(
            [
                (x - radius * 0.5, y + radius * 0.86),
                (x + radius * 0.5, y + radius * 0.86),
                (x + radius * 0.14, y + radius * 1.45),
                (x - radius * 0.14, y + radius * 1.45),
            ],
            stripe,
        )
        canvas.rectangle(
            x - radius * 0.16, y + radius * 1.62, radius * 0.32, radius * 0.26, scene.light.near
        )


def _observatory(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    x, y = canvas.aspect * chance.uniform(0.35, 0.65), scene.horizon + 0.04
    hill = land_at(scene, 0.75)
    canvas.polygon(
        [
            (x - 0.55, 1.01),
            (x - 0.2, y + 0.06),
            (x - 0.12, y),
            (x + 0.12, y),
            (x + 0.22, y + 0.07),
            (x + 0.6, 1.01),
        ],
        hill,
    )
    wall = mixed(WHITE, scene.light.top, 0.5 if scene.light.dark else 0.15)
    canvas.disc(x, y - 0.085, 0.095, mixed(wall, scene.light.near, 0.25))
    canvas.polygon(
        [
            (x + 0.004, y - 0.085),
            (x + 0.04, y - 0.175),
            (x + 0.066, y - 0.16),
            (x + 0.03, y - 0.085),
        ],
        scene.light.near,
    )
    canvas.rectangle(x - 0.1, y - 0.09, 0.2, 0.1, wall)
    for place in range(3):
        canvas.rectangle(x - 0.07 + place * 0.055, y - 0.055, 0.022, 0.036, (255, 214, 130))


def _house(canvas: Canvas, scene: Scene, x: float, y: float, size: float) -> None:
    wall = mixed(scene.light.accent, scene.light.near, 0.5)
    roof = mixed(WHITE, scene.light.top, 0.25) if scene.snow else mixed(scene.light.near, wall, 0.2)
    canvas.rectangle(x - size, y - size * 0.9, size * 2, size * 0.95, wall)
    canvas.polygon(
        [
            (x - size * 1.25, y - size * 0.85),
            (x + size * 1.25, y - size * 0.85),
            (x, y - size * 1.9),
        ],
        roof,
    )
    canvas.rectangle(x + size * 0.5, y - size * 1.85, size * 0.22, size * 0.7, wall)
    for side in (-0.6, 0.2):
        canvas.rectangle(x + side * size, y - size * 0.62, size * 0.4, size * 0.36, (255, 218, 130))


def _cabin(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    x = canvas.aspect * chance.uniform(0.3, 0.7)
    ground = ground_at(scene, 0.9)
    canvas.disc(x, 0.9, 0.42, ground, 0.28)
    _house(canvas, scene, x, 0.84, 0.085)


def _village(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    for row, count in enumerate((6, 5, 4)):
        y, size = 0.7 + 0.11 * row, 0.032 + 0.012 * row
        for place in range(count):
            x = canvas.aspect * (place + 0.5) / count + chance.uniform(-0.05, 0.05)
            _house(canvas, scene, x, y + chance.uniform(-0.02, 0.02), size)
    x = canvas.aspect * chance.uniform(0.35, 0.65)
    canvas.rectangle(x - 0.018, 0.52, 0.036, 0.2, mixed(WHITE, scene.light.near, 0.35))
    canvas.polygon([(x - 0.026, 0.52), (x + 0.026, 0.52), (x, 0.4)], scene.light.near)


THINGS = {
    "lighthouse": _lighthouse, "boat": _boat, "palms": _palms, "balloon": _balloon,
    "observatory": _observatory, "village": _village, "cabin": _cabin,
}  # fmt: skip
