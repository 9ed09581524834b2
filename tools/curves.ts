// Miss curves as SVG: over memory sizes, a line a policy. Here: the drawing, from numbers alone. Host-free. The picture carries its own colours for light and for
// dark surroundings, and tells lines apart by marks and dashes too, for those who see no colours.
import { thousands } from './text.ts';

export interface Curve { readonly name: string; readonly points: readonly { readonly bytes: number; readonly value: number }[] }
export interface Panel { readonly title: string; readonly curves: readonly Curve[] }

const WIDTH = 760;
const PLOT = { left: 92, right: 600, height: 250, top: 46, gap: 66 } as const;
const PANEL = PLOT.top + PLOT.height + PLOT.gap;
/** Okabe and Ito's colours, which stay apart in all forms of colour blindness: on white and on black. */
const colours: readonly (readonly [light: string, dark: string])[] = [
  ['#0072b2', '#56b4e9'], ['#d55e00', '#f0883e'], ['#007a5a', '#3fcf9f'], ['#a04a86', '#e59ac9'], ['#8a6d00', '#f0e442'], ['#444444', '#d0d0d0'], ['#b00020', '#ff8a8a'], ['#5b3fa0', '#b9a5ff'],
];
const dashes = ['', '7 4', '2 4', '10 4 2 4', '', '7 4', '2 4', '10 4 2 4'] as const;

const escape = (text: string): string => text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!);
const sizeText = (bytes: number): string => (bytes >= 2 ** 30 ? `${+(bytes / 2 ** 30).toFixed(2)}G` : bytes >= 2 ** 20 ? `${+(bytes / 2 ** 20).toFixed(2)}M` : `${+(bytes / 2 ** 10).toFixed(1)}K`);
const round = (n: number): string => (Math.round(n * 10) / 10).toString();

/** Ticks from 0 to at least `most`: 1, 2 or 5 times a power of ten apart, four to eight of them. */
export function ticksTo(most: number): number[] {
  if (most <= 0) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(most / 4));
  const step = Math.max(1, [1, 2, 5, 10].map((n) => n * power).find((n) => most / n <= 8)!);
  const ticks: number[] = [];
  for (let at = 0; at < most + step; at += step) ticks.push(at);
  return ticks;
}

/** @param heading what was run */
export function curvesSvg(heading: string, panels: readonly Panel[]): string {
  const height = 40 + panels.length * PANEL;
  const rules = colours.map(([light], i) => `.c${i} { stroke: ${light}; fill: ${light}; }`).join(' ');
  const darkRules = colours.map(([, dark], i) => `.c${i} { stroke: ${dark}; fill: ${dark}; }`).join(' ');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escape(heading)}">`,
    '<style>',
    'text { font: 13px system-ui, sans-serif; fill: #222; } .title { font-weight: 600; } .heading { font-size: 15px; font-weight: 600; }',
    `.paper { fill: #fff; } .grid { stroke: #ddd; } .axis { stroke: #555; } .line { fill: none; stroke-width: 2; } ${rules} .line { fill: none; } .hollow { fill: #fff; stroke-width: 2; }`,
    `@media (prefers-color-scheme: dark) { text { fill: #e6e6e6; } .paper { fill: #14171c; } .grid { stroke: #333a44; } .axis { stroke: #99a; } ${darkRules} .line { fill: none; } .hollow { fill: #14171c; } }`,
    '</style>',
    `<rect class="paper" width="${WIDTH}" height="${height}"/>`,
    `<text class="heading" x="16" y="26">${escape(heading)}</text>`,
    ...panels.flatMap((panel, i) => panelSvg(panel, 40 + i * PANEL)),
    '</svg>', '',
  ].join('\n');
}

function panelSvg({ title, curves }: Panel, top: number): string[] {
  const sizes = [...new Set(curves.flatMap(({ points }) => points.map(({ bytes }) => bytes)))].sort((a, b) => a - b);
  const ticks = ticksTo(Math.max(0, ...curves.flatMap(({ points }) => points.map(({ value }) => value))));
  const [least = 0, most = 1] = [sizes[0], sizes.at(-1)];
  const bottom = top + PLOT.top + PLOT.height;
  const x = (bytes: number): number => (most === least ? (PLOT.left + PLOT.right) / 2 : PLOT.left + ((bytes - least) / (most - least)) * (PLOT.right - PLOT.left));
  const y = (value: number): number => bottom - (value / ticks.at(-1)!) * PLOT.height;
  // Labels that would touch the one before are left out; the marks stay.
  let free = -Infinity;
  const labelled = sizes.filter((bytes) => {
    const fits = x(bytes) - free >= 44 || bytes === least;
    if (fits) free = x(bytes);
    return fits;
  });
  return [
    `<text class="title" x="16" y="${top + 24}">${escape(title)}</text>`,
    ...ticks.flatMap((tick) => [
      `<line class="${tick === 0 ? 'axis' : 'grid'}" x1="${PLOT.left}" y1="${round(y(tick))}" x2="${PLOT.right}" y2="${round(y(tick))}"/>`,
      `<text x="${PLOT.left - 8}" y="${round(y(tick) + 4)}" text-anchor="end">${thousands(tick)}</text>`,
    ]),
    ...sizes.map((bytes) => `<line class="axis" x1="${round(x(bytes))}" y1="${bottom}" x2="${round(x(bytes))}" y2="${bottom + 5}"/>`),
    ...labelled.map((bytes) => `<text x="${round(x(bytes))}" y="${bottom + 20}" text-anchor="middle">${sizeText(bytes)}</text>`),
    `<text x="${(PLOT.left + PLOT.right) / 2}" y="${bottom + 40}" text-anchor="middle">memory of the group</text>`,
    ...curves.flatMap(({ name, points }, i) => curveSvg(name, i, points.map(({ bytes, value }) => [x(bytes), y(value)] as const), top)),
  ];
}
function curveSvg(name: string, i: number, points: readonly (readonly [x: number, y: number])[], top: number): string[] {
  const style = i % colours.length;
  const dash = dashes[style] === '' ? '' : ` stroke-dasharray="${dashes[style]}"`;
  const legend = top + PLOT.top + 12 + i * 24;
  return [
    `<polyline class="line c${style}"${dash} points="${points.map(([x, y]) => `${round(x)},${round(y)}`).join(' ')}"/>`,
    ...points.map(([x, y]) => mark(style, x, y)),
    `<polyline class="line c${style}"${dash} points="${PLOT.right + 22},${legend} ${PLOT.right + 58},${legend}"/>`, mark(style, PLOT.right + 40, legend),
    `<text x="${PLOT.right + 66}" y="${legend + 4}">${escape(name.length > 11 ? `${name.slice(0, 10)}...` : name)}</text>`,
  ];
}
/** A mark of its own for each line: four shapes, full and hollow. */
function mark(i: number, x: number, y: number): string {
  const [cx, cy] = [round(x), round(y)];
  const style = i < 4 ? i : `${i} hollow`;
  switch (i % 4) {
    case 0: return `<circle class="c${style}" cx="${cx}" cy="${cy}" r="4"/>`;
    case 1: return `<rect class="c${style}" x="${round(x - 3.5)}" y="${round(y - 3.5)}" width="7" height="7"/>`;
    case 2: return `<path class="c${style}" d="M${cx} ${round(y - 5)} l5 9 h-10 z"/>`;
    default: return `<path class="c${style}" d="M${cx} ${round(y - 5)} l5 5 l-5 5 l-5 -5 z"/>`;
  }
}
