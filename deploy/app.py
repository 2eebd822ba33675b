"""The example app of compose.yaml and kubernetes/sidecar.yaml: asks one question through Wayline, prints the answer.

Any OpenAI SDK does the same with base_url="http://127.0.0.1:8080/v1"; this one needs nothing but Python.
"""

import json
import os
import urllib.request

BASE_URL = os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1")


def ask(question: str) -> tuple[str, str]:
    """(the answer, the target that gave it)."""
    body = {"model": "chat", "messages": [{"role": "user", "content": question}], "max_tokens": 100}
    request = urllib.request.Request(
        f"{BASE_URL}/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"},
    )
    with urllib.request.urlopen(request, timeout=120) as reply:
        answer = json.load(reply)
        return answer["choices"][0]["message"]["content"], reply.headers["x-wayline-target"]


if __name__ == "__main__":
    text, target = ask("What is the capital of France?")
    print(f"{target}: {text}", flush=True)
