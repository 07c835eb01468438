// The page of a sweep: all rows, and the plane that chooses among them.

const rows = showTable(document.querySelector(".long"));
if (document.getElementById("plane")) showPlane(rows);
document.documentElement.dataset.drawn = "";
