"""What an Ollama says of its models. The replies are those of its own documentation (docs/api.md, openapi.yaml)."""

from __future__ import annotations

import orjson
import pytest

from proxy.backends.ollama_models import Loaded, Shown, There, loaded, same, shown, there
from proxy.core.dialect import Malformed

DETAILS = {"format": "gguf", "family": "gemma4", "parameter_size": "8.0B", "quantization_level": "Q4_K_M"}


def test_the_models_on_disk_are_read_with_their_size() -> None:
    local = {"name": "gemma4", "model": "gemma4:latest", "size": 9608350245, "digest": "c6eb", "details": DETAILS}
    cloud = {"name": "gpt-oss:120b-cloud", "size": 384, "remote_host": "https://ollama.com:443", "details": {}}
    assert there(orjson.dumps({"models": [local, cloud]})) == (
        There("gemma4:latest", 9608350245, "8.0B", "Q4_K_M", "gemma4"),
        There("gpt-oss:120b-cloud", 384, remote="https://ollama.com:443"),
    )


def test_what_is_loaded_is_read_with_the_memory_that_it_takes() -> None:
    model = {
        **{"name": "gemma4", "model": "gemma4", "size": 6591830464, "size_vram": 5333539264},
        **{"context_length": 4096, "expires_at": "2025-10-17T16:47:07.93355-07:00", "details": DETAILS},
    }
    expected = Loaded("gemma4", 6591830464, 5333539264, 4096, "2025-10-17T16:47:07.93355-07:00")
    assert loaded(orjson.dumps({"models": [model]})) == (expected,)


@pytest.mark.parametrize("body", [b'{"models": []}', b'{"models": null}', b"{}"])
def test_none_is_no_mistake(body: bytes) -> None:
    assert there(body) == ()
    assert loaded(body) == ()


def test_what_a_model_can_do_is_read_from_where_its_architecture_puts_it() -> None:
    reply = {
        "parameters": 'temperature 0.7\nstop "num_ctx 1"\nnum_ctx 2048',
        "capabilities": ["completion", "vision", 5],
        "details": DETAILS,
        "model_info": {
            "general.architecture": "gemma4",
            "gemma4.context_length": 131072,
            "gemma4.embedding_length": 2560,
            "gemma4.vision.embedding_length": 768,
        },
    }
    expected = Shown(131072, 2048, frozenset({"completion", "vision"}), 2560, "8.0B", "Q4_K_M")
    assert shown(orjson.dumps(reply)) == expected
    assert shown(b"{}") == Shown()


@pytest.mark.parametrize(
    ("name", "other", "agree"),
    [
        ("qwen3", "qwen3:latest", True),
        ("hf.co/a/b:Q4", "hf.co/a/b:Q4", True),
        ("host:5000/ns/m", "host:5000/ns/m:latest", True),
        ("qwen3:0.6b", "qwen3", False),
    ],
)
def test_a_name_without_a_tag_means_the_latest(name: str, other: str, agree: bool) -> None:
    assert same(name, other) is agree


@pytest.mark.parametrize("body", [b"", b"[]", b'{"models": {}}', b'{"models": [1]}', b"<html>"])
def test_what_is_no_list_of_models_is_malformed(body: bytes) -> None:
    for read in (there, loaded):
        with pytest.raises(Malformed):
            read(body)


def test_a_list_without_an_end_is_given_up() -> None:
    with pytest.raises(Malformed):
        there(orjson.dumps({"models": [{}] * 10_001}))
