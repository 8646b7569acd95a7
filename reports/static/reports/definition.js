// The builder of a report: what an expired session kept of it is brought back through the server, which makes its inputs.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const builder = document.getElementById("report-selection");
    const select = document.getElementById("id_data_set");
    const form = builder && builder.closest("form");
    if (!form || !select) return;
    form.dataset.restoreFrom = select.getAttribute("hx-post");
    form.dataset.restoreInto = "#report-selection";
});
