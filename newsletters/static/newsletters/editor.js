// The editor of letters: a preview that follows the typing, merge tags and pictures put in where the cursor is, test
// mails and checks. Without this script the buttons open the same in a tab of its own.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const panel = document.querySelector("[data-letter-panel]");
    const form = panel && document.getElementById(panel.dataset.form);
    const source = form && form.querySelector("[data-letter-source]");
    if (!source) return;
    const shown = panel.querySelector("[data-letter-preview]");
    const said = panel.querySelector("[data-letter-said]");
    const address = panel.querySelector("[name=preview_address]");
    const PART = { "Almanac-Part": "1" };
    const OURS = new Set(["preview_view", "preview_as", "preview_address", "test_to", "draft_newsletter", "draft_issue"]);
    let timer = null;
    let latest = 0;

    const ask = async (url) => {
        freshenToken(form);
        const response = await fetch(url, { method: "POST", body: new FormData(form), headers: PART, credentials: "same-origin" });
        if (response.redirected || response.status === 403) throw new Error("You have been signed out, or may not do this. What you typed is still here.");
        if (!response.ok) throw new Error("The answer did not come. Try again in a moment; what you typed is still here.");
        return response.text();
    };

    const tell = (place, error) => {
        const line = document.createElement("p");
        line.className = "al-banner al-banner-bad";
        line.textContent = error instanceof TypeError ? "The network is away. What you typed is still here." : error.message;
        place.replaceChildren(line);
    };

    const mark = (field) => {
        for (const name of ["subject", "preheader", "body", "template", "source"]) {
            const one = form.elements[name];
            if (one && one.setAttribute) one.toggleAttribute("data-preview-wrong", name === field);
        }
    };

    // A letter on a desk is wider than the panel: it is laid out at its real width and shown smaller.
    const fit = () => {
        const frame = shown.querySelector(".nl-frame");
        if (!frame) return;
        const isWide = !frame.querySelector(".nl-letter-phone");
        const scale = frame.clientWidth / 720;
        frame.toggleAttribute("data-scale", isWide && scale < 1);
        frame.style.setProperty("--nl-scale", scale.toFixed(4));
    };
    window.addEventListener("resize", fit);

    const preview = async () => {
        clearTimeout(timer);
        const asked = ++latest;
        shown.setAttribute("aria-busy", "true");
        try {
            const answer = await ask(panel.dataset.url);
            if (asked !== latest) return; // overtaken by what was typed since
            shown.innerHTML = answer;
            fit();
            const sentence = shown.querySelector("[data-said]");
            const words = sentence ? sentence.textContent.trim() : "";
            if (said.textContent !== words) said.textContent = words;
            mark(sentence ? sentence.dataset.errorField : "");
        } catch (error) {
            if (asked === latest) tell(shown, error);
        } finally {
            if (asked === latest) shown.removeAttribute("aria-busy");
        }
    };
    const later = (wait) => {
        clearTimeout(timer);
        timer = setTimeout(preview, wait);
    };

    form.addEventListener("input", () => later(500));
    form.addEventListener("change", () => later(150));
    panel.addEventListener("input", (event) => {
        if (event.target.name === "preview_address") {
            panel.querySelector("[name=preview_as][value=address]").checked = true;
            later(400);
        }
    });
    panel.addEventListener("change", (event) => {
        if (event.target.name === "preview_view" || event.target.name === "preview_as") preview();
        if (event.target.name === "preview_as" && event.target.value === "address" && address) address.focus();
    });

    // Enter in the panel never saves the form, and Enter in the form never means one of the panel's buttons.
    for (const button of panel.querySelectorAll("[data-preview-now], [data-test-now]")) button.type = "button";
    panel.querySelector("[data-preview-now]").textContent = "Refresh";
    panel.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || event.isComposing || !OURS.has(event.target.name)) return;
        event.preventDefault();
        if (event.target.name === "test_to") test();
        else preview();
    });
    panel.querySelector("[data-preview-now]").addEventListener("click", preview);
    preview();

    // A test mail.
    const testButton = panel.querySelector("[data-test-now]");
    const testSaid = panel.querySelector("[data-letter-test]");
    const test = async () => {
        if (testButton.disabled) return;
        testButton.disabled = true;
        testSaid.textContent = "Sending…";
        try {
            testSaid.innerHTML = await ask(testButton.formAction);
            if (testSaid.querySelector(".al-banner-good")) check();
        } catch (error) {
            tell(testSaid, error);
        } finally {
            testButton.disabled = false;
            testButton.focus();
        }
    };
    if (testButton) testButton.addEventListener("click", test);

    // The checks; those that ask other servers come after the others.
    const checks = panel.querySelector("[data-letter-checks]");
    const checkButton = panel.querySelector("[data-checks-now]");
    const read = async (url) => {
        const response = await fetch(url, { headers: PART, credentials: "same-origin" });
        if (!response.ok || response.redirected) throw new Error("The checks cannot be made at the moment.");
        return response.text();
    };
    const check = async () => {
        if (!checks) return;
        try {
            checks.innerHTML = await read(checkButton.dataset.url);
            const links = checks.querySelector("[data-check-links]");
            if (!links) return;
            const answer = await read(links.dataset.checkLinks);
            links.outerHTML = answer;
        } catch (error) {
            tell(checks, error);
        }
    };
    if (checkButton) {
        checkButton.addEventListener("click", (event) => {
            event.preventDefault();
            check();
        });
        check();
    }

    // What is put in goes where the cursor was: into the subject or the preview line as well as into the text.
    const tools = form.querySelector("[data-letter-tools]");
    let place = source;
    const PLACES = { subject: "the subject", preheader: "the preview line" };
    // Where somebody wrote or clicked, not what they came by on the way to the buttons.
    const remember = (event) => {
        if (event.key === "Tab" || event.key === "Shift") return;
        if (event.target === source || event.target.name in PLACES) place = event.target;
    };
    for (const kind of ["click", "input", "keydown"]) form.addEventListener(kind, remember);
    const put = (text, field, from, to) => {
        field.focus();
        field.setSelectionRange(from, to);
        // The browser's own way keeps Undo working; the other is for browsers without it.
        if (!document.execCommand || !document.execCommand("insertText", false, text)) field.setRangeText(text, from, to, "end");
        field.dispatchEvent(new Event("input", { bubbles: true }));
    };
    const insert = (text, field) => put(text, field, field.selectionStart, field.selectionEnd);
    const format = () => (form.elements.format ? form.elements.format.value : "markdown");

    tools.hidden = false;
    const markdownTools = tools.querySelector("[data-only=markdown]");
    const showTools = () => { markdownTools.hidden = format() !== "markdown"; };
    if (form.elements.format) form.elements.format.addEventListener("change", showTools);
    showTools();

    const wrap = (around) => {
        const chosen = source.value.slice(source.selectionStart, source.selectionEnd) || "words";
        insert(`${around}${chosen}${around}`, source);
    };
    const beginLines = (sign) => {
        const from = source.value.lastIndexOf("\n", source.selectionStart - 1) + 1;
        const lines = source.value.slice(from, source.selectionEnd).split("\n");
        put(lines.map((line) => `${sign}${line}`).join("\n"), source, from, source.selectionEnd);
    };
    const link = () => {
        const chosen = source.value.slice(source.selectionStart, source.selectionEnd) || "words";
        const from = source.selectionStart;
        insert(`[${chosen}](https://)`, source);
        source.setSelectionRange(from + chosen.length + 3, from + chosen.length + 11);
    };

    // Merge tags.
    const tagDialog = panel.querySelector("[data-letter-dialog=tag]");
    const tag = tagDialog.querySelector("select");
    const fallback = tagDialog.querySelector("#letter-fallback");
    const written = () => {
        const words = fallback.value.replace(/[{}|]/g, "").trim();
        const isPlain = tag.selectedOptions[0].hasAttribute("data-plain");
        return words && !isPlain ? `{{ ${tag.value}|${words} }}` : `{{ ${tag.value} }}`;
    };
    const showTag = () => {
        tagDialog.querySelector("[data-fallback]").hidden = tag.selectedOptions[0].hasAttribute("data-plain");
        tagDialog.querySelector("[data-tag-shown]").textContent = written();
        tagDialog.querySelector("[data-tag-place]").textContent = PLACES[place.name] || "the text";
    };
    tag.addEventListener("change", () => {
        fallback.value = tag.selectedOptions[0].dataset.example || "";
        showTag();
    });
    fallback.addEventListener("input", showTag);

    // Pictures.
    const pictureDialog = panel.querySelector("[data-letter-dialog=picture]");
    const pictures = pictureDialog && pictureDialog.querySelector("[data-pictures]");
    const search = pictureDialog && pictureDialog.querySelector("[type=search]");
    const alt = pictureDialog && pictureDialog.querySelector("#letter-picture-alt");
    const find = async () => {
        try {
            pictures.innerHTML = await read(`${pictureDialog.dataset.url}?q=${encodeURIComponent(search.value)}`);
        } catch (error) {
            tell(pictures, error);
        }
    };
    const escaped = (text) => text.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;");
    const picture = (url, words) => {
        if (format() === "mjml") return `<mj-image src="${url}" alt="${escaped(words)}" />`;
        if (format() === "html") return `<img src="${url}" alt="${escaped(words)}" width="600" style="max-width: 100%; height: auto">`;
        return `![${words.replace(/[[\]\\]/g, "\\$&")}](${url})`;
    };
    if (pictureDialog) {
        let finding = null;
        search.addEventListener("input", () => {
            clearTimeout(finding);
            finding = setTimeout(find, 300);
        });
        search.addEventListener("keydown", (event) => {
            if (event.key !== "Enter") return;
            event.preventDefault();
            find();
        });
        pictures.addEventListener("change", (event) => { alt.value = event.target.dataset.alt; });
    }

    const answered = (dialog, act) => dialog.addEventListener("close", () => {
        const isYes = dialog.returnValue === "insert";
        dialog.returnValue = "";
        if (isYes) act();
    });
    answered(tagDialog, () => insert(written(), place));
    if (pictureDialog) {
        answered(pictureDialog, () => {
            const chosen = pictures.querySelector(":checked");
            if (chosen) insert(picture(chosen.value, alt.value.trim()), source);
        });
    } else {
        tools.querySelector("[data-insert=picture]").hidden = true;
    }

    tools.addEventListener("click", (event) => {
        const button = event.target.closest("button");
        if (!button) return;
        if (button.dataset.insert === "tag") {
            tag.dispatchEvent(new Event("change"));
            tagDialog.showModal();
        } else if (button.dataset.insert === "picture") {
            pictureDialog.showModal();
            find();
        } else if (button.dataset.wrap) wrap(button.dataset.wrap);
        else if (button.dataset.line) beginLines(button.dataset.line);
        else link();
    });
});
