"""Sign-in and roles.

Sign-in is Streamlit's: an `[auth]` table in .streamlit/secrets.toml configures an OpenID Connect
provider. Without one, only local requests are served, and with the admin role.
"""

from lib.ui.access.roles import (
    SignedInUser,
    require,
    role,
    sign_in_configured,
    signed_in_user,
)

__all__ = [
    "SignedInUser",
    "require",
    "role",
    "sign_in_configured",
    "signed_in_user",
]
