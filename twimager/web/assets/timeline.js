/* Time maps of videos, as inline SVG: two bars on one scale of time, and what corresponds joined by bands. */
const STEPS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400]; // seconds from label to label
const LABEL = 84; // pixels that a label of the clock may take
const [BEFORE, AFTER] = [30, 4]; // pixels beside the bars
/* Of LR and HR: the pixels from the top at which a bar and the ticks of its pairs begin; then those of the clock. */
const [BARS, TICKS, CLOCK, HEIGHT] = [[10, 82], [2, 102], 124, 130];
const [THICK, TICK, LEAST] = [18, 6, 2]; // pixels: of a bar, of a tick, of the shortest segment
const [HUE, GOLDEN_ANGLE] = [250, 137.5]; // degrees: neighbours are far apart, however many there are

/* A time as h:mm:ss, with decimals if there are any. */
function clock(seconds, decimals = 0) {
  const ticks = Math.round(Math.abs(seconds) * 10 ** decimals);
  const whole = Math.floor(ticks / 10 ** decimals);
  const two = number => String(number % 60).padStart(2, "0");
  const rest = decimals ? `.${String(ticks % 10 ** decimals).padStart(decimals, "0")}` : "";
  return `${seconds < 0 && ticks ? "-" : ""}${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60))}:${two(whole)}${rest}`;
}

const pairsOf = key => data.pairs.filter(pair => String(pair.segment) === key);

/* What is said of a segment, in parts that do not break. */
function aboutSegment(segment, at, count, pairs) {
  const offset = segment.hr_from - segment.lr_from;
  return [
    `Segment ${at + 1} of ${count}`,
    `LR ${clock(segment.lr_from, 3)} – ${clock(segment.lr_to, 3)}`,
    `HR ${clock(segment.hr_from, 3)} – ${clock(segment.hr_to, 3)}`,
    `offset ${offset < 0 ? "−" : "+"}${Math.abs(offset).toFixed(3)} s`,
    `rate ${segment.rate.toFixed(5)}`,
    `match ${segment.confidence.toFixed(2)}`,
    counted(pairs, "pair"),
  ];
}

/* Two videos that belong together: `film` is the number of their timeline. */
function timeline({ videos, spans, mapped, segments }, film) {
  const keys = segments.map((_, at) => `${film},${at}`);
  const pairs = keys.map(pairsOf);
  const about = segments.map((segment, at) => aboutSegment(segment, at, segments.length, pairs[at].length));
  const told = make("p", { class: "told" });
  const tell = at => told.replaceChildren(...(at < 0 ? ["Point at a segment for its offset and rate; a click shows its pairs alone."] : about[at]).map(part => make("span", {}, part)));
  const drawing = vector("svg", { role: "group", "aria-label": `${videos[0]} and ${videos[1]}: what corresponds`, height: HEIGHT });
  const groups = segments.map((_, at) => {
    const group = vector("g", { class: "segment", role: "button", "data-key": keys[at], "aria-label": about[at].join(", "), "aria-pressed": false, tabindex: at ? -1 : 0 });
    group.style.setProperty("--hue", (HUE + at * GOLDEN_ANGLE) % 360);
    return group;
  });
  const over = event => groups.indexOf(event.target.closest(".segment"));
  const rest = () => {
    const focused = groups.indexOf(document.activeElement);
    tell(focused < 0 ? keys.indexOf(state.segment) : focused);
  };
  drawing.addEventListener("pointerover", event => over(event) < 0 ? rest() : tell(over(event)));
  for (const end of ["pointerleave", "focusout", "chosen"]) drawing.addEventListener(end, rest);
  drawing.addEventListener("focusin", event => tell(over(event)));
  drawing.addEventListener("click", event => over(event) >= 0 && showSegment(keys[over(event)]));
  drawing.addEventListener("keydown", event => pressedInTimeline(event, groups));
  new ResizeObserver(() => drawing.clientWidth && drawTimeline(drawing, groups, spans, segments, pairs)).observe(drawing);
  rest();
  return make("figure", { class: "timeline" },
    make("figcaption", {},
      make("strong", {}, "LR ", ...breakable(videos[0]), " = HR ", ...breakable(videos[1])),
      make("span", {}, `${percent(mapped)} of the LR's frames, ${counted(segments.length, "segment")}`)),
    drawing, told);
}

/* Draw a timeline as wide as there is room; the groups stay, with what is focused and chosen. */
function drawTimeline(drawing, groups, spans, segments, pairs) {
  const width = drawing.clientWidth;
  const [first, last] = [Math.min(spans[0][0], spans[1][0]), Math.max(spans[0][1], spans[1][1])];
  const scale = (width - BEFORE - AFTER) / Math.max(last - first, 1e-3);
  const x = seconds => BEFORE + (seconds - first) * scale;
  const bar = (side, from, to, kind) => vector("rect", { class: kind, x: x(from), y: BARS[side], width: Math.max(LEAST, x(to) - x(from)), height: THICK });
  const step = STEPS.find(each => each * scale >= LABEL) || STEPS[STEPS.length - 1];
  const hours = [];
  for (let at = Math.ceil(first / step) * step; at <= last && x(at) < width - LABEL / 4; at += step) hours.push(at);
  const sides = ["LR", "HR"].flatMap((name, side) => [
    bar(side, ...spans[side], "track"), vector("text", { class: "side", x: 0, y: BARS[side] + THICK - 5 }, name)]);
  const scales = hours.flatMap(at => [
    vector("line", { class: "axis", x1: x(at), x2: x(at), y1: BARS[0], y2: CLOCK - 12 }),
    vector("text", { x: x(at), y: CLOCK, "text-anchor": "middle" }, clock(at))]);
  groups.forEach((group, at) => {
    const { lr_from, lr_to, hr_from, hr_to } = segments[at];
    const [above, below] = [BARS[0] + THICK, BARS[1]];
    const ends = [[lr_from, above], [lr_to, above], [hr_to, below], [hr_from, below]];
    const ticks = pairs[at].flatMap(pair => pair.seconds.map((seconds, side) => `M${x(seconds)} ${TICKS[side]}v${TICK}`));
    group.replaceChildren(
      vector("polygon", { points: ends.map(([seconds, y]) => `${x(seconds)},${y}`).join(" ") }),
      bar(0, lr_from, lr_to, "part"), bar(1, hr_from, hr_to, "part"), vector("path", { class: "ticks", d: ticks.join("") }));
  });
  const focused = document.activeElement;
  drawing.replaceChildren(...sides, ...scales, ...groups);
  if (groups.includes(focused)) focused.focus({ preventScroll: true });
}

/* Arrows lead from segment to segment; Enter and space do what a click does. */
function pressedInTimeline(event, groups) {
  const at = groups.indexOf(document.activeElement);
  const to = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1, Home: 0, End: groups.length - 1 }[event.key];
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter" || event.key === " ") showSegment(groups[at].dataset.key);
  else if (to === undefined) return;
  else if (groups[to]) {
    groups[at].setAttribute("tabindex", -1);
    groups[to].setAttribute("tabindex", 0);
    groups[to].focus();
  }
  event.preventDefault();
  event.stopPropagation();
}

/* Show the pairs of one segment, of all once it is shown already. */
function showSegment(key) {
  state.segment = key === state.segment ? "" : key;
  for (const group of document.querySelectorAll(".timeline .segment")) group.setAttribute("aria-pressed", group.dataset.key === state.segment);
  $("timelines").classList.toggle("chosen", Boolean(state.segment));
  $("segment").hidden = !state.segment;
  if (state.segment) {
    const [film, at] = state.segment.split(",");
    const { lr_from: from, lr_to: to } = data.timelines[film].segments[at];
    $("segment").textContent = `LR ${clock(from)} – ${clock(to)} ✕`;
  }
  for (const drawing of document.querySelectorAll(".timeline svg")) drawing.dispatchEvent(new Event("chosen"));
  update();
}

const inSegment = item => state.view !== "pairs" || !state.segment || String(item.segment) === state.segment;
