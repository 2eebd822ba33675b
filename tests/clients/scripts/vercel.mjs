// The AI SDK by Vercel, with the provider that the fourth argument names.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [URL, KEY, WAY] = process.argv.slice(2);
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const baseURL = `${URL}/v1`;
const MODELS = {
  compatible: createOpenAICompatible({ name: "wayline", baseURL, apiKey: KEY, supportsStructuredOutputs: true, includeUsage: true }),
  chat: createOpenAI({ baseURL, apiKey: KEY }).chat,
  responses: createOpenAI({ baseURL, apiKey: KEY }).responses,
  messages: createAnthropic({ baseURL, apiKey: KEY }),
};
const model = MODELS[WAY];

const sun = (name) =>
  tool({
    description: "Get the current weather or time.",
    inputSchema: z.object({ [name]: z.string() }),
    execute: async (input) => `sun in ${input[name]}`,
  });
const tools = {
  weather: sun("location"),
  get_weather: sun("location"),
  get_time: sun("timezone"),
  get_current_weather: sun("city"),
};
const called = (steps) => steps.flatMap((step) => step.toolCalls.map((call) => [call.toolName, call.input]));
const common = { maxRetries: 0 };

async function whole(name, more = {}) {
  const result = await generateText({ model: model(name), prompt: "Hi", ...common, ...more });
  return {
    text: result.text,
    calls: called(result.steps),
    usage: [result.totalUsage.inputTokens, result.totalUsage.outputTokens],
  };
}

async function streamed(name, more = {}) {
  let raised;
  const result = streamText({ model: model(name), prompt: "Hi", ...common, onError: ({ error }) => (raised = error), ...more });
  const pieces = [];
  for await (const piece of result.textStream) pieces.push(piece);
  if (raised) throw raised;
  return { text: await result.text, calls: called(await result.steps), pieces: pieces.length };
}

const joke = Output.object({ schema: z.object({ joke: z.string(), rating: z.number().int() }) });
const image = [{ role: "user", content: [{ type: "text", text: "What?" }, { type: "file", data: PIXEL, mediaType: "image/png" }] }];
const agent = { tools, stopWhen: stepCountIs(3) };
const SCENES = {
  text: (p) => whole(`${p}-text`),
  stream: (p) => streamed(`${p}-text`),
  tools: (p) => whole(`${p}-tools`, agent),
  "tools streamed": (p) => streamed(`${p}-tools`, agent),
  json: (p) => whole(`${p}-json`, { output: joke }),
  image: (p) => whole(`${p}-image`, { prompt: undefined, messages: image }),
  refused: (p) => whole(`${p}-refused`),
  limited: (p) => whole(`${p}-limited`),
  cut: (p) => streamed(`${p}-cut`),
};

const told = {};
for (const provider of ["openai", "anthropic", "gemini", "ollama"]) {
  for (const [name, scene] of Object.entries(SCENES)) {
    try {
      told[`${provider} ${name}`] = await scene(provider);
    } catch (error) {
      told[`${provider} ${name}`] = { error: error?.name ?? "?", status: error?.statusCode ?? null, words: error?.message ?? JSON.stringify(error) };
    }
  }
}
console.log(JSON.stringify(told));
