// A form that names where it is to be sent is sent there: Unfold would send it to the address of the page instead.
// So the page takes that address on: the form of a deleted row becomes the form of a new one.
"use strict";

document.addEventListener("alpine:init", () => {
    const form = document.querySelector("form[action][novalidate][id$=_form]");
    if (form) history.replaceState(history.state, "", form.getAttribute("action"));
});
