// Replaces a part of the page every few seconds, while somebody looks at it and not while the tab is hidden;
// and counts down to what is due. Without it the page shows the same facts as of its loading.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const picker = document.querySelector("[data-refresh]");
    if (!picker) return;
    const part = document.querySelector(picker.dataset.refresh);
    const kept = localStorage.getItem("almanac-refresh");
    if (kept !== null && Array.from(picker.options).some((option) => option.value === kept)) picker.value = kept;
    let last = Date.now();
    let ahead = 0; // how far this machine's clock is ahead of the server's

    const setClock = () => {
        const server = part.querySelector("[data-server-now]");
        if (server) ahead = Date.now() - Date.parse(server.dataset.serverNow);
    };

    const words = (seconds) => {
        if (seconds <= 0) return "due now";
        const days = Math.floor(seconds / 86400);
        const hours = Math.floor(seconds / 3600) % 24;
        const minutes = Math.floor(seconds / 60) % 60;
        if (days) return `in ${days} d ${hours} h`;
        if (hours) return `in ${hours} h ${minutes} min`;
        if (minutes) return `in ${minutes} min ${seconds % 60} s`;
        return `in ${seconds} s`;
    };

    // No live region: the text changes each second, and nobody wants that read out.
    const count = () => {
        for (const time of part.querySelectorAll("time[data-countdown]")) {
            const said = words(Math.ceil((Date.parse(time.dateTime) - (Date.now() - ahead)) / 1000));
            if (time.textContent !== said) time.textContent = said;
        }
    };

    const refresh = async () => {
        const seconds = Number(picker.value);
        if (!seconds || document.hidden || Date.now() - last < seconds * 1000) return;
        // Somebody who is in the middle of the part with the keyboard is not thrown out of it.
        if (part.contains(document.activeElement)) return;
        last = Date.now();
        try {
            const response = await fetch(picker.dataset.refreshUrl, { credentials: "same-origin", redirect: "error" });
            if (!response.ok) return;
            part.innerHTML = await response.text();
            setClock();
            count();
        } catch {
            // The server is away for a moment; the next round tries again.
        }
    };

    setClock();
    count();
    setInterval(() => {
        if (document.hidden) return;
        count();
        refresh();
    }, 1000);
    picker.addEventListener("change", () => localStorage.setItem("almanac-refresh", picker.value));
});
