/* What became of the pairs; where a review serves this page, it is decided here. */
const DECISIONS = { a: "accept", x: "delete", Delete: "delete", Backspace: "delete", u: "undo" };
let undoable = null; // the pair that was deleted last
let turn = Promise.resolve(); // one decision after the other

function take({ accepted, deleted }) {
  data.pairs.forEach((pair, number) => Object.assign(pair, { number, verdict: "undecided" }));
  for (const number of accepted) data.pairs[number].verdict = "accepted";
  for (const number of deleted) data.pairs[number].verdict = "deleted";
  undoable = deleted.length ? data.pairs[deleted[deleted.length - 1]] : null;
  const count = verdict => data.pairs.filter(pair => pair.verdict === verdict).length;
  $("count-pairs").textContent = data.pairs.length - count("deleted");
  $("review").hidden = !reviewed;
  $("tally").textContent = ["accepted", "deleted", "undecided"]
    .filter(verdict => data.served || count(verdict)).map(verdict => `${count(verdict)} ${verdict}`).join(" · ");
  for (const name of ["undo", "done"]) $(name).hidden = !data.served;
  $("undo").disabled = !undoable;
}

/* Show anew what was decided, and leave everything in its place. */
function redraw() {
  offerFilters();
  if (state.view === "pairs") {
    for (const drawn of $("list").querySelectorAll(".card")) mark(drawn, pairOf(drawn));
  }
  if ($("viewer").open) markViewer();
}

const pairOf = card => state.found[card.querySelector(".open").dataset.number];

function decisionButtons() {
  const button = (what, text) => make("button", { "data-decide": what, tabindex: -1 }, text);
  return make("div", { class: "decide" }, button("accept", "Accept"), button("delete", "Delete"), button("undo", "Undo"));
}

function mark(card, pair) {
  card.dataset.verdict = pair.verdict;
  markButtons(card, pair);
}

function markViewer() {
  const { pair } = look;
  $("verdict").textContent = reviewed && !pair.rejected ? pair.verdict : "";
  $("verdict").dataset.verdict = pair.verdict;
  $("deciding").hidden = !data.served || pair.rejected;
  markButtons($("deciding"), pair);
}

function markButtons(parent, pair) {
  for (const button of parent.querySelectorAll("[data-decide]")) {
    const what = button.dataset.decide;
    if (what === "accept") button.setAttribute("aria-pressed", pair.verdict === "accepted");
    button.hidden = (what === "undo") !== (pair.verdict === "deleted");
    if (what === "undo") button.disabled = pair !== undoable;
  }
}

/* Do something as soon as all that was asked for before is done; what goes wrong is said. */
function inTurn(task) {
  turn = turn.then(task).then(() => complain(""), error => complain(error.message));
}

function complain(text) {
  const parent = [$("ending"), $("viewer")].find(dialog => dialog.open) || document.body;
  parent.append($("problem")); // what is outside of an open dialog is behind it
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

async function ask(path, wish) {
  const how = wish && { method: "POST", body: JSON.stringify(wish), headers: { "Content-Type": "application/json" } };
  let response;
  try {
    response = await fetch(path, { ...how, referrerPolicy: "same-origin", signal: AbortSignal.timeout(60000) });
  } catch {
    throw new Error("The review does not answer. Has it ended? Start it again to go on.");
  }
  if (!response.ok) throw new Error((await response.text()).trim() || `The review answers ${response.status}.`);
  return response.json();
}

async function catchUp() {
  take(await ask("decisions"));
  redraw();
}

async function decide(what, pair) {
  if (what === "undo" ? !undoable : !pair || pair.verdict === "deleted") return;
  const subject = what === "undo" ? undoable : pair;
  const accepted = subject.verdict !== "accepted";
  try {
    take(await ask(what, { pair: subject.number, ...(what === "accept" ? { accepted } : {}) }));
  } catch (error) {
    await catchUp().catch(() => {}); // another tab may have decided meanwhile
    throw error;
  }
  redraw();
  if ($("viewer").open) moveOn(what, subject);
  else if (what === "undo") focusOn(subject);
}

/* After a decision the next pair is looked at; what was put back is looked at again. */
function moveOn(what, subject) {
  const next = state.found.findIndex((pair, number) => number > look.at && pair.verdict !== "deleted");
  const to = what === "undo" ? state.found.indexOf(subject) : subject.verdict === "undecided" ? look.at : next;
  if (to >= 0 && to !== look.at) open(to);
}

function focusOn(pair) {
  const shown = document.querySelector(`[data-number="${state.found.indexOf(pair)}"]`);
  if (shown) shown.focus();
}

/* Tell whether a key decided something. */
function pressedToDecide(event) {
  const what = DECISIONS[event.key];
  if (!data.served || !what || state.view !== "pairs" || event.ctrlKey || event.metaKey || event.altKey) return false;
  event.preventDefault();
  if (event.repeat) return true;
  const card = document.activeElement.closest(".card");
  inTurn(() => decide(what, $("viewer").open ? state.found[look.at] : card && pairOf(card)));
  return true;
}

function finish() {
  const deleted = data.pairs.filter(pair => pair.verdict === "deleted").length;
  const files = deleted === 1 ? "the files of the pair that was deleted" : `the files of the ${deleted} pairs that were deleted`;
  $("ending-what").textContent = deleted ? `With the review's end, ${files} are gone for good.` : "Nothing was deleted.";
  $("ending").showModal();
}

async function end() {
  await ask("done", {});
  $("ending").close();
  data.served = false;
  document.body.classList.add("over");
  redraw();
  for (const name of ["undo", "done"]) $(name).hidden = true;
  $("review").append(make("strong", {}, "The review has ended; this page may be closed."));
}

function listenToDecisions() {
  if (!data.served) return;
  $("list").addEventListener("click", event => {
    const button = event.target.closest("[data-decide]");
    if (button) inTurn(() => decide(button.dataset.decide, pairOf(button.closest(".card"))));
  });
  for (const button of $("deciding").children) {
    button.addEventListener("click", () => inTurn(() => decide(button.dataset.decide, state.found[look.at])));
  }
  $("undo").addEventListener("click", () => inTurn(() => decide("undo")));
  $("done").addEventListener("click", finish);
  $("end").addEventListener("click", () => inTurn(end));
  $("go-on").addEventListener("click", () => $("ending").close());
  $("problem").addEventListener("click", () => complain(""));
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && data.served && inTurn(catchUp));
}
