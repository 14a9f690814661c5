"""Draw the images of the sample history into lib/database/sample_images.

    python -m bench.sample_images [--to FOLDER]

As the simulator draws them, for the first prompt of each image, at 512 pixels on the longer side.
"""

import argparse
import tempfile
from pathlib import Path

from bench.server import QUERIES
from lib.database import connect, embedded, load
from lib.database.sample_history import IMAGES
from lib.provider.simulator.images import draw_image
from lib.service import prepare_database
from lib.settings import parse

SIDE, QUALITY = 512, 75


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the images of the sample history.")
    parser.add_argument("--to", type=Path, default=IMAGES)
    target = parser.parse_args().to
    target.mkdir(exist_ok=True)
    for file in target.glob("*.webp"):
        file.unlink()
    with tempfile.TemporaryDirectory() as folder:
        url = prepare_database(parse({"DARKROOM_DATA": folder}))
        with connect(url) as connection:
            images = load("sample_images", QUERIES).images(connection)
        embedded.start(Path(folder) / "postgres").stop()
    for image in images:
        scale = SIDE / max(image["width"], image["height"])
        size = round(image["width"] * scale), round(image["height"] * scale)
        drawn = draw_image("sample", image["prompt"], 1, *size)
        drawn.save(target / image["storage_path"], "WEBP", quality=QUALITY, method=6)
    total = sum(file.stat().st_size for file in target.iterdir())
    print(f"{len(images)} images, {total / 1000:.0f} kB")


if __name__ == "__main__":
    main()
