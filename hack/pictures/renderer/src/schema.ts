// Types of a dashboard's JSON, made from Grafana's own: what `satisfies CheckedDashboard` accepts, Grafana reads.
import type { Dashboard, DataQuery, FieldConfig as AnyFieldConfig, GridPos, Panel as AnyPanel } from '@grafana/schema';
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type {
  FieldConfig as TableFieldConfig,
  Options as TableOptions,
} from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type {
  FieldConfig as TimeSeriesFieldConfig,
  Options as TimeSeriesOptions,
} from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

/** The same as JSON: text and numbers in the place of enumerations, null where there is no infinity. */
type Json<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends Array<infer Item>
      ? Array<Json<Item>>
      : T extends object
        ? { [Key in keyof T]: Json<T[Key]> }
        : T;

/** Of Grafana's Prometheus data source, whose own types are not in its packages. */
interface PrometheusQuery extends DataQuery {
  expr: string;
  editorMode: 'code';
  instant: boolean;
  range: boolean;
  format?: 'table';
  legendFormat?: string;
}

interface PanelOf<Type extends string, Options, Custom> extends Omit<AnyPanel, 'type' | 'options' | 'fieldConfig' | 'targets' | 'id'> {
  type: Type;
  id: number;
  title: string;
  description: string;
  gridPos: GridPos;
  targets: PrometheusQuery[];
  options: Options;
  fieldConfig: Omit<NonNullable<AnyPanel['fieldConfig']>, 'defaults'> & {
    defaults: Omit<AnyFieldConfig, 'custom'> & { custom?: Custom };
  };
}

type CheckedPanel =
  | PanelOf<'stat', StatOptions, Record<string, never>>
  | PanelOf<'table', TableOptions, TableFieldConfig>
  | PanelOf<'timeseries', TimeSeriesOptions, TimeSeriesFieldConfig>;

export type CheckedDashboard = Json<Omit<Dashboard, 'panels'> & { panels: CheckedPanel[] }>;
