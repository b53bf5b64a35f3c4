// The operators' site: what its pages do beside forms.

"use strict";

for (const button of document.querySelectorAll("[data-copies]")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copies);
    const told = document.getElementById(button.dataset.says);
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      told.textContent = "Copied.";
    } catch {
      // Without HTTPS a page may not write to the clipboard.
      getSelection().selectAllChildren(source);
      told.textContent = "Selected: press Ctrl+C to copy.";
    }
  });
}

// The margin of each line of the price table, while one types: what is left of a sale, markup included.
const prices = document.getElementById("prices");

function showMargin(row) {
  const value = (name) => {
    const text = row.querySelector(`input[name$="-${name}"]:not([type=hidden])`).value.trim().replace("$", "");
    return text === "" ? null : Number(text);
  };
  const factor = 1 + Number(prices.dataset.markup) / 1_000_000;
  const cell = row.querySelector("[data-margin]");
  cell.replaceChildren();
  for (const part of ["prompt", "completion", "request"]) {
    const price = value(`${part}_price`) * factor;
    const cost = value(`${part}_cost`);
    if (cost === null || (price === 0 && cost === 0)) continue;
    const line = document.createElement("p");
    const percent = price > 0 ? Math.round(((price - cost) / price) * 1000) / 10 : null;
    line.textContent = price < cost ? `${part}: below cost` : `${part}: ${percent} %`;
    if (Number.isNaN(price) || Number.isNaN(cost)) line.textContent = `${part}: no number`;
    if (!(price >= cost)) line.className = "text-red-700 dark:text-red-500";
    cell.append(line);
  }
  if (!cell.hasChildNodes()) cell.textContent = "cost unknown";
}

if (prices) {
  for (const row of prices.querySelectorAll("[data-prices]")) {
    showMargin(row);
    row.addEventListener("input", () => showMargin(row));
  }
}

// What end users see of a paywall, while its operator types.
const preview = document.getElementById("preview");

if (preview) {
  const typed = (name) => {
    const input = document.getElementById(`id_${name}`);
    return input ? input.value.trim() : "";
  };
  const show = () => {
    const name = typed("name");
    preview.querySelector("[data-name]").textContent = name;
    preview.querySelector("[data-description]").textContent = typed("description");
    const icon = preview.querySelector("[data-icon]");
    const address = typed("icon_url");
    icon.hidden = !address.startsWith("https://");
    if (!icon.hidden && icon.getAttribute("src") !== address) icon.src = address;
    for (const bubble of preview.querySelectorAll("[data-template]")) {
      const values = { name, url: preview.dataset.url };
      const template = typed(bubble.dataset.template) || bubble.dataset.default;
      bubble.textContent = template.replace(/\{\{(.*?)\}\}/gs, (place, variable) => values[variable.trim()] ?? place);
    }
  };
  document.addEventListener("input", show);
  show();
}
