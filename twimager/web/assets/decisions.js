/* What became of the pairs; where a review serves this page, it is decided here. */
const DECISIONS = { a: "accept", x: "delete", Delete: "delete", Backspace: "delete", u: "undo", t: "group" };
let undoable = null; // the pair that was deleted last
let group = []; // the pairs that were accepted at once, as long as nothing was decided since
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
  $("undo").disabled = !undoable && !group.length;
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
    if (what === "undo") button.disabled = pair !== undoable || group.length > 0;
  }
}

/* Do something as soon as all that was asked for before is done; what goes wrong is said. */
function inTurn(task) {
  turn = turn.then(task).then(() => complain(""), error => complain(error.message));
}

function complain(text) {
  const parent = [$("ending"), $("grouping"), $("viewer")].find(dialog => dialog.open) || document.body;
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
  if (what === "undo" && group.length) {
    await decideGroup(group, false);
    return;
  }
  if (what === "undo" ? !undoable : !pair || pair.verdict === "deleted") return;
  const subject = what === "undo" ? undoable : pair;
  const accepted = subject.verdict !== "accepted";
  try {
    group = [];
    take(await ask(what, { pair: subject.number, ...(what === "accept" ? { accepted } : {}) }));
  } catch (error) {
    await catchUp().catch(() => {}); // another tab may have decided meanwhile
    throw error;
  }
  redraw();
  if ($("viewer").open) moveOn(what, subject);
  else if (what === "undo") focusOn(subject);
}

/* Ask whether all that is undecided is to be accepted, from the first that is shown to one. */
function offerGroup(pair) {
  const found = pair ? state.found.slice(0, state.found.indexOf(pair) + 1).filter(other => other.verdict === "undecided") : [];
  if (!found.length) return;
  const order = $("order").selectedOptions[0].text + ($("reverse").getAttribute("aria-pressed") === "true" ? ", reversed" : "");
  $("grouping-what").textContent = `From the first to ${pair.name}, in the order shown (${order}): ${counted(found.length, "undecided pair")}.`;
  $("accept-group").textContent = `Accept ${counted(found.length, "pair")}`;
  $("accept-group").onclick = () => {
    $("grouping").close();
    inTurn(() => decideGroup(found, true));
  };
  $("grouping").showModal();
}

async function decideGroup(pairs, accepted) {
  const decided = await ask("accept", { pairs: pairs.map(pair => pair.number), accepted });
  group = accepted ? pairs : [];
  take(decided);
  redraw();
}

const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

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
  const pair = $("viewer").open ? state.found[look.at] : card && pairOf(card);
  if (what === "group") offerGroup(pair);
  else inTurn(() => decide(what, pair));
  return true;
}

/* Say which files go where, in plain words. Enter ends the review where nothing is erased, else it goes on. */
function finish() {
  const of = verdict => data.pairs.filter(pair => pair.verdict === verdict);
  const [deleted, accepted, open] = ["deleted", "accepted", "undecided"].map(of);
  const files = counted(deleted.reduce((sum, pair) => sum + pair.files, 0), "file");
  const { lr, hr, dest } = data.run.folders;
  const lines = [
    deleted.length ? `${counted(deleted.length, "deleted pair")}: ${files} in ${dest} will be erased for good.` : "Nothing was deleted, and nothing will be.",
    accepted.length ? `${counted(accepted.length, "accepted pair")}: the files stay in ${dest}, and report.json says that they were accepted.` : "",
    open.length ? `${counted(open.length, "undecided pair")}: the files stay in ${dest} as they are.` : "",
    `The originals in ${lr} and ${hr} are not touched.`,
  ];
  $("ending-what").replaceChildren(...lines.filter(Boolean).map(line => make("li", {}, line)));
  $("end").textContent = deleted.length ? `End, and erase ${files}` : "End the review";
  for (const [name, stands] of [["end", !deleted.length], ["go-on", deleted.length > 0]]) {
    $(name).classList.toggle("primary", stands);
    $(name).autofocus = stands;
  }
  $("end").classList.toggle("erases", deleted.length > 0);
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
    const what = button.dataset.decide;
    button.addEventListener("click", () => what === "group" ? offerGroup(state.found[look.at]) : inTurn(() => decide(what, state.found[look.at])));
  }
  $("undo").addEventListener("click", () => inTurn(() => decide("undo")));
  $("done").addEventListener("click", finish);
  $("end").addEventListener("click", () => inTurn(end));
  $("go-on").addEventListener("click", () => $("ending").close());
  $("ending").addEventListener("keydown", event => event.repeat && event.preventDefault()); // of the key that opened it
  $("no-group").addEventListener("click", () => $("grouping").close());
  $("problem").addEventListener("click", () => complain(""));
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && data.served && inTurn(catchUp));
}
