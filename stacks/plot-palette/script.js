/*
 * Plot & Palette: what the page does. Owns the visit's state, the way through the steps and all calls of /api; the markup
 * is in index.html (views and templates), the look in styles.css.
 *
 * Flow: the URL's hash names the view and what it shows, so a reload, the back button and a bookmark go on where the
 * person was:  #picture → #palette/<palette> → #paintings/<palette> → #feeling/<palette> → #story/<story>.
 * `route` reads the hash, loads what the view needs (once), fills the view, shows it and moves the focus to its heading.
 * Choices not yet sent (three paintings, a feeling) are kept in sessionStorage by palette.
 * A failure of any step ends in `report`, which says in words what happened and offers the next step.
 *
 * For tests in a browser: body[data-step] is the view shown (picture, palette, paintings, feeling, story, waiting),
 * body[data-busy] is "true" during an upload; #upload #file #samples [data-sample]; #palette-colors [data-color="#RRGGBB"],
 * #find-paintings; [data-painting="<id>"] (aria-pressed), #to-feeling; [data-emotion="<id>"] (radio), #write-story;
 * #story[data-story][data-counterpart] with #story-title, #story-teller, #story-text; #notice[data-error="<code>"],
 * #notice-again; #status is what a screen reader hears.
 */
"use strict";

const FILE_LIMIT = 10 * 1024 * 1024; // bytes; the server's own limit, asked here first to spare a useless upload
const ANSWER_LIMIT = 90_000; // milliseconds; a story may take 60 s
const KEPT = "plot-palette"; // key of sessionStorage
const COUNTS = ["No colour", "One colour", "Two colours, by weight", "Three colours, by weight", "Four colours, by weight", "Five colours, by weight"];
const NUMBERS = ["three paintings", "two more", "one more"];

const state = { token: null, palette: null, paintings: [], emotions: [], chosen: [], emotion: null, sent: "", story: null };
let turn = 0; // counts `route`: a slow answer for a view that was left meanwhile is dropped
const $ = (id) => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const clone = (id) => $(id).content.firstElementChild.cloneNode(true);
const say = (text) => { $("status").textContent = text; };
const go = (hash) => { if (location.hash === hash) route(); else location.hash = hash; };

/* ---------- the server ---------- */

/** What went wrong: the server's stable code (or one of ours) and its sentence. */
class Failure extends Error {
  constructor(code, message = "") { super(message); this.code = code; }
}

async function send(path, options) {
  try {
    return await fetch(path, { credentials: "same-origin", signal: AbortSignal.timeout(ANSWER_LIMIT), ...options });
  } catch (error) {
    throw new Failure(error.name === "TimeoutError" ? "silent" : "offline");
  }
}

/** A JSON answer; one from the front door itself may have no JSON body, then its status is the code. */
async function answer(response) {
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  throw new Failure(body?.error ?? `http_${response.status}`, body?.message);
}

/** The session's CSRF token. Asking for it is also what opens the session: so whoever needs it meanwhile shares one question. */
function token() {
  state.token ??= send("/api/session").then(answer).then(({ csrf_token }) => csrf_token);
  return state.token.catch((failure) => { state.token = null; throw failure; });
}

async function get(path) {
  await token();
  return answer(await send(path));
}

/** Sends `body` (FormData as it is, anything else as JSON). A session that ended is renewed once. */
async function post(path, body = {}, renewed = false) {
  const headers = { "X-CSRF-Token": await token() };
  const used = state.token;
  if (!(body instanceof FormData)) headers["Content-Type"] = "application/json";
  const response = await send(path, { method: "POST", headers, body: body instanceof FormData ? body : JSON.stringify(body) });
  if (response.status === 403 && !renewed) {
    if (state.token === used) state.token = null;
    return post(path, body, true);
  }
  return answer(response);
}

/** Counts an interaction. Nobody waits for it and nobody is told when it fails. */
function track(event, props = {}) {
  post("/api/analytics", { event: `ui.${event}`, props }).catch(() => {});
}

/* ---------- failures, in words ---------- */

/** Shows a failure in the words of index.html; `again` repeats what failed, unless the words know a better next step. */
function report(failure, again) {
  if (!(failure instanceof Failure)) {
    console.error(failure);
    failure = new Failure("page");
  }
  const words = $("t-failures").content;
  const known = words.querySelector(`[data-code~="${CSS.escape(failure.code)}"]`) ?? words.lastElementChild;
  const [title, text] = known.children;
  const begin = () => (document.body.dataset.step === "picture" ? $("file").click() : go("#picture"));
  $("notice").dataset.error = failure.code;
  $("notice-title").textContent = title.textContent;
  $("notice-text").textContent = known.dataset.code ? text.textContent : failure.message || text.textContent;
  $("notice-again").textContent = known.dataset.next ?? "Try again";
  $("notice-again").onclick = () => { hideNotice(); (known.dataset.next ? begin : again)(); };
  $("notice").hidden = false;
  $("notice").scrollIntoView({ block: "center" });
  $("notice-again").focus({ preventScroll: true });
}

function hideNotice() {
  $("notice").hidden = true;
  delete $("notice").dataset.error;
}

/* ---------- colours ---------- */

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const percent = (share) => `${share < 0.1 ? (share * 100).toFixed(1).replace(/\.0$/, "") : Math.round(share * 100)}%`;

/** Whether black is easier to read on the colour than white: by relative luminance as WCAG 2.1 defines it. */
function isBright(hex) {
  const [r, g, b] = rgb(hex).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179;
}

/** The palette colours the page: its band, its ornaments, and an accent if one of the colours is a colour at all. */
function colourPage(colors) {
  const root = document.documentElement;
  const vividness = ({ hex, share }) => (Math.max(...rgb(hex)) - Math.min(...rgb(hex))) * (0.3 + share);
  const strongest = colors.reduce((a, b) => (vividness(b) > vividness(a) ? b : a));
  root.classList.add("has-palette");
  root.style.setProperty("--strongest", vividness(strongest) > 10 ? strongest.hex : "");
  colors.forEach(({ hex, share }, i) => {
    root.style.setProperty(`--c${i + 1}`, hex);
    root.style.setProperty(`--s${i + 1}`, share);
  });
}

function fillStrip(strip, colors) {
  colors.forEach(({ hex, share }, i) => {
    strip.children[i].style.setProperty("--color", hex);
    strip.children[i].style.setProperty("--share", share);
  });
}

async function copy(text, button) {
  const done = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  say(done ? `${text} copied` : `Copying is not allowed here: ${text}`);
  if (!button || !done) return;
  button.classList.add("done");
  const label = button.querySelector(".copied") ?? button;
  const before = label.dataset.label ??= label.textContent;
  label.textContent = "Copied";
  setTimeout(() => { label.textContent = before; button.classList.remove("done"); }, 1600);
}

/* ---------- 1: the picture and its palette ---------- */

async function upload(file) {
  if (!file || document.body.dataset.busy === "true") return;
  hideNotice();
  if (file.size > FILE_LIMIT) return report(new Failure("too_large"));
  setBusy(true);
  await preview(file);
  const form = new FormData();
  form.append("image", file);
  try {
    state.palette = await post("/api/palettes", form);
    Object.assign(state, { paintings: [], chosen: [], emotion: null, story: null });
    go(`#palette/${state.palette.id}`);
  } catch (failure) {
    report(failure, () => upload(file));
  }
  setBusy(false);
}

function setBusy(busy) {
  document.body.dataset.busy = busy;
  $("drop-working").hidden = !busy;
  $("drop-empty").hidden = busy;
  $("file").disabled = busy;
  if (busy) return say("Looking for the five colours of your picture");
  $("file").value = "";
  $("preview").hidden = true;
}

/** Shows the file at once, on a canvas: no blob: address, which a strict policy would refuse. The server judges it. */
async function preview(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return;
  Object.assign($("preview"), { width: bitmap.width, height: bitmap.height, hidden: false });
  $("preview").getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
}

async function uploadSample(image) {
  track("sample_chosen", { image: image.getAttribute("src") });
  try {
    const blob = await (await send(image.src)).blob();
    await upload(new File([blob], `${image.alt}.${blob.type.split("/").pop()}`, { type: blob.type }));
  } catch (failure) {
    report(failure, () => uploadSample(image));
  }
}

async function loadPalette(id) {
  if (state.palette?.id !== id) {
    const palette = await get(`/api/palettes/${id}`);
    Object.assign(state, { palette, paintings: [], chosen: [], emotion: null, story: null }, kept(id));
  }
  colourPage(state.palette.colors);
}

function fillPalette() {
  const { colors, image_url, width, height, original_name, id } = state.palette;
  Object.assign($("palette-image"), { src: image_url, width, height });
  $("palette-name").textContent = original_name.replace(/\.\w+$/, "") || "Your picture";
  $("palette-size").textContent = `${width} × ${height} pixels`;
  const fields = colors.filter(({ share }) => share > 0).map(field); // a plain picture has fewer than five
  $("palette-title").textContent = COUNTS[fields.length];
  $("palette-colors").replaceChildren(...fields);
  $("find-paintings").href = `#paintings/${id}`;
}

function field({ hex, share }) {
  const item = clone("t-color");
  const button = item.firstElementChild;
  item.style.setProperty("--share", share);
  button.style.setProperty("--color", hex);
  button.style.setProperty("--on-color", isBright(hex) ? "#000" : "#fff");
  button.dataset.color = hex;
  button.querySelector(".hex").textContent = hex;
  button.querySelector(".share").textContent = percent(share);
  button.onclick = () => { copy(hex, button); track("copy", { hex }); };
  return item;
}

/* ---------- 2: paintings ---------- */

async function loadPaintings(id) {
  await loadPalette(id);
  if (state.paintings.length) return;
  state.paintings = (await post(`/api/palettes/${id}/recommendations`)).recommendations;
  state.chosen = state.chosen.filter((chosen) => state.paintings.some((painting) => painting.id === chosen));
}

function fillPaintings() {
  all(".piece").forEach((piece) => piece.remove());
  $("paintings").append(...state.paintings.map(piece));
  fillChoice();
}

function describe(part, { title, artist, image_url }) {
  Object.assign(part.querySelector("img"), { src: image_url, alt: "" });
  part.querySelector(".title").textContent = title;
  part.querySelector(".artist").textContent = artist;
  return part;
}

function piece(painting) {
  const item = describe(clone("t-painting"), painting);
  const button = item.firstElementChild;
  button.dataset.painting = painting.id;
  item.querySelector(".score").textContent = percent(painting.score);
  fillStrip(item.querySelector(".strip"), painting.colors);
  button.onclick = () => toggle(painting.id);
  return item;
}

function toggle(id) {
  if (state.chosen.includes(id)) state.chosen = state.chosen.filter((chosen) => chosen !== id);
  else if (state.chosen.length < 3) state.chosen.push(id);
  else {
    $("tray-text").textContent = "Three are chosen. Put one back first.";
    return say($("tray-text").textContent);
  }
  keep();
  fillChoice();
  say($("tray-text").textContent);
}

const chosenPaintings = () => state.chosen.map((id) => state.paintings.find((painting) => painting.id === id));

function fillChoice() {
  const chosen = chosenPaintings();
  const full = chosen.length === 3;
  for (const button of all("[data-painting]")) {
    const order = state.chosen.indexOf(Number(button.dataset.painting)) + 1;
    button.setAttribute("aria-pressed", order > 0);
    button.querySelector(".order").textContent = order || "";
  }
  $("paintings").classList.toggle("full-hand", full);
  $("tray-text").textContent = full ? `From ${chosen[0].title} to ${chosen[2].title}` : `Choose ${NUMBERS[chosen.length]}`;
  $("to-feeling").disabled = !full;
  fillSlots("slots", chosen);
  fillSteps();
}

function fillSlots(id, paintings) {
  [...$(id).children].forEach((slot, i) => {
    slot.classList.toggle("full", i < paintings.length);
    const image = Object.assign(new Image(64, 48), { src: paintings[i]?.image_url ?? "", alt: paintings[i]?.title ?? "" });
    slot.replaceChildren(...(paintings[i] ? [image] : []));
  });
}

/* ---------- 3: the feeling ---------- */

async function loadFeelings(id) {
  await loadPaintings(id);
  if (!state.emotions.length) state.emotions = (await get("/api/emotions")).emotions;
}

function fillFeelings() {
  const legend = $("emotions").firstElementChild;
  $("emotions").replaceChildren(legend, ...state.emotions.map(feeling));
  fillSlots("feeling-slots", chosenPaintings());
  fillFeeling();
}

function feeling({ id, name, image_url }) {
  const label = clone("t-emotion");
  const radio = label.querySelector("input");
  radio.value = radio.dataset.emotion = id;
  radio.checked = id === state.emotion;
  radio.onchange = () => { state.emotion = id; keep(); fillFeeling(); };
  label.querySelector("img").src = image_url;
  label.querySelector("span").textContent = name;
  return label;
}

function fillFeeling() {
  const emotion = state.emotions.find(({ id }) => id === state.emotion);
  $("feeling-text").textContent = emotion ? `${emotion.name}: ${emotion.description}` : "Choose one feeling";
  $("write-story").disabled = !emotion;
}

/* ---------- 4: the story ---------- */

/** Sends the choice once, then asks for its story; after a failure only what is missing is asked for again. */
async function writeStory() {
  const choice = { palette_id: state.palette.id, painting_ids: state.chosen, emotion: state.emotion };
  const mine = turn;
  wait("story", "The story teller is looking at your three paintings…");
  try {
    if (state.sent !== JSON.stringify(choice)) await post("/api/selections", choice);
    state.sent = JSON.stringify(choice);
    state.story = await post("/api/stories", { palette_id: choice.palette_id });
    if (mine === turn) go(`#story/${state.story.id}`);
  } catch (failure) {
    if (mine !== turn) return; // gone elsewhere meanwhile
    show("feeling");
    report(failure, writeStory);
  }
}

async function loadStory(id) {
  const story = state.story?.id === id ? state.story : await get(`/api/stories/${id}`);
  await loadPalette(story.palette_id);
  state.story = story;
}

function fillStory() {
  const { id, title, narrative, counterpart, model, paintings, emotion, palette_id } = state.story;
  $("story").dataset.story = id;
  $("story").dataset.counterpart = counterpart;
  $("story-title").textContent = title;
  $("story-emotion").textContent = emotion.name;
  $("story-teller").textContent = counterpart
    ? "Told by this gallery’s own stand-in: it put the story together from your choice, and no language model was asked."
    : `Told by ${model}.`;
  const paragraphs = narrative.split(/\n\s*\n/).filter((text) => text.trim());
  const parts = paragraphs.map((text) => Object.assign(document.createElement("p"), { textContent: text.trim() }));
  $("story-text").replaceChildren(...parts);
  let place = -1;
  paintings.forEach((painting, i) => {
    place = Math.min(Math.max(placeOf(painting, i, paragraphs), place + 1), parts.length - 1);
    parts[place]?.before(describe(clone("t-plate"), painting));
  });
  $("other-feeling").href = `#feeling/${palette_id}`;
}

/** The first painting opens the story; the others hang beside the paragraph that first names them, else beside their third of it. */
function placeOf({ title }, i, paragraphs) {
  if (i === 0) return 0;
  const named = paragraphs.findIndex((text) => text.includes(title));
  return named >= 0 ? named : Math.floor((i * paragraphs.length) / 3);
}

/* ---------- the way through ---------- */

const VIEWS = {
  picture: { load: async () => {}, fill: () => {} },
  palette: { title: "Your palette", wait: "Fetching your palette…", load: loadPalette, fill: fillPalette },
  paintings: { title: "Ten paintings", wait: "Walking through the collection…", load: loadPaintings, fill: fillPaintings },
  feeling: { title: "A feeling", wait: "Laying out fifteen feelings…", load: loadFeelings, fill: fillFeelings },
  story: { title: "The story", wait: "Opening the book…", load: loadStory, fill: fillStory },
};

async function route() {
  const [, name, id] = location.hash.match(/^#(\w+)(?:\/(\d+))?$/) ?? [];
  const view = VIEWS[name] && (id || name === "picture") ? name : "picture";
  const mine = ++turn;
  const slow = setTimeout(() => wait(view, VIEWS[view].wait), view === "picture" ? ANSWER_LIMIT : 120);
  hideNotice();
  try {
    await VIEWS[view].load(Number(id));
    if (mine !== turn) return;
    if (view === "feeling" && state.chosen.length < 3) return location.replace(`#paintings/${id}`);
    VIEWS[view].fill();
    show(view);
    track("step_view", { step: view });
  } catch (failure) {
    if (mine !== turn) return;
    show("waiting", true);
    report(failure, route);
  } finally {
    clearTimeout(slow);
  }
}

function wait(purpose, text) {
  $("waiting-text").textContent = text;
  $("waiting").dataset.purpose = purpose;
  show("waiting");
  say(text);
}

/** Shows one view (none when `bare`: the notice alone) and moves the focus to its heading, but not on arrival. */
function show(view, bare = false) {
  const before = document.body.dataset.step;
  for (const part of all("[data-view]")) part.hidden = bare || part.dataset.view !== view;
  document.body.dataset.step = view;
  document.title = VIEWS[view]?.title ? `${VIEWS[view].title} · Plot & Palette` : "Plot & Palette";
  fillSteps();
  if (view === before || bare) return;
  window.scrollTo(0, 0);
  if (view !== "waiting") document.querySelector(`[data-view=${view}] h1`).focus({ preventScroll: true });
}

function fillSteps() {
  const { palette, chosen, story } = state;
  const ways = {
    palette: palette ? `#palette/${palette.id}` : "#picture",
    paintings: palette && `#paintings/${palette.id}`,
    feeling: palette && chosen.length === 3 && `#feeling/${palette.id}`,
    story: story && `#story/${story.id}`,
  };
  const step = document.body.dataset.step;
  const here = { picture: "palette", waiting: $("waiting").dataset.purpose }[step] ?? step;
  for (const link of all("[data-goto]")) {
    const way = ways[link.dataset.goto];
    if (way) link.href = way;
    else link.removeAttribute("href");
    if (link.dataset.goto === here) link.setAttribute("aria-current", "step");
    else link.removeAttribute("aria-current");
  }
}

/** What this tab remembers of a palette: the paintings and the feeling chosen. */
function kept(id) {
  const saved = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  return saved?.id === id ? { chosen: saved.chosen, emotion: saved.emotion } : {};
}
function keep() {
  sessionStorage.setItem(KEPT, JSON.stringify({ id: state.palette.id, chosen: state.chosen, emotion: state.emotion }));
}

function listen() {
  const over = (event, on) => { event.preventDefault(); $("drop").classList.toggle("over", on); };
  $("file").onchange = () => upload($("file").files[0]);
  document.ondragover = (event) => over(event, true);
  document.ondragleave = (event) => over(event, false);
  document.ondrop = (event) => {
    over(event, false);
    if (document.body.dataset.step === "picture") upload(event.dataTransfer.files[0]);
  };
  document.onpaste = (event) => document.body.dataset.step === "picture" && upload(event.clipboardData.files[0]);
  $("upload").onsubmit = (event) => event.preventDefault();
  for (const button of all("[data-sample]")) button.onclick = () => uploadSample(button.querySelector("img"));
  $("copy-palette").onclick = () => copy(state.palette.colors.map(({ hex }) => hex).join(" "), $("copy-palette"));
  $("to-feeling").onclick = () => go(`#feeling/${state.palette.id}`);
  $("emotion-form").onsubmit = (event) => { event.preventDefault(); writeStory(); };
  $("notice-close").onclick = hideNotice;
  window.onhashchange = route;
}

listen();
route();
