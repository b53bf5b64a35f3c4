// The theme draws the charts that are there when a page has loaded. This draws those that come later.
document.addEventListener("htmx:load", (event) => {
  if (document.readyState !== "complete") return;
  for (const canvas of event.target.querySelectorAll("canvas.chart")) {
    if (Chart.getChart(canvas)) continue;
    new Chart(canvas, {
      type: canvas.dataset.type,
      data: JSON.parse(canvas.dataset.value),
      options: JSON.parse(canvas.dataset.options),
    });
  }
});
