"""A model that is not shipped is added by its name on the Models page, and makes an image."""

import re

import pytest
from playwright.sync_api import Page, expect

from lib.provider.simulator.models import NOT_SHIPPED

pytestmark = pytest.mark.slow

LONG = 30_000
SCHNELL = "black-forest-labs/flux-schnell"


def test_a_model_is_added_by_name_generates_and_is_refreshed(make_app, page: Page):
    # The whole form in view: scrolling closes a list of choices.
    page.set_viewport_size({"width": 1440, "height": 1500})
    app = make_app(DARKROOM_SAMPLE_DATA="0", DARKROOM_SIMULATOR_SPEED="20").start()
    main, dialog = page.get_by_test_id("stMain"), page.get_by_role("dialog")
    find = dialog.get_by_role("textbox", name="Model", exact=True)
    show = dialog.get_by_role("button", name="Show model")

    page.goto(f"{app.url}/models")
    page.get_by_role("button", name="Add model").click(timeout=LONG)
    for text, answer in (
        ("a **bold** name", "Not a model name or address."),
        ("nobody/nothing", "The provider has no model nobody/nothing"),
        (SCHNELL, "This model has already been added."),
    ):
        find.fill(text, timeout=LONG)
        show.click()
        expect(dialog).to_contain_text(answer, timeout=LONG)
    expect(dialog).to_contain_text("No changes: the schema is up to date.")

    find.fill(f"https://replicate.com/{NOT_SHIPPED.id}")
    show.click()
    expect(dialog).to_contain_text("Official. Output: one image. Price: unknown.", timeout=LONG)
    expect(dialog.get_by_role("region", name="Inputs of the model")).to_be_visible()
    dialog.get_by_role("textbox", name="Display name").fill("Banana")
    dialog.get_by_role("button", name="Add model").click()
    expect(page.get_by_text(f"{NOT_SHIPPED.id} added.")).to_be_visible(timeout=LONG)
    expect(page).to_have_url(re.compile("model=google"))
    expect(main.get_by_text(re.compile("^Refreshed "))).to_be_visible(timeout=LONG)

    operator_only = main.get_by_role("combobox", name="Operator-only inputs")
    operator_only.click()
    page.get_by_role("option", name="output_format").click()
    main.get_by_label("Deadline (s)", exact=True).fill("90")
    main.get_by_role("button", name="Save model").click()
    expect(dialog).to_contain_text("Changes the deadline and the operator-only inputs of")
    dialog.get_by_role("button", name="Save model").click()
    expect(page.get_by_text(f"{NOT_SHIPPED.id} saved.")).to_be_visible(timeout=LONG)
    asked = {"prompt": "A fox", "model_id": NOT_SHIPPED.id, "output_format": "png"}
    problem = app.post("start-generation", asked).json()["error"]["problems"][0]
    assert problem == {"field": "output_format", "problem": "can only be set by operators"}

    page.goto(f"{app.url}/generate?models={NOT_SHIPPED.id}")
    page.get_by_label("Prompt", exact=True).fill("A red kite", timeout=LONG)
    expect(page.get_by_label("Seed", exact=True)).to_be_hidden()
    page.get_by_role("combobox", name="Size").click()
    page.get_by_role("option", name=re.compile("^16:9")).click()
    page.get_by_role("button", name="Generate 1 image", exact=True).click()
    image = page.get_by_role("img", name="A red kite")
    expect(image).to_be_visible(timeout=LONG)
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 512
    [made] = app.rows("select parameters, size from public.image_generations")
    assert made["parameters"] == {
        "aspect_ratio": "16:9",
        "output_format": "jpg",
        # The form sends what it shows.
        "resolution": "1K",
        "google_search": False,
        "image_search": False,
    }
    [model] = app.rows("select deadline_seconds from public.models where refreshed_at is not null")
    assert model == {"deadline_seconds": 90}
    assert made["size"]["expected"] == {"width": 1360, "height": 768, "exact": False}

    app.rows(
        "update public.models set input_schema = input_schema - 'output_format'"
        " where refreshed_at is not null returning id"
    )
    page.goto(f"{app.url}/models?model={NOT_SHIPPED.id}")
    main.get_by_role("button", name="Refresh schema").click(timeout=LONG)
    expect(dialog).to_contain_text("Added: output_format.", timeout=LONG)
    dialog.get_by_role("button", name="Refresh schema").click()
    expect(page.get_by_text(f"{NOT_SHIPPED.id} refreshed.")).to_be_visible(timeout=LONG)
    actions = app.rows("select action from public.audit_log order by id")
    assert [row["action"] for row in actions][:1] == ["add_model"]
    assert actions[-1] == {"action": "refresh_model"}
