// How the numbers went: tasks and slots, and what the process took.

import { Component, h } from "preact";
import htm from "htm";
import uPlot from "uplot";

const html = htm.bind(h);

const COLOURS = ["#2e8b57", "#c98a1b", "#5b7fd4", "#a35bb8"];

function options(series, width, dark) {
  const stroke = dark ? "#aab" : "#556", grid = { stroke: dark ? "#333a" : "#ddda", width: 1 };
  const axis = { stroke, grid, ticks: grid, font: "11px system-ui" };
  return {
    width, height: 150, scales: { x: { time: false } }, legend: { live: false },
    cursor: { show: false },
    axes: [{ ...axis, size: 30 }, { ...axis, size: 56, values: (_, splits) => splits.map((n) => n >= 1e4 ? n.toLocaleString("en", { notation: "compact" }) : n) }],
    series: [{}, ...series.map((label, i) => ({ label, stroke: COLOURS[i], width: 1.5 }))],
  };
}

export class Chart extends Component {
  componentDidMount() {
    this.observer = new ResizeObserver(() => this.plot && this.plot.setSize({ width: this.width(), height: 150 }));
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
    const { moments, series, value } = this.props;
    const data = [moments.map((moment) => moment.at), ...Object.keys(series).map((name) => moments.map((m) => value(m, series[name])))];
    if (this.plot) return this.plot.setData(data);
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    this.plot = new uPlot(options(Object.keys(series), this.width(), dark), data, this.box);
  }

  shouldComponentUpdate(next) { return next.moments !== this.props.moments || next.last !== this.props.last; }

  render({ label }) { return html`<div class="chart" role="img" aria-label=${label} ref=${(box) => { this.box = box; }}></div>`; }
}
