"""Forms: where the model's name stands in one, and that nobody could find another name in what is taken."""

from __future__ import annotations

import email.parser
import email.policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.values import Cors
from proxy.wire.cors import CorsPolicy
from proxy.wire.form import MAX_PARTS, BadForm, read_form
from proxy.wire.head import CODED_BODY, FOREIGN_FORM, NO_KNOWN_BODY, form_flaw

TYPE = "multipart/form-data; boundary=b0"


def part(name: str, value: bytes = b"x", more: str = "") -> bytes:
    """One part, from its boundary on."""
    return b'--b0\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (name.encode(), more.encode(), value)


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b0--\r\n"


MODEL = part("model", b"whisper")
FILE = part("file", b"RIFF\0\r\n--b\r\n\xff", '; filename="a.wav"\r\nContent-Type: audio/wav')


def test_the_name_is_found_wherever_it_stands() -> None:
    for body in (form(MODEL, FILE), form(FILE, MODEL), form(part("prompt", b""), MODEL, FILE)):
        found = read_form(body, TYPE)
        begin, end = found.span
        assert body[begin:end] == b"whisper" == found.fields["model"].encode()


def test_a_form_without_a_model_says_so_by_its_fields() -> None:
    assert "model" not in read_form(form(FILE), TYPE).fields


def test_a_prompt_is_read_too_since_a_screen_may_look_at_it() -> None:
    said = "Make it “blue”\r\nand large".encode()
    assert read_form(form(part("prompt", said), MODEL), TYPE).fields["prompt"] == said.decode()
    assert "prompt" not in read_form(form(MODEL, FILE), TYPE).fields
    for one in (part("prompt", b"x" * (256 * 1024 + 1)), part("prompt", b"\xff"), part("prompt", b"a") * 2):
        with pytest.raises(BadForm, match="'prompt'") as raised:
            read_form(form(MODEL, one), TYPE)
        assert raised.value.param == "prompt"


def test_whether_a_stream_is_asked_for_is_read_too() -> None:
    assert read_form(form(MODEL, part("stream", b"true")), TYPE).fields["stream"] == "true"


@pytest.mark.parametrize(
    "kind", [TYPE, 'Multipart/Form-Data;boundary="b0"', "multipart/form-data; charset=utf-8; boundary=b0"]
)
def test_the_usual_ways_to_write_the_type_are_taken(kind: str) -> None:
    assert read_form(form(MODEL), kind).content_type == TYPE


def test_a_boundary_that_needs_quotes_keeps_them() -> None:
    body = form(MODEL).replace(b"b0", b"b 0:")
    assert read_form(body, 'multipart/form-data; boundary="b 0:"').content_type.endswith('boundary="b 0:"')


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=b0; boundary=b1",
        f"multipart/form-data; boundary={'b' * 71}",
        'multipart/form-data; boundary="b0 "',
        "multipart/form-data; boundary=b\u00e90",
    ],
)
def test_a_type_without_one_good_boundary_is_refused(kind: str) -> None:
    with pytest.raises(BadForm, match="boundary"):
        read_form(form(MODEL), kind)


@pytest.mark.parametrize(
    ("why", "body"),
    [
        ("empty", b""),
        ("another boundary", form(MODEL).replace(b"--b0", b"--b1")),
        ("something before", b"hello\r\n" + form(MODEL)),
        ("something behind", form(MODEL) + part("model", b"other")),
        ("no end", MODEL),
        ("cut in its headers", b'--b0\r\nContent-Disposition: form-data; name="model"'),
        (
            "a boundary with more on its line",
            form(MODEL, FILE).replace(
                b'--b0\r\nContent-Disposition: form-data; name="file',
                b'--b0x\r\nContent-Disposition: form-data; name="file',
            ),
        ),
        ("bare line feeds", form(MODEL).replace(b"\r\n", b"\n")),
        ("two models", form(MODEL, MODEL)),
        ("a model that is a file", form(part("model", b"x", '; filename="m"'))),
        ("no disposition", b"--b0\r\nContent-Type: text/plain\r\n\r\nx\r\n--b0--"),
        ("another disposition", form(MODEL).replace(b"form-data;", b"attachment;")),
        ("two dispositions", form(part("a", b"x", '\r\nContent-Disposition: form-data; name="model"'))),
        ("two names", form(part("a", b"x", '; name="model"'))),
        ("an extended name", form(part("a", b"x", "; name*=utf-8''model"))),
        ("a name in pieces", form(part("a", b"x", '; name*0="mo"; name*1="del"'))),
        ("an escaped name", form(part("m\\odel", b"x"))),
        ("a folded line", form(part("a", b"x", '\r\n ; name="model"'))),
        ("a coded part", form(part("a", b"x", "\r\nContent-Transfer-Encoding: base64"))),
        ("a boundary among headers", form(part("a", b"x", "\r\n--b0: x"))),
        ("a boundary behind a line feed", form(part("a", b"x\n--b0\r\nContent-Disposition: form-data\r\n\r\n"))),
        ("a boundary behind a carriage return", form(part("a", b"x\r--b0--"))),
        ("a long name of a model", form(part("model", b"m" * 2000))),
        ("a model that is no text", form(part("model", b"\xff"))),
        ("more parts than there may be", form(*[part("a")] * (MAX_PARTS + 1))),
        ("a line that is no header", form(part("a", b"x", "\r\nnonsense"))),
        ("headers without end", b"--b0\r\n" + b"a: b\r\n" * 5000 + b"\r\nx\r\n--b0--"),
    ],
)
def test_what_two_readers_could_take_differently_is_refused(why: str, body: bytes) -> None:
    with pytest.raises(BadForm):
        read_form(body, TYPE)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_pythons_own_reader_finds_the_same_name_and_no_other(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(["file", "prompt", "model", "stream", "Model", "model "]), max_size=5))
    values = st.binary(max_size=40) | st.sampled_from([b"\r\n", b"--b0", b"\r\n--b", b"\r\n--b0", b"", b"m"])
    body = form(*(part(name, data.draw(values)) for name in names))
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(body)))
        body = body[:at] + data.draw(st.sampled_from([b"\r\n", b"--b0\r\n", b'"', b";", b"\0", b" ", b":"])) + body[at:]
    try:
        found = read_form(body, TYPE)
    except BadForm:
        return
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    message = parser.parsebytes(b"Content-Type: multipart/form-data; boundary=b0\r\n\r\n" + body)
    models = [one for one in message.iter_parts() if one.get_param("name", header="content-disposition") == "model"]
    assert len(models) == ("model" in found.fields)
    for one in models:
        assert one.get_payload(decode=True) == found.fields["model"].encode()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.text(max_size=60))
def test_any_bytes_at_all_are_a_form_or_refused(body: bytes, kind: str) -> None:
    for given_type in (TYPE, kind):
        for given_body in (body, b"--b0\r\n" + body, form(part("model", body))):
            try:
                found = read_form(given_body, given_type)
            except BadForm:
                continue
            begin, end = found.span
            assert given_body[begin:end] == found.fields.get("model", "").encode()


def test_forms_of_a_page_are_taken_only_from_origins_that_are_allowed() -> None:
    fields = {b"content-type": TYPE.encode(), b"origin": b"https://app.example"}
    assert form_flaw(fields, b"") is FOREIGN_FORM
    for origins, wrong in ((("https://app.example",), None), (("*",), None), (("https://b.example",), FOREIGN_FORM)):
        assert form_flaw(fields, CorsPolicy(Cors(origins)).lines(fields[b"origin"])) is wrong


def test_what_is_neither_json_nor_a_form_or_is_compressed_is_refused() -> None:
    assert form_flaw({b"content-type": b"text/plain"}, b"") is NO_KNOWN_BODY
    assert form_flaw({b"content-type": b"application/json"}, b"") is None
    assert form_flaw({b"content-type": TYPE.encode(), b"content-encoding": b"gzip"}, b"") is CODED_BODY
