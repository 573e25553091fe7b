// Passkeys. When a form with data-passkey="create" or "get" is submitted, twofactor.js calls `ask`. It asks the browser,
// puts the answer into the field `credential`, and submits the form again: to htmx, or without it to the browser.
//
// The sentences are data attributes of the element with data-passkey-script, because templates are translated.

const AT_ONCE = 500; // milliseconds, in which nobody can have closed the browser's dialog

let question = null; // the open one: a browser refuses a second

const isSupported = () => Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);
const optionsOf = (form) => JSON.parse(form.dataset.options).publicKey;

/** Ask the browser to create or to use a passkey, as the form says. */
function askBrowser(form, signal) {
  const options = optionsOf(form);
  if (form.dataset.passkey === "create") {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    return navigator.credentials.create({ publicKey, signal });
  }
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return navigator.credentials.get({ publicKey, signal });
}

/** Return the name of the sentence for an error. For privacy, browsers give most failures the same name. */
function reasonOf(error, { form, start }) {
  const reasons = { InvalidStateError: "known", SecurityError: "address", NotSupportedError: "missing" };
  if (error.name !== "NotAllowedError") return reasons[error.name] ?? "failed";
  const elapsed = performance.now() - start;
  if (elapsed < AT_ONCE) return "missing";
  return elapsed < optionsOf(form).timeout ? "cancelled" : "late";
}

function removeNotes(form) {
  for (const note of form.querySelectorAll(".tf-note[role=alert], .errorlist")) note.remove();
}

/** Say at the top of the form why there is no passkey. The focus stays where it is, on the button. */
function explain(form, reason) {
  removeNotes(form);
  const note = document.createElement("p");
  note.className = "tf-note tf-error";
  note.role = "alert";
  note.textContent = form.querySelector("[data-passkey-script]").dataset[reason];
  form.prepend(note);
}

/** Submit the form with the passkey's answer. */
function submit(form, credential, button) {
  form.elements.credential.value = JSON.stringify(credential.toJSON());
  form.dataset.answered = "";
  form.requestSubmit(button);
  delete form.dataset.answered;
}

function endQuestion() {
  const ended = question;
  question = null;
  ended?.controller.abort();
}

/** Ask for a passkey and submit the form, or explain why there is none. `button`: the one that was clicked. */
export async function ask(form, button) {
  endQuestion();
  if (!isSupported()) {
    explain(form, "unsupported");
    return;
  }
  const asked = question = { form, controller: new AbortController(), start: performance.now() };
  removeNotes(form);
  try {
    const credential = await askBrowser(form, asked.controller.signal);
    if (asked === question) submit(form, credential, button);
  } catch (error) {
    if (asked === question) explain(form, reasonOf(error, asked));
  }
  if (asked === question) question = null;
}

// Close the browser's dialog when its form has left the page.
document.addEventListener("htmx:afterSwap", () => {
  if (question && !question.form.isConnected) endQuestion();
});
