// The admin page in a DOM: opened, used and left. Prints what it showed, as JSON.
import { createHash } from "node:crypto";
import { JSDOM, VirtualConsole } from "jsdom";

const [url, key] = process.argv.slice(2);
const wrong = [];
const said = new VirtualConsole();
said.on("jsdomError", (error) => wrong.push(String(error.message)));
said.on("error", (...words) => wrong.push(words.join(" ")));
const reply = await fetch(`${url}/admin/`);
const policy = reply.headers.get("content-security-policy");
const dom = new JSDOM(await reply.text(), {
  url: `${url}/admin/`,
  runScripts: "dangerously",
  virtualConsole: said,
  beforeParse(window) {
    window.fetch = (path, options) => fetch(new URL(path, `${url}/admin/`), options);
    window.AbortController = AbortController;
    window.TextDecoderStream = TextDecoderStream;
    window.alert = () => wrong.push("markup from outside was run");
    window.confirm = () => true;
  },
});
const page = dom.window.document;
const at = (id) => page.getElementById(id);
const rows = (id) => [...page.querySelectorAll(`#${id} tbody tr`)].map((row) => [...row.children].map((cell) => cell.textContent));
const button = (id, text) => [...page.querySelectorAll(`#${id} button`)].find((one) => one.textContent.startsWith(text));

async function until(what, holds) {
  for (let i = 0; i < 400; i += 1) {
    const found = holds();
    if (found) return found;
    await new Promise((ready) => setTimeout(ready, 25));
  }
  throw new Error(`${what} never came: ${page.body.textContent}`);
}
function enter(word) {
  at("key").value = word;
  at("door").dispatchEvent(new dom.window.Event("submit", { cancelable: true, bubbles: true }));
}

// CSP level 3, 8.3: what a browser compares is the digest of the element's text.
const digest = (one) => `'sha256-${createHash("sha256").update(one.textContent).digest("base64")}'`;
const allowed = [...page.querySelectorAll("script, style")].map((one) => policy.includes(`${one.localName}-src ${digest(one)};`));
const told = { allowed, before: at("status").textContent, hidden: at("main").hidden };
enter("adm-that-nobody-has");
told.refused = await until("the refusal", () => at("status").textContent.includes("not valid") && at("status").textContent);
enter(key);
told.status = await until("the status", () => at("status").textContent.startsWith("ready") && at("status").textContent);
await until("requests", () => page.querySelector("#requests button.link"));
await until("events", () => at("live").textContent === "live");
told.targets = rows("targets");
told.spend = rows("spend");
told.requests = rows("requests");
page.querySelector("#requests button.link").click();
told.why = await until("why", () => page.querySelector("#requests tr.open pre")?.textContent);
button("targets", "test").click();
told.tested = await until("the test", () => /total/.test(at("tested").textContent) && at("tested").textContent);
button("targets", "cool").click();
told.event = await until("the event", () => [...at("events").children].map((one) => one.textContent).find((one) => one.includes("cooled")));
await until("the cooldown", () => button("targets", "restore"));
told.cooled = rows("targets");
told.elements = page.querySelectorAll("img, script").length;
at("leave").click();
told.left = [at("main").hidden, dom.window.sessionStorage.length];
told.wrong = wrong;
console.log(JSON.stringify(told));
process.exit(0);
