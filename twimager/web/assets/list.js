/* The pairs and what was rejected: sorted, filtered, drawn as they come into sight. */
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
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
    names: pair => [pair.name, pair.lr, pair.hr],
    large: pair => pair,
    draw: card,
  },
  rejected: {
    items: data.rejected,
    orders: [
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
    names: item => [item.name, item.closest ? item.closest.name : ""],
    large: item => item.closest && closestPair(item),
    draw: row,
  },
};

function reasonsOf(item) {
  return [item.reason, ...(item.closest ? [item.closest.reason] : [])];
}

function reasons() {
  return [...new Set(data.rejected.flatMap(reasonsOf))].sort();
}

const state = { view: "pairs", found: [], drawn: 0 };

function select(view) {
  state.view = view;
  const { orders, filters } = VIEWS[view];
  for (const name of Object.keys(VIEWS)) $(`tab-${name}`).setAttribute("aria-selected", name === view);
  $("list").setAttribute("aria-labelledby", `tab-${view}`);
  $("plots").hidden = view !== "pairs" || !data.pairs.length;
  $("list").className = view === "pairs" ? "grid" : "rows";
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
  const { items, orders, filters, names } = VIEWS[state.view];
  const query = $("query").value.trim().toLowerCase();
  const [, fits] = filters[$("filter").value];
  const [, key, way] = orders[$("order").value];
  const reversed = $("reverse").getAttribute("aria-pressed") === "true";
  state.found = items.filter(item => fits(item) && names(item).some(name => name.toLowerCase().includes(query)));
  if (key) state.found.sort((a, b) => compare(key(a), key(b), reversed ? -way : way));
  else if (reversed) state.found.reverse();
  state.drawn = 0;
  $("list").replaceChildren();
  const all = state.found.length === items.length;
  $("shown").textContent = all ? `${items.length} shown` : `${state.found.length} of ${items.length} shown`;
  if (!state.found.length) $("list").append(make("p", { class: "empty" }, items.length ? "Nothing fits." : "There are none."));
  grow();
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
    const image = make("img", { loading: "lazy", decoding: "async", alt: "", src: link });
    image.addEventListener("error", () => { image.remove(); shown.classList.add("missing", "single"); });
    shown.append(image);
  }
  return shown;
}

/* The rejected pair that came closest, as the large view shows pairs. */
function closestPair(item) {
  const near = item.closest;
  const lr = item.side === "LR";
  const [low, high] = lr ? [item, near] : [near, item];
  return { ...near, name: `${low.name} · ${high.name}`, lr: low.name, hr: high.name, images: [low.image, high.image], aligned: false, rejected: true };
}

function card(pair, number) {
  const flags = FLAGS.filter(([, has]) => has(pair)).map(([label]) => make("span", { class: "flag" }, label));
  const drawn = make("div", { class: "card" },
    make("button", { class: "open", "data-number": number, title: `${pair.lr}\n${pair.hr}` },
      cardPicture(pair),
      ...(known(pair.agreed) ? [sharesBar(pair)] : []),
      make("span", { class: "words" },
        make("span", { class: "name" }, pair.name),
        make("span", { class: "numbers" },
          make("span", { title: "residual, LR pixels" }, `${fixed(pair.residual, 2)} px`),
          make("span", { title: "correlation" }, `r ${fixed(pair.correlation, 3)}`),
          make("span", { title: "coverage" }, `${Math.floor(pair.coverage * 100)} %`),
          make("span", { title: "native scale" }, `${fixed(pair.native, 2)}×`),
          ...(pair.tiles ? [make("span", {}, `${pair.tiles} tiles`)] : []),
          ...(pair.different > 0 ? [make("span", { class: "differs", title: sharesText(pair) }, `≠ ${shareText(pair.different)}`)] : [])),
        make("span", { class: "flags" }, ...flags))));
  if (data.served) drawn.append(decisionButtons());
  mark(drawn, pair);
  return drawn;
}

function cardPicture(pair) {
  const shown = picture(pair.images, pair.aligned ? "" : "beside");
  return pair.differs ? hatchSmall(shown, pair.differs, pair.aligned ? pair.window : null) : shown;
}

const said = (reason, detail) => detail ? `${reason}: ${detail}` : reason;

function row(item, number) {
  const differs = closest("differs")(item);
  const captioned = (link, side, name) => make("span", { class: "figure" },
    side === "LR" && differs ? hatchSmall(picture([link], "single"), differs, null) : picture([link], "single"),
    make("span", { class: "caption" }, `${side} ${name}`));
  const pictures = item.closest
    ? make("button", { class: "open", "data-number": number, title: "Look at both" })
    : make("span", { class: "open" });
  pictures.append(captioned(item.image, item.side, item.name));
  const drawn = make("div", { class: differs ? "row differing" : "row" }, pictures);
  const words = make("div", { class: "words" }, make("p", {}, make("strong", {}, said(item.reason, item.detail))));
  if (item.closest) {
    const near = item.closest;
    pictures.append(captioned(near.image, item.side === "LR" ? "HR" : "LR", near.name));
    if (!item.detail || !item.detail.endsWith(near.detail)) {
      words.append(make("p", {}, `${near.name} came closest, but: ${said(near.reason, near.detail)}`));
    }
    words.append(
      make("p", { class: "soft" }, [
        known(near.correlation) ? `correlation ${fixed(near.correlation, 3)}` : "",
        known(near.coverage) ? `coverage ${percent(near.coverage)}` : "",
        known(near.hash_agreement) ? `hashes agree ${fixed(near.hash_agreement, 1)} %` : "",
        known(near.residual) ? `residual ${fixed(near.residual, 2)} px` : "",
        known(near.inliers) ? `${near.inliers} inliers` : "",
        sharesText(near),
        near.mirrored ? "mirrored" : "",
        near.negative ? "negative" : "",
        `${item.looked} looked at in all`,
      ].filter(Boolean).join(" · ")));
  }
  drawn.append(words);
  return drawn;
}
