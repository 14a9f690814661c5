"""Who may see the app, and who may do what.

Sign-in is Streamlit's: an `[auth]` table in .streamlit/secrets.toml names an OpenID Connect
provider. Without it whoever is at this computer is the app's admin, and nobody else is served.
"""

from lib.ui.access.roles import (
    Person,
    person,
    require,
    role,
    sign_in_configured,
)

__all__ = [
    "Person",
    "person",
    "require",
    "role",
    "sign_in_configured",
]
