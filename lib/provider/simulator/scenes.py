"""What a prompt asks for, as far as it can be drawn: the light, the land and what stands in it."""

import colorsys
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lib.provider.simulator.canvas import Colour, mixed

WHITE: Colour = (250, 250, 255)


@dataclass(frozen=True, slots=True)
class Light:
    """Colours of a time of day."""

    top: Colour
    horizon: Colour
    sun: Colour
    near: Colour
    """Of the land in the foreground; far land fades towards the horizon."""
    accent: Colour
    dark: bool = False


LIGHTS = {
    "day": Light((74, 144, 214), (208, 234, 246), (255, 250, 226), (28, 84, 78), (226, 74, 64)),
    "dawn": Light((118, 150, 196), (252, 214, 200), (255, 244, 224), (54, 74, 104), (214, 96, 96)),
    "dusk": Light((66, 46, 112), (255, 158, 94), (255, 226, 158), (44, 20, 50), (198, 58, 62)),
    "mist": Light((168, 186, 196), (232, 236, 232), (250, 250, 244), (62, 84, 88), (190, 92, 74)),
    "night": Light((9, 13, 42), (58, 78, 140), (244, 240, 214), (6, 9, 26), (168, 64, 84), True),
    "neon": Light((20, 10, 56), (236, 72, 160), (120, 236, 250), (12, 6, 34), (64, 220, 236), True),
}
LIGHT_WORDS = {
    "night": "night|moon|moonlight|moonlit|midnight|star|stars|starry|candlelight|dark|galaxy",
    "neon": "neon|cyberpunk|synthwave|futuristic|robot|cyber|aurora",
    "dusk": "golden|sunset|dusk|evening|warm|autumn|fire|shadows",
    "dawn": "dawn|sunrise|morning|soft|pastel|spring",
    "mist": "mist|misty|fog|foggy|rain|rainy|overcast|cloudy|pencil|sketch",
    "day": "day|noon|bright|sunlight|sunny|summer|blue|studio",
}
LAND_WORDS = {
    "sea": "sea|ocean|lighthouse|harbour|harbor|boat|sailing|ship|island|coast|beach|wave|whale"
    "|palm|cliff",
    "city": "city|skyline|street|tram|tower|town|robot|cyberpunk|neon|building|car",
    "desert": "desert|dune|dunes|sand|camel|pyramid|canyon",
    "field": "field|fields|meadow|lavender|farm|flowers|garden|tulips",
    "lake": "lake|river|reflection|pond|pool|bridge|fjord",
    "forest": "forest|forests|wood|woods|pine|pines|birch|tree|trees|fox|bear|cabin|deer|jungle",
    "mountains": "mountain|mountains|alps|peak|hill|hills|valley|observatory|balloon|snow"
    "|castle|dragon|village",
}
THING_WORDS = {
    "lighthouse": "lighthouse",
    "boat": "boat|boats|sailing|ship|harbour|harbor",
    "palms": "palm|island|beach",
    "balloon": "balloon|balloons|kite",
    "observatory": "observatory|telescope|dome",
    "village": "village|houses|castle",
    "cabin": "cabin|hut|house|farm",
}
HUES = {
    "red": 0.0, "orange": 0.07, "yellow": 0.14, "gold": 0.13, "green": 0.36, "teal": 0.48,
    "cyan": 0.52, "purple": 0.77, "violet": 0.75, "pink": 0.91, "crimson": 0.97,
}  # fmt: skip
"""Colours that a prompt may name. Blue is most skies' own."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is drawn, and where: `horizon` and `sun` in units of the canvas."""

    light: Light
    land: str
    things: tuple[str, ...]
    snow: bool
    horizon: float
    sun: tuple[float, float]


def scene_of(prompt: str, chance: random.Random, aspect: float) -> Scene:
    """The scene for a prompt; what the prompt leaves open is drawn by `chance`."""
    words = prompt.lower()
    light = LIGHTS[_named(LIGHT_WORDS, words) or chance.choice(list(LIGHTS))]
    hue = next((HUES[name] for name in HUES if re.search(rf"\b{name}\b", words)), None)
    land = _named(LAND_WORDS, words) or chance.choice(["mountains", "lake", "forest", "sea"])
    horizon = {"sea": 0.62, "lake": 0.6, "city": 0.78, "field": 0.5, "desert": 0.5}.get(land, 0.55)
    return Scene(
        light=_varied(light, chance, hue),
        land=land,
        things=tuple(thing for thing in THING_WORDS if _says(THING_WORDS[thing], words)),
        snow=_says("snow|snowy|snow-covered|winter|ice", words),
        horizon=horizon + chance.uniform(-0.04, 0.04),
        sun=(aspect * chance.uniform(0.25, 0.75), horizon * chance.uniform(0.3, 0.75)),
    )


def _named(words: Mapping[str, str], prompt: str) -> str | None:
    return next((name for name, pattern in words.items() if _says(pattern, prompt)), None)


def _says(pattern: str, prompt: str) -> bool:
    return re.search(rf"\b(?:{pattern})\b", prompt) is not None


def _varied(light: Light, chance: random.Random, hue: float | None) -> Light:
    """The light with its colours turned a little, and towards a hue that the prompt names."""
    turn = chance.uniform(-0.035, 0.035)

    def turned(colour: Colour) -> Colour:
        own, saturation, value = colorsys.rgb_to_hsv(*(part / 255 for part in colour))
        if hue is not None:
            own, saturation = hue, min(saturation * 0.9 + 0.12, 1.0)
        red, green, blue = colorsys.hsv_to_rgb((own + turn) % 1, saturation, value)
        return round(255 * red), round(255 * green), round(255 * blue)

    return replace(
        light,
        top=turned(light.top),
        horizon=turned(light.horizon),
        near=turned(light.near),
    )


def sky_at(scene: Scene, y: float) -> Colour:
    """The colour of the sky at a height."""
    return mixed(scene.light.top, scene.light.horizon, min(y / scene.horizon, 1.0))


def land_at(scene: Scene, nearness: float) -> Colour:
    """The colour of land: as the horizon far away, its own near by."""
    return mixed(scene.light.horizon, scene.light.near, 0.25 + 0.75 * nearness)


def ground_at(scene: Scene, nearness: float) -> Colour:
    """The colour of land, under snow if there is any."""
    colour = land_at(scene, nearness)
    if not scene.snow:
        return colour
    return mixed(colour, mixed(WHITE, scene.light.top, 0.35), 0.75 - 0.2 * nearness)
