"""The example app gets an answer from Wayline's address and names the target that gave it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from tests.deploy.image import ROOT


class Answering(BaseHTTPRequestHandler):
    """One answer, as Wayline gives it."""

    asked: list[tuple[str, dict[str, object]]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        type(self).asked.append((self.path, body))
        reply = json.dumps({"choices": [{"message": {"role": "assistant", "content": "Paris."}}]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(reply)))
        self.send_header("x-wayline-target", "openai/gpt-4o-mini")
        self.end_headers()
        self.wfile.write(reply)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Not into the tests' output."""


def test_the_example_app_asks_the_route_chat_and_prints_who_answered_what() -> None:
    Answering.asked = []
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        done = subprocess.run(
            [sys.executable, ROOT / "deploy/app.py"],
            env={"OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1"},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        thread.join()
    assert done.stdout == "openai/gpt-4o-mini: Paris.\n"
    assert [(path, body["model"]) for path, body in Answering.asked] == [("/v1/chat/completions", "chat")]
