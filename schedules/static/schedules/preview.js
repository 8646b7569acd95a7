// The live preview of the schedule form: posts what is typed, shows the answer, and applies a reading of words.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const panel = document.getElementById("schedule-preview");
    const said = document.getElementById("schedule-preview-said");
    const form = panel && panel.closest("form");
    if (!form) return;
    const WAIT = 300;
    let timer = null;
    let latest = 0;
    let shownFor = ""; // the words that the panel reads at the moment

    const say = (text) => {
        const words = text.replace(/\s+/g, " ").trim();
        if (said.textContent !== words) said.textContent = words;
    };

    const tellTrouble = (signedOut) => {
        const words = signedOut
            ? "You have been signed out. What you typed is kept in this tab. "
            : "The preview cannot be reached at the moment. Saving checks everything as well.";
        panel.replaceChildren(document.createTextNode(words));
        if (signedOut) {
            const link = Object.assign(document.createElement("a"), {
                className: "al-name", textContent: "Sign in again in a new tab, then come back and save.",
                href: "/admin/login/?next=/admin/", target: "_blank", rel: "noopener",
            });
            panel.append(link);
        }
        say(panel.textContent);
    };

    const refresh = async (changed) => {
        clearTimeout(timer);
        const asked = ++latest;
        freshenToken(form);
        const data = new FormData(form);
        data.set("changed", changed);
        let response, html;
        try {
            response = await fetch(panel.dataset.url, { method: "POST", body: data, credentials: "same-origin" });
            html = await response.text();
        } catch {
            if (asked === latest) tellTrouble(false);
            return;
        }
        if (asked !== latest) return; // overtaken by a later question
        if (response.redirected || !response.ok) {
            tellTrouble(response.redirected || response.status === 403);
            return;
        }
        panel.innerHTML = html;
        shownFor = data.get("words") || "";
        say(panel.querySelector("[data-said]")?.textContent || "");
        const pattern = panel.querySelector("[data-pattern]");
        const byHand = form.elements.expression;
        // The pattern stands ready for whoever goes on with it by hand.
        if (pattern && byHand && form.elements.mode.value !== "cron") byHand.value = pattern.dataset.pattern;
    };

    const later = (event) => {
        if (event.target.name === "form_key") return;
        clearTimeout(timer);
        timer = setTimeout(() => refresh(event.target.name || ""), WAIT);
    };
    form.addEventListener("input", later);
    form.addEventListener("change", later);

    const fill = (button) => {
        const reading = JSON.parse(button.dataset.apply);
        for (const [name, value] of Object.entries(reading)) setField(form, name, value);
        setField(form, "words", "");
    };

    const apply = (button) => {
        fill(button);
        form.elements.words.focus();
        refresh("");
    };

    panel.addEventListener("click", (event) => {
        const button = event.target.closest("[data-apply]");
        if (button) apply(button);
    });

    // Enter in the words box means "use them", never "save the rest".
    form.elements.words?.addEventListener("keydown", async (event) => {
        if (event.key !== "Enter" || event.isComposing) return;
        event.preventDefault();
        if (!event.target.value.trim()) return;
        await refresh("words");
        const button = panel.querySelector("[data-apply]");
        if (button) apply(button);
    });

    // Whoever saves with a reading before their eyes means it; other words come back to be looked at.
    form.addEventListener("submit", () => {
        const button = panel.querySelector("[data-apply]");
        if (button && shownFor.trim() && form.elements.words.value === shownFor) fill(button);
    }, true);

    // A new schedule starts with the rules that suit what it runs, until somebody changes one of them.
    const rules = document.getElementById("kind-rules");
    if (rules) {
        const byKind = JSON.parse(rules.textContent);
        const touched = new Set();
        form.addEventListener("change", (event) => {
            if (event.isTrusted) touched.add(event.target.name);
            if (event.target.name !== "what") return;
            const values = byKind[event.target.value.split(":")[0]] || {};
            for (const [name, value] of Object.entries(values)) {
                if (!touched.has(name)) setField(form, name, value);
            }
        });
    }

    // A form that came back: straight to the first field that needs another look.
    form.querySelector('[aria-invalid="true"]:not([type="hidden"])')?.focus();
    refresh("");
});
