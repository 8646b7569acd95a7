// Keeps what is typed into the schedule form: through an expired session, a stale token and a second click on Save.
// It stays in this tab's own storage, is offered to the same person only, and is forgotten once it was saved.
"use strict";

/** Gives a field a value as if a person had, so that everything that listens notices. */
function setField(form, name, value) {
    const wanted = Array.isArray(value) ? value.map(String) : null;
    for (const field of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
        if (field.type === "checkbox") {
            if (field.checked !== (wanted || []).includes(field.value)) field.click();
        } else if (field.type === "radio") {
            if (field.value === String(value) && !field.checked) field.click();
        } else if (field.value !== String(value)) {
            field.value = String(value);
            field.dispatchEvent(new Event("input", { bubbles: true }));
            field.dispatchEvent(new Event("change", { bubbles: true }));
        }
    }
}

/** Signing in again, in another tab too, changes the token; the cookie always has the one that counts. */
function freshenToken(form) {
    const cookie = document.cookie.split("; ").find((part) => part.startsWith("csrftoken="));
    if (cookie) form.elements.csrfmiddlewaretoken.value = cookie.slice("csrftoken=".length);
}

document.addEventListener("DOMContentLoaded", () => {
    const offer = document.getElementById("typing-kept");
    const form = document.getElementById("schedule_form");
    if (!offer || !form) return;
    const NEVER = new Set(["csrfmiddlewaretoken", "form_key"]);
    const place = `almanac-typing:${location.pathname}`;
    const key = form.elements.form_key.value;
    const savedKeys = new Set(offer.dataset.saved.split(" "));
    let sent = false;
    let timer = null;

    const read = () => {
        try {
            return JSON.parse(sessionStorage.getItem(place));
        } catch {
            return null; // storage is off, or holds something else
        }
    };
    const write = (draft) => {
        try {
            if (draft) sessionStorage.setItem(place, JSON.stringify(draft));
            else sessionStorage.removeItem(place);
        } catch { /* storage is off or full: the form works without */ }
    };

    const values = () => {
        const found = {};
        for (const field of form.elements) {
            if (!field.name || NEVER.has(field.name) || field.type === "submit") continue;
            if (field.type === "checkbox") {
                found[field.name] = found[field.name] || [];
                if (field.checked) found[field.name].push(field.value);
            } else if (field.type !== "radio" || field.checked) {
                found[field.name] = field.value;
            }
        }
        return found;
    };

    const keep = () => {
        clearTimeout(timer);
        write({ key, user: offer.dataset.user, at: Date.now(), values: values() });
    };
    const keepSoon = (event) => {
        if (event.isTrusted) offer.hidden = true; // somebody types anew: that is what is kept from here on
        clearTimeout(timer);
        timer = setTimeout(keep, 200);
    };

    const restore = (draft) => {
        offer.hidden = true;
        for (const [name, value] of Object.entries(draft.values)) setField(form, name, value);
        (form.elements.name || form.elements[0]).focus();
        keep();
    };

    const draft = read();
    const isFresh = draft && draft.user === offer.dataset.user && Date.now() - draft.at < 12 * 3600 * 1000;
    if (draft && (!isFresh || savedKeys.has(draft.key))) write(null);
    // A form that came back with errors holds what was typed already.
    else if (draft && !form.querySelector(".errorlist, .errornote") && JSON.stringify(draft.values) !== JSON.stringify(values())) {
        offer.querySelector("[data-when]").textContent = `at ${new Date(draft.at).toTimeString().slice(0, 5)}`;
        offer.hidden = false;
        offer.querySelector("[data-bring-back]").addEventListener("click", () => restore(draft));
        offer.querySelector("[data-forget]").addEventListener("click", () => {
            write(null);
            offer.hidden = true;
            form.querySelector("select, input:not([type=hidden])").focus();
        });
    }

    form.addEventListener("input", keepSoon);
    form.addEventListener("change", keepSoon);
    form.addEventListener("submit", (event) => {
        if (sent) {
            event.preventDefault();
            return;
        }
        sent = true;
        freshenToken(form);
        keep();
    });
    window.addEventListener("pageshow", () => { sent = false; });
});
