"use strict";

// Every page works without this file. Over a swap it keeps typed values, sets focus and title, and announces the panel.
// It normalizes typed codes, submits a complete code, shows passwords, and copies, downloads and prints.

const find = (selector, root = document) => root.querySelector(selector);

/** Announce a text to screen readers. */
function announce(text) {
  find("#live").textContent = text.trim().replace(/\s+/g, " ");
}

/** Show the elements that need this file. */
function showScripted(root) {
  const scripted = "[data-scripted], [data-download], [data-print], [data-recall], [data-show]";
  for (const element of root.querySelectorAll(scripted)) element.hidden = false;
  // navigator.clipboard exists on HTTPS and localhost only.
  if (navigator.clipboard) for (const element of root.querySelectorAll("[data-copy]")) element.hidden = false;
}

// --- Times ----------------------------------------------------------------------------------------

const WEEK = 7 * 24 * 60 * 60; // seconds
const UNITS = [["day", 24 * 60 * 60], ["hour", 60 * 60], ["minute", 60], ["second", 1]];

/** Return a time of the last week as "2 hours ago", and any other one as the local date and time. */
function localTime(at, language) {
  const seconds = Math.max(0, Math.round((Date.now() - at) / 1000)); // the clock of the server may be ahead
  if (seconds >= WEEK) {
    return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(at);
  }
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? UNITS.at(-1);
  return new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(-Math.floor(seconds / size), unit);
}

/** Show local times. The title keeps the time in UTC. */
function showLocalTimes(root) {
  const language = document.documentElement.lang || undefined;
  for (const element of root.querySelectorAll("time[data-time]")) {
    element.textContent = localTime(new Date(element.dateTime), language);
  }
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) showLocalTimes(document);
});

// --- Codes ----------------------------------------------------------------------------------------

/** Return the value of a decimal digit of any script. Unicode has the digits in runs of ten. */
function digitValue(digit) {
  const point = digit.codePointAt(0);
  let first = point;
  while (/\p{Nd}/u.test(String.fromCodePoint(first - 1))) first -= 1;
  return (point - first) % 10;
}

/** Return the canonical form of a code, as canonical.py does. */
function canonical(text) {
  return text.replace(/[\s\x1c-\x1f\x85\p{Pd}\p{Cf}]/gu, "").replace(/\p{Nd}/gu, digitValue);
}

const SIX_DIGITS = /^[0-9]{6}$/;
const SUBMIT_DELAY = 250; // milliseconds after the sixth key, so that a seventh key is not typed into the next form
let submitTimer;

const isCodeField = (field) => field.matches("[data-code][name=code]");
const hasLetters = (field) => /[^0-9]/.test(canonical(field.value));

/** Remove spaces, dashes and format characters as they are typed, and keep the caret in place. */
function normalizeField(field) {
  const code = canonical(field.value);
  if (code === field.value) return;
  const caret = canonical(field.value.slice(0, field.selectionStart)).length;
  field.value = code;
  if (field === document.activeElement) field.setSelectionRange(caret, caret);
}

/** Offer the backup code once a letter was typed. The form then does not submit itself until the field is emptied. */
function updateLettersHint(field) {
  if (!field.value) {
    delete field.dataset.hadLetters;
    delete field.dataset.submitted;
  } else if (hasLetters(field)) {
    field.dataset.hadLetters = "";
  }
  const hint = find("[data-letters]", field.form);
  const appears = hint.hidden && "hadLetters" in field.dataset;
  hint.hidden = !("hadLetters" in field.dataset);
  if (appears) announce(hint.textContent);
}

/** Submit a form with six digits, but only once: a refused code can be corrected at leisure. */
function submitWhenComplete(field, delay) {
  clearTimeout(submitTimer);
  const isManual = "hadLetters" in field.dataset || "submitted" in field.dataset;
  if (field.form.matches("[data-autosubmit]") && SIX_DIGITS.test(field.value) && !isManual) {
    submitTimer = setTimeout(() => field.form?.requestSubmit(), delay);
  }
}

function onCodeInput({ target: field, inputType, isComposing }) {
  if (!isCodeField(field) || isComposing) return;
  normalizeField(field);
  updateLettersHint(field);
  submitWhenComplete(field, /^(insertText|delete)/.test(inputType) ? SUBMIT_DELAY : 0);
}

document.addEventListener("input", onCodeInput);
document.addEventListener("compositionend", onCodeInput); // input methods, for example for full-width digits

// Ignore a seventh digit.
document.addEventListener("beforeinput", (event) => {
  const { target: field, inputType, data } = event;
  if (!isCodeField(field) || inputType !== "insertText" || !/^\p{Nd}$/u.test(data)) return;
  if (SIX_DIGITS.test(field.value) && field.selectionStart === field.selectionEnd) event.preventDefault();
});

document.addEventListener("submit", ({ target }) => {
  clearTimeout(submitTimer);
  for (const field of target.querySelectorAll("[data-code]")) field.dataset.submitted = "";
});

/** Compare a code that the user typed from their copy with the codes on the page. Nothing is sent. */
function checkCopy(input) {
  const plain = (text) => canonical(text).toUpperCase().replace(/O/g, "0").replace(/[IL]/g, "1");
  const typed = plain(input.value);
  const isKnown = [...find("#codes").children].some((item) => plain(item.textContent) === typed);
  const result = find("#recalled");
  const verdict = isKnown ? result.dataset.right : result.dataset.wrong;
  result.textContent = typed.length < 16 ? "" : verdict;
}

document.addEventListener("input", ({ target }) => {
  if (target.id === "recall") checkCopy(target);
});

// --- Passwords ------------------------------------------------------------------------------------

/** Show the characters of a password, or dots. */
function showPassword(button, isShown) {
  const field = button.previousElementSibling;
  field.type = isShown ? "text" : "password";
  field.spellcheck = false; // some browsers send a text to a server to check its spelling
  field.autocapitalize = "none";
  button.ariaPressed = isShown;
}

/** Hide the passwords again. Password managers and the code below look for `type=password`. */
function hidePasswords(root) {
  for (const button of root.querySelectorAll("[data-show][aria-pressed=true]")) showPassword(button, false);
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-show]");
  if (button) showPassword(button, button.ariaPressed !== "true");
});
document.addEventListener("submit", ({ target }) => hidePasswords(target));

/** Mark the minimum length as met while one types. Announce it once, and not with every key. */
document.addEventListener("input", ({ target: field }) => {
  const rule = field.closest(".tf-field")?.querySelector("[data-min-length]");
  if (!rule) return;
  const isMet = [...field.value.normalize("NFC")].length >= Number(rule.dataset.minLength); // as validators.py counts
  if (isMet && !rule.matches(".tf-met")) announce(rule.dataset.met);
  rule.classList.toggle("tf-met", isMet);
});

// --- Passkeys -------------------------------------------------------------------------------------

/** Load passkeys.js with the first form that needs it. The browser keeps it. */
async function loadPasskeys(root) {
  const script = find("[data-passkey-script]", root);
  return script && import(script.dataset.passkeyScript);
}

// In the capturing phase, so that htmx and the other listeners get the form only with its answer.
document.addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  if (!form.matches("[data-passkey]:not([data-answered])")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  try {
    (await loadPasskeys(form)).ask(form, submitter);
  } catch {
    showFailure({ detail: { elt: form, target: find("#panel") } }, "#notice-offline");
  }
}, true);

// --- Typed values over a swap ---------------------------------------------------------------------

let savedValues = [];

const pathOf = (field) => field.form?.getAttribute("action")?.split("?")[0];

/** Save the values that the server never sends back: passwords, and the other fields when the method changes. */
function saveValues(panel) {
  hidePasswords(panel);
  savedValues = [];
  for (const field of panel.querySelectorAll("input:is([type=password], [name=trust], [data-code][name=code])")) {
    const { name, value, checked } = field;
    if (!isCodeField(field)) savedValues.push({ path: pathOf(field), name, value, checked });
    else if (hasLetters(field)) savedValues.push({ path: pathOf(field), name: "backup_code", value });
  }
}

/** Put the values into the same form of the new panel, except into fields that the server marked as wrong. */
function restoreValues(panel) {
  for (const { path, name, value, checked } of savedValues) {
    for (const field of panel.querySelectorAll(`input[name="${name}"]:not([aria-invalid=true])`)) {
      if (pathOf(field) !== path) continue;
      if (field.type === "checkbox") field.checked ||= checked;
      else field.value ||= value;
    }
  }
  savedValues = [];
}

/** Return the checkbox "I have saved these codes" while it is not checked. */
const uncheckedSavedBox = () => find("#saved:not(:checked)");

window.addEventListener("beforeunload", (event) => {
  if (uncheckedSavedBox()) event.preventDefault();
});

// --- One request for the panel at a time ----------------------------------------------------------

const BUSY_DELAY = 1000; // milliseconds: a quick answer is not worth an announcement
let currentRequest = null;
let busyTimer;

/** Mark a form or link as busy, and ignore keys in a code that is checked. A disabled button would lose the focus. */
function setBusy(element, isBusy) {
  const isForm = element.matches("form");
  const controls = isForm ? [...element.elements].filter(({ type }) => type === "submit") : [element];
  for (const control of controls) control.ariaDisabled = isBusy;
  for (const field of element.querySelectorAll("[data-code]")) field.readOnly = isBusy;
  (isForm ? element : find("#panel")).ariaBusy = isBusy;
}

// A later click replaces an earlier request, as in a browser without script. A form is submitted once.
document.addEventListener("htmx:confirm", (event) => {
  const { elt, target } = event.detail;
  if (target.id !== "panel") return;
  const box = uncheckedSavedBox();
  if (box && elt.closest("#panel") && !window.confirm(box.dataset.leave)) event.preventDefault();
  else if (elt.matches("form") && elt === currentRequest?.elt) event.preventDefault();
  else currentRequest?.xhr.abort();
});
document.addEventListener("htmx:beforeSend", ({ detail: { elt, target, xhr } }) => {
  if (target.id !== "panel") return;
  currentRequest = { elt, xhr };
  setBusy(elt, true);
  busyTimer = setTimeout(() => announce(find("#live").dataset.busy), BUSY_DELAY);
});
document.addEventListener("htmx:afterRequest", ({ detail: { elt, xhr } }) => {
  if (xhr !== currentRequest?.xhr) return;
  currentRequest = null;
  setBusy(elt, false);
  clearTimeout(busyTimer);
});

// --- Swaps ----------------------------------------------------------------------------------------

/** Set focus and title for a new panel, and announce it. */
function onNewPanel(panel) {
  showScripted(panel);
  restoreValues(panel);
  const title = find("#panel-title", panel);
  const wrong = find("[aria-invalid=true]", panel);
  const site = find("meta[name=application-name]");
  document.title = title.textContent.trim() + (site ? ` · ${site.content}` : "");
  window.scrollTo(0, 0);
  const passkeyButton = find("[data-passkey] [type=submit]", panel);
  (wrong ?? find("[autofocus]", panel) ?? passkeyButton ?? title).focus();
  if (wrong?.select) wrong.select();
  const message = find(".errorlist", panel) ?? find(".tf-note", panel) ?? title;
  announce(message.textContent);
}

/** Show a notice in the form or link that failed, and remove the previous one. Typed values stay. */
function showFailure({ detail: { elt, target } }, template) {
  if (target?.id !== "panel") return;
  for (const old of target.querySelectorAll(".tf-note[role], .errorlist")) old.remove();
  for (const field of target.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  const notice = find(template).content.firstElementChild.cloneNode(true);
  if (elt.matches("form")) elt.prepend(notice);
  else find("#panel-title").after(notice);
  notice.tabIndex = -1;
  const secret = find("input[type=password], [data-code]", elt);
  (secret ?? notice).focus();
  secret?.select();
}

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.id !== "panel") return;
  // Do not swap in a response without a panel, such as an error page of a proxy.
  if (detail.shouldSwap && !/\bid="panel"/.test(detail.serverResponse)) {
    detail.shouldSwap = false;
    detail.isError = true;
  }
  if (detail.shouldSwap) saveValues(detail.target);
});
document.addEventListener("htmx:afterSettle", ({ target }) => {
  showLocalTimes(target);
  loadPasskeys(target).catch(() => {}); // the submission tries again
  if (target.id === "panel") onNewPanel(target);
});
document.addEventListener("htmx:responseError", (event) => showFailure(event, "#notice-error"));
document.addEventListener("htmx:sendError", (event) => showFailure(event, "#notice-offline"));
document.addEventListener("htmx:timeout", (event) => showFailure(event, "#notice-offline"));

// A page from the back/forward cache may belong to a session that has ended.
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
    window.getSelection().selectAllChildren(source); // the browser refused: the user can press Ctrl+C
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

showScripted(document);
showLocalTimes(document);
loadPasskeys(document).catch(() => {});
