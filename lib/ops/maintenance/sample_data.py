"""Removing the sample data of a new installation."""

from lib.database import connect, load, translated
from lib.storage import Storage


def remove_sample_data(url: str, actor: str, storage: Storage) -> int:
    """Delete the sample users with their jobs, generations, images and statistics.

    Returns the number of deleted jobs; 0 if there were none. Takes about two seconds, more than
    a page's pool allows a statement. Raises DatabaseUnavailable.
    """
    with translated(), connect(url, application_name="darkroom maintenance") as connection:
        removed = load("maintenance").remove_sample_data(connection, actor=actor)
    for path in removed["storage_paths"]:
        storage.delete(path)
    return int(removed["jobs"])
