"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const NUMBERS = ["SSIM", "features", "colours", "model"];

function make(name, text = "", ...classes) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.classList.add(...classes);
  return made;
}

// A picture, and on it the outline of the query, in shares of its width and height.
function thumbnail(source, name, outline) {
  const frame = make("div", "", "frame"), thumb = make("div", "", "thumb"), image = make("img");
  image.src = source;
  image.alt = name;
  thumb.append(image);
  if (outline) {
    const svg = document.createElementNS(SVG, "svg"), polygon = document.createElementNS(SVG, "polygon");
    svg.setAttribute("viewBox", "0 0 1 1");
    svg.setAttribute("preserveAspectRatio", "none");
    polygon.setAttribute("points", outline.map(point => point.join(",")).join(" "));
    svg.append(polygon);
    thumb.append(svg);
  }
  frame.append(thumb);
  return frame;
}

function card(match) {
  const figure = make("figure", "", "match"), caption = make("figcaption"), head = make("div", "", "head");
  const [score, ...numbers] = match.numbers, aligned = match.shown !== null;
  figure.classList.toggle("only", !aligned);
  const tag = aligned ? `shows ${Math.round(100 * match.shown)} %` : "not aligned";
  head.append(make("span", score.toFixed(2), "score"),
    make("span", tag + (match.mirrored ? ", mirrored" : ""), "tag", ...(aligned ? ["good"] : [])));
  const list = make("dl");
  numbers.forEach((number, place) => {
    if (number !== null) list.append(make("dt", NUMBERS[place]), make("dd", number.toFixed(2)));
  });
  list.append(make("dt", "size"), make("dd", match.size.join(" × ")));
  caption.append(head, make("div", match.path, "path"), list);
  if (match.copies.length) caption.append(make("p", `the same pixels: ${match.copies.join(", ")}`, "copies"));
  figure.append(thumbnail(match.thumbnail, match.path, match.outline), caption);
  return figure;
}

function verdict(asked) {
  if (asked.error) return `Could not be read: ${asked.error}`;
  if (!asked.found.length) return "Nothing found.";
  return asked.aligned ? "" : "Nothing shows this picture; these look like it most.";
}

function section(asked) {
  const made = make("section", "", "query");
  made.append(make("h2", asked.query));
  if (verdict(asked)) made.append(make("p", verdict(asked), ...(asked.error ? ["error"] : [])));
  if (asked.error) return made;
  const mine = make("div", "", "mine"), matches = make("div", "", "matches");
  mine.append(thumbnail(asked.thumbnail, "the picture that was looked for"));
  matches.append(...asked.found.map(card));
  made.append(mine, matches);
  return made;
}

// The one that was asked last is the one to be shown; what comes late is not.
let latest = 0;

async function ask(path, body, name) {
  const number = ++latest;
  byId("state").textContent = `Looking for ${name} …`;
  let asked;
  try {
    const answer = await fetch(path, {method: "POST", body});
    asked = answer.ok ? await answer.json() : {query: name, error: (await answer.text()).trim(), found: []};
  } catch {
    asked = {query: name, error: "the server has ended, or the picture is too large", found: []};
  }
  if (number !== latest) return;
  byId("state").textContent = "";
  asked.query = name;
  byId("asked").replaceChildren(section(asked));
}

function askFile(file) {
  if (!file) return;
  if (file.size > data.most_bytes) {
    byId("state").textContent = `${file.name}: more than ${Math.floor(data.most_bytes / 1048576)} MB`;
    return;
  }
  ask("picture", file, file.name || "the picture");
}

function askAddress(address) {
  if (address.trim()) ask("address", address.trim(), address.trim());
}

function listen() {
  const drop = byId("drop");
  byId("ask").hidden = false;
  byId("file").addEventListener("change", event => { askFile(event.target.files[0]); event.target.value = ""; });
  byId("ask").addEventListener("submit", event => { event.preventDefault(); askAddress(byId("address").value); });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, event => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
    });
  }
  document.addEventListener("drop", event => {
    const {files} = event.dataTransfer;
    if (files.length) askFile(files[0]);
    else askAddress(event.dataTransfer.getData("text/uri-list").split("\n")[0]);
  });
  document.addEventListener("paste", event => {
    const [file] = event.clipboardData.files;
    if (file) askFile(file);
    else if (event.target !== byId("address")) askAddress(event.clipboardData.getData("text"));
  });
}

byId("folder").textContent = data.folder;
byId("asked").append(...data.asked.map(section));
if (data.most_bytes) listen();
