"""The style sheet of the report: follows the reader's light or dark setting, and prints in black on white."""

CSS = """
:root { color-scheme: light dark; --text: #1b1f24; --soft: #57606a; --line: #d0d7de; --ground: #ffffff;
  --raised: #f6f8fa; --accent: #0072b2; --warn: #fff4e0; --warn-line: #e69f00; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ee; --soft: #9aa4b2; --line: #3a424d; --ground: #14171c;
  --raised: #1d2229; --accent: #6cb8e6; --warn: #33270d; --warn-line: #e69f00; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 62rem; background: var(--ground); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { margin: 0; font-size: 1.7rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2.4rem 0 .7rem; font-size: 1.15rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
p { margin: .5rem 0; max-width: 46rem; }
.kind { margin: 0 0 .2rem; color: var(--soft); font-size: .9rem; }
.partial { margin: 1rem 0; padding: .7rem 1rem; background: var(--warn); border-left: .3rem solid var(--warn-line);
  max-width: none; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 1.2rem 0; }
.numbers div { padding: .7rem .9rem; background: var(--raised); border: 1px solid var(--line); border-radius: .4rem; }
.numbers dt { color: var(--soft); font-size: .82rem; }
.numbers dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1.25rem; }
figure { margin: 0; break-inside: avoid; }
figure.single img { max-width: 38rem; }
figure.wide { grid-column: 1 / -1; }
figure img { display: block; width: 100%; height: auto; background: #fff; border: 1px solid var(--line);
  border-radius: .4rem; }
figure details img { width: auto; max-width: 100%; }
figcaption { margin-top: .45rem; color: var(--soft); font-size: .85rem; line-height: 1.45; }
figcaption b { color: var(--text); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
th { font-weight: 600; }
thead th { color: var(--soft); font-weight: 500; white-space: nowrap; }
tbody th { min-width: 11rem; font-weight: 500; }
td.value { min-width: 7rem; }
.number { white-space: nowrap; }
td.note { color: var(--soft); }
pre { margin: .5rem 0; padding: .8rem 1rem; background: var(--raised); border: 1px solid var(--line);
  border-radius: .4rem; overflow-x: auto; font: .82rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
summary { cursor: pointer; color: var(--accent); margin: .6rem 0; }
@media print {
  :root { color-scheme: light; --text: #000; --soft: #444; --line: #bbb; --ground: #fff; --raised: #fff; --warn: #fff; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  h2 { break-after: avoid; } tr, pre { break-inside: avoid; } pre { white-space: pre-wrap; }
  .figures { display: block; } figure { margin: 0 0 1rem; } figure.single img { max-width: 24rem; }
}
"""
