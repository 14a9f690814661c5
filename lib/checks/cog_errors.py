"""What errors of a model on a Cog server for one's own mean, for the error guide."""

from lib.checks.guide import Guide

COG_ERRORS = (
    Guide(
        "unreachable",
        "Cog server unreachable",
        "The machine that runs the model is off or restarting, the network between it and the"
        " worker is down, or the server died during the run. After five failures in a row its"
        " circuit breaker opens: jobs for its model stay pending; all others run.",
        "Start the Cog server, and check from the worker's machine that its address responds. Then"
        " retry the jobs.",
        "helps",
        r"Cog server",
        narrows=True,
    ),
    Guide(
        "provider_error",
        "Cog server error",
        "The Cog server could not load its model or stopped working, or the address belongs to a"
        " different server. After five failures in a row its circuit breaker opens: jobs for its"
        " model stay pending; all others run.",
        "Check the Cog server's log (docker logs) and the address on the model's page. Then retry"
        " the jobs.",
        "after",
        r"Cog server",
        narrows=True,
    ),
    Guide(
        "unauthorized",
        "Cog server requires sign-in",
        "Cog does not require sign-in, but a proxy in front of it asks for credentials, which"
        " Darkroom does not send.",
        "Let the workers reach the Cog server directly, or have the proxy allow their addresses.",
        "after",
        r"Cog server",
        narrows=True,
    ),
)
