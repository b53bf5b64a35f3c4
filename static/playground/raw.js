// For operators: the last request as an app would send it, what came back, and the same as curl.
const at = (id) => document.getElementById(id);
const tabs = [...document.querySelectorAll("[role=tab]")];
const { user, api } = at("view-chat").dataset;

// Shows a request (`body` is what the page sent) and the facts of its answer.
export function showRaw(body, seen) {
  if (!user) return;
  const whole = { ...body, stream: true, stream_options: { include_usage: true } };
  const headers = ["Authorization: Bearer $TOLLGATE_KEY", "Content-Type: application/json", `X-Paywall-User: ${user}`];
  const { pathname, host } = new URL(`${api}/chat/completions`);
  at("raw-request").textContent = [
    `POST ${pathname} HTTP/1.1`,
    `Host: ${host}`,
    ...headers,
    "",
    JSON.stringify(whole, null, 2),
  ].join("\n");
  at("raw-response").textContent = [`HTTP ${seen.status}`, ...seen.headers, "", seen.raw].join("\n");
  at("raw-curl").textContent = [
    `curl -N ${api}/chat/completions \\`,
    // Double quotes, so that the shell fills in the key.
    ...headers.map((header) => `  -H "${header}" \\`),
    `  -d ${quoted(JSON.stringify(whole))}`,
  ].join("\n");
}

function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function choose(chosen) {
  for (const tab of tabs) {
    const isChosen = tab === chosen;
    tab.setAttribute("aria-selected", isChosen);
    tab.tabIndex = isChosen ? 0 : -1;
    at(tab.getAttribute("aria-controls")).hidden = !isChosen;
  }
}

for (const tab of tabs) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const next = tabs.find((other) => other !== tab);
    choose(next);
    next.focus();
  });
}
at("copy")?.addEventListener("click", async () => {
  const { copied } = JSON.parse(at("words").textContent);
  const text = at("raw-curl").textContent;
  try {
    await navigator.clipboard.writeText(text);
    at("copied").textContent = copied;
  } catch {
    // Not allowed here (plain http): selected, it can be copied by hand.
    getSelection().selectAllChildren(at("raw-curl"));
  }
});
