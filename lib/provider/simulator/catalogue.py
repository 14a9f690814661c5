"""What the simulated API says about models, hardware and the account."""

import secrets
from hashlib import sha256
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lib.files import create_once
from lib.provider.simulator.models import MODELS, Model
from lib.provider.simulator.responses import not_found
from lib.provider.simulator.schemas import openapi

PUBLISHED_AT = "2026-01-01T00:00:00.000000Z"
HARDWARE = (("cpu", "CPU"), ("gpu-t4", "Nvidia T4 GPU"), ("gpu-l40s", "Nvidia L40S GPU"))


def catalogue_routes(folder: Path) -> list[Route]:
    """The read-only endpoints; the webhook secret is kept in `folder`."""

    def webhook_secret(_request: Request) -> Response:
        path = folder / "webhook_secret"
        create_once(path, lambda draft: draft.write_text(f"whsec_{secrets.token_urlsafe(24)}"))
        return JSONResponse({"key": path.read_text()})

    return [
        Route("/models/{owner}/{name}", _get_model),
        Route("/models/{owner}/{name}/versions", _list_versions),
        Route("/models/{owner}/{name}/versions/{version}", _get_version),
        Route("/account", _account),
        Route("/hardware", _hardware),
        Route("/webhooks/default/secret", webhook_secret),
    ]


def _get_model(request: Request) -> Response:
    model = _model(request)
    owner, _, name = model.id.partition("/")
    return JSONResponse(
        {
            "url": f"https://replicate.com/{model.id}",
            "owner": owner,
            "name": name,
            "description": None,
            "visibility": "public",
            "is_official": model.version is None,
            "github_url": None,
            "paper_url": None,
            "license_url": None,
            "run_count": 0,
            "cover_image_url": None,
            "default_example": None,
            "latest_version": _version(model),
        }
    )


def _list_versions(request: Request) -> Response:
    model = _model(request)
    # Replicate hides those of official models.
    if model.version is None:
        raise not_found()
    return JSONResponse({"next": None, "previous": None, "results": [_version(model)]})


def _get_version(request: Request) -> Response:
    version = _version(_model(request))
    if version["id"] != request.path_params["version"]:
        raise not_found()
    return JSONResponse(version)


def _account(_request: Request) -> Response:
    account = {"type": "user", "username": "simulator", "name": "Simulator", "github_url": ""}
    return JSONResponse(account)


def _hardware(_request: Request) -> Response:
    return JSONResponse([{"sku": sku, "name": name} for sku, name in HARDWARE])


def _model(request: Request) -> Model:
    model = MODELS.get("{owner}/{name}".format(**request.path_params))
    if model is None:
        raise not_found()
    return model


def _version(model: Model) -> dict[str, Any]:
    return {
        "id": model.version or sha256(model.id.encode()).hexdigest(),
        "created_at": PUBLISHED_AT,
        "cog_version": "0.16.0",
        "openapi_schema": openapi(model),
    }
