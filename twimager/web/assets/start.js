/* What is pressed and clicked, and the beginning of it all. */
/* Arrow keys go from card to card, up and down by rows. */
function pressedInGrid(event) {
  const cards = [...$("list").querySelectorAll(".open")];
  const at = cards.indexOf(document.activeElement);
  if (at < 0 || !event.key.startsWith("Arrow")) return;
  const top = card => card.getBoundingClientRect().top;
  const second = cards.findIndex(other => top(other) > top(cards[0]));
  const wide = second < 0 ? cards.length : second;
  const to = cards[at + { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide }[event.key]];
  event.preventDefault();
  if (to) to.focus();
}

function pressed(event) {
  if ($("ending").open) return;
  if ($("viewer").open) {
    pressedInViewer(event);
    return;
  }
  if (["INPUT", "SELECT"].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    event.preventDefault();
    $("query").focus();
  } else if (event.key === "r") $("reverse").click();
  else if (event.key === "h") toggleHatching();
  else if (!pressedToDecide(event)) pressedInGrid(event);
}

function listen() {
  for (const view of Object.keys(VIEWS)) $(`tab-${view}`).addEventListener("click", () => select(view));
  for (const name of ["query", "order", "filter"]) $(name).addEventListener("input", update);
  $("reverse").addEventListener("click", () => {
    $("reverse").setAttribute("aria-pressed", $("reverse").getAttribute("aria-pressed") !== "true");
    update();
  });
  $("list").addEventListener("click", event => {
    const chosen = event.target.closest(".open");
    if (chosen) open(Number(chosen.dataset.number));
  });
  $("list").addEventListener("pointermove", event => {
    const over = event.pointerType === "mouse" && event.target.closest(".card .picture:not(.single, .beside)");
    if (!over) return;
    const { left, width } = over.getBoundingClientRect();
    over.style.setProperty("--seam", `${(event.clientX - left) / width * 100}%`);
  });
  for (const button of $("modes").children) button.addEventListener("click", () => show(button.dataset.mode));
  for (const button of document.querySelectorAll(".hatches")) button.addEventListener("click", toggleHatching);
  $("previous").addEventListener("click", () => open(look.at - 1, -1));
  $("next").addEventListener("click", () => open(look.at + 1));
  $("close").addEventListener("click", () => $("viewer").close());
  $("viewer").addEventListener("close", closed);
  $("in").addEventListener("click", () => zoomBy(2));
  $("out").addEventListener("click", () => zoomBy(0.5));
  $("fit").addEventListener("click", () => zoomTo(FITS, 0, 0));
  $("split").addEventListener("input", () => splitAt(Number($("split").value)));
  for (const name of ["low", "high"]) {
    $(name).addEventListener("load", size);
    $(name).addEventListener("error", () => $("box").classList.add("missing"));
  }
  dragging();
  listenToDecisions();
  addEventListener("resize", () => $("viewer").open && size());
  addEventListener("keydown", pressed);
}

function start() {
  document.title = `Twimager: ${data.title}`;
  $("title").textContent = data.title + (data.dry ? " (nothing written)" : "");
  $("count-rejected").textContent = data.rejected.length;
  const differing = data.pairs.some(pair => pair.differs) || data.rejected.some(closest("differs"));
  for (const button of document.querySelectorAll(".hatches")) button.hidden = !differing;
  showHatching(true);
  $("histograms").append(
    ...histogram("Residual", " px", 3, data.pairs.map(pair => pair.residual)),
    ...histogram("Coverage", "", 3, data.pairs.map(pair => pair.coverage)),
    ...histogram("Native scale", "×", 2, data.pairs.map(pair => pair.native)));
  $("plots").open = innerWidth > 760;
  take(data.decisions);
  listen();
  select(location.hash === "#rejected" || !data.pairs.length ? "rejected" : "pairs");
  const named = /^#pair-(\d+)$/.exec(location.hash);
  if (named) open(Number(named[1]) - 1);
}

start();
