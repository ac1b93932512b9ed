// How the numbers went: tasks and slots, and what the process took.

import { Component, h } from "preact";
import htm from "htm";
import uPlot from "uplot";
import { isDark } from "format";

const html = htm.bind(h);

// With a legend below it, or in its place.
const HEIGHT = 134, ALONE = 164;

// Colours are those that the numbers of the same name have elsewhere on the page.
function options(series, width, style) {
  const ink = (name) => style.getPropertyValue(`--${name}`).trim();
  const grid = { stroke: ink("line"), width: 1 }, axis = { stroke: ink("dim"), grid, ticks: { show: false }, font: "11px system-ui" };
  const short = (n) => n === null ? "–" : n >= 1e4 ? n.toLocaleString("en", { notation: "compact" }) : String(+n.toFixed(2));
  const time = (n) => n < 0 ? "" : `${+n.toFixed(2)} s`;
  return {
    width, height: height(series), scales: { x: { time: false }, y: { range: (_, least, most) => [0, Math.max(1, (most || 0) * 1.08)] } },
    legend: { live: false, show: series.length > 1 }, cursor: { show: false }, padding: [8, 12, 0, 0],
    axes: [{ ...axis, size: 24, values: (_, splits) => splits.map(time) }, { ...axis, size: 50, values: (_, splits) => splits.map(short) }],
    series: [{}, ...series.map(([label, , shade]) => ({ label, stroke: ink(shade), fill: series.length === 1 ? `${ink(shade)}26` : undefined, width: 1.75, points: { show: false } }))],
  };
}

function height(series) { return series.length > 1 ? HEIGHT : ALONE; }

export class Chart extends Component {
  componentDidMount() {
    this.observer = new ResizeObserver(() => this.plot && this.plot.setSize({ width: this.width(), height: height(this.props.series) }));
    this.observer.observe(this.box);
    this.draw();
  }

  componentDidUpdate() { this.draw(); }

  componentWillUnmount() {
    this.observer.disconnect();
    if (this.plot) this.plot.destroy();
  }

  width() { return Math.max(200, this.box.clientWidth); }

  draw() {
    const { moments, series, scale } = this.props, dark = isDark();
    const data = [moments.map((moment) => moment.at), ...series.map(([, key]) => moments.map((moment) => moment[key] === null ? null : moment[key] / (scale || 1)))];
    if (this.plot && this.dark === dark) return this.plot.setData(data);
    if (this.plot) this.plot.destroy();
    this.dark = dark;
    this.plot = new uPlot(options(series, this.width(), getComputedStyle(this.box)), data, this.box);
  }

  shouldComponentUpdate(next) { return next.moments !== this.props.moments || next.last !== this.props.last || this.dark !== isDark(); }

  render({ label }) { return html`<div class="chart" role="img" aria-label=${label} ref=${(box) => { this.box = box; }}></div>`; }
}
