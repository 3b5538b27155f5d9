// Show /openapi.json as a page.

function element(name, text, className) {
  const node = document.createElement(name);
  if (text) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function options(parameters) {
  const list = element("ul", "", "options");
  for (const { name, description } of parameters) {
    const line = element("li");
    line.append(element("code", `?${name}=`), element("span", description));
    list.append(line);
  }
  return list;
}

function operation(path, method, spec) {
  const article = element("article", "", "operation");
  const heading = element("h3");
  heading.append(element("span", method.toUpperCase(), "method"), element("code", path), element("span", spec.summary));
  article.append(heading);
  if (spec.description) article.append(element("p", spec.description.replace(/\n(?!\n)/g, " ").replaceAll("`", "")));
  const kinds = Object.keys(spec.requestBody?.content ?? {});
  if (kinds.length) article.append(element("p", `Takes ${kinds.join(" or ")}.`));
  if (spec.parameters) article.append(options(spec.parameters));
  const responses = element("ul", "", "answers");
  for (const [status, { description }] of Object.entries(spec.responses)) {
    const line = element("li");
    line.append(element("span", status, "code"), element("span", description));
    responses.append(line);
  }
  article.append(responses);
  return article;
}

const spec = await (await fetch("openapi.json")).json();
const list = document.getElementById("list");
for (const [path, methods] of Object.entries(spec.paths)) {
  for (const [method, description] of Object.entries(methods)) list.append(operation(path, method, description));
}
document.getElementById("example").textContent = `curl -F photo=@pet.jpg ${new URL("v1/predict", location.href)}`;
