// Asks a button's question in a dialog on the same page. Without this script the button leads to the question's own page.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const dialog = document.createElement("dialog");
    if (typeof dialog.showModal !== "function") return;
    dialog.className = "al-dialog";
    dialog.setAttribute("aria-labelledby", "al-dialog-title");
    document.body.append(dialog);
    let opener = null;
    let isBusy = false;
    let isPassing = false;

    // Somebody who works through a list with the keyboard goes on where they were, not at the top.
    const kept = sessionStorage.getItem("almanac-verbs");
    sessionStorage.removeItem("almanac-verbs");
    window.addEventListener("load", () => {  // by then the list's scroll bars have moved it into place
        const verbs = kept && document.getElementById(kept);
        if (verbs && verbs.querySelector("button")) verbs.querySelector("button").focus();
    });

    const goTo = (address) => {
        const place = opener && opener.closest("[id^=verbs-]");
        const isSamePage = new URL(address, location.href).pathname === location.pathname;
        if (place && isSamePage) sessionStorage.setItem("almanac-verbs", place.id);
        location.assign(address);
    };

    const show = (question) => {
        dialog.innerHTML = question;
        if (!dialog.open) dialog.showModal();
        const field = dialog.querySelector("[aria-invalid=true], [autofocus]");
        if (field) field.focus();
    };

    // Whatever is not one of our own two answers is left to the browser: a refusal, a page to sign in, a network away.
    const send = async (form, button) => {
        isBusy = true;
        freshenToken(form);
        try {
            const response = await fetch((button && button.getAttribute("formaction")) || form.action, {
                method: "POST",
                body: new FormData(form, button),
                headers: { "Almanac-Dialog": "question" },
                credentials: "same-origin",
                redirect: "manual",
            });
            if (response.status === 204) return goTo(response.headers.get("Almanac-Go-To"));
            if (response.headers.get("Almanac-Dialog")) return show(await response.text());
        } catch {
            // The browser's own attempt shows what is wrong.
        } finally {
            isBusy = false;
        }
        isPassing = true;
        form.requestSubmit(button);
    };

    document.addEventListener("submit", (event) => {
        if (isPassing) return;
        const isQuestion = dialog.contains(event.target);
        const button = event.submitter;
        if (!isQuestion && !(button && button.hasAttribute("data-dialog"))) return;
        event.preventDefault();
        if (isBusy) return;
        if (!isQuestion) opener = button;
        send(event.target, button);
    });

    dialog.addEventListener("click", (event) => {
        if (!event.target.closest("[data-dialog-close]")) return;
        event.preventDefault();
        dialog.close();
    });
    dialog.addEventListener("close", () => {
        dialog.replaceChildren();
        if (opener) opener.focus();
    });
});
