// Explain why a page that was opened as a file does not work: there, browsers run this script, but no modules.

document.getElementById("unserved").hidden = location.protocol !== "file:";
