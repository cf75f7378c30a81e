// Before every other script: whatever fails later is said on the page, never swallowed.
"use strict";
function reportFailure(message) {
  document.body.dataset.status = "failed";
  document.body.dataset.error = message;
  const box = document.getElementById("failure");
  if (box) {
    box.hidden = false;
    box.textContent = "This page is not complete: its script stopped with: " + message;
  }
}
window.addEventListener("error", (event) => reportFailure(event.message || "a resource failed"), true);
window.addEventListener("unhandledrejection", (event) => reportFailure(String(event.reason)));
