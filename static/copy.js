// Buttons that copy the text of the element that `data-copy` names.
document.addEventListener("click", async ({ target }) => {
  const source = target.dataset.copy && document.getElementById(target.dataset.copy);
  if (!source) return;
  try {
    await navigator.clipboard.writeText(source.textContent);
    target.textContent = "Copied";
  } catch {
    // Not allowed here (plain http): selected, it can be copied by hand.
    getSelection().selectAllChildren(source);
  }
});
