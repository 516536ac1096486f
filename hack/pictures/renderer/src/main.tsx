// The page: fetches an input, lays the panels out on Grafana's grid, and says when all is drawn. To load it takes longer
// than to draw, so it draws one input after the other.
import { createTheme, ThemeContext, type DataFrame, type GrafanaTheme2 } from '@grafana/data';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { fields } from './fields';
import { frames } from './frames';
import type { Input, PanelInput } from './input';
import { Body } from './panels';

const WIDTH = 1280;
const MARGIN = 16;
const GAP = 8;
const ROW = 38;
const HEADER = 56;
const COLUMN = (WIDTH - 2 * MARGIN + GAP) / 24;

interface Ready {
  panel: PanelInput;
  data: DataFrame[];
}

function Panel({ ready: { panel, data }, theme, input }: { ready: Ready; theme: GrafanaTheme2; input: Input }) {
  const { x, y, w, h } = panel.gridPos;
  const [width, height] = [w * COLUMN - GAP, h * ROW - GAP];
  return (
    <div style={{ position: 'absolute', left: MARGIN + x * COLUMN, top: HEADER + y * ROW, width, height }}>
      <PanelChrome title={panel.title} width={width} height={height}>
        {(innerWidth, innerHeight) => (
          <Body panel={panel} data={data} theme={theme} input={input} width={innerWidth} height={innerHeight} />
        )}
      </PanelChrome>
    </div>
  );
}

function Header({ input, theme }: { input: Input; theme: GrafanaTheme2 }) {
  const muted = { color: theme.colors.text.secondary };
  return (
    <div style={{ height: HEADER, padding: `0 ${MARGIN}px`, display: 'flex', alignItems: 'center', gap: 24 }}>
      <strong style={{ fontSize: 18 }}>{input.title}</strong>
      {input.variables.map(({ label, value }) => (
        <span key={label}>
          <span style={muted}>{label} </span>
          {value}
        </span>
      ))}
      <span style={{ ...muted, marginLeft: 'auto' }}>{input.links.join(' · ')}</span>
    </div>
  );
}

function Page({ number, input, all, theme }: { number: number; input: Input; all: Ready[]; theme: GrafanaTheme2 }) {
  const [drawn, setDrawn] = useState(false);
  useEffect(() => {
    // uPlot draws in a microtask after the commit, tables after they measured themselves.
    requestAnimationFrame(() => requestAnimationFrame(() => setDrawn(true)));
  }, []);
  const rows = Math.max(...all.map(({ panel }) => panel.gridPos.y + panel.gridPos.h));
  const style = { position: 'relative', width: WIDTH, height: HEADER + rows * ROW + GAP, background: theme.colors.background.canvas } as const;
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div id="dashboard" data-drawn={drawn && number} style={style}>
        <Header input={input} theme={theme} />
        {all.map((ready) => (
          <Panel key={ready.panel.id} ready={ready} theme={theme} input={input} />
        ))}
      </div>
    </ThemeContext.Provider>
  );
}

const root = createRoot(document.getElementById('root')!);

async function draw(number: number) {
  const input: Input = await (await fetch('input.json')).json();
  const theme = createTheme({ colors: { mode: input.theme } });
  const all = await Promise.all(
    input.panels.map(async (panel) => ({ panel, data: await fields(panel, frames(panel.answers), theme) }))
  );
  root.render(<Page key={number} number={number} input={input} all={all} theme={theme} />);
}

declare global {
  interface Window {
    draw: typeof draw;
  }
}

window.draw = draw;
