"use strict";

// Everything works without this file. Over a swap it keeps what was typed, the focus and the title, and announces the new panel.
// It reads codes in any spelling, and sends, copies, downloads and prints.

const find = (selector, root = document) => root.querySelector(selector);

/** Tell screen readers. */
function announce(text) {
  find("#live").textContent = text.trim().replace(/\s+/g, " ");
}

/** Show what only works with this file. */
function reveal(root) {
  const scripted = "[data-scripted], [data-download], [data-print], [data-recall]";
  for (const element of root.querySelectorAll(scripted)) element.hidden = false;
  // Without HTTPS a browser has no clipboard to offer.
  if (navigator.clipboard) for (const element of root.querySelectorAll("[data-copy]")) element.hidden = false;
}

// --- Codes ----------------------------------------------------------------------------------------

/** Return the value of a decimal digit of any script: Unicode has them in runs of ten. */
function valueOf(digit) {
  const point = digit.codePointAt(0);
  let first = point;
  while (/\p{Nd}/u.test(String.fromCodePoint(first - 1))) first -= 1;
  return (point - first) % 10;
}

/** The canonical form of a code, as in canonical.py. */
function canonical(text) {
  return text.replace(/[\s\x1c-\x1f\x85\p{Pd}\p{Cf}]/gu, "").replace(/\p{Nd}/gu, valueOf);
}

const SIX_DIGITS = /^[0-9]{6}$/;
const PAUSE = 250; // milliseconds after the sixth key, so that a seventh does not end up in the next form
let sending;

const isCodeField = (field) => field.matches("[data-code][name=code]");
const hasLetters = (field) => /[^0-9]/.test(canonical(field.value));

/** Drop spaces, dashes and format characters as they are typed, and keep the caret in its place. */
function tidy(field) {
  const code = canonical(field.value);
  if (code === field.value) return;
  const caret = canonical(field.value.slice(0, field.selectionStart)).length;
  field.value = code;
  if (field === document.activeElement) field.setSelectionRange(caret, caret);
}

/** Offer the backup code once a letter was typed; until the field is empty again, nothing is sent by itself. */
function watchForLetters(field) {
  if (!field.value) {
    delete field.dataset.lettered;
    delete field.dataset.sent;
  } else if (hasLetters(field)) {
    field.dataset.lettered = "";
  }
  const hint = find("[data-letters]", field.form);
  const isNews = hint.hidden && "lettered" in field.dataset;
  hint.hidden = !("lettered" in field.dataset);
  if (isNews) announce(hint.textContent);
}

/** Send the form once, when its six digits are there; a code that was refused is corrected without haste. */
function sendWhenComplete(field, wait) {
  clearTimeout(sending);
  const isHeld = "lettered" in field.dataset || "sent" in field.dataset;
  if (field.form.matches("[data-autosubmit]") && SIX_DIGITS.test(field.value) && !isHeld) {
    sending = setTimeout(() => field.form?.requestSubmit(), wait);
  }
}

function readCode({ target: field, inputType, isComposing }) {
  if (!isCodeField(field) || isComposing) return;
  tidy(field);
  watchForLetters(field);
  sendWhenComplete(field, /^(insertText|delete)/.test(inputType) ? PAUSE : 0);
}

document.addEventListener("input", readCode);
document.addEventListener("compositionend", readCode); // input methods, such as those for full-width digits

// A seventh digit is not taken.
document.addEventListener("beforeinput", (event) => {
  const { target: field, inputType, data } = event;
  if (!isCodeField(field) || inputType !== "insertText" || !/^\p{Nd}$/u.test(data)) return;
  if (SIX_DIGITS.test(field.value) && field.selectionStart === field.selectionEnd) event.preventDefault();
});

document.addEventListener("submit", ({ target }) => {
  clearTimeout(sending);
  for (const field of target.querySelectorAll("[data-code]")) field.dataset.sent = "";
});

/** What is typed while a code is checked belongs to no form. */
function lock({ detail: { elt } }, isLocked) {
  for (const field of elt.querySelectorAll("[data-code]")) field.readOnly = isLocked;
}

document.addEventListener("htmx:beforeSend", (event) => lock(event, true));
document.addEventListener("htmx:afterRequest", (event) => lock(event, false));

/** Compare a code typed back with those on the page; nothing is sent. */
function recall(input) {
  const plain = (text) => canonical(text).toUpperCase().replace(/O/g, "0").replace(/[IL]/g, "1");
  const typed = plain(input.value);
  const known = [...find("#codes").children].some((item) => plain(item.textContent) === typed);
  const result = find("#recalled");
  result.textContent = typed.length < 16 ? "" : known ? result.dataset.right : result.dataset.wrong;
}

document.addEventListener("input", ({ target }) => {
  if (target.id === "recall") recall(target);
});

// --- What was typed, over a swap ------------------------------------------------------------------

let typed = [];

const pathOf = (field) => field.form?.getAttribute("action")?.split("?")[0];

/** Remember what the server never sends back: passwords, and after a change of the method the other fields. */
function remember(panel) {
  typed = [];
  for (const field of panel.querySelectorAll("input:is([type=password], [name=trust], [data-code][name=code])")) {
    const { name, value, checked } = field;
    if (!isCodeField(field)) typed.push({ path: pathOf(field), name, value, checked });
    else if (hasLetters(field)) typed.push({ path: pathOf(field), name: "backup_code", value });
  }
}

/** Put it into the same form of the new panel, unless the server says that it is wrong. */
function restore(panel) {
  for (const { path, name, value, checked } of typed) {
    for (const field of panel.querySelectorAll(`input[name="${name}"]:not([aria-invalid=true])`)) {
      if (pathOf(field) !== path) continue;
      if (field.type === "checkbox") field.checked ||= checked;
      else field.value ||= value;
    }
  }
  typed = [];
}

/** Return the box that says that the backup codes on the page are saved, as long as it is not ticked. */
const unsavedBox = () => find("#saved:not(:checked)");

window.addEventListener("beforeunload", (event) => {
  if (unsavedBox()) event.preventDefault();
});

// --- One request for the panel at a time ----------------------------------------------------------

let underWay = null;

// As in a browser without script, a later click replaces an earlier request. A form is sent once.
document.addEventListener("htmx:confirm", (event) => {
  const { elt, target } = event.detail;
  if (target.id !== "panel") return;
  const box = unsavedBox();
  if (box && elt.closest("#panel") && !window.confirm(box.dataset.leave)) event.preventDefault();
  else if (elt.matches("form") && elt === underWay?.elt) event.preventDefault();
  else underWay?.xhr.abort();
});
document.addEventListener("htmx:beforeSend", ({ detail: { elt, target, xhr } }) => {
  if (target.id === "panel") underWay = { elt, xhr };
});
document.addEventListener("htmx:afterRequest", ({ detail: { xhr } }) => {
  if (xhr === underWay?.xhr) underWay = null;
});

// --- Swaps ----------------------------------------------------------------------------------------

/** A new panel is there: bring focus and title to it, and announce it. */
function arrive(panel) {
  reveal(panel);
  restore(panel);
  const title = find("#panel-title", panel);
  const wrong = find("[aria-invalid=true]", panel);
  const site = find("meta[name=application-name]");
  document.title = title.textContent.trim() + (site ? ` · ${site.content}` : "");
  window.scrollTo(0, 0);
  (wrong ?? find("[autofocus]", panel) ?? title).focus();
  if (wrong?.select) wrong.select();
  const said = find(".errorlist", panel) ?? find(".tf-note", panel) ?? title;
  announce(panel.dataset.announce || said.textContent);
}

/** Say beside what was pressed that it did not work, in place of what was said before. What was typed stays. */
function complain({ detail: { elt, target } }, template) {
  if (target?.id !== "panel") return;
  for (const old of target.querySelectorAll(".tf-note[role], .errorlist")) old.remove();
  for (const field of target.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  const notice = find(template).content.firstElementChild.cloneNode(true);
  if (elt.matches("form")) elt.prepend(notice);
  else find("#panel-title").after(notice);
  // The button is disabled until the request is over, and cannot take the focus.
  notice.tabIndex = -1;
  const secret = find("input[type=password], [data-code]", elt);
  (secret ?? notice).focus();
  secret?.select();
}

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.id !== "panel") return;
  // An answer without a panel (a proxy's own error page, say) would leave nothing to go on with.
  if (detail.shouldSwap && !/\bid="panel"/.test(detail.serverResponse)) {
    detail.shouldSwap = false;
    detail.isError = true;
  }
  if (detail.shouldSwap) remember(detail.target);
});
document.addEventListener("htmx:afterSettle", ({ target }) => {
  if (target.id === "panel") arrive(target);
});
document.addEventListener("htmx:responseError", (event) => complain(event, "#notice-error"));
document.addEventListener("htmx:sendError", (event) => complain(event, "#notice-offline"));
document.addEventListener("htmx:timeout", (event) => complain(event, "#notice-offline"));

// A page from the back/forward cache may show what its owner has signed out of.
window.addEventListener("pageshow", ({ persisted }) => {
  if (persisted) window.location.reload();
});

// --- Copy, download, print ------------------------------------------------------------------------

const textOf = (source) => source.dataset.text ?? source.value ?? source.innerText;

async function copy(button) {
  const source = find(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(textOf(source));
  } catch {
    window.getSelection().selectAllChildren(source); // refused by the browser: Ctrl+C is left
    return;
  }
  button.dataset.label ??= button.textContent;
  button.style.minInlineSize = `${button.offsetWidth}px`;
  button.textContent = button.dataset.done;
  announce(button.dataset.done);
  setTimeout(() => { button.textContent = button.dataset.label; }, 2000);
}

function download(button) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([textOf(find(button.dataset.source))], { type: "text/plain" }));
  link.download = button.dataset.download;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button) return;
  if (button.dataset.copy) copy(button);
  if (button.dataset.download) download(button);
  if ("print" in button.dataset) window.print();
});

reveal(document);
