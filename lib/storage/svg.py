"""Check that a file is an SVG that browsers show, and that nothing in it runs."""

import math
import re
from xml.parsers import expat

from lib.storage.contract import NotAnImage

NAMESPACE = "http://www.w3.org/2000/svg"
_ACTIVE = frozenset({"script", "foreignObject", "iframe", "object", "embed", "handler", "listener"})
"""Elements that run something, whatever their namespace."""
_LENGTH = re.compile(r"\s*(\d{1,6}(?:\.\d{1,6})?)(?:px)?\s*")


def svg_size(image: bytes) -> tuple[int, int] | None:
    """Width and height of an SVG in pixels; None if it does not say.

    Raises NotAnImage for anything else, and for an SVG with scripts, event handlers, processing
    instructions or entities of its own: not every storage can keep browsers from running them.
    """
    checker = _Checker()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = checker.element
    parser.ProcessingInstructionHandler = checker.instruction
    parser.EntityDeclHandler = checker.entity
    try:
        parser.Parse(image, True)
    except expat.ExpatError as error:
        raise NotAnImage(f"The SVG cannot be read: {error}.") from error
    return checker.size


class _Checker:
    """Looks at the parts of a document as they are parsed. Raises NotAnImage."""

    def __init__(self) -> None:
        self.size: tuple[int, int] | None = None
        self._root = True

    def element(self, name: str, attributes: dict[str, str]) -> None:
        if self._root:
            self._root = False
            if name != f"{NAMESPACE} svg":
                raise NotAnImage("The output is XML, but not an SVG image.")
            self.size = _size(attributes)
        if name.rpartition(" ")[2] in _ACTIVE or any(map(_runs, attributes.items())):
            raise NotAnImage("The SVG contains scripts, so it was not stored.")

    def instruction(self, _target: str, _data: str) -> None:
        raise NotAnImage("The SVG contains processing instructions, so it was not stored.")

    def entity(self, *_declaration: object) -> None:
        raise NotAnImage("The SVG declares entities, so it was not stored.")


def _runs(attribute: tuple[str, str]) -> bool:
    name, value = attribute
    address = "".join(value.split()).lower()
    return name.rpartition(" ")[2].lower().startswith("on") or "javascript:" in address


def _size(attributes: dict[str, str]) -> tuple[int, int] | None:
    sides = [_LENGTH.fullmatch(attributes.get(name, "")) for name in ("width", "height")]
    box = [_LENGTH.fullmatch(part) for part in re.split(r"[\s,]+", attributes.get("viewBox", ""))]
    found = sides if all(sides) else box[2:4]
    pixels = [math.ceil(float(side[1])) for side in found if side]
    return (pixels[0], pixels[1]) if len(pixels) == 2 else None
