// Replaces a part of the page every few seconds, while somebody looks at it and not while the tab is hidden.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const picker = document.querySelector("[data-refresh]");
    if (!picker) return;
    const part = document.querySelector(picker.dataset.refresh);
    const kept = localStorage.getItem("almanac-refresh");
    if (kept !== null && Array.from(picker.options).some((option) => option.value === kept)) picker.value = kept;
    let last = Date.now();

    const refresh = async () => {
        const seconds = Number(picker.value);
        if (!seconds || document.hidden || Date.now() - last < seconds * 1000) return;
        // Somebody who is in the middle of the part with the keyboard is not thrown out of it.
        if (part.contains(document.activeElement)) return;
        last = Date.now();
        try {
            const response = await fetch(picker.dataset.refreshUrl, { credentials: "same-origin", redirect: "error" });
            if (response.ok) part.innerHTML = await response.text();
        } catch {
            // The server is away for a moment; the next round tries again.
        }
    };
    setInterval(refresh, 1000);
    picker.addEventListener("change", () => localStorage.setItem("almanac-refresh", picker.value));
});
