/* What is pressed and clicked, and the beginning of it all. */
/* Arrow keys go from card to card, up and down by rows. */
function pressedInGrid(event) {
  const cards = [...$("list").querySelectorAll(".open")];
  const at = cards.indexOf(document.activeElement);
  if (!cards.length || !event.key.startsWith("Arrow")) return;
  const top = card => card.getBoundingClientRect().top;
  const second = cards.findIndex(other => top(other) > top(cards[0]));
  const wide = second < 0 ? cards.length : second;
  const to = at < 0 ? cards.find(card => top(card) >= 0) : cards[at + { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide }[event.key]];
  event.preventDefault();
  if (to) to.focus();
}

/* The order of the report, or the worst residual first. */
function toggleOrder() {
  const pair = $("viewer").open && state.found[look.at];
  $("order").value = $("order").value === "0" ? "1" : "0";
  update();
  if (pair) open(state.found.indexOf(pair));
}

/* What the keys do, for `?`; those of a review where there is one. */
const LEGEND = [
  ["← → ↑ ↓", "from pair to pair"], ["Enter", "look at it large"], ["page up, page down", "ten on, large"], ["Home, End", "the first, the last, large"],
  ["esc, q", "back to the grid"], ["/", "search names"], ["o", "worst residual first, or the order of the report"], ["r", "reverse the order"],
  ["s", "slider: drag the seam"], ["b", "blink"], ["space", "LR or HR, by hand"], ["d", "difference, four times as strong"], ["1, 2", "LR, HR"],
  ["h", "hatch what differs, or not"], ["+, -", "zoom"], ["0, z", "fit, 100 %"], ["?", "these keys"],
];
const OF_TIMELINE = [["← → Enter", "on a timeline: from segment to segment, show its pairs alone"], ["esc", "the pairs of all segments"]];
const DECIDING = [["a", "accept, or not after all"], ["x, del", "delete"], ["t", "accept all up to this one"], ["u", "undo"]];

function showKeys() {
  const keys = [...(data.served ? DECIDING : []), ...(data.timelines.length ? OF_TIMELINE : []), ...LEGEND];
  $("legend").replaceChildren(...keys.flatMap(([key, what]) => [make("dt", {}, key), make("dd", {}, what)]));
  $("keys").showModal();
}

function pressed(event) {
  if (["ending", "grouping", "keys"].some(name => $(name).open)) return;
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
  else if (event.key === "o") toggleOrder();
  else if (event.key === "?") showKeys();
  else if (event.key === "Escape" && state.segment) showSegment("");
  else if (!pressedToDecide(event)) pressedInGrid(event);
}

function listen() {
  for (const view of Object.keys(VIEWS)) $(`tab-${view}`).addEventListener("click", () => select(view));
  for (const name of ["query", "order", "filter"]) $(name).addEventListener("input", update);
  $("reverse").addEventListener("click", () => {
    $("reverse").setAttribute("aria-pressed", $("reverse").getAttribute("aria-pressed") !== "true");
    update();
  });
  $("segment").addEventListener("click", () => showSegment(""));
  $("fold").addEventListener("click", () => {
    state.unfolded = !state.unfolded;
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
  $("whole").addEventListener("click", () => {
    if (look.zoom !== 1) toggleWhole();
  });
  $("help").addEventListener("click", showKeys);
  $("close-keys").addEventListener("click", () => $("keys").close());
  $("split").addEventListener("input", () => splitAt(Number($("split").value)));
  for (const name of ["low", "high"]) {
    $(name).addEventListener("load", size);
    $(name).addEventListener("error", showThumbnail);
  }
  dragging();
  listenToDecisions();
  addEventListener("resize", () => $("viewer").open && size());
  addEventListener("keydown", pressed);
}

/* The run: what came of it, its command, with what it was made, and its files. */
function showRun() {
  const { command, versions, seconds, counts, files, notes } = data.run;
  const took = Object.values(seconds).reduce((sum, each) => sum + each, 0);
  $("run-what").textContent =
    `${counted(data.pairs.length, "pair")} ${data.dry ? "found" : "written"} of ${counted(counts[0], "LR")} and ${counted(counts[1], "HR")} · ${versions.split(",")[0]}`;
  $("command").textContent = command;
  $("run-how").append(`${versions} · ${Math.round(took)} s`);
  if (!served) $("run-how").append(...files.flatMap(file => [" · ", make("a", { href: file }, file)]));
  for (const note of notes) $("run-how").append(make("br"), note);
  $("run").open = innerWidth > 760 && !served;
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
  $("timelines").append(...data.timelines.map(timeline));
  $("plots").open = innerWidth > 760 && innerHeight > 800 && !data.timelines.length;
  showRun();
  take(data.decisions);
  listen();
  const [, view, number] = /^#(pair|rejected)(?:-(\d+))?$/.exec(location.hash) || [];
  select(view === "rejected" || !data.pairs.length ? "rejected" : "pairs");
  if (number) open(Number(number) - 1);
}

start();
