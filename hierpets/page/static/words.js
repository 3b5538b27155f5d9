// Texts in the language of the page: messages, names of breeds, numbers.

// English messages with their translations, and the names of breeds, as the server wrote them into the page.
export const { language, messages, names } = JSON.parse(document.getElementById("messages").textContent);

const format = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
/** Translate a message and fill in its `{placeholders}`. */
export const t = (message, values = {}) => format(messages[message] ?? message, values);

/** Translate a message with a number; the rules of the language choose the form for one or for more. */
export function tn(one, more, count) {
  const plural = new Intl.PluralRules(language).select(count) !== "one";
  return format((messages[one] ?? [one, more])[Number(plural)], { count });
}

export const spoken = (name) => name.replaceAll("_", " ");
const title = (name) => spoken(name).replace(/(^|[ -])\p{L}/gu, (letter) => letter.toUpperCase());
/** Return the text with its first letter in upper case. */
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
export const breedName = (species, breed) => names[species]?.[breed] ?? title(breed);
export const speciesName = (species) => names[species]?.[""] ?? spoken(species);
const plural = (word) => (/(s|sh|ch|x)$/.test(word) ? `${word}es` : `${word}s`);
export const pluralName = (species) => names[species]?.["*"] ?? plural(spoken(species));
/** Add the indefinite article, in languages where that does not depend on the gender. */
export const withArticle = (name) =>
  (/^(?!eu|uk|uni)[aeiou]/i.test(name) ? t("an {name}", { name }) : t("a {name}", { name }));
export const leafName = ({ species, breed }) => (breed ? breedName(species, breed) : speciesName(species));

// Rounds as hierpets.text.likelihood does, because the page shows both next to each other.
export function percent(p) {
  const shown = (share, digits = 0) => new Intl.NumberFormat(
    language,
    { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits },
  ).format(share);
  if (p <= 0) return shown(0);
  const digits = p < 0.0095 ? 1 : 0;
  const step = 10 ** -digits / 100;
  if (p < step / 2) return `<${shown(step, digits)}`;
  if (p > 1 - step / 2) return `>${shown(1 - step, digits)}`;
  return shown(p, digits);
}

function joined(words, sentence) {
  if (words.length < 2) return words.join("");
  return format(sentence, { first: words.slice(0, -1).join(", "), last: words.at(-1) });
}
export const joinAnd = (words) => joined(words, t("{first} and {last}"));
export const joinOr = (words) => joined(words, t("{first} or {last}"));

export function money(price) {
  return new Intl.NumberFormat(language === "en" ? navigator.language : language, { style: "currency", currency: price.currency }).format(price.amount);
}
