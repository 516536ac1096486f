// What the page is given: a dashboard whose queries have been answered.
import type { DataTransformerConfig, FieldConfigSource, FieldConfig } from '@grafana/data';
import type { TableSortByFieldState, VizLegendOptions, VizTextDisplayOptions } from '@grafana/schema';

export interface Series {
  metric: Record<string, string>;
  /** Unix time in seconds, and the value as Prometheus writes it. */
  values: Array<[number, string]>;
}

export interface Answer {
  ref: string;
  legend: string;
  /** Labels become columns of one table. */
  table: boolean;
  series: Series[];
}

/** The options of all types of panels that are drawn here; each has some of them. */
export interface Options {
  legend: VizLegendOptions;
  reduceOptions: { values: boolean; calcs: string[]; fields: string };
  textMode: string;
  colorMode: string;
  graphMode: string;
  text?: VizTextDisplayOptions;
  sortBy?: TableSortByFieldState[];
  cellHeight?: string;
}

export interface PanelInput {
  id: number;
  type: string;
  title: string;
  description: string;
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig: FieldConfigSource & { defaults: FieldConfig };
  options: Options;
  transformations?: DataTransformerConfig[];
  answers: Answer[];
}

export interface Input {
  title: string;
  theme: 'light' | 'dark';
  /** Unix times in seconds. */
  from: number;
  to: number;
  variables: Array<{ label: string; value: string }>;
  links: string[];
  panels: PanelInput[];
}
