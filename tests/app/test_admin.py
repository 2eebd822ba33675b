"""The admin API over ASGI: what it tells and does, who may, and that its document says the truth."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import pytest

from proxy import Wayline
from tests.app.administering import ADMIN, CALLER, Operator, operator
from tests.app.embedding import HELLO, mapping
from tests.upstream import Upstream
from tests.upstream_answers import chat_ok, error, ok, plain, stream_ok
from tests.upstream_steps import Behaviour, Hang

# Who may ---------------------------------------------------------------------------------------------------------


def test_only_with_its_own_key_and_a_callers_key_is_none(tmp_path: Path) -> None:
    async def run() -> None:
        keys = [{"name": "team", "key": CALLER}]
        async with Upstream(ok()) as up, operator(tmp_path, up.base_url, keys=keys) as admin:
            for path in ("/status", "/targets", "/spend", "/openapi.json", "/events"):
                for given in (
                    {},
                    {"authorization": f"Bearer {CALLER}"},
                    {"authorization": "Bearer "},
                    {"x-api-key": "x"},
                ):
                    reply = await asking(admin.wayline).get("/admin" + path, headers=given)
                    assert reply.status_code == 401
                    assert reply.headers["www-authenticate"] == "Bearer"
                    assert reply.json()["error"]["code"] in ("missing_api_key", "invalid_api_key")
            for path in ("/drain", "/reload", "/targets/up/first/cool"):
                assert (await asking(admin.wayline).post("/admin" + path)).status_code == 401
            assert (await asking(admin.wayline).get("/admin/status", headers={"x-api-key": ADMIN})).status_code == 200
            answer = await asking(admin.wayline).get("/v1/models", headers={"authorization": f"Bearer {ADMIN}"})
            assert answer.status_code == 401  # and an admin key is no caller's

    asyncio.run(run())


def asking(wayline: Wayline) -> httpx2.AsyncClient:
    """Somebody without a key."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(wayline.asgi), base_url="http://inside")


def test_without_admin_in_the_configuration_there_is_none(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok()) as up, Wayline(mapping(tmp_path, up.base_url)) as wayline:
            for path in ("/admin", "/admin/", "/admin/status", "/admin/openapi.json"):
                reply = await asking(wayline).get(path, headers={"authorization": f"Bearer {ADMIN}"})
                assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")

    asyncio.run(run())


def test_a_reload_moves_it_changes_its_keys_and_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    other = "adm-fedcba9876543210"

    async def run() -> None:
        async with Upstream(ok()) as up:

            def write(**more: Any) -> None:
                path.write_text(json.dumps(mapping(tmp_path, up.base_url, **more), default=str))

            async def status(at: str, key: str) -> int:
                headers = {"authorization": f"Bearer {key}"}
                return (await asking(wayline).post(at + "/reload", headers=headers)).status_code

            write(admin={"key": ADMIN})
            async with Wayline(path) as wayline:
                write(admin={"keys": [ADMIN, other], "path": "/ops/here"})
                assert await status("/admin", ADMIN) == 200
                assert await status("/admin", ADMIN) == 404
                assert await status("/ops/here", other) == 200
                write(admin={"key": other})
                assert await status("/ops/here", ADMIN) == 200
                assert await status("/admin", ADMIN) == 401
                write()
                assert await status("/admin", other) == 200
                assert await status("/admin", other) == 404

    asyncio.run(run())


# What it tells ---------------------------------------------------------------------------------------------------


def test_status_routes_and_targets(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok()) as up, operator(tmp_path, up.base_url) as admin:
            await admin.wayline.chat(model="chat", messages=HELLO)
            status = await admin.get("/status")
            assert (status["status"], status["workers"], status["worker"]) == ("ready", 1, os.getpid())
            assert (status["routes"], status["targets"], status["in_flight"]) == (2, 3, 0)
            assert status["config"]["error"] is None
            routes = {route["route"]: route for route in (await admin.get("/routes"))["routes"]}
            assert routes["chat"]["targets"] == ["up/first", "up/second"]
            assert routes["chat"]["ready"]
            targets = {target["target"]: target for target in (await admin.get("/targets"))["targets"]}
            assert set(targets) == {"up/first", "up/second", "up/vectors"}
            first = targets["up/first"]
            assert (first["health"], first["ready"], first["routes"]) == ("well", True, ["chat"])
            assert first["price"] == {"input": "1", "output": "2", "origin": "config"}

    asyncio.run(run())


def test_a_target_that_fails_is_told_with_its_cause_and_until_when(tmp_path: Path) -> None:
    async def run() -> None:
        script = [error(429, headers={"retry-after": "60"}), chat_ok()]
        async with Upstream(script) as up, operator(tmp_path, up.base_url) as admin:
            await admin.wayline.chat(model="chat", messages=HELLO)
            first = (await admin.get("/targets"))["targets"][0]
            assert (first["target"], first["health"], first["cause"]) == ("up/first", "cooling", "rate_limited")
            assert 50 < first["for_s"] <= 60
            assert not first["ready"]
            assert not first["by_hand"]

    asyncio.run(run())


def test_one_target_in_full_with_its_windows(tmp_path: Path) -> None:
    async def run() -> None:
        script = [chat_ok(), chat_ok(), error(500), chat_ok("second")]
        async with Upstream(script) as up, operator(tmp_path, up.base_url) as admin:
            for _ in range(3):
                await admin.wayline.chat(model="chat", messages=HELLO)
            told = await admin.get("/targets/up/first")
            assert set(told["windows"]) == {"1h", "6h", "24h", "7d", "30d"}
            hour = told["windows"]["1h"]
            assert (hour["attempts"], hour["served"], hour["failed"]) == (3, 2, 1)
            assert hour["total_s"]["p50"] > 0
            assert 0 <= told["score"] <= 100
            first = (await admin.get("/targets", hour=True))["targets"][0]
            assert (first["last_hour"]["attempts"], first["last_hour"]["served"]) == (3, 0.6667)
            assert told["target"]["target"] == "up/first"
            assert await admin.refused("GET", "/targets/up/nobody") == (404, "target_not_found", "target")
            assert (await admin.get("/alerts"))["alerts"] == []

    asyncio.run(run())


def test_spend_by_what_is_asked_for(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok("Hello !")) as up, operator(tmp_path, up.base_url) as admin:
            for _ in range(3):
                await admin.wayline.chat(model="chat", messages=HELLO)
            await settled(admin, 3)
            spent = await admin.get("/spend", since="1h", by="target")
            assert [(line["name"], line["requests"], line["cost"]) for line in spent["lines"]] == [
                ("up/first", 3, "0.000033")
            ]
            assert (await admin.get("/spend", since="1h", key="nobody"))["total"]["requests"] == 0
            assert await admin.refused("GET", "/spend?since=yesterweek") == (400, "invalid_request", "since")
            assert await admin.refused("GET", "/spend?by=colour") == (400, "invalid_request", "by")
            assert await admin.refused("GET", "/spend?utc=perhaps") == (400, "invalid_request", "utc")
            assert await admin.refused("GET", "/spend?sinse=today") == (400, "invalid_request", "sinse")

    asyncio.run(run())


async def settled(admin: Operator, rows: int) -> None:
    """Until so many attempts are in the database."""
    async with asyncio.timeout(10):
        while (await admin.get("/status"))["ledger"]["rows"] < rows:  # noqa: ASYNC110  # written by a thread
            await asyncio.sleep(0.02)


def test_requests_and_the_story_of_one(tmp_path: Path) -> None:
    async def run() -> None:
        script = [error(503), chat_ok("second"), chat_ok("again")]
        async with Upstream(script) as up, operator(tmp_path, up.base_url) as admin:
            told = await admin.wayline.chat(model="chat", messages=HELLO, wayline={"agent": "tester"})
            await settled(admin, 2)
            [brief] = (await admin.get("/requests", limit=5))["requests"]
            assert (brief["request_id"], brief["target"], brief["attempts"]) == (told.won.request_id, "up/second", 2)
            story = await admin.get(f"/requests/{told.won.request_id}")
            assert [one["ended"] for one in story["attempts"]] == ["failed", "served"]
            assert story["agent"] == "tester"
            assert "Say hello" not in json.dumps(story)
            assert await admin.refused("GET", "/requests/req_nobody") == (404, "request_not_found", "id")

    asyncio.run(run())


def test_where_nothing_is_put_on_record_it_says_so(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok()) as up, operator(tmp_path, up.base_url, ledger=False) as admin:
            assert await admin.refused("GET", "/spend") == (409, "no_ledger", None)
            assert (await admin.get("/status"))["ledger"] is None

    asyncio.run(run())


def test_explain_says_what_would_happen_and_sends_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok()) as up, operator(tmp_path, up.base_url) as admin:
            body = {"model": "chat", "messages": HELLO}
            told = await admin.post("/explain", {"request": body})
            assert [one["target"] for one in told["targets"]] == ["up/first", "up/second"]
            told = await admin.post("/explain", {"request": body, "down": ["up/first"]})
            assert [one["target"] for one in told["targets"]] == ["up/second"]
            assert await admin.refused("POST", "/explain", {"request": {"model": "chat"}}) == (
                400,
                "invalid_request",
                "request",
            )
            assert await admin.refused("POST", "/explain", {"wish": 1}) == (400, "invalid_request", "wish")
            assert up.requests == []

    asyncio.run(run())


def test_a_draft_cannot_bring_out_what_stands_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "sk-of-somebody-else")
    monkeypatch.setenv("A_NUMBER", "4096")

    async def run() -> None:
        async with Upstream(ok()) as up, operator(tmp_path, up.base_url) as admin:
            draft = (
                "backends: {b: {type: openai, base_url: 'http://127.0.0.1:1/v1', api_key: '${A_SECRET}'}}\n"
                "routes: {r: {targets: [{target: 'b/${A_SECRET}', capabilities: {context: '${A_NUMBER}'}}]}}"
            )
            reply = await admin.try_to("POST", "/explain", {"asked": {"route": "r", "input": 9000}, "config": draft})
            assert reply.status_code == 200
            assert "sk-of-somebody-else" not in reply.text
            assert "context 4,096 < 9,000" in reply.text
            unset = draft.replace("A_SECRET", "NOT_SET")
            reply = await admin.try_to("POST", "/explain", {"asked": {"route": "r"}, "config": unset})
            assert "NOT_SET" in reply.text

    asyncio.run(run())


def test_recommendations_for_a_task_on_this_machine(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok()) as up, operator(tmp_path, up.base_url) as admin:
            told = await admin.get("/recommendations", task="code_generation")
            assert {one["target"] for one in told["targets"]} == {"up/first", "up/second", "up/vectors"}
            assert all(0 <= one["score"] <= 1 and one["why"] for one in told["targets"])
            assert told["machine"]["cores"] >= 1
            assert "estimate" in told["note"]
            assert await admin.refused("GET", "/recommendations?task=cooking") == (400, "invalid_request", "task")
            assert await admin.refused("GET", "/recommendations") == (400, "invalid_request", "task")

    asyncio.run(run())


def test_models_of_a_server_on_this_machine_that_no_route_names_are_offered(tmp_path: Path) -> None:
    tags = {
        "models": [
            {"name": "qwen2.5-coder:7b", "size": 4_700_000_000},
            {"name": "tiny:1b", "size": 1_000_000},
            {"name": "huge:9000b"},
            {"name": "named:1b"},
        ]
    }

    async def run() -> None:
        tagged = Upstream(plain(json.dumps(tags).encode()), gets=True)
        async with tagged as up, Wayline(near(up.base_url)) as wayline:
            headers = {"authorization": f"Bearer {ADMIN}"}
            reply = await asking(wayline).get("/admin/recommendations?task=code_generation", headers=headers)
            offered = {one["target"]: one for one in reply.json()["offered"]}
            assert set(offered) == {"home/qwen2.5-coder:7b", "home/tiny:1b", "home/huge:9000b"}
            assert (offered["home/tiny:1b"]["fits"], offered["home/huge:9000b"]["fits"]) == (True, False)
            assert offered["home/qwen2.5-coder:7b"]["needs_gib"] == 5.0

    def near(url: str) -> dict[str, Any]:
        home = {"type": "ollama", "base_url": url.removesuffix("/v1")}
        routes = {"chat": {"targets": ["home/named:1b"]}}
        return {"ledger": False, "admin": {"key": ADMIN}, "backends": {"home": home}, "routes": routes}

    asyncio.run(run())


# What it does ----------------------------------------------------------------------------------------------------


def test_a_target_is_tried_with_a_tiny_request_that_is_on_record_as_a_test(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(stream_ok(["Hel", "lo"], every=0.01)) as up, operator(tmp_path, up.base_url) as admin:
            told = await admin.post("/targets/up/second/test")
            assert (told["ok"], told["ended"], told["status"], told["output"]) == (True, "served", 200, 2)
            assert told["cost"] == "0.000011"
            assert 0 < told["first_content_s"] <= told["total_s"]
            assert told["tokens_per_second"] > 0
            assert up.requests[0].json["model"] == "second"
            await settled(admin, 1)
            story = await admin.get(f"/requests/{told['request_id']}")
            assert (story["endpoint"], story["route"], story["target"]) == ("test", "chat", "up/second")
            mine = await admin.post("/targets/up/second/test", {"prompt": "A question of mine", "max_tokens": 5})
            assert mine["ok"]
            assert up.requests[1].json["messages"][0]["content"] == "A question of mine"
            assert up.requests[1].json["max_tokens"] == 5
            await admin.post("/targets/up/vectors/test", {"kind": "embed"})
            assert up.requests[2].path.endswith("/embeddings")

    asyncio.run(run())


def test_a_test_that_fails_says_how_and_is_never_tried_elsewhere(tmp_path: Path) -> None:
    async def run() -> None:
        message = "no such key sk-abcdefghijklmnop at https://secret.example/x"
        async with Upstream(error(401, message)) as up, operator(tmp_path, up.base_url) as admin:
            told = await admin.post("/targets/up/first/test")
            assert (told["ok"], told["ended"], told["failure"], told["status"]) == (False, "failed", "key_refused", 401)
            assert "sk-abc" not in told["message"]
            assert "secret.example" not in told["message"]
            again = await admin.post("/targets/up/first/test")  # it is left alone now, but that is what a test is for
            assert again["sent"]
            assert len(up.requests) == 2
            assert await admin.refused("POST", "/targets/up/nobody/test") == (404, "target_not_found", "target")
            assert await admin.refused("POST", "/targets/up/first/test", {"max_tokens": 0}) == (
                400,
                "invalid_request",
                "max_tokens",
            )

    asyncio.run(run())


def test_an_operator_who_leaves_ends_the_test(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(Behaviour((Hang(),))) as up, operator(tmp_path, up.base_url) as admin:
            waiting = asyncio.create_task(admin.post("/targets/up/first/test"))
            await up.until(lambda: len(up.requests) == 1)
            waiting.cancel()
            await up.closed(0)

    asyncio.run(run())


def test_a_target_is_left_alone_by_hand_and_taken_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok()) as up, operator(tmp_path, up.base_url) as admin:
            told = (await admin.post("/targets/up/first/cool", {"seconds": 60}))["target"]
            assert (told["health"], told["by_hand"], told["ready"]) == ("cooling", True, False)
            assert (await admin.wayline.chat(model="chat", messages=HELLO)).target == "up/second"
            told = (await admin.post("/targets/up/first/restore"))["target"]
            assert (told["health"], told["by_hand"], told["ready"]) == ("well", False, True)
            assert (await admin.wayline.chat(model="chat", messages=HELLO)).target == "up/first"
            for bad in (0, -1, 1e9, "ten"):
                refused = await admin.refused("POST", "/targets/up/first/cool", {"seconds": bad})
                assert refused == (400, "invalid_request", "seconds")
            assert await admin.refused("POST", "/targets/up/first/cool", {}) == (400, "invalid_request", "seconds")

    asyncio.run(run())


def test_what_an_operator_said_holds_over_a_restart(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok()) as up:
            async with operator(tmp_path, up.base_url) as admin:
                told = await admin.post("/targets/up/first/cool", {"seconds": 600})
                assert told["all_workers"]
            async with operator(tmp_path, up.base_url) as admin:
                async with asyncio.timeout(10):
                    while not (await admin.get("/targets"))["targets"][0]["by_hand"]:  # noqa: ASYNC110  # a look a second
                        await asyncio.sleep(0.05)
                assert (await admin.wayline.chat(model="chat", messages=HELLO)).target == "up/second"
                await admin.post("/targets/up/first/restore")
            async with operator(tmp_path, up.base_url, state=False) as admin:
                told = await admin.post("/targets/up/first/cool", {"seconds": 600})
                assert not told["all_workers"]

    asyncio.run(run())


def test_a_circuit_that_opened_is_closed_by_hand(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream([*[error(500)] * 20, chat_ok()]) as up, operator(tmp_path, up.base_url) as admin:
            for _ in range(6):
                assert not (await admin.post("/targets/up/first/test"))["ok"]
            assert (await admin.get("/targets"))["targets"][0]["health"] == "circuit open"
            told = (await admin.post("/targets/up/first/restore"))["target"]
            assert (told["health"], told["failures_in_a_row"]) == ("well", 0)

    asyncio.run(run())


def test_a_reload_that_is_refused_says_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"

    async def run() -> None:
        async with Upstream(ok()) as up:
            config = mapping(tmp_path, up.base_url, admin={"key": ADMIN})
            path.write_text(json.dumps(config, default=str))
            async with Wayline(path) as wayline:
                headers = {"authorization": f"Bearer {ADMIN}"}
                config["routes"]["chat"]["targets"] = ["nowhere/x"]
                path.write_text(json.dumps({**config, "listn": 1}, default=str))
                reply = await asking(wayline).post("/admin/reload", headers=headers)
                told = reply.json()["error"]
                assert (reply.status_code, told["code"]) == (422, "config_rejected")
                assert any("nowhere" in problem for problem in told["problems"])
                assert any("listn" in problem for problem in told["problems"])
                status = (await asking(wayline).get("/admin/status", headers=headers)).json()
                assert "nowhere" in status["config"]["error"]
                assert (await wayline.chat(model="chat", messages=HELLO)).text == "Hello !"

    asyncio.run(run())


def test_what_only_a_server_can_do_is_refused_elsewhere(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok()) as up, operator(tmp_path, up.base_url) as admin:
            assert await admin.refused("POST", "/drain") == (409, "not_a_server", None)
            assert await admin.refused("POST", "/reload") == (409, "no_source", None)

    asyncio.run(run())


# Shapes ----------------------------------------------------------------------------------------------------------


def test_what_is_no_request_is_refused_in_openais_shape(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(ok()) as up, operator(tmp_path, up.base_url) as admin:
            assert await admin.refused("GET", "/nothing") == (404, "not_found", None)
            assert await admin.refused("DELETE", "/status") == (405, "method_not_allowed", None)
            assert await admin.refused("POST", "/explain", [1]) == (400, "invalid_request", None)
            reply = await admin.http.post("/admin/explain", content=b"{", headers={"content-type": "application/json"})
            assert reply.json()["error"]["code"] == "invalid_json"
            reply = await admin.http.post("/admin/explain", content=b"{}", headers={"content-type": "text/plain"})
            assert reply.status_code == 415

    asyncio.run(run())


@pytest.fixture(scope="module")
def openapi_schema() -> Any:
    """OpenAPI's own, see the file."""
    return json.loads((Path(__file__).parent / "fixtures" / "openapi-3.1.json").read_text())


def test_the_document_is_valid_openapi_and_every_answer_is_as_it_says(tmp_path: Path, openapi_schema: Any) -> None:
    async def run() -> None:
        async with Upstream(ok("Hello !")) as up, operator(tmp_path, up.base_url) as admin:
            document = await admin.get("/openapi.json")
            jsonschema.Draft202012Validator(openapi_schema).validate(document)
            id_ = (await admin.wayline.chat(model="chat", messages=HELLO)).won.request_id
            await settled(admin, 1)
            asked = {
                "/targets": ("/targets?hour=true", None),
                "/targets/{target}": ("/targets/up/first", None),
                "/targets/{target}/test": ("/targets/up/first/test", {}),
                "/targets/{target}/cool": ("/targets/up/first/cool", {"seconds": 1}),
                "/targets/{target}/restore": ("/targets/up/first/restore", None),
                "/requests/{id}": (f"/requests/{id_}", None),
                "/recommendations": ("/recommendations?task=analysis", None),
                "/keys": ("/keys", {"name": "made"}),
                "/keys/{name}": ("/keys/made", None),
                "/keys/{name}/rotate": ("/keys/made/rotate", {}),
                "/explain": ("/explain", {"asked": {"route": "chat"}}),
            }
            for path, operations in sorted(document["paths"].items()):
                if path == "/events":
                    continue
                for method in operations:
                    real, body = asked.get(path, (path, None))
                    reply = await admin.try_to(method.upper(), real, None if method == "get" else body)
                    told = operations[method]["responses"]["200" if reply.status_code == 200 else "default"]
                    schema = told["content"]["application/json"]["schema"]
                    whole = {**schema, "components": document["components"]}
                    jsonschema.Draft202012Validator(whole).validate(reply.json())
                    assert reply.status_code in (200, 404 if path.endswith("/rotate") else 409), reply.text

    asyncio.run(run())


def test_no_key_is_in_any_answer(tmp_path: Path) -> None:
    async def run() -> None:
        keys = [{"name": "team", "key": CALLER}]
        async with Upstream(ok()) as up, operator(tmp_path, up.base_url, keys=keys) as admin:
            paths = ("/status", "/routes", "/targets", "/openapi.json", "/requests", "/")
            told = "".join([(await admin.http.get("/admin" + path)).text for path in paths])
            for secret in (ADMIN, CALLER, "sk-of-the-gateway"):
                assert secret not in told

    asyncio.run(run())
