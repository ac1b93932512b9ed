// Numbers, times and colours as people read them.

export function count(n) {
  return n.toLocaleString("en");
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds <= 0) return "0 s";
  if (seconds < 1e-6) return `${Math.round(seconds * 1e9)} ns`;
  for (const [least, unit] of [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]]) {
    // What rounds up to a thousand of the smaller unit is one of the larger.
    if (seconds >= least * 0.9995 && seconds < 120) return `${three(seconds / least)} ${unit}`;
  }
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
  return `${count(Math.round(seconds / 86400))} days`;
}

export function bytes(n) {
  if (n === null || n === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (n >= 1023.5 && unit < units.length - 1) { n /= 1024; unit += 1; }
  return `${unit === 0 ? Math.round(n) : three(n)} ${units[unit]}`;
}

// Three digits are enough.
function three(n) {
  return n >= 99.95 ? String(Math.round(n)) : n >= 9.995 ? n.toFixed(1) : n.toFixed(2);
}

export function isDark() {
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

// Hues that can be told apart; red is kept for errors. For light, then for dark backgrounds.
const PALETTE = [
  ["#1f7a49", "#58c48b"], ["#3465c4", "#7ea6f5"], ["#a3700f", "#deae4f"], ["#8443b0", "#c290e6"],
  ["#0b7c8a", "#4cc7d4"], ["#b0457f", "#e58cbd"], ["#62761a", "#b2c651"], ["#5656c9", "#9d9df5"],
  ["#8f5a2b", "#d1a077"], ["#3f7f78", "#7fc9bf"], ["#9a4a1e", "#eb9a63"], ["#5a6b8c", "#a3b3d1"],
];
const order = new Map();

// Names have colours by when they came up first, so that on every page of one client each has the same.
export function learn(names, anew) {
  if (anew) order.clear();
  for (const name of names) if (!order.has(name)) order.set(name, order.size);
}

export function colour(name) {
  const at = order.get(name) ?? 0;
  if (at < PALETTE.length) return PALETTE[at][isDark() ? 1 : 0];
  // So many names are told apart by hovering: turning by the golden angle keeps neighbours apart, red is left out.
  return `hsl(${40 + (at * 137.5) % 290} 45% ${isDark() ? 66 : 36}%)`;
}
