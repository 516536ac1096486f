// One component for each type of panel that the dashboards use.
import {
  dateTime,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  VizOrientation,
  type DataFrame,
  type DisplayValueAlignmentFactors,
  type FieldDisplay,
  type GrafanaTheme2,
  type TimeRange,
} from '@grafana/data';
import { BigValue, TimeSeries, VizRepeater, type VizRepeaterRenderValueProps } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import type {
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  TableCellHeight,
} from '@grafana/schema';
import type { Input, PanelInput } from './input';

interface Props {
  panel: PanelInput;
  data: DataFrame[];
  theme: GrafanaTheme2;
  input: Input;
  width: number;
  height: number;
}
type One = VizRepeaterRenderValueProps<FieldDisplay, DisplayValueAlignmentFactors>;

export function Body(props: Props) {
  const { panel, data, width, height } = props;
  if (panel.type !== 'stat' && data.every((frame) => frame.length === 0)) {
    return <Empty text={panel.fieldConfig.defaults.noValue ?? 'No data'} width={width} height={height} />;
  }
  switch (panel.type) {
    case 'timeseries':
      return <Lines {...props} />;
    case 'stat':
      return <Stat {...props} />;
    case 'table':
      return <Rows {...props} />;
    default:
      throw new Error(`panel ${panel.title}: type ${panel.type} can't be drawn here: add it to panels.tsx`);
  }
}

function Empty({ text, width, height }: { text: string; width: number; height: number }) {
  const style = { width, height, display: 'flex', alignItems: 'center', justifyContent: 'center' };
  return <div style={style}>{text}</div>;
}

function Lines({ panel, data, input, width, height }: Props) {
  const [from, to] = [dateTime(input.from * 1000), dateTime(input.to * 1000)];
  const timeRange: TimeRange = { from, to, raw: { from, to } };
  return <TimeSeries frames={data} width={width} height={height} timeRange={timeRange} timeZone="utc" legend={panel.options.legend} />;
}

function Stat({ panel, data, theme, width, height }: Props) {
  const { options } = panel;
  const values = () =>
    getFieldDisplayValues({
      data,
      fieldConfig: panel.fieldConfig,
      reduceOptions: options.reduceOptions,
      replaceVariables: (text) => text,
      sparkline: options.graphMode !== 'none',
      theme,
      timeZone: 'utc',
    });
  const one = ({ value, width, height, count, alignmentFactors }: One) => (
    <BigValue
      value={value.display}
      sparkline={value.sparkline}
      count={count}
      alignmentFactors={alignmentFactors}
      width={width}
      height={height}
      theme={theme}
      colorMode={options.colorMode as BigValueColorMode}
      graphMode={options.graphMode as BigValueGraphMode}
      textMode={options.textMode as BigValueTextMode}
      text={options.text}
    />
  );
  return (
    <VizRepeater
      getValues={values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={one}
      width={width}
      height={height}
      source={data}
      renderCounter={0}
      orientation={VizOrientation.Auto}
      autoGrid
    />
  );
}

function Rows({ panel, data, input, width, height }: Props) {
  return (
    <TableNG
      data={data[0]}
      width={width}
      height={height}
      sortBy={panel.options.sortBy}
      cellHeight={panel.options.cellHeight as TableCellHeight}
      noValue={panel.fieldConfig.defaults.noValue}
      fieldConfig={panel.fieldConfig}
      timeRange={{ from: dateTime(input.from * 1000), to: dateTime(input.to * 1000), raw: { from: '', to: '' } }}
      enableVirtualization={false}
    />
  );
}
