// Keeps the reader where they are while a run's page renews itself: what was unfolded stays unfolded, and the log
// follows its end only for somebody who is at its end.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const box = document.querySelector("[data-log]");
    const isAtEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < 8;
    let unfolded = [];
    let wasAtEnd = true;

    const toEnd = () => { box.scrollTop = box.scrollHeight; };
    if (box && "follow" in box.dataset) toEnd();

    document.body.addEventListener("htmx:beforeSwap", (event) => {
        unfolded = Array.from(event.detail.target.querySelectorAll("details[open][id]"), (one) => one.id);
        wasAtEnd = box !== null && isAtEnd();
    });
    document.body.addEventListener("htmx:afterSwap", () => {
        for (const id of unfolded) {
            const one = document.getElementById(id);
            if (one) one.open = true;
        }
    });
    document.body.addEventListener("htmx:oobAfterSwap", () => {
        if (box && wasAtEnd) toEnd();
    });
});
