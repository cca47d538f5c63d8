// The desk works without this. With it: a quick exit by pressing Esc twice, one press per form,
// and a page that does not stay on the screen of a phone left lying about.
"use strict";
(() => {
  const idleMs = Number(document.body.dataset.idleS) * 1000;
  const leave = document.querySelector("a.leave");
  let escapedAt = 0;
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !leave) return;
    if (event.timeStamp - escapedAt < 600) location.replace(leave.href);
    escapedAt = event.timeStamp;
  });
  if (leave) leave.addEventListener("click", (event) => {
    event.preventDefault();
    location.replace(leave.href);
  });
  // A page that answers a form is nothing to come back to: the page that the form was on is.
  const back = document.body.dataset.back;
  const leaveFormBehind = () => { if (back) history.replaceState(null, "", back); };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (link && !link.target && !event.ctrlKey && !event.metaKey) leaveFormBehind();
  });
  // What was typed and not sent yet is shown again in the other language, and goes nowhere else.
  let typed = null;
  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (form && form.method === "post" && form.enctype !== "multipart/form-data" && form.elements.proof) typed = form;
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if ("language" in form.dataset && typed && typed.elements.whose && event.submitter) {
      event.preventDefault();
      const asked = document.createElement("input");
      Object.assign(asked, { type: "hidden", name: event.submitter.name, value: event.submitter.value });
      typed.append(asked);
      leaveFormBehind();
      typed.submit();
      asked.remove();
      return;
    }
    leaveFormBehind();
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
  });
  // Back again by the browser's own button: the form may be sent once more, under the same key.
  addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });
  if (idleMs) {
    let used = Date.now();
    let told = used;
    for (const kind of ["pointerdown", "keydown", "scroll"]) {
      addEventListener(kind, () => { used = Date.now(); }, { passive: true });
    }
    setInterval(() => {
      if (Date.now() - used > idleMs) location.replace("/idle?next=" + encodeURIComponent(back || location.pathname));
      else if (used > told && Date.now() - told > idleMs / 4) { told = Date.now(); fetch("/alive").catch(() => {}); }
    }, 5000);
  }
})();
