"""`probe:` and `alerts:` - asking targets how they are, and telling somebody."""

from __future__ import annotations

from proxy.config.spec.numbers import Duration, Share, Whole
from proxy.config.spec.scalars import Choice, Off, Text
from proxy.config.spec.shapes import Either, Key, Table
from proxy.core.vitals.policy import Alerting, Probe

_P = Probe()
_A = Alerting()

PROBE = Key(
    "probe",
    Either(
        Off(),
        Table(
            "a probe",
            (
                Key("every", Duration(), "Between two probes, +-20 %, while nothing else is asked of it.", _P.every),
                Key(
                    "with",
                    Choice(("models", "tiny_completion")),
                    "models: its list of models, or what it has for being asked whether it is up; tiny_completion: one "
                    "token of an answer, which is on record with its cost.",
                    _P.by,
                ),
                Key("healthy_after", Whole(1, 100), "Good probes in a row that bring it back.", _P.healthy_after),
                Key("unhealthy_after", Whole(1, 100), "Failed ones in a row that take it out.", _P.unhealthy_after),
            ),
        ),
    ),
    "Asks it now and then whether it is up; false: never. Without it only servers of one's own are asked (Ollama, LM "
    "Studio, llama-server, vLLM…), every 30 s. Nearest wins, as a whole (docs/health.md).",
)
"""May stand on a backend or a target."""

_WEBHOOK = Table(
    "a webhook",
    (
        Key(
            "url",
            Text(
                "an address like https://host/path (http or https)",
                r"^https?://[A-Za-z0-9.:\[\]-]+([/?][!$-~]*)?$",
                secret=True,
            ),
            "Where each alert is sent by POST, as JSON.",
            required=True,
        ),
        Key(
            "secret",
            Text("a secret: printable, without spaces", r"^[!-~]+$", secret=True),
            'Signs what is sent (HMAC-SHA256, as Standard Webhooks do), as "${VAR}".',
        ),
    ),
)
ALERTS = Key(
    "alerts",
    Table(
        "alerts",
        (
            Key("webhook", _WEBHOOK, "Where alerts go besides log and metrics."),
            Key(
                "failover",
                Share(),
                "The share of a route's requests, over 5 to 10 minutes, that needed another attempt.",
                _A.failover,
            ),
            Key("score", Whole(1, 89), "A target's score below which it is degraded.", int(_A.score)),
            Key("certificate_days", Whole(1, 365), "Before a backend's certificate is over.", 14),
        ),
    ),
    "When somebody is told that something is wrong, and where (docs/health.md).",
)
