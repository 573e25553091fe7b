"use strict";

// Everything works without this file; it keeps focus, voice and title right after a swap, and sends, copies, saves and prints.

const find = (selector, root = document) => root.querySelector(selector);

/** Say something to whoever cannot see it. */
function announce(text) {
  find("#live").textContent = text.trim().replace(/\s+/g, " ");
}

/** Show what only works with this file. */
function reveal(root) {
  for (const element of root.querySelectorAll("[data-download], [data-print], [data-recall]")) element.hidden = false;
  // Without HTTPS a browser has no clipboard to offer.
  if (navigator.clipboard) for (const element of root.querySelectorAll("[data-copy]")) element.hidden = false;
}

/** A new panel is there: bring focus, title and voice to it. */
function arrive(panel) {
  reveal(panel);
  const title = find("#panel-title", panel);
  const wrong = find("[aria-invalid=true]", panel);
  const site = find("meta[name=application-name]");
  document.title = title.textContent.trim() + (site ? ` · ${site.content}` : "");
  window.scrollTo(0, 0);
  (wrong ?? find("[autofocus]", panel) ?? title).focus();
  if (wrong?.select) wrong.select();
  const said = find(".errorlist", panel) ?? find(".note", panel) ?? title;
  announce(panel.dataset.announce || said.textContent);
}

/** Say beside what was pressed that it did not work; all that was typed stays, but for secrets. */
function complain(event, template) {
  const { elt, target } = event.detail;
  if (target?.id !== "panel") return;
  const notice = find(template).content.firstElementChild.cloneNode(true);
  for (const old of target.querySelectorAll("[data-trouble]")) old.remove();
  notice.dataset.trouble = "";
  if (elt.matches("form")) elt.prepend(notice);
  else find("#panel-title").after(notice);
  const secrets = elt.querySelectorAll("input[type=password], input.code");
  for (const secret of secrets) secret.value = "";
  // The button is disabled until the request is over, and cannot take the focus.
  notice.tabIndex = -1;
  (secrets[0] ?? notice).focus();
}

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  // An answer without a panel (a proxy's own error page, say) would leave nothing to go on with.
  if (detail.shouldSwap && detail.target.id === "panel" && !/\bid="panel"/.test(detail.serverResponse)) {
    detail.shouldSwap = false;
    detail.isError = true;
  }
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

/** Send the form as soon as its six digits are in; once, so that a refused code can be mended in peace. */
function sendWhenComplete(input) {
  const form = input.closest("form[data-autosubmit]");
  if (input.name !== "code" || !form || form.dataset.autosubmit === "sent") return;
  if (!/^[0-9]{6}$/.test(input.value.replace(/[\s-]/g, ""))) return;
  form.dataset.autosubmit = "sent";
  form.requestSubmit();
}

/** Compare a code typed back with those on the page; nothing is sent. */
function recall(input) {
  const plain = (text) => text.toUpperCase().replace(/[^0-9A-Z]/g, "").replace(/O/g, "0").replace(/[IL]/g, "1");
  const typed = plain(input.value);
  const known = [...find("#codes").children].some((item) => plain(item.textContent) === typed);
  const result = find("#recalled");
  result.textContent = typed.length < 16 ? "" : known ? result.dataset.right : result.dataset.wrong;
}

document.addEventListener("input", ({ target }) => {
  sendWhenComplete(target);
  if (target.id === "recall") recall(target);
});

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
