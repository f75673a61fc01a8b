"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const images = `${data.images} ${data.images === 1 ? "image" : "images"}`;
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
  const open = make("button", "", "look");
  open.title = match.full;
  open.append(thumbnail(match.thumbnail, match.path, match.outline));
  open.addEventListener("click", () => enlarge(match));
  figure.append(open, caption);
  return figure;
}

// A picture as large as fits, and on it the place where the query lies; its file, and the folder of that.
function enlarge(match) {
  const view = thumbnail(match.link, match.path, match.outline), image = view.querySelector("img");
  image.addEventListener("error", () => { image.src = match.thumbnail; }, { once: true });
  byId("view").replaceChildren(view);
  byId("what").textContent = match.path;
  byId("full").textContent = match.full;
  byId("open").href = match.link;
  byId("folder-link").href = match.place;
  byId("folder-link").hidden = !match.place;
  byId("large").showModal();
}

function verdict(asked) {
  const took = asked.seconds === undefined ? "" : ` ${asked.seconds.toFixed(1)} s.`;
  if (asked.error) return `Could not be read: ${asked.error}`;
  if (!asked.found.length) return `Nothing found.${took}`;
  const showing = asked.found.filter(match => match.shown !== null).length;
  if (!asked.aligned) return `Nothing shows this picture; these look like it most.${took}`;
  const alike = asked.found.length - showing;
  return `${showing} ${showing === 1 ? "shows" : "show"} this picture, ${alike} ${alike === 1 ? "looks" : "look"} like it.${took}`;
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
let latest = 0, ticking = 0;

function settle() {
  clearInterval(ticking);
  byId("busy").hidden = true;
}

function complain(text) {
  byId("complaint").textContent = text;
}

async function ask(path, body, name) {
  const number = ++latest, begun = performance.now();
  const seconds = () => (performance.now() - begun) / 1000;
  const tell = () => { byId("state").textContent = `Looking for ${name} among ${images} … ${Math.round(seconds())} s`; };
  complain("");
  tell();
  clearInterval(ticking);
  ticking = setInterval(tell, 500);
  byId("busy").hidden = false;
  let asked;
  try {
    const answer = await fetch(path, {method: "POST", body});
    asked = answer.ok ? await answer.json() : {query: name, error: (await answer.text()).trim(), found: []};
  } catch {
    asked = {query: name, error: "the server has ended, or the picture is too large", found: []};
  }
  if (number !== latest) return;
  settle();
  asked.query = name;
  asked.seconds = seconds();
  byId("asked").replaceChildren(section(asked));
}

function askFile(file) {
  if (!file) return;
  if (file.size > data.most_bytes) {
    complain(`${file.name}: more than ${Math.floor(data.most_bytes / 1048576)} MB`);
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
  byId("stop").addEventListener("click", () => { latest += 1; settle(); });
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
byId("images").textContent = images;
byId("shut").addEventListener("click", () => byId("large").close());
byId("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(byId("full").textContent);
  byId("copy").textContent = "Copied";
  setTimeout(() => { byId("copy").textContent = "Copy its path"; }, 1500);
});
byId("asked").append(...data.asked.map(section));
if (data.most_bytes) listen();
