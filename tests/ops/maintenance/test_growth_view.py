"""When the disk is full, as the page says it."""

from streamlit.testing.v1 import AppTest


def test_the_day_on_which_the_disk_is_full_is_said():
    def page() -> None:
        import pandas as pd

        from lib.ui.parts.growth import HUES, show_disk_forecast

        days = pd.to_datetime(["2026-11-27T00:00Z", "2026-11-28T00:00Z"])
        show_disk_forecast(pd.DataFrame({"at": days} | {name: [1.0, 3.0] for name in HUES}), 2, 90)

    [said] = AppTest.from_function(page).run().error
    assert said.value == (
        "Without a purge, a 2 GB disk will be full on 28 Nov 2026; with a purge after 90 days, a"
        " 2 GB disk will be full on 28 Nov 2026."
    )
