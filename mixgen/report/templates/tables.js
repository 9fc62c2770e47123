"use strict";

// Tables: a click on a header sorts; empty cells stay last, equal ones keep their order.
const compare = (a, b, text) => (text ? a.localeCompare(b) : a - b);

function sortBy(header) {
  const row = header.parentElement;
  const index = [...row.cells].indexOf(header);
  const text = "text" in header.dataset;
  const turned = { ascending: "descending", descending: "ascending" }[header.getAttribute("aria-sort")];
  const direction = turned ?? ("descending" in header.dataset ? "descending" : "ascending");
  for (const other of row.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", direction);
  const body = row.closest("table").tBodies[0];
  const value = (line) => line.cells[index].dataset.value ?? (text ? line.cells[index].textContent : "");
  const sign = direction === "ascending" ? 1 : -1;
  const order = (a, b) => {
    const [first, second] = [value(a), value(b)];
    if (first === "" || second === "") return (first === "") - (second === "");
    return sign * compare(first, second, text);
  };
  body.append(...[...body.rows].sort(order));
}

for (const button of document.querySelectorAll(".sortable thead button"))
  button.addEventListener("click", () => sortBy(button.closest("th")));

// A link opens what holds its target.
const reveal = () => {
  const target = document.getElementById(location.hash.slice(1));
  const details = target?.closest("details");
  if (details && !details.open) {
    details.open = true;
    target.scrollIntoView();
  }
};
window.addEventListener("hashchange", reveal);
reveal();
