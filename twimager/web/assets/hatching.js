/* What differs between LR and HR, hatched over the pictures, and the shares of what agrees. */
const CARD_RATIO = 4 / 3; // of a card's picture, as in the style

/* With a digit after the point where it is nearly nothing or all. */
const shareText = share => `${(share * 100).toFixed(share % 1 && Math.abs(share - 0.5) > 0.4 ? 1 : 0)}\u00a0%`;

const shares = item => known(item.agreed)
  ? [["agreed", item.agreed], ["different", item.different], ["unjudged", item.unjudged]]
  : [];

const sharesText = item => shares(item).map(([name, share]) => `${shareText(share)} ${name}`).join(", ");

/* A bar of the shares of a pair, drawn where they were measured. */
function sharesBar(item) {
  const bar = make("span", { class: "shares", role: "img", title: sharesText(item), "aria-label": sharesText(item) });
  for (const [name, share] of shares(item)) {
    const part = make("i", { class: name });
    part.style.flexGrow = share;
    bar.append(part);
  }
  return bar;
}

const inPercent = (element, edges) => {
  for (const [edge, share] of Object.entries(edges)) element.style[edge] = `${share * 100}%`;
};

/* Hatch what differs over a picture that shows `window` of the LR (x, y, width, height) as large as fits into a box of
   the width to height `ratio`. */
function hatch(layer, { png, area }, [x, y, width, height], ratio) {
  const pattern = make("i");
  const [wide, tall] = [Math.min(1, width / height / ratio), Math.min(1, height / width * ratio)];
  inPercent(layer, { left: (1 - wide) / 2, top: (1 - tall) / 2, width: wide, height: tall });
  inPercent(pattern, {
    left: (area[0] - x) / width, top: (area[1] - y) / height, width: area[2] / width, height: area[3] / height,
  });
  for (const name of ["-webkit-mask-image", "mask-image"]) pattern.style.setProperty(name, `url("${png}")`);
  layer.replaceChildren(pattern);
}

const wholeOf = differs => [0, 0, ...differs.frame];

/* Hatch what differs in the LR of a small picture, as soon as that is there. */
function hatchSmall(shown, differs, window) {
  const image = shown.querySelector("img");
  const box = make("span", { class: "half" });
  image.addEventListener("load", () => {
    const ratio = CARD_RATIO / (shown.classList.contains("beside") ? 2 : 1);
    const layer = make("span", { class: "hatched" });
    hatch(layer, differs, window || wholeOf(differs), ratio);
    box.replaceChildren(layer);
  });
  shown.append(box);
  return shown;
}

function hatchLarge() {
  const [layer, pair] = [$("differs"), look.pair];
  layer.replaceChildren();
  const beside = $("box").classList.contains("beside");
  if (!pair.differs || beside && !$("low").naturalWidth) return;
  const inner = make("span", { class: "hatched" });
  const ratio = look.size[0] / (beside ? 2 : 1) / look.size[1];
  hatch(inner, pair.differs, pair.aligned ? pair.window : wholeOf(pair.differs), ratio);
  layer.append(inner);
}

function showHatching(shown) {
  document.body.classList.toggle("unhatched", !shown);
  for (const button of document.querySelectorAll(".hatches")) button.setAttribute("aria-pressed", shown);
}

const toggleHatching = () => showHatching(document.body.classList.contains("unhatched"));
