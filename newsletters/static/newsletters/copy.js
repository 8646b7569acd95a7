// Copies a text field by a button. Without this script the button stays hidden, and the text can be marked by hand.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    if (!navigator.clipboard) return;  // not there on pages without TLS
    for (const button of document.querySelectorAll("[data-copy]")) {
        const status = button.parentElement.querySelector("[data-copied]");
        button.hidden = false;
        button.addEventListener("click", async () => {
            const field = document.getElementById(button.dataset.copy);
            try {
                await navigator.clipboard.writeText(field.value);
                status.textContent = "Copied.";
            } catch {
                field.select();
                status.textContent = "Press Ctrl+C to copy it.";
            }
        });
    }
});
