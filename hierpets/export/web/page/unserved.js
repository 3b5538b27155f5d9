// Says why the page stays silent where it was opened as a file: browsers run this script there, but no modules.

document.getElementById("unserved").hidden = location.protocol !== "file:";
