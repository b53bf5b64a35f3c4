// The page after a payment: asks every two seconds how it stands, and shows what changed.
const waiting = document.getElementById("waiting");

async function look() {
  try {
    const answer = await fetch(waiting.dataset.status, { headers: { Accept: "application/json" } });
    if ((await answer.json()).state !== waiting.dataset.state) {
      location.reload();
      return;
    }
  } catch {
    // The network is away: the next look finds it back.
  }
  setTimeout(look, 2000);
}

setTimeout(look, 1000);
