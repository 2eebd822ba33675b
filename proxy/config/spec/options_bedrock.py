"""What a backend of type bedrock may say."""

from __future__ import annotations

from proxy.config.spec.scalars import Choice, Text
from proxy.config.spec.shapes import Key, Table

GUARDRAIL = Table(
    "a guardrail",
    (
        Key("id", Text("a guardrail's id or ARN", r"^[A-Za-z0-9:/_-]{1,2048}$"), "Its id or ARN.", required=True),
        Key(
            "version",
            Text("a version's number, or DRAFT", r"^([1-9][0-9]{0,7}|DRAFT)$"),
            "Its version, in quotes. Without it the draft.",
        ),
        Key("trace", Choice(("enabled", "disabled", "enabled_full")), "What Bedrock tells of its work.", "disabled"),
        Key(
            "streams",
            Choice(("sync", "async")),
            "sync: a stream is looked at before it is sent. async: at the same time, so that some of it may slip out.",
            "sync",
        ),
    ),
)
BEDROCK = (
    Key(
        "region",
        Text("an AWS region, like us-east-1", r"^[a-z]{2,8}(-[a-z0-9]{1,16}){2,4}$"),
        "The AWS region, also where `base_url` names a VPC endpoint: calls are signed for it.",
        required=True,
    ),
    Key(
        "profile",
        Text("a profile's name", r"^[ -~]{1,128}$"),
        "A profile of ~/.aws. Without it and without a key AWS's usual chain is searched (needs botocore).",
    ),
    Key(
        "role_arn",
        Text("a role's ARN", r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[!-~]{1,1024}$"),
        "A role that is assumed with the credentials found.",
    ),
    Key("guardrail", GUARDRAIL, "Guards all calls to this backend. A request cannot take it away."),
)
