// Keeps what is typed into the forms of the desk: through an expired session, an error page and a second click on Save.
// It stays in this tab's own storage, is offered to the same person only, and is forgotten once it was saved.
"use strict";

/** Gives a form's field a value, or a group of them their values, as if a person had, so that whatever listens notices. */
function setField(form, name, value) {
    const wanted = [].concat(value).map(String);
    let place = 0;
    for (const field of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
        if (field.type === "checkbox" || field.type === "radio") {
            const isOn = wanted.includes(field.value);
            if (field.checked !== isOn && (isOn || field.type === "checkbox")) field.click();
            continue;
        }
        if (field.multiple && field.options) {
            for (const option of field.options) option.selected = wanted.includes(option.value);
        } else {
            const own = wanted[Math.min(place++, wanted.length - 1)] ?? "";
            if (field.value === own) continue;
            field.value = own;
        }
        field.dispatchEvent(new Event("input", { bubbles: true }));
        field.dispatchEvent(new Event("change", { bubbles: true }));
    }
}

/** Signing in again, in another tab too, changes the token; the cookie always has the one that counts. */
function freshenToken(form) {
    const cookie = document.cookie.split("; ").find((part) => part.startsWith("csrftoken="));
    const token = form.elements.csrfmiddlewaretoken;
    if (cookie && token) token.value = cookie.slice("csrftoken=".length);
}

document.addEventListener("DOMContentLoaded", () => {
    const PREFIX = "almanac-typing:";
    const HOURS_KEPT = 12;
    const FORMS = "#content form[method=post][id$=_form], #content form[data-keeps-typing]";
    const offer = document.getElementById("typing-kept"); // on the pages of whoever is signed in

    const read = (place) => {
        try {
            return JSON.parse(sessionStorage.getItem(place));
        } catch {
            return null; // storage is off, or holds something else
        }
    };
    const write = (place, draft) => {
        try {
            if (draft) sessionStorage.setItem(place, JSON.stringify(draft));
            else sessionStorage.removeItem(place);
        } catch { /* storage is off or full: the form works without */ }
    };
    const places = () => {
        try {
            return Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX));
        } catch {
            return [];
        }
    };

    // What was sent is done with when the answer led on from the form to a page of ours. A page to sign in, a page that
    // says what is wrong and the form itself with its errors are no such answer: it may be needed once more.
    const isLedOn = performance.getEntriesByType("navigation")[0]?.redirectCount > 0;
    const isAnswer = isLedOn && offer && document.referrer && !document.querySelector(".al-error-page");
    const isDone = (place) => isAnswer && place.slice(PREFIX.length).split("#")[0] === new URL(document.referrer).pathname;
    for (const place of places()) {
        const draft = read(place);
        if (!draft) continue;
        const isOld = Date.now() - draft.at > HOURS_KEPT * 3600 * 1000;
        const isAnothers = offer && draft.user !== offer.dataset.user;
        if (isOld || isAnothers || (draft.isSent && isDone(place))) write(place, null);
        else if (draft.isSent) write(place, { ...draft, isSent: false });
    }
    if (!offer) return;

    const isKept = (field) =>
        field.name && field.name !== "csrfmiddlewaretoken" && !["submit", "button", "file", "password"].includes(field.type) &&
        (field.type !== "hidden" || field.name.startsWith("seen")); // which state of the row somebody had before them
    const valuesOf = (form) => {
        const found = {};
        for (const field of form.elements) {
            if (!isKept(field) || (field.type === "radio" && !field.checked)) continue;
            const values = (found[field.name] ||= []);
            if (field.type === "checkbox" && !field.checked) continue;
            if (field.multiple && field.options) values.push(...[...field.selectedOptions].map((one) => one.value));
            else values.push(field.value);
        }
        return found;
    };

    const keepFor = (form, index) => {
        const place = `${PREFIX}${location.pathname}${index ? `#${index}` : ""}`;
        let banner = null;
        let isSent = false;
        let timer = null;

        const keep = () => {
            clearTimeout(timer);
            write(place, { user: offer.dataset.user, at: Date.now(), isSent, values: valuesOf(form) });
        };
        const keepSoon = (event) => {
            if (event.isTrusted && banner) banner.hidden = true; // somebody types anew: that is what is kept from here on
            clearTimeout(timer);
            timer = setTimeout(keep, 200);
        };

        const restore = async (draft) => {
            banner.hidden = true;
            // Rules and the like, whose fields the server makes from what was chosen.
            if (form.dataset.restoreFrom) {
                const values = Object.fromEntries(Object.entries(draft.values).filter(([, all]) => all.length));
                const headers = { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value };
                await htmx.ajax("POST", form.dataset.restoreFrom, { target: form.dataset.restoreInto, values, headers });
            }
            for (const [name, values] of Object.entries(draft.values)) setField(form, name, values);
            (form.elements.name || form.querySelector("select, input:not([type=hidden]), textarea"))?.focus();
            keep();
        };

        const draft = read(place);
        // A form that came back with errors holds what was typed already.
        const isBack = form.querySelector(".errorlist, .errornote, [aria-invalid=true]");
        if (draft && !isBack && JSON.stringify(draft.values) !== JSON.stringify(valuesOf(form))) {
            banner = offer.content.firstElementChild.cloneNode(true);
            banner.querySelector("[data-when]").textContent = `at ${new Date(draft.at).toTimeString().slice(0, 5)}`;
            banner.querySelector("[data-bring-back]").addEventListener("click", () => restore(draft));
            banner.querySelector("[data-forget]").addEventListener("click", () => {
                write(place, null);
                banner.hidden = true;
                form.querySelector("select, input:not([type=hidden]), textarea")?.focus();
            });
            document.getElementById("content").prepend(banner); // a page may have much before its form
        }

        form.addEventListener("input", keepSoon);
        form.addEventListener("change", keepSoon);
        form.addEventListener("submit", (event) => {
            if (event.defaultPrevented) return;
            if (isSent) {
                event.preventDefault();
                return;
            }
            isSent = true;
            freshenToken(form);
            keep();
        });
        window.addEventListener("pageshow", () => { isSent = false; });
    };
    document.querySelectorAll(FORMS).forEach(keepFor);
});
