"""The admin API's part for callers' keys, limits and budgets."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from proxy import Wayline, WaylineError
from tests.app.administering import ADMIN, CALLER, Operator, operator
from tests.app.embedding import HELLO, mapping
from tests.app.test_admin import asking
from tests.upstream import Upstream
from tests.upstream_answers import ok


async def chat(admin: Operator, key: str, model: str = "chat") -> int:
    """The status of a chat by somebody with that key."""
    body = {"model": model, "messages": HELLO, "max_tokens": 10}
    reply = await asking(admin.wayline).post(
        "/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}
    )
    return reply.status_code


def test_a_key_is_made_told_once_used_rotated_and_revoked(tmp_path: Path) -> None:
    async def run() -> None:
        keys = [{"name": "team", "key": CALLER}]
        async with Upstream(ok()) as up, operator(tmp_path, up.base_url, keys=keys) as admin:
            wanted = {
                "name": "alice",
                "routes": ["chat"],
                "budgets": ["5/day"],
                "limits": {"rpm": 60, "concurrency": 2},
                "tags": ["search"],
                "owner": "Alice",
                "expires_in": 3600,
            }
            made = await admin.post("/keys", wanted)
            assert made["key"].startswith("wl-") and made["until"] is not None
            assert await chat(admin, made["key"]) == 200
            assert await chat(admin, made["key"], "embed") == 403
            told = await admin.http.get("/admin/keys")
            assert made["key"] not in told.text
            team, alice = told.json()["keys"]
            assert (team["name"], team["prefix"], team["good"]) == ("team", None, True)
            assert (alice["name"], alice["routes"], alice["owner"], alice["good"]) == ("alice", ["chat"], "Alice", True)
            assert made["key"].startswith(alice["prefix"])
            assert alice["budgets"] == [{"amount": "5", "per": "day", "on_exceeded": "refuse"}]
            assert (alice["limits"], alice["concurrency"]) == (["60 requests a minute"], 2)
            second = await admin.post("/keys/alice/rotate", {"overlap": 60})
            assert [await chat(admin, key) for key in (made["key"], second["key"])] == [200, 200]
            third = await admin.post("/keys/alice/rotate", {"overlap": 0})
            assert [await chat(admin, key) for key in (second["key"], third["key"])] == [401, 200]
            reply = await admin.try_to("DELETE", "/keys/alice")
            assert reply.status_code == 200
            assert await chat(admin, third["key"]) == 401
            assert await chat(admin, CALLER) == 200

    asyncio.run(run())


@pytest.mark.parametrize(
    ("wanted", "status", "param"),
    [
        ({"name": "a b"}, 400, "name"),
        ({"name": "<script>alert(1)</script>"}, 400, "name"),
        ({"name": "team"}, 409, "name"),
        ({"name": "x", "routes": ["nowhere"]}, 400, "routes"),
        ({"name": "x", "budgets": ["much"]}, 400, "budgets"),
        ({"name": "x", "limits": {"rpm": 0}}, 400, "limits"),
        ({"name": "x", "limits": {"rpx": 1}}, 400, "limits.rpx"),
        ({"name": "x", "expires_in": -1}, 400, "expires_in"),
        ({"name": "x", "expires_in": 1e300}, 400, "expires_in"),
        ({"name": "x", "tags": "search"}, 400, "tags"),
        ({"name": "x", "tags": [""]}, 400, "tags"),
        ({"name": "x", "tags": [f"t{n}" for n in range(17)]}, 400, "tags"),
        ({"name": "x", "owner": "Al\nice"}, 400, "owner"),
        ({"name": "x", "owner": "x" * 201}, 400, "owner"),
        ({"name": "x", "budgets": ["5/day", "6/day"]}, 400, "budgets"),
        ({"name": "x", "on_exceeded": "cheaper"}, 400, "on_exceeded"),
        ({"name": "x", "limits": {"rpm": 10**13}}, 400, "limits"),
        ({"name": "x", "limits": {"concurrency": 10**7}}, 400, "limits"),
        ({"name": "x", "routes": []}, 400, "routes"),
        ({}, 400, "name"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(tmp_path: Path, wanted: object, status: int, param: str) -> None:
    async def run() -> None:
        keys = [{"name": "team", "key": CALLER}]
        async with Upstream(ok()) as up, operator(tmp_path, up.base_url, keys=keys) as admin:
            told = await admin.refused("POST", "/keys", wanted)
            assert (told[0], told[2]) == (status, param)
            assert len((await admin.get("/keys"))["keys"]) == 1

    asyncio.run(run())


def test_a_key_that_is_not_there_cannot_be_changed_and_without_a_database_there_is_none(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok()) as up:
            async with operator(tmp_path, up.base_url) as admin:
                assert (await admin.refused("DELETE", "/keys/nobody"))[:2] == (404, "key_not_found")
                assert (await admin.refused("POST", "/keys/nobody/rotate"))[:2] == (404, "key_not_found")
                await admin.post("/keys", {"name": "one"})
                assert (await admin.refused("POST", "/keys", {"name": "one"}))[:2] == (409, "key_unable")
            keys = [{"name": "team", "key": CALLER}]
            async with operator(tmp_path, up.base_url, keys=keys) as admin:
                assert (await admin.refused("DELETE", "/keys/team"))[:2] == (409, "key_unable")
            async with operator(tmp_path, up.base_url, ledger=False, state={"path": str(tmp_path / "s.db")}) as admin:
                told = await admin.refused("POST", "/keys", {"name": "x", "budgets": ["5/day"]})
                assert told[:2] == (409, "no_ledger")
            async with operator(tmp_path, up.base_url, state=False) as admin:
                assert (await admin.get("/keys"))["keys"] == []
                assert (await admin.refused("POST", "/keys", {"name": "one"}))[:2] == (409, "no_state")

    asyncio.run(run())


def test_a_reload_that_names_other_databases_parts_nothing_from_those_that_are_open(tmp_path: Path) -> None:
    """They change with a restart only: until then a key that is made works, and what is on record is found."""
    path = tmp_path / "routes.yaml"

    async def run(up: Upstream) -> None:
        def write(**more: Any) -> None:
            config = mapping(
                tmp_path, up.base_url, admin={"key": ADMIN}, keys=[{"name": "team", "key": CALLER}], **more
            )
            path.write_text(json.dumps(config, default=str))

        async def ask(method: str, at: str, body: Any = None) -> Any:
            headers = {"authorization": f"Bearer {ADMIN}"}
            reply = await asking(wayline).request(method, "/admin" + at, json=body, headers=headers)
            assert reply.status_code == 200, reply.text
            return reply.json()

        async def say_hello(key: str) -> int:
            body = {"model": "chat", "messages": HELLO, "max_tokens": 10}
            headers = {"authorization": f"Bearer {key}"}
            return (await asking(wayline).post("/v1/chat/completions", json=body, headers=headers)).status_code

        write()
        async with Wayline(path) as wayline:
            assert await say_hello(CALLER) == 200
            write(ledger={"path": tmp_path / "other.db"}, state={"path": tmp_path / "elsewhere.db"})
            await ask("POST", "/reload")
            made = await ask("POST", "/keys", {"name": "alice"})
            assert await say_hello(made["key"]) == 200
            async with asyncio.timeout(10):
                while (await ask("GET", "/spend"))["total"]["requests"] < 2:  # noqa: ASYNC110  # written by a thread
                    await asyncio.sleep(0.02)

    async def story() -> None:
        async with Upstream(ok()) as up:
            await run(up)

    asyncio.run(story())
    assert not list(tmp_path.glob("other.db*")) and not list(tmp_path.glob("elsewhere.db*"))


def test_limits_and_budgets_as_they_stand(tmp_path: Path) -> None:
    async def run() -> None:
        more = {"limits": {"rpm": 2}, "budgets": {"all": ["5/day"]}}
        async with Upstream(ok("Hello !")) as up, operator(tmp_path, up.base_url, **more) as admin:
            before = await admin.get("/limits")
            assert before["waiting"] == {"high": 0, "normal": 0, "low": 0}
            for _ in range(2):
                await admin.wayline.chat(model="chat", messages=HELLO, max_tokens=10)
            with pytest.raises(WaylineError, match="Limit reached"):
                await admin.wayline.chat(model="chat", messages=HELLO, max_tokens=10)
            told = await admin.get("/limits")
            [scope] = told["scopes"]
            assert (scope["windows"][0]["limit"], scope["windows"][0]["left"]) == ("2 requests a minute", 0)
            [budget] = told["budgets"]
            assert (budget["scope"], budget["per"], budget["amount"]) == ("all", "day", "5")
            assert (budget["spent"], budget["reserved"], budget["left"]) == ("0.000022", "0", "4.999978")

    asyncio.run(run())
