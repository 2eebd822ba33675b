"""What a backend of type openrouter may say besides."""

from __future__ import annotations

from proxy.config.spec.numbers import Money
from proxy.config.spec.scalars import Flag, Text
from proxy.config.spec.shapes import Json, Key, Table

_LINE = Text("one line of text", r"^[\t -~\u0080-\u00ff]+$")

MAX_PRICE = Table(
    "max_price",
    (
        Key("prompt", Money(), "A million tokens of input."),
        Key("completion", Money(), "A million tokens of output."),
        Key("request", Money(), "A request."),
        Key("image", Money(), "An image."),
    ),
)
OPENROUTER = (
    Key(
        "provider",
        Json(),
        "Preferences among OpenRouter's providers, handed on as `provider` of a request that names none: order, only, "
        "ignore, sort, data_collection and so on.",
    ),
    Key(
        "max_price",
        MAX_PRICE,
        "US dollars at most: providers that charge more are not asked, whatever preferences a request names.",
    ),
    Key(
        "free_only",
        Flag(),
        "Only models that cost nothing: a model without `:free` gets it, one that OpenRouter's own list (asked every "
        "hour) does not have for nothing is not asked, and what costs all the same (web search, plugins) is left out.",
        False,
    ),
    Key("referer", _LINE, "Your app's address, by which OpenRouter lists it (HTTP-Referer)."),
    Key("title", _LINE, "Your app's name there (X-Title)."),
)
