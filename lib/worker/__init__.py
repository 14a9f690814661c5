"""The long-lived worker. `python -m lib.worker` runs one as a process of its own."""
