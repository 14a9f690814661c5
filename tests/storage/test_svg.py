"""SVG files: kept if nothing in them runs."""

import pytest

from lib.storage import NotAnImage
from lib.storage.images import check_image

NAMESPACE = 'xmlns="http://www.w3.org/2000/svg"'


def svg(content: str = "", attributes: str = "", before: str = "") -> bytes:
    return f"{before}<svg {NAMESPACE} {attributes}>{content}</svg>".encode()


@pytest.mark.parametrize(
    ("image", "size"),
    [
        (svg(attributes='width="300" height="200.5px"'), (300, 201)),
        (svg(attributes='viewBox="0 0 2048 1024" style="display: block"'), (2048, 1024)),
        (svg(attributes='width="100%" height="100%" viewBox="0,0,64,32"'), (64, 32)),
        (svg("<path d='M 0 0'/>"), None),
        (svg(before='\n<?xml version="1.0" encoding="UTF-8"?>\n<!-- drawn -->'.lstrip()), None),
        (
            svg(
                before='<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN"'
                ' "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
            ),
            None,
        ),
    ],
)
async def test_an_svg_is_an_image_without_a_thumbnail(image, size):
    checked = await check_image(image)
    assert (checked.extension, checked.size, checked.thumbnail) == ("svg", size, None)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (b"<html>Sign in</html>", "not an SVG"),
        (svg()[:-3], "cannot be read"),
        (b"<svg width='1' height='1'/>", "not an SVG"),
        (svg("<script>alert(1)</script>"), "scripts"),
        (svg("<x:script xmlns:x='http://www.w3.org/1999/xhtml'>alert(1)</x:script>"), "scripts"),
        (svg("<foreignObject><p/></foreignObject>"), "scripts"),
        (svg(attributes="onload='alert(1)'"), "scripts"),
        (svg("<a href=' java\tscript:alert(1)'/>"), "scripts"),
        (svg("<set attributeName='href' to='javascript:alert(1)'/>"), "scripts"),
        (svg(before="<?xml-stylesheet href='data:text/xsl,x' type='text/xsl'?>"), "instructions"),
        (svg("&a;", before="<!DOCTYPE svg [<!ENTITY a 'aaaaaaaaaa'>]>"), "entities"),
    ],
)
async def test_an_svg_that_runs_something_is_refused(image, words):
    with pytest.raises(NotAnImage, match=words):
        await check_image(image)
