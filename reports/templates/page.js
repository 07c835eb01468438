// What every page needs: making elements, writing numbers, the tip under the pointer, light and dark.
// Foreign text goes into text nodes only, never into markup.
const MINUS = "\u2212";
const DAY_MS = 86400000;
const data = JSON.parse(document.getElementById("data").textContent);

const make = (name, attributes, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

const figure = (value, digits) =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", MINUS);

const signed = (value, digits) => (value > 0 ? "+" : "") + figure(value, digits);
const counted = (count, what) => figure(count, 0) + " " + what + (count === 1 ? "" : "s");
const joined = (...parts) => parts.filter(Boolean).join(" · ");
const spaced = (word) => word.replaceAll("_", " ");
const word = (place) => data.words[place];

// Days and minutes count from the page's first day.
const dayText = (day) => new Date((data.epoch + day) * DAY_MS).toISOString().slice(0, 10);
const minuteText = (minute) =>
  new Date(data.epoch * DAY_MS + minute * 60000).toISOString().slice(0, 16).replace("T", " ");

// --- the tip: lines of [label, value] or of text alone ---

const tip = document.getElementById("tip");
const showTip = (lines, x, y) => {
  tip.replaceChildren(...lines.map((line) => Array.isArray(line)
    ? make("div", {}, make("span", { class: "key" }, line[0]), make("bdi", {}, line[1]))
    : make("div", {}, make("bdi", {}, line))));
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - width - 8)) + "px";
  tip.style.top = (y + 18 + height > innerHeight ? Math.max(4, y - height - 12) : y + 18) + "px";
};
const hideTip = () => { tip.hidden = true; };

// --- light and dark: the system's choice until the reader makes one ---

const dark = matchMedia("(prefers-color-scheme: dark)");
const themeButton = document.getElementById("theme");
const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
const nameTheme = () => { themeButton.textContent = isDark() ? "Light page" : "Dark page"; };
themeButton.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
});
dark.addEventListener("change", nameTheme);
nameTheme();
themeButton.hidden = false;
