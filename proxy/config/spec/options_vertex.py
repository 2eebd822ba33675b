"""What a backend of type `vertex` may say besides."""

from __future__ import annotations

from proxy.config.spec.options_gemini import SAFETY
from proxy.config.spec.scalars import Text
from proxy.config.spec.shapes import Key

VERTEX = (
    Key(
        "project",
        Text("a Google Cloud project's id", r"^[A-Za-z0-9][A-Za-z0-9.:_-]{0,127}$"),
        "The project that is billed. Google asks for it, unless an `api_key` tells it.",
    ),
    Key(
        "location",
        Text("a location like global, eu or europe-west4", r"^[a-z][a-z0-9-]{1,63}$"),
        "Where the models are served.",
        "global",
    ),
    Key(
        "credentials_file",
        Text("a path"),
        "The JSON file of a service account (or of a workload identity). Without it Google's application default "
        "credentials, which end with the metadata server.",
    ),
    SAFETY,
)
