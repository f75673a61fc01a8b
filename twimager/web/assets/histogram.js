/* How the numbers are spread, drawn as inline SVG. */
const SVG = document.querySelector("svg").namespaceURI;

function vector(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function histogram(title, unit, digits, values) {
  const sorted = values.filter(known).sort((a, b) => a - b);
  if (!sorted.length) return [];
  const [width, height, base, bins] = [320, 110, 92, 32];
  const median = sorted[Math.floor((sorted.length - 1) / 2)];
  const least = sorted[0];
  const span = Math.max(sorted[sorted.length - 1] - least, 10 ** -digits);
  const counts = new Array(bins).fill(0);
  for (const value of sorted) counts[Math.min(bins - 1, Math.floor((value - least) / span * bins))] += 1;
  const most = Math.max(...counts);
  const x = value => (value - least) / span * width;
  const bars = counts.map((count, bin) => {
    const tall = count ? Math.max(2, count / most * (base - 8)) : 0;
    const from = least + bin / bins * span;
    return vector("rect", { x: bin * width / bins + 0.5, y: base - tall, width: width / bins - 1, height: tall, rx: 1 },
      vector("title", {}, `${from.toFixed(digits)} to ${(from + span / bins).toFixed(digits)}${unit}: ${count}`));
  });
  const drawing = vector("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Histogram of ${title}` },
    ...bars,
    vector("line", { class: "axis", x1: 0, x2: width, y1: base, y2: base }),
    vector("line", { class: "middle", x1: x(median), x2: x(median), y1: 2, y2: base }),
    vector("text", { x: 0, y: height - 4 }, least.toFixed(digits)),
    vector("text", { x: width, y: height - 4, "text-anchor": "end" }, (least + span).toFixed(digits)));
  return [make("figure", {},
    make("figcaption", {}, make("strong", {}, title), make("span", {}, `median ${median.toFixed(digits)}${unit}`)), drawing)];
}
