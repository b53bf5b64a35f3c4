// One request to the playground's own endpoint, and its answer as it comes.

export class Refused extends Error {}

// Asks, and calls `onText` with each piece of the answer. Answers {requestId, decision, finished, status, headers, raw};
// throws Refused with a message for people, or what `fetch` throws. `seen` gets the same facts while they come.
export async function ask(link, body, signal, seen, onText) {
  const response = await fetch("/playground/chat", {
    method: "POST",
    credentials: "same-origin",
    headers: {
      "Content-Type": "application/json",
      "X-Playground-Link": link,
      // Whatever the paywall does elsewhere, here its words are to be read.
      "X-Paywall-Reply": "message",
    },
    body: JSON.stringify(body),
    signal,
  });
  seen.status = response.status;
  seen.headers = [...response.headers].map(([name, value]) => `${name}: ${value}`);
  seen.requestId = response.headers.get("x-request-id") ?? "";
  seen.decision = response.headers.get("x-paywall-decision") ?? "";
  if (!response.ok) {
    seen.raw = await response.text();
    throw new Refused(messageOf(seen.raw) || `HTTP ${response.status}`);
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    seen.raw += value;
    const events = (rest + value).split(/\r?\n\r?\n/);
    rest = events.pop();
    for (const event of events) read(event, seen, onText);
  }
}

function read(event, seen, onText) {
  const lines = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
  const data = lines.map((line) => line.slice(5).trimStart()).join("\n");
  if (!data) return;
  if (data === "[DONE]") {
    seen.finished = true;
    return;
  }
  const chunk = JSON.parse(data);
  if (chunk.error) throw new Refused(chunk.error.message);
  const text = chunk.choices?.[0]?.delta?.content;
  if (text) onText(text);
}

function messageOf(raw) {
  try {
    return JSON.parse(raw).error.message;
  } catch {
    return "";
  }
}
