"""A configuration that is right becomes one frozen value, with every reference resolved."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.config.address import with_address
from proxy.config.load import MAX_SECRET, load_file, read_secret
from proxy.config.problem import Problems
from proxy.config.values import Config, Cors, LeftOut, Listen, Store
from proxy.core.price import FREE, Price
from proxy.core.route import Retry, Timeouts
from proxy.core.secret import Secret

if TYPE_CHECKING:
    from tests.config.conftest import Loader

SMALL = "backends: {b: {type: openai, api_key: k}}\nroutes: {r: {targets: [b/m]}}\n"


def test_what_is_not_said_has_its_default(loader: Loader) -> None:
    config = loader.good(SMALL)
    assert config.listen == Listen()
    assert (config.ledger, config.keys, config.cors, config.direct, config.log) == (
        "./wayline.db",
        (),
        None,
        False,
        "auto",
    )
    route = config.routes["r"]
    assert (route.max_attempts, route.reply_model_is_route, route.same_vectors) == (3, False, False)
    target = route.targets[0]
    assert (target.name, target.backend, target.model) == ("b/m", "b", "m")
    assert (target.timeouts, target.retry, target.price, target.concurrency) == (Timeouts(), Retry(), None, None)


def test_responses_are_kept_only_where_it_says_so(loader: Loader) -> None:
    assert loader.good(SMALL).store is None
    assert loader.good(SMALL + "store: {}").store == Store()
    assert loader.good(SMALL + "store: {path: ./x.db, days: 7}").store == Store("./x.db", 7)
    assert "store" in loader.bad(SMALL + "store: true")[0]


def test_everything_at_the_top_arrives(loader: Loader) -> None:
    config = loader.good(
        SMALL
        + """
listen: {host: 0.0.0.0, port: 0, header_timeout: 800ms, drain: 0, max_body: 20MiB, max_header: 4KB, keep_alive: 1h}
ledger: false
keys: [{name: alice, key: "${ALICE:-hush}"}, {name: bob, key_sha256: %s}]
cors: {origins: ["https://a.example", "http://localhost:3000"], max_age: 5m}
direct: true
log: json
"""
        % ("AB" * 32)
    )
    assert config.listen == Listen(
        "0.0.0.0", 0, header_timeout=0.8, drain=0, max_body=20 << 20, max_header=4000, keep_alive=3600
    )
    assert config.ledger is None
    assert [key.sha256 for key in config.keys] == [hashlib.sha256(b"hush").digest(), b"\xab" * 32]
    assert config.cors == Cors(("https://a.example", "http://localhost:3000"), 300)
    assert (config.direct, config.log, config.source) == (True, "json", "routes.yaml")


def test_each_backend_type_has_its_own_defaults(loader: Loader) -> None:
    config = loader.good("""
        backends:
          a: {type: openai, headers: {Authorization: "Basic eA=="}}
          b: {type: ollama}
          c: {type: openai, base_url: "http://127.0.0.1:8000/v1/"}
          d: {type: llamacpp, engine: xllamacpp, isolation: none, models: {m: {path: /m.gguf, parallel: 2, threads: 3}}}
        routes: {r: {targets: [a/x, b/x:1b, c/org/x, d/m]}}
        """)
    urls = [backend.base_url for backend in config.backends.values()]
    assert urls == ["https://api.openai.com/v1", "http://127.0.0.1:11434", "http://127.0.0.1:8000/v1", ""]
    targets = config.routes["r"].targets
    assert [t.timeouts.first for t in targets] == [60, 300, 60, 300]
    assert [t.price for t in targets] == [None, FREE, None, FREE]
    assert [t.model for t in targets] == ["x", "x:1b", "org/x", "m"]
    model = config.backends["d"].models["m"]
    assert (model.name, model.path, model.parallel, model.threads, model.n_ctx) == ("m", "/m.gguf", 2, 3, 4096)
    assert config.backends["a"].api_key is None


def test_a_backend_with_an_unset_variable_is_left_out_without_an_error(loader: Loader) -> None:
    loader.files["/run/secrets/empty"] = "\n"
    config = loader.good("""
        backends:
          a: {type: openai, api_key: "${A_KEY}", base_url: "${A_URL}"}
          b: {type: openai, api_key: "${file:/run/secrets/none}"}
          c: {type: openai, api_key: "${file:/run/secrets/empty}"}
          d: {type: llamacpp, models: {m: {path: "${MODELS}/m.gguf"}}}
          here: {type: ollama}
        routes: {r: {targets: [a/m, here/m, b/m]}, s: {targets: [c/m, d/m]}}
        """)
    assert config.backends["a"].missing == ("A_KEY", "A_URL")
    assert [t.name for t in config.routes["r"].targets] == ["here/m"]
    assert config.routes["s"].targets == ()
    assert config.left_out == (
        LeftOut("r", "a/m", "A_KEY is not set, A_URL is not set"),
        LeftOut("r", "b/m", "file /run/secrets/none is not readable (or empty)"),
        LeftOut("s", "c/m", "file /run/secrets/empty is not readable (or empty)"),
        LeftOut("s", "d/m", "MODELS is not set"),
    )
    assert list(config.direct_targets) == ["here"]


def test_an_empty_variable_counts_as_unset_and_a_default_may_be_empty(loader: Loader) -> None:
    loader.environ = {"EMPTY": "", "KEY": "k"}
    text = 'backends: {{b: {{type: openai, api_key: "{}"}}}}\nroutes: {{r: {{targets: [b/m]}}}}'
    assert loader.good(text.format("${EMPTY}")).backends["b"].missing == ("EMPTY",)
    assert loader.good(text.format("${EMPTY:-}")).backends["b"].api_key is None
    assert loader.good(text.format("${KEY}")).backends["b"].api_key == Secret("k")
    assert loader.good(text.format("a${KEY}b")).backends["b"].api_key == Secret("akb")
    assert loader.good(text.format("$${KEY}")).backends["b"].api_key == Secret("${KEY}")


def test_an_unset_variable_anywhere_else_is_a_problem(loader: Loader) -> None:
    told = loader.bad(SMALL + 'listen: {port: "${PORT}"}')
    assert told == ["routes.yaml:3:16: listen.port: PORT is not set, and there is no default (${NAME:-default})"]


def test_a_variable_may_stand_where_a_number_is_expected(loader: Loader) -> None:
    loader.environ = {"PORT": "81", "WAIT": "5m", "DIRECT": "true"}
    config = loader.good(
        SMALL + 'listen: {port: "${PORT}", body_timeout: "${WAIT}", max_body: "${MAX:-1MiB}"}\ndirect: "${DIRECT}"'
    )
    assert (config.listen.port, config.listen.body_timeout, config.listen.max_body) == (81, 300, 1 << 20)
    assert config.direct is True


def test_of_a_secret_file_one_newline_at_the_end_is_left_off(loader: Loader) -> None:
    for content, key in {"k\n": "k", "k\r\n": "k", "k": "k"}.items():
        loader.files["/run/secrets/x"] = content
        config = loader.good(SMALL.replace("api_key: k", 'api_key: "${file:/run/secrets/x}"'))
        assert config.backends["b"].api_key == Secret(key)


def test_the_nearest_setting_wins_key_by_key(loader: Loader) -> None:
    target = loader.target(
        "timeouts: {idle: 3}, headers: {X-A: t}, params: {defaults: {temperature: 0}, overrides: {seed: 1}}",
        backend="timeouts: {connect: 1, first: 1, idle: 1}, headers: {x-a: b, x-b: b}, drop: [user]",
        route="timeouts: {first: 2, idle: 2}, retry: {same_target: 2}, drop: [seed], "
        "params: {defaults: {temperature: 1, top_p: 0.5}}",
    )
    assert target.timeouts == Timeouts(connect=1, first=2, idle=3, total=600)
    assert target.retry == Retry(same_target=2, patience=0)
    assert target.headers == {"x-a": Secret("t"), "x-b": Secret("b")}
    assert target.defaults == {"temperature": 0, "top_p": 0.5}
    assert target.overrides == {"seed": 1}
    assert target.drop == {"user", "seed"}


def test_a_price_wins_as_a_whole_and_keeps_its_digits(loader: Loader) -> None:
    target = loader.target("price: {input: 0.05, output: 0.1}", backend="price: {input: 9, output: 9, reasoning: 9}")
    assert target.price == Price(Decimal("0.05"), Decimal("0.1"))
    assert loader.target(backend="price: {input: 9, output: 9}").price == Price(Decimal(9), Decimal(9))


def test_a_limit_on_a_backend_is_for_all_its_targets_together_and_not_each_targets_own(loader: Loader) -> None:
    assert loader.target(backend="concurrency: 9").concurrency is None
    assert loader.target(route="concurrency: 5").concurrency == 5
    assert loader.target("concurrency: 2", route="concurrency: 5").concurrency == 2


def test_parameters_keep_their_json_types(loader: Loader) -> None:
    loader.environ = {"T": "0.5"}
    target = loader.target(
        'params: {overrides: {a: null, b: [1, 2.5, {c: "1"}], d: off, e: "${T}", f: true, g: 2026-11-21, h: 0x10}}'
    )
    assert target.overrides == {
        **{"a": None, "b": [1, 2.5, {"c": "1"}], "d": "off", "e": "0.5", "f": True, "g": "2026-11-21", "h": 16},
    }


def test_header_values_are_secrets_but_for_a_few_harmless_ones(loader: Loader) -> None:
    headers = loader.target("headers: {X-Api-Thing: abc, User-Agent: me}").headers
    assert headers == {"x-api-thing": Secret("abc"), "user-agent": "me"}
    assert "abc" not in repr(headers)


def test_route_policies_arrive(loader: Loader) -> None:
    text = SMALL.replace("[b/m]", "[b/m], reply_model: route, same_vectors: true, on_filter: next, max_attempts: 7")
    route = loader.good(text).routes["r"]
    assert (route.reply_model_is_route, route.same_vectors) == (True, True)
    assert (route.filtered_goes_elsewhere, route.max_attempts) == (True, 7)


def test_direct_targets_carry_the_backends_settings(loader: Loader) -> None:
    text = SMALL.replace("api_key: k", "api_key: k, timeouts: {first: 9}, price: {input: 1, output: 2}")
    direct = loader.good(text).direct_targets["b"]
    assert (direct.name, direct.model, direct.timeouts.first) == ("b/", "", 9)
    assert direct.price == Price(Decimal(1), Decimal(2))


def test_an_address_from_the_command_line_is_checked_like_the_files(loader: Loader) -> None:
    config = loader.good(SMALL)
    moved = with_address(config, None, 9000)
    assert isinstance(moved, Config)
    assert (moved.listen.host, moved.listen.port) == ("127.0.0.1", 9000)
    assert "so callers need keys" in str(with_address(config, "0.0.0.0", None))
    open_ = loader.good(SMALL + "keys: [{name: a, key: b}]")
    assert isinstance(with_address(open_, "0.0.0.0", None), Config)


def test_a_file_is_loaded_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    for start in (b"", b"\xef\xbb\xbf"):
        file.write_bytes(start + SMALL.encode())
        assert isinstance(load_file(file, {}), Config)


def test_a_file_that_cannot_be_read_is_a_problem_like_any_other(tmp_path: Path) -> None:
    absent = load_file(tmp_path / "none.yaml", {})
    assert isinstance(absent, Problems)
    assert "cannot be read: No such file or directory" in str(absent)
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"a: 1\nb: \xff\n")
    assert str(load_file(file, {})) == f"{file}:2:1: is not UTF-8"
    assert "cannot be read" in str(load_file(tmp_path, {}))


def test_a_secret_file_is_read_within_bounds(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("s3cret\n")
    assert read_secret(str(file)) == "s3cret\n"
    file.write_bytes(b"x" * (MAX_SECRET + 1))
    for path in (str(file), str(tmp_path / "none"), "a\0b"):
        with pytest.raises(OSError):
            read_secret(path)
