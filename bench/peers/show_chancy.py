"""What Chancy's own command line runs: its dashboard alone, which deletes no job.

In an environment of its own, so without anything of this project.
"""

import os

from chancy import Chancy
from chancy.plugins.api import Api, SimpleAuthBackend

USER = PASSWORD = "bench"

chancy = Chancy(
    os.environ["PEER_DATABASE_URL"],
    plugins=[Api(authentication_backend=SimpleAuthBackend({USER: PASSWORD}))],
)
