// Unfold hides each page until its script has run, and only then knows the theme: in the dark a white flash.
"use strict";
try {
    const theme = JSON.parse(localStorage.getItem("adminTheme")) || "auto";
    const isDark = theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.toggleAttribute("data-waits-in-the-dark", isDark);
} catch { /* storage is off, or holds something else: Unfold decides alone */ }
