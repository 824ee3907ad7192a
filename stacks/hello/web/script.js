// The page works without this file: it sends the form without leaving the page, and shows new entries as they come.
"use strict";

const byId = (id) => document.getElementById(id);
const list = byId("entries"), form = byId("form"), nameField = byId("name"), messageField = byId("message");
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "short" });

function ago(date) {
  const seconds = Math.min(0, (date - Date.now()) / 1000);
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (seconds <= -size) return relative.format(Math.round(seconds / size), unit);
  }
  return "just now";
}

function showTimes() {
  for (const time of list.querySelectorAll("time")) {
    const date = new Date(time.dateTime);
    time.textContent = ago(date);
    time.title = exact.format(date);
  }
}

function make(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

// The same hue as the server gives: the first two bytes of SHA-256 of the name. It comes a moment after the entry.
async function colour(avatar, name) {
  let sum = [...new TextEncoder().encode(name)].reduce((total, byte) => total + byte, 0);
  if (crypto.subtle) {
    const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(name)));
    sum = bytes[0] * 256 + bytes[1];
  }
  avatar.classList.add("hue-" + (sum % 12));
}

// Text only ever goes in as text: nothing that a visitor wrote becomes markup.
function draw(entry) {
  const item = make("li", "entry");
  item.id = "entry-" + entry.id;
  item.dataset.id = entry.id;
  const avatar = make("span", "avatar", [...entry.name][0].toUpperCase());
  avatar.setAttribute("aria-hidden", "true");
  colour(avatar, entry.name);
  const said = make("div", "said"), by = make("p", "by"), time = make("time", "");
  time.dateTime = entry.created_at;
  by.append(make("strong", "", entry.name), " ", time);
  said.append(by, make("p", "message", entry.message));
  item.append(avatar, said);
  return item;
}

function add(entry, announce) {
  if (byId("entry-" + entry.id)) return;
  const item = draw(entry);
  item.classList.add("new");
  const next = [...list.children].find((other) => Number(other.dataset.id) < entry.id);
  list.insertBefore(item, next ?? null);
  byId("count").textContent = Number(byId("count").textContent) + 1;
  byId("empty").hidden = true;
  if (announce) byId("announce").textContent = `New entry by ${entry.name}`;
  showTimes();
}

function live(state, text) {
  byId("live").dataset.state = state;
  byId("live-text").textContent = text;
}

function listen() {
  const events = new EventSource("/events?after=" + list.dataset.last);
  events.onopen = () => live("on", "live");
  events.addEventListener("entry", (event) => add(JSON.parse(event.data), true));
  events.onerror = () => {
    live("wait", "reconnecting…");
    // a browser gives up when an answer is no event stream (a 503 while the app restarts): try again ourselves
    if (events.readyState === EventSource.CLOSED) {
      const newest = list.firstElementChild;
      if (newest) list.dataset.last = newest.dataset.id;
      setTimeout(listen, 1000);
    }
  };
}

function showErrors(errors) {
  for (const field of [nameField, messageField]) {
    field.setAttribute("aria-invalid", String(field.name in errors));
    byId(field.name + "-error").textContent = errors[field.name] ?? "";
  }
  const first = [nameField, messageField].find((field) => field.name in errors);
  if (first) first.focus();
}

function left() {
  const rest = messageField.maxLength - messageField.value.length;
  byId("message-left").textContent = rest === 1 ? "1 character left" : `${rest} characters left`;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  byId("form-error").textContent = "";
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams(new FormData(form)),
    });
    const reply = await answer.json();
    showErrors(reply.errors ?? {});
    if (answer.status === 201) {
      add(reply.entry, false);
      messageField.value = "";
      left();
      byId("announce").textContent = "Your entry is there.";
      // on a narrow screen the entries are below the form, out of sight
      byId("entry-" + reply.entry.id).scrollIntoView({ block: "nearest" });
    } else if (!reply.errors) {
      byId("form-error").textContent = reply.error ?? "That did not work. Please try again.";
    }
  } catch {
    byId("form-error").textContent = "The guestbook cannot be reached. Your words are still here: try again in a moment.";
  } finally {
    button.disabled = false;
  }
});

byId("more").addEventListener("click", async () => {
  const answer = await fetch("/entries?before=" + list.lastElementChild.dataset.id);
  const { entries, more } = await answer.json();
  for (const entry of entries) list.append(draw(entry));
  byId("more").parentElement.hidden = !more;
  showTimes();
});

// who has begun to mend it is not told again what was wrong
for (const field of [nameField, messageField]) {
  field.addEventListener("input", () => {
    field.setAttribute("aria-invalid", "false");
    byId(field.name + "-error").textContent = "";
  });
}
messageField.addEventListener("input", left);
left();
showTimes();
setInterval(showTimes, 30000);
listen();
