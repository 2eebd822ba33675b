"""The openai SDK, by chat or responses, as the third argument says."""

from __future__ import annotations

import json
import sys
from typing import Any

from openai import OpenAI
from pydantic import BaseModel
from told import FUNCTIONS, KEY, PIXEL, URL, tell
from told_tools import CHAT, RESPONSES

WAY = sys.argv[3]
CLIENT = OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
DATA = f"data:image/png;base64,{PIXEL}"


class Joke(BaseModel):
    """A joke."""

    joke: str
    rating: int


class Chat:
    """`POST /v1/chat/completions`."""

    def text(self, model: str, asked: Any = "Hi") -> Any:
        answer = CLIENT.chat.completions.create(model=model, messages=[{"role": "user", "content": asked}])
        assert answer.usage
        usage = [answer.usage.prompt_tokens, answer.usage.completion_tokens]
        return {"text": answer.choices[0].message.content, "usage": usage}

    def stream(self, model: str) -> Any:
        events = CLIENT.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}], stream=True)
        return {"text": "".join(e.choices[0].delta.content or "" for e in events if e.choices)}

    def run(self, model: str, streamed: bool) -> Any:
        messages: list[Any] = [{"role": "user", "content": "Weather?"}]
        made: list[Any] = []
        while True:
            if streamed:
                with CLIENT.chat.completions.stream(model=model, messages=messages, tools=CHAT) as events:
                    message: Any = events.get_final_completion().choices[0].message
            else:
                answer = CLIENT.chat.completions.create(model=model, messages=messages, tools=CHAT)
                message = answer.choices[0].message
            if not message.tool_calls:
                return {"text": message.content, "calls": made}
            messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
            for call in message.tool_calls:
                given = json.loads(call.function.arguments)
                made.append([call.function.name, given])
                result = FUNCTIONS[call.function.name](**given)
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})

    def structured(self, model: str) -> Any:
        asked: Any = [{"role": "user", "content": "A joke"}]
        parsed = CLIENT.chat.completions.parse(model=model, messages=asked, response_format=Joke)
        joke = parsed.choices[0].message.parsed
        assert joke
        return {"text": json.dumps(joke.model_dump())}

    def image(self, model: str) -> Any:
        return self.text(model, [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": DATA}}])


class Responses:
    """`POST /v1/responses`."""

    def text(self, model: str, asked: Any = "Hi") -> Any:
        answer = CLIENT.responses.create(model=model, input=asked)
        assert answer.usage
        return {"text": answer.output_text, "usage": [answer.usage.input_tokens, answer.usage.output_tokens]}

    def stream(self, model: str) -> Any:
        with CLIENT.responses.stream(model=model, input="Hi") as events:
            text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
            assert events.get_final_response().output_text == text
        return {"text": text}

    def run(self, model: str, streamed: bool) -> Any:
        """Each turn goes on from the last one, which Wayline keeps; streamed, the whole history is sent instead."""
        history: list[Any] = [{"role": "user", "content": "Weather?"}]
        made: list[Any] = []
        given: dict[str, Any] = {"input": history}
        while True:
            if streamed:
                with CLIENT.responses.stream(model=model, tools=RESPONSES, store=False, input=history) as events:
                    answer: Any = events.get_final_response()
            else:
                answer = CLIENT.responses.create(model=model, tools=RESPONSES, **given)
            calls = [item for item in answer.output if item.type == "function_call"]
            if not calls:
                return {"text": answer.output_text, "calls": made}
            results = []
            for call in calls:
                arguments = json.loads(call.arguments)
                made.append([call.name, arguments])
                output = FUNCTIONS[call.name](**arguments)
                results.append({"type": "function_call_output", "call_id": call.call_id, "output": output})
            dumped = [
                item.model_dump(exclude_none=True, exclude={"parsed_arguments", "parsed"}) for item in answer.output
            ]
            history += [*dumped, *results]
            given = {"input": results, "previous_response_id": answer.id}

    def structured(self, model: str) -> Any:
        joke = CLIENT.responses.parse(model=model, input="A joke", text_format=Joke).output_parsed
        assert joke
        return {"text": json.dumps(joke.model_dump())}

    def image(self, model: str) -> Any:
        content = [{"type": "input_text", "text": "?"}, {"type": "input_image", "image_url": DATA, "detail": "auto"}]
        return self.text(model, [{"role": "user", "content": content}])


way: Any = Responses() if WAY == "responses" else Chat()
tell(
    {
        "text": lambda p: way.text(f"{p}-text"),
        "stream": lambda p: way.stream(f"{p}-text"),
        "tools": lambda p: way.run(f"{p}-tools", streamed=False),
        "tools streamed": lambda p: way.run(f"{p}-tools", streamed=True),
        "json": lambda p: way.structured(f"{p}-json"),
        "image": lambda p: way.image(f"{p}-image"),
        "refused": lambda p: way.text(f"{p}-refused"),
        "limited": lambda p: way.text(f"{p}-limited"),
        "cut": lambda p: way.stream(f"{p}-cut"),
    }
)
