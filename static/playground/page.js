// The playground's page. What is said lives in this tab only (sessionStorage), and goes nowhere but to the model.
import { ask, Refused } from "./stream.js";
import { rendered } from "./text.js";
import { showRaw } from "./raw.js";

const at = (id) => document.getElementById(id);
const words = JSON.parse(at("words").textContent);
const { link } = at("view-chat").dataset;
const kept = `playground:${link}`;
const fill = (text, values) => text.replace(/%\((\w+)\)s/g, (_, name) => values[name]);

// {role, text, kind?, note?}: of the kinds "paywall" and "error" the model learns nothing.
let messages = read();
let under_way = null;

// --- Messages ----------------------------------------------------------------------------------------------

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(kept)) ?? [];
  } catch {
    return [];
  }
}

function keep() {
  try {
    sessionStorage.setItem(kept, JSON.stringify(messages));
  } catch {
    // The tab's storage is full or forbidden: a reload begins anew.
  }
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

// A message on the page: its parts are filled by whoever has the text.
function bubble(message) {
  const item = element("li", `message ${message.kind ?? message.role}`);
  const who = { user: words.you, paywall: words.paywall, error: words.error };
  item.append(element("p", "who", who[message.kind ?? message.role] ?? message.model));
  const text = element("div", "text");
  item.append(text, element("p", "note"));
  at("messages").append(item);
  return item;
}

function fillIn(item, message) {
  const text = item.querySelector(".text");
  if (message.role === "user" || message.kind === "error") text.textContent = message.text;
  else text.replaceChildren(rendered(message.text));
  item.querySelector(".note").textContent = message.note ?? "";
}

// The last message can be asked again where the model gave no answer to it.
function offerAgain() {
  at("again")?.remove();
  if (!["paywall", "error"].includes(messages.at(-1)?.kind)) return;
  const button = element("button", "quiet small-button", words.again);
  button.type = "button";
  button.id = "again";
  button.addEventListener("click", () => {
    messages.pop();
    at("messages").lastElementChild.remove();
    answer();
    at("text").focus();
  });
  at("messages").lastElementChild.append(button);
}

// --- Asking ------------------------------------------------------------------------------------------------

function say(text) {
  const message = { role: "user", text };
  messages.push(message);
  fillIn(bubble(message), message);
  keep();
  answer();
}

async function answer() {
  at("again")?.remove();
  at("empty").hidden = true;
  const model = at("model").value;
  const said = messages.filter(({ kind }) => !kind).map(({ role, text }) => ({ role, content: text }));
  const body = { model, messages: said };
  const message = { role: "assistant", model, text: "", note: words.answering };
  const item = bubble(message);
  const seen = { status: 0, headers: [], raw: "", requestId: "", decision: "", finished: false };
  const speech = new Speech();
  under_way = new AbortController();
  busy(true);
  fillIn(item, message);
  follow();
  speak(words.answering);
  let drawn = 0;
  const draw = () => {
    drawn = 0;
    const near = isAtEnd();
    fillIn(item, message);
    speech.hear(item.querySelector(".text"));
    if (near) follow();
  };
  try {
    await ask(link, body, under_way.signal, seen, (text) => {
      message.text += text;
      drawn ||= requestAnimationFrame(draw);
    });
    message.note = seen.finished ? "" : words.brokeOff;
  } catch (error) {
    message.note = fault(error);
    if (error.name !== "AbortError" && !message.text) {
      message.kind = "error";
      message.text = message.note;
      message.note = "";
    }
  }
  cancelAnimationFrame(drawn);
  if (seen.decision) {
    message.kind = "paywall";
    message.note = words.notCharged;
  }
  if (message.kind) {
    item.className = `message ${message.kind}`;
    item.querySelector(".who").textContent = message.kind === "paywall" ? words.paywall : words.error;
  }
  messages.push(message);
  keep();
  const near = isAtEnd();
  fillIn(item, message);
  speech.hear(item.querySelector(".text"), true);
  offerAgain();
  under_way = null;
  busy(false);
  if (near) follow();
  showRaw(body, seen);
  await tell(item, message, seen.requestId);
}

function fault(error) {
  if (error.name === "AbortError") return words.stopped;
  return error instanceof Refused ? error.message : words.away;
}

function busy(is) {
  at("send").hidden = is;
  at("stop").hidden = !is;
  at("messages").setAttribute("aria-busy", is);
  at("new").disabled = is;
}

// --- Money -------------------------------------------------------------------------------------------------

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function account(requestId = "") {
  try {
    const answer = await fetch(`/playground/account?request=${encodeURIComponent(requestId)}`, {
      headers: { "X-Playground-Link": link },
    });
    if (!answer.ok) return null;
    const told = await answer.json();
    if (told.connected === false) at("balance").textContent = words.notConnected;
    else if (told.balance !== null) at("balance").textContent = fill(words.balance, told);
    return told.request;
  } catch {
    return null;
  }
}

// What an answer cost is known with its last byte; of one that was stopped, a moment later.
async function tell(item, message, requestId) {
  let known = null;
  for (let tries = 0; tries < 8 && !known; tries += 1) {
    if (tries) await wait(300);
    known = await account(requestId);
    if (!requestId || message.kind) return;
  }
  if (!known) return;
  const cost = `${fill(words.cost, known)} (${known.tokens}).`;
  message.note = [message.note, cost].filter(Boolean).join(" ");
  keep();
  fillIn(item, message);
  speak(cost);
}

// --- For those who listen ------------------------------------------------------------------------------------

function speak(text) {
  at("spoken").append(element("p", "", text));
  while (at("spoken").childElementCount > 40) at("spoken").firstElementChild.remove();
}

// Says each block of an answer once it is whole; a live region that is drawn anew would stammer.
class Speech {
  #said = 0;

  hear(text, isWhole = false) {
    const blocks = [...text.children];
    const whole = blocks.length || !text.textContent ? blocks : [text];
    for (const block of whole.slice(this.#said, isWhole ? undefined : -1)) {
      speak(block.textContent);
      this.#said += 1;
    }
  }
}

const isAtEnd = () => window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 80;
const follow = () => window.scrollTo(0, document.documentElement.scrollHeight);

// --- The page ------------------------------------------------------------------------------------------------

function showModel() {
  const { about, price } = at("model").selectedOptions[0].dataset;
  at("about-model").textContent = [price, about].filter(Boolean).join(" · ");
  sessionStorage.setItem(`${kept}:model`, at("model").value);
}

function send() {
  const text = at("text").value.trim();
  if (!text || under_way) return;
  at("text").value = "";
  say(text);
}

at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
at("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") under_way?.abort();
});
at("stop").addEventListener("click", () => {
  under_way?.abort();
  at("text").focus();
});
at("new").addEventListener("click", () => {
  messages = [];
  keep();
  at("messages").replaceChildren();
  at("empty").hidden = false;
  at("text").focus();
});
at("model").addEventListener("change", showModel);
// Who comes back from the page that adds money sees it.
window.addEventListener("focus", () => account());

const before = sessionStorage.getItem(`${kept}:model`);
if ([...at("model").options].some(({ value }) => value === before)) at("model").value = before;
showModel();
for (const message of messages) fillIn(bubble(message), message);
at("empty").hidden = messages.length > 0;
offerAgain();
account();
if (matchMedia("(pointer: fine)").matches) at("text").focus();
