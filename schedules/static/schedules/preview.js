// The live preview of the schedule form: posts what is typed, shows the answer, and applies a reading of words.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const panel = document.getElementById("schedule-preview");
    const form = panel && panel.closest("form");
    if (!form) return;
    let timer = null;
    let latest = 0;

    const refresh = async (changed) => {
        const asked = ++latest;
        const data = new FormData(form);
        data.set("changed", changed);
        const response = await fetch(panel.dataset.url, { method: "POST", body: data, credentials: "same-origin" });
        const html = await response.text();
        // An answer that was overtaken by a later question is dropped.
        if (response.ok && asked === latest) panel.innerHTML = html;
    };

    const schedule = (event) => {
        clearTimeout(timer);
        timer = setTimeout(() => refresh(event.target.name || ""), 300);
    };
    form.addEventListener("input", schedule);
    form.addEventListener("change", schedule);

    panel.addEventListener("click", (event) => {
        const button = event.target.closest("[data-apply]");
        if (!button) return;
        for (const { name, value } of Array.from(button.attributes)) {
            if (!name.startsWith("data-field-")) continue;
            for (const field of form.querySelectorAll(`[name="${name.slice("data-field-".length)}"]`)) {
                if (field.type === "radio") {
                    if (field.value === value) field.click();
                } else {
                    field.value = value;
                    field.dispatchEvent(new Event("input", { bubbles: true }));
                }
            }
        }
        refresh("");
    });

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
                if (touched.has(name)) continue;
                for (const field of form.querySelectorAll(`[name="${name}"]`)) {
                    if (field.type === "radio") field.checked = field.value === value;
                    else field.value = value;
                }
            }
        });
    }

    refresh("");
});
