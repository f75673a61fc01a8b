/* One pair, large: before and after, blinking, difference, zoom. */
const look = { at: 0, pair: null, mode: "slider", zoom: 0, split: 50, timer: 0, size: [1, 1], fallback: false };
const FITS = 0; // a zoom of its own

/* Open a pair, or in the direction of `step` the next one that there is to see. */
function open(number, step = 1) {
  const { large } = VIEWS[state.view];
  while (state.found[number] && !large(state.found[number])) number += step;
  if (!state.found[number]) return;
  const pair = large(state.found[number]);
  look.at = number;
  look.pair = pair;
  $("place").textContent = `${number + 1} / ${state.found.length}`;
  $("name").textContent = pair.name;
  $("previous").disabled = number === 0;
  $("next").disabled = number === state.found.length - 1;
  $("facts").replaceChildren(...(pair.rejected ? factsOfRejected : facts)(pair).flatMap(([what, value]) => [make("dt", {}, what), make("dd", {}, ...[value].flat())]));
  $("box").classList.remove("missing");
  look.fallback = Boolean(pair.gone);
  $("low").src = pair.images[0];
  $("high").src = pair.images[1];
  markViewer();
  $("close").before($("review")); // what is outside of an open dialog is behind it
  if (!$("viewer").open) $("viewer").showModal();
  show(look.mode);
}

function facts(pair) {
  const [x, y, width, height] = pair.window;
  return [
    ...(pair.moment ? [["moment", momentOf(pair)]] : []),
    ["LR", fileLink(pair, 0, pair.lr)], ["HR", fileLink(pair, 1, pair.hr)],
    ...written(pair),
    ["correlation", fixed(pair.correlation, 4)],
    ["residual", known(pair.residual) ? `${fixed(pair.residual, 3)} LR pixels` : "no tile tells"],
    ["coverage", percent(pair.coverage)],
    ["native scale", `${fixed(pair.native, 3)} source pixels per output pixel${enlarged(pair) ? " (enlarged)" : ""}`],
    ["colours apart", known(pair.color_distance) ? `ΔE ${fixed(pair.color_distance, 1)}` : "not measured"],
    ["hashes agree", `${fixed(pair.hash_agreement, 1)} %`],
    ["hash distance", `${pair.hash_distance} of 64 bits`],
    ...factsOfShares(pair),
    ["inliers", known(pair.inliers) ? String(pair.inliers) : "not looked for"],
    ["proposed by", pair.source],
    ["aligned by", pair.method + (known(pair.flow) ? `, bent by ${fixed(pair.flow, 2)} LR pixels` : "")],
    ["window", `${width} × ${height} LR pixels from (${x}, ${y})`],
    ...(pair.tiles ? [["tiles", `${pair.tiles}; one of them is shown`]] : []),
    ["mirrored", pair.mirrored ? "yes" : "no"],
    ["negative", pair.negative ? "yes" : "no"],
    ...(pair.split ? [["split", `${pair.split}, group ${pair.group}`]] : []),
    ["rivals", pair.rivals.length ? pair.rivals.join(", ") : "none"],
  ];
}

/* The files that were written, and where they are. */
function written(pair) {
  const files = ["lr", "hr"].filter(side => pair.outputs[side]);
  const link = side => make("a", { href: pair.images[side === "lr" ? 0 : 1], target: "_blank", rel: "noopener" }, `${side.toUpperCase()}/${pair.outputs[side]}`);
  return files.length ? [["written", files.flatMap(side => [link(side), " "])]] : [];
}

function factsOfShares(pair) {
  return known(pair.agreed) ? [
    ["agreed", shareText(pair.agreed)],
    ["different", shareText(pair.different)],
    ["unjudged", shareText(pair.unjudged)],
    ["contradicted", `${shareText(pair.contradicted)}, in one place`],
  ] : [];
}

/* How the numbers that have a gate are written. */
const WRITTEN = {
  correlation: value => fixed(value, 3),
  coverage: percent,
  hash_agreement: value => `${fixed(value, 1)} %`,
  residual: value => `${fixed(value, 2)} LR pixels`,
  contradicted: value => `${shareText(value)}, in one place`,
  color_distance: value => `ΔE ${fixed(value, 1)}`,
};

/* A number of a rejected pair against its gate. */
function factOfGate(pair, { number: name, kind, bound, option }) {
  const value = pair[name], write = WRITTEN[name];
  const words = known(bound) ? `at ${kind} ${write(bound)}` : "at most what suits the LR's size";
  const failed = known(bound) && known(value) && (kind === "least" ? value < bound : value > bound);
  return [name.replace("_", " "), [
    make("span", { class: failed ? "failed" : "" }, known(value) ? `${failed ? "✗ " : ""}${write(value)}` : "not measured"),
    make("span", { class: "gate" }, words, ...(option ? [", ", make("span", { class: "option" }, option)] : [])),
  ]];
}

function factsOfRejected(pair) {
  return [
    ...(pair.moment ? [["moment", momentOf(pair)]] : []),
    ["LR", fileLink(pair, 0, pair.lr)], ["HR", fileLink(pair, 1, pair.hr)],
    ["rejected", [make("strong", {}, pair.reason), pair.detail && `: ${pair.detail}`]],
    ...(known(pair.remedy) ? [["would pass", pair.remedy ? ["with ", ...unbroken(pair.remedy)] : "with no option: as far as the numbers tell, the HR shows something else"]] : []),
    ...data.gates.map(gate => factOfGate(pair, gate)),
    ["hash distance", `${pair.hash_distance} of 64 bits`],
    ...factsOfShares(pair).filter(([name]) => !data.gates.some(gate => gate.number === name)),
    ["inliers", known(pair.inliers) ? String(pair.inliers) : "not looked for"],
    ["proposed by", pair.source],
    ["mirrored", pair.mirrored ? "yes" : "no"],
    ["negative", pair.negative ? "yes" : "no"],
  ];
}

/* Options don't break, and stand out. */
const unbroken = text => text.split(/(--\w+(?: [\d.]+)?)/).map((part, at) => at % 2 ? make("strong", { class: "option" }, part) : part);

/* A path that leads to its file, where that is served. */
function fileLink(pair, side, path) {
  const link = pair.sources[side];
  return link ? [make("a", { href: link, target: "_blank", rel: "noopener" }, ...breakable(path))] : breakable(path);
}

function show(mode) {
  look.mode = mode;
  clearInterval(look.timer);
  const lies = liesOn();
  $("modes").hidden = !lies;
  for (const button of $("modes").children) button.setAttribute("aria-pressed", button.dataset.mode === mode);
  $("split").hidden = mode !== "slider" || !lies;
  if (!lies) face("beside");
  else if (mode !== "blink") face(mode);
  else {
    flip();
    look.timer = setInterval(flip, 600);
  }
}

/* Whether HR and LR are shown one on the other: as they were written, or laid over by the matrix. */
const liesOn = () => look.pair.aligned || Boolean(look.pair.matrix && !look.fallback);

/* What a browser can't show is shown by its thumbnail; that is too small for the matrix. */
function showThumbnail(event) {
  const link = look.pair.images[event.target === $("low") ? 0 : 1];
  const copy = small(link);
  if (copy === link || event.target.src === copy || event.target.src.endsWith(`/${copy}`)) {
    $("box").classList.add("missing");
    return;
  }
  look.fallback = true;
  event.target.src = copy;
  show(look.mode);
}

/* Lay the HR over the LR: a matrix between pixel centres, as the style takes it, between corners. */
function layOver() {
  const style = $("high").style;
  const { matrix, aligned } = look.pair;
  const laid = !aligned && liesOn() && $("low").naturalWidth;
  $("over").classList.toggle("laid", Boolean(laid));
  style.transform = style.width = style.height = "";
  if (!laid) return;
  const scale = look.size[0] / $("low").naturalWidth;
  const [a, b, c] = matrix.map(([x, y, one]) => [x, y, one - (x + y) / 2]); // from corners of the HR
  const [first, second] = [a, b].map(row => row.map((value, at) => (value + c[at] / 2) * scale)); // to those of the LR
  style.width = `${$("high").naturalWidth}px`;
  style.height = `${$("high").naturalHeight}px`;
  const columns = [0, 1].flatMap(at => [first[at], second[at], 0, c[at]]);
  style.transform = `matrix3d(${[...columns, 0, 0, 1, 0, first[2], second[2], 0, c[2]].join()})`;
}

const LABELS = { slider: ["LR", "HR"], beside: ["LR", "HR"], low: ["LR", ""], high: ["", "HR"], difference: ["", ""] };

function face(kind) {
  for (const name of Object.keys(LABELS)) $("box").classList.toggle(name, name === kind);
  [$("left").textContent, $("right").textContent] = LABELS[kind];
  size();
}

const flip = () => $("box").classList.contains("low") ? face("high") : face("low");

function flipByHand() {
  if (!liesOn()) return;
  if (look.mode === "low" || look.mode === "high") show(look.mode === "low" ? "high" : "low");
  else show($("box").classList.contains("low") ? "high" : "low");
}

function splitAt(share) {
  look.split = Math.min(100, Math.max(0, share));
  $("split").value = look.split;
  $("box").style.setProperty("--split", `${look.split}%`);
}

/* The box has the HR's size times the zoom, or the LR's where the HR is laid over it; where nothing is known of that
   yet, it waits for the image. */
function size() {
  const [low, high] = [$("low"), $("high")];
  $("stage").classList.toggle("still", look.zoom === FITS); // without scroll bars, which would take their share
  const beside = $("box").classList.contains("beside");
  const base = !look.pair.aligned && liesOn() ? low : high.naturalWidth ? high : low;
  const width = Math.max(1, base.naturalWidth) * (beside ? 2 : 1);
  const height = Math.max(1, base.naturalHeight);
  const most = Math.min($("stage").clientWidth / width, $("stage").clientHeight / height);
  const zoom = look.zoom === FITS ? most : look.zoom;
  look.size = [width * zoom, height * zoom];
  $("box").style.width = `${look.size[0]}px`;
  $("box").style.height = `${look.size[1]}px`;
  $("box").classList.toggle("pixels", zoom >= 2);
  $("zoom").textContent = `${Math.round(zoom * 100)} %`;
  $("fit").setAttribute("aria-pressed", look.zoom === FITS);
  $("whole").setAttribute("aria-pressed", look.zoom === 1);
  layOver();
  hatchLarge();
  return zoom;
}

/* Zoom so that what is under (x, y) of the window stays there. */
function zoomTo(zoom, x, y) {
  const stage = $("stage");
  const before = $("box").getBoundingClientRect();
  const inside = [(x - before.left) / before.width, (y - before.top) / before.height];
  look.zoom = zoom === FITS ? FITS : Math.min(16, Math.max(0.1, zoom));
  size();
  const after = $("box").getBoundingClientRect();
  stage.scrollLeft += after.left + inside[0] * after.width - x;
  stage.scrollTop += after.top + inside[1] * after.height - y;
}

function zoomBy(factor, x, y) {
  const stage = $("stage").getBoundingClientRect();
  zoomTo(size() * factor, x ?? stage.left + stage.width / 2, y ?? stage.top + stage.height / 2);
}

const toggleWhole = () => {
  const stage = $("stage").getBoundingClientRect();
  zoomTo(look.zoom === 1 ? FITS : 1, stage.left + stage.width / 2, stage.top + stage.height / 2);
};

function dragging() {
  const stage = $("stage");
  let moves = null;
  stage.addEventListener("pointerdown", event => {
    const overflows = stage.scrollWidth > stage.clientWidth + 1 || stage.scrollHeight > stage.clientHeight + 1;
    const seam = event.target === $("seam") || (!overflows && $("box").classList.contains("slider"));
    if (!seam && event.pointerType === "touch") return; // scrolls by itself
    moves = seam
      ? at => splitAt((at.clientX - $("box").getBoundingClientRect().left) / look.size[0] * 100)
      : at => stage.scrollBy(-at.movementX, -at.movementY);
    stage.setPointerCapture(event.pointerId);
    if (seam) moves(event);
    event.preventDefault();
  });
  stage.addEventListener("pointermove", event => moves && moves(event));
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { moves = null; });
  stage.addEventListener("wheel", event => {
    event.preventDefault();
    zoomBy(event.deltaY < 0 ? 1.25 : 0.8, event.clientX, event.clientY);
  }, { passive: false });
  stage.addEventListener("dblclick", event => zoomTo(look.zoom === FITS ? 4 : FITS, event.clientX, event.clientY));
}

function closed() {
  clearInterval(look.timer);
  $("tools").append($("review"));
  while (state.drawn <= look.at && state.drawn < state.found.length) grow();
  const shown = document.querySelector(`#list [data-number="${look.at}"]`);
  if (shown) shown.focus();
}

const KEYS = {
  ArrowLeft: () => open(look.at - 1, -1), ArrowRight: () => open(look.at + 1),
  PageUp: () => open(Math.max(0, look.at - 10), -1), PageDown: () => open(Math.min(state.found.length - 1, look.at + 10)),
  Home: () => open(0), End: () => open(state.found.length - 1, -1), h: toggleHatching,
  s: () => show("slider"), b: () => show("blink"), d: () => show("difference"), 1: () => show("low"), 2: () => show("high"),
  " ": flipByHand, "+": () => zoomBy(2), "=": () => zoomBy(2), "-": () => zoomBy(0.5), 0: () => zoomTo(FITS, 0, 0),
  z: toggleWhole, o: toggleOrder, "?": showKeys, q: () => $("viewer").close(),
};

function pressedInViewer(event) {
  if (pressedToDecide(event)) return;
  const slides = event.target === $("split") && event.key.startsWith("Arrow");
  if (event.ctrlKey || event.metaKey || event.altKey || slides || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
}
