/* The pairs and what was rejected: sorted, filtered, drawn as they come into sight. */
"use strict";

const $ = id => document.getElementById(id);
const data = JSON.parse($("data").textContent);
$("data").textContent = ""; // the thumbnails in it are some megabytes
const BATCH = 60; // so many more are drawn whenever the end comes near

/* Everything from the report comes in as text, never as markup. */
function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const known = value => value !== null && value !== undefined;
const fixed = (value, digits) => known(value) ? value.toFixed(digits) : "–";
const percent = value => known(value) ? `${Math.floor(value * 1000) / 10} %` : "–";
const enlarged = pair => pair.native < 0.995;
const served = data.served; // by a review, which may end while the page is open
/* The small copy of an image; the image itself where there is none. */
const small = link => data.thumbnails[link] || (served ? link.replace(/^image/, "thumbnail") : link);

const FLAGS = [
  ["mirrored", pair => pair.mirrored],
  ["negative", pair => pair.negative],
  ["enlarged", enlarged],
  ["has rivals", pair => pair.rivals.length > 0],
  ["perspective", pair => pair.method === "warp"],
  ["bent", pair => pair.method === "flow"],
];

/* What became of a pair in a review; only where there is or was one. */
const VERDICTS = ["undecided", "accepted", "deleted"];
const reviewed = data.served || data.decisions.accepted.length > 0;

/* What can be shown, in what order, and what of it. */
const closest = key => item => item.closest && item.closest[key];
const VIEWS = {
  pairs: {
    items: data.pairs,
    orders: [
      ["Order of the report", null],
      ["Residual, worst first", pair => pair.residual, -1],
      ["Correlation, worst first", pair => pair.correlation, 1],
      ["Coverage, least first", pair => pair.coverage, 1],
      ["Native scale, least first", pair => pair.native, 1],
      ["Different, most first", pair => pair.different, -1],
      ["Name", pair => pair.name, 1],
    ],
    filters: [
      ["All pairs", () => true],
      ...(reviewed ? VERDICTS.map(verdict => [verdict, pair => pair.verdict === verdict]) : []),
      ...FLAGS,
      ["covers a part", pair => pair.coverage < 0.995],
      ["differs in part", pair => pair.different > 0],
      ["none of these", pair => pair.coverage >= 0.995 && !(pair.different > 0) && !FLAGS.some(([, has]) => has(pair))],
    ],
    names: pair => [pair.name, pair.lr, pair.hr, pair.moment],
    large: pair => pair,
    draw: card,
  },
  rejected: {
    items: data.rejected,
    folded: "HR",
    orders: [
      ["Closest first", item => item.closest ? nearness(item.closest) : -2, -1],
      ["Order of the report", null],
      ["Correlation, best first", closest("correlation"), -1],
      ["Coverage, most first", closest("coverage"), -1],
      ["Inliers, most first", closest("inliers"), -1],
      ["Different, least first", closest("different"), 1],
      ["Different, most first", closest("different"), -1],
      ["Name", item => item.name, 1],
    ],
    filters: [
      ["All images", () => true],
      ["LR", item => item.side === "LR"],
      ["HR", item => item.side === "HR"],
      ["differs in part", item => closest("different")(item) > 0],
      ...reasons().map(reason => [reason, item => reasonsOf(item).includes(reason)]),
    ],
    names: item => [item, item.closest].filter(Boolean).flatMap(one => [one.name, one.path, one.moment]),
    large: item => item.closest && closestPair(item),
    draw: row,
  },
};

/* How near a rejected pair came to be one: by its pixels, where those were compared, else by its features. */
const nearness = near => known(near.correlation)
  ? near.correlation * near.coverage * (1 - (near.different || 0))
  : -2 + Math.min(1, (near.inliers || 0) / 1000);

function reasonsOf(item) {
  return [item.reason, ...(item.closest ? [item.closest.reason] : [])];
}

function reasons() {
  return [...new Set(data.rejected.flatMap(reasonsOf))].sort();
}

const state = { view: "pairs", segment: "", found: [], drawn: 0, unfolded: false };

function select(view) {
  state.view = view;
  const { orders, filters } = VIEWS[view];
  for (const name of Object.keys(VIEWS)) $(`tab-${name}`).setAttribute("aria-selected", name === view);
  $("list").setAttribute("aria-labelledby", `tab-${view}`);
  $("films").hidden = view !== "pairs" || !data.timelines.length;
  $("segment").hidden = view !== "pairs" || !state.segment;
  $("plots").hidden = view !== "pairs" || !data.pairs.length;
  $("list").className = view === "pairs" ? "grid" : "rows";
  state.unfolded = false;
  $("order").replaceChildren(...orders.map(([label], number) => make("option", { value: number }, label)));
  $("filter").replaceChildren();
  offerFilters();
  update();
}

/* What fits nothing is not offered, unless it is chosen. */
function offerFilters() {
  const { items, filters } = VIEWS[state.view];
  const chosen = Number($("filter").value);
  const options = filters.map(([label, fits], number) => [label, number, items.filter(fits).length]);
  $("filter").replaceChildren(
    ...options.filter(([, number, count]) => count || !number || number === chosen)
      .map(([label, number, count]) => make("option", { value: number }, `${label} (${count})`)));
  $("filter").value = chosen;
}

function compare(a, b, way) {
  if (!known(a) || !known(b)) return known(b) - known(a); // what is unknown comes last
  return way * (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
}

function update() {
  const { items, orders, filters, names, folded } = VIEWS[state.view];
  const query = $("query").value.trim().toLowerCase();
  const [, fits] = filters[$("filter").value];
  const [, key, way] = orders[$("order").value];
  const reversed = $("reverse").getAttribute("aria-pressed") === "true";
  state.found = items.filter(item => fits(item) && inSegment(item) && names(item).some(name => name.toLowerCase().includes(query)));
  if (key) state.found.sort((a, b) => compare(key(a), key(b), reversed ? -way : way));
  else if (reversed) state.found.reverse();
  const all = state.found.length === items.length;
  const apart = state.found.filter(item => item.side === folded);
  if (folded) state.found = [...state.found.filter(item => item.side !== folded), ...apart];
  const folds = all && apart.length && apart.length < items.length;
  if (folds && !state.unfolded) state.found.length -= apart.length;
  state.drawn = 0;
  $("list").replaceChildren(...(folded && items.length ? [headings()] : []));
  $("shown").textContent = state.found.length === items.length ? `${items.length} shown` : `${state.found.length} of ${items.length} shown`;
  if (!state.found.length) $("list").append(make("p", { class: "empty" }, emptiness(items)));
  $("fold").hidden = !folds;
  const unneeded = apart.length === 1 ? "the HR that is in no pair" : `the ${apart.length} HRs that are in no pair`;
  $("fold").textContent = `${state.unfolded ? "▾ Fold away" : "▸ Show"} ${unneeded}`;
  grow();
}

function emptiness(items) {
  if (items.length) return "Nothing fits: another filter, or other letters, may.";
  return state.view === "pairs" ? "There are no pairs. Rejected says how near each LR came to one, and which option would let it pass." : "All images are in pairs.";
}

function grow() {
  const from = state.drawn;
  state.drawn = Math.min(from + BATCH, state.found.length);
  const drawn = state.found.slice(from, state.drawn).map((item, number) => VIEWS[state.view].draw(item, from + number));
  $("list").append(...drawn);
  $("more").hidden = state.drawn === state.found.length;
  watcher.unobserve($("more")); // so that it is told anew where the end is in sight still
  watcher.observe($("more"));
}

const watcher = new IntersectionObserver(([end]) => end.isIntersecting && grow(), { rootMargin: "1200px" });

function picture(links, kind = "") {
  const shown = make("span", { class: `picture ${kind}` });
  for (const link of links) {
    const image = make("img", { loading: "lazy", decoding: "async", alt: "", src: small(link) });
    image.addEventListener("error", () => { image.remove(); shown.classList.add("missing", "single"); });
    shown.append(image);
  }
  return shown;
}


/* Whether nothing is left to show of an image: its file is deleted, and among the thumbnails, if there are any, is none. */
const lost = one => one.gone && !data.thumbnails[one.image] && Object.keys(data.thumbnails).length > 0;

const inRow = one => lost(one) ? picture([], "single missing") : picture([one.image], "single");

const inLarge = one => lost(one) ? "" : one.gone ? small(one.image) : one.image;

/* The rejected pair that came closest, as the large view shows pairs. */
function closestPair(item) {
  const near = item.closest;
  const lr = item.side === "LR";
  const [low, high] = lr ? [item, near] : [near, item];
  return {
    ...near, name: `${low.name} · ${high.name}`, lr: low.path, hr: high.path, sources: [low.file, high.file],
    images: [low, high].map(inLarge), gone: low.gone || high.gone,
    aligned: false, rejected: true,
  };
}

const number = (name, value, more = {}) => make("span", more, `${name} `, make("b", {}, value));

function card(pair, at) {
  const flags = FLAGS.filter(([, has]) => has(pair)).map(([label]) => make("span", { class: "flag" }, label));
  const drawn = make("div", { class: "card" },
    make("button", { class: "open", "data-number": at, title: `LR ${pair.lr}\nHR ${pair.hr}` },
      cardPicture(pair),
      ...(known(pair.agreed) ? [sharesBar(pair)] : []),
      make("span", { class: "words" },
        make("span", { class: "name" }, ...breakable(pair.name)),
        ...(pair.moment ? [make("span", { class: "moment" }, ...momentOf(pair))] : []),
        make("span", { class: "numbers" },
          number("residual", `${fixed(pair.residual, 2)} px`),
          number("correlation", fixed(pair.correlation, 3)),
          number("coverage", `${Math.floor(pair.coverage * 100)} %`),
          number("native scale", `${fixed(pair.native, 2)}×`),
          ...(pair.tiles ? [number("tiles", pair.tiles)] : []),
          ...(pair.different > 0 ? [number("different", shareText(pair.different), { class: "differs", title: sharesText(pair) })] : [])),
        ...(flags.length ? [make("span", { class: "flags" }, ...flags)] : []))));
  if (data.served) drawn.append(decisionButtons());
  mark(drawn, pair);
  return drawn;
}

function cardPicture(pair) {
  const shown = picture(pair.images, pair.aligned ? "" : "beside");
  shown.append(make("span", { class: "tag" }, "HR"));
  return pair.differs ? hatchSmall(shown, pair.differs, pair.aligned ? pair.window : null) : shown;
}

const said = (reason, detail) => detail ? `${reason}: ${detail}` : reason;

/* The columns of what was rejected: the numbers of the pair that came closest. */
const COLUMNS = [
  ["correlation", near => fixed(near.correlation, 3)],
  ["coverage", near => percent(near.coverage)],
  ["hashes agree", near => known(near.hash_agreement) ? `${fixed(near.hash_agreement, 1)} %` : "–"],
  ["residual", near => known(near.residual) ? `${fixed(near.residual, 2)} px` : "–"],
  ["different", near => known(near.different) ? shareText(near.different) : "–"],
  ["inliers", near => known(near.inliers) ? near.inliers : "–"],
];

function headings() {
  const words = ["LR", "HR", "names", "why not", ...COLUMNS.map(([name]) => name)];
  return make("div", { class: "row headings", "aria-hidden": true }, ...words.map(word => make("span", {}, word)));
}

/* A line of what was rejected: LR and HR in their columns, whichever of them it is about. */
function row(item, at) {
  const near = item.closest, lr = item.side === "LR";
  const [low, high] = lr ? [item, near] : [near, item];
  const cell = (one, differs) => !one ? make("span") : differs && !lost(one) ? hatchSmall(inRow(one), differs, null) : inRow(one);
  const name = (side, one) => one ? [make("span", { class: one === item ? "mine" : "" }, `${side} `, ...breakable(one.name))] : [];
  const why = near ? [near.reason, near.detail] : [item.reason, item.detail];
  const extra = near && item.detail.endsWith(near.detail) ? "" : item.detail; // the one that came closest, mostly
  const more = near ? [near.reason === item.reason && !extra ? "" : said(item.reason, extra), near.mirrored ? "mirrored" : "", near.negative ? "negative" : "", `${item.looked} looked at`] : [];
  const paths = [low ? `LR ${low.path}` : "", high ? `HR ${high.path}` : ""].filter(Boolean).join("\n");
  return make(near ? "button" : "div", { class: near ? "row open" : "row", "data-number": at, title: paths },
    cell(low, near && near.differs), cell(high),
    make("span", { class: "names" }, ...name("LR", low), ...name("HR", high),
      ...(item.moment ? [make("span", { class: "moment" }, ...momentOf(near || item))] : [])),
    make("span", { class: "why" }, make("span", {}, make("strong", {}, why[0]), why[1] ? `: ${why[1]}` : ""), make("span", {}, more.filter(Boolean).join(" · "))),
    ...(near ? COLUMNS.map(([label, show]) => make("span", { class: "cell", "data-name": label }, show(near))) : []));
}

/* The moment of a pair of frames: it may break between LR and HR. */
const momentOf = pair => pair.moment.split(/(?<==) /).flatMap(side => [make("span", { class: "whole" }, side), " "]);

/* A name or a path may break where its words do. */
function breakable(path) {
  return path.split(/(?<=[/\\_.\-\s])/).flatMap(part => [part, make("wbr")]);
}
