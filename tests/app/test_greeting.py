"""What somebody who starts Wayline at a terminal reads first."""

from __future__ import annotations

from proxy.app.greeting import greeting
from proxy.app.process import Process
from proxy.config.load import load
from proxy.config.values import Config
from proxy.ops.log import Log

LOCAL = """
ledger: false
backends:
  cloud: {type: openai, api_key: "${CLOUD_KEY}"}
  here: {type: llamacpp, models: {big: {path: /nowhere/big.gguf}}}
routes:
  chat: {targets: [cloud/m, here/big]}
"""


def loaded(text: str, **environment: str) -> Config:
    config = load(text, environment, "", str)
    assert isinstance(config, Config), str(config)
    return config


def test_it_says_where_it_listens_and_what_is_not_configured_and_shows_a_request() -> None:
    told = greeting(loaded(LOCAL), "127.0.0.1", 8080)
    assert told.startswith("Wayline is ready at http://127.0.0.1:8080/v1\n")
    assert "not configured: cloud (CLOUD_KEY is not set)" in told
    assert '"model": "chat"' in told


def test_an_address_that_means_all_is_shown_as_one_that_can_be_asked() -> None:
    assert "http://127.0.0.1:80/v1" in greeting(loaded(LOCAL), "0.0.0.0", 80)
    assert "http://[::1]:80/v1" in greeting(loaded(LOCAL), "::1", 80)


def test_where_callers_need_a_key_the_request_has_one() -> None:
    text = LOCAL + "keys: [{name: me, key: secret-of-mine}]\n"
    told = greeting(loaded(text), "127.0.0.1", 8080)
    assert "Bearer $WAYLINE_KEY" in told
    assert "secret-of-mine" not in told


def test_a_local_model_that_cannot_be_run_is_named_with_the_reason() -> None:
    config = loaded(LOCAL)
    log = Log(form="json")
    process = Process(config, {}, log, lambda: "")
    trouble = list(process.unavailable())
    log.close()
    assert len(trouble) == 1
    assert trouble[0].startswith("here/big: not available: ")
    assert trouble[0] in greeting(config, "127.0.0.1", 8080, trouble)


def test_where_nothing_is_configured_it_says_where_to_look() -> None:
    backend = 'backends: {cloud: {type: openai, api_key: "${CLOUD_KEY}"}}'
    text = f"ledger: false\n{backend}\nroutes: {{chat: {{targets: [cloud/m]}}}}"
    told = greeting(loaded(text), "127.0.0.1", 8080)
    assert "wayline check" in told
    assert "curl" not in told
