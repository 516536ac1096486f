// Transformations, defaults and overrides of fields: what Grafana does between the data source and the panel.
import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  FieldConfigOptionsRegistry,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
  type DataFrame,
  type FieldConfigPropertyItem,
  type GrafanaTheme2,
} from '@grafana/data';
import type { PanelInput } from './input';

const STANDARD = ['unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'color', 'mappings', 'thresholds', 'links'];

standardTransformersRegistry.setInit(() =>
  [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer].map((transformation) => ({
    id: transformation.id,
    name: transformation.name,
    transformation: async () => transformation,
    editor: () => null,
    imageDark: '',
    imageLight: '',
  }))
);

export async function fields(panel: PanelInput, data: DataFrame[], theme: GrafanaTheme2): Promise<DataFrame[]> {
  const unknown = (panel.transformations ?? []).find(({ id }) => !standardTransformersRegistry.getIfExists(id));
  if (unknown) {
    throw new Error(`transformation ${unknown.id} is not known here: add it to fields.ts`);
  }
  const transformed = await new Promise<DataFrame[]>((resolve, reject) =>
    transformDataFrame(panel.transformations ?? [], data).subscribe({ next: resolve, error: reject })
  );
  const result = applyFieldOverrides({
    data: transformed,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registry(panel),
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
  cacheFieldDisplayNames(result);
  return result;
}

/** Know each property that the panel uses; in Grafana each plugin registers its own, with an editor. */
function registry(panel: PanelInput): FieldConfigOptionsRegistry {
  const { defaults, overrides } = panel.fieldConfig;
  for (const { value } of thresholds(panel)) {
    if (value === undefined) {
      throw new Error(`panel ${panel.title}: a threshold has no value`);
    }
  }
  const used = overrides.flatMap((rule) => rule.properties.map((property) => property.id));
  const custom = [...Object.keys(defaults.custom ?? {}).map((key) => `custom.${key}`), ...used.filter((id) => id.startsWith('custom.'))];
  const unknown = used.find((id) => !id.startsWith('custom.') && !STANDARD.includes(id));
  if (unknown) {
    throw new Error(`panel ${panel.title}: override of ${unknown} is not known here: add it to fields.ts`);
  }
  return new FieldConfigOptionsRegistry(() => [...STANDARD.map((id) => item(id)), ...[...new Set(custom)].map((id) => item(id))]);
}

function item(id: string): FieldConfigPropertyItem {
  const isCustom = id.startsWith('custom.');
  return {
    id,
    path: isCustom ? id.slice('custom.'.length) : id,
    name: id,
    isCustom,
    settings: {},
    process: (value) => value,
    override: () => null,
    editor: () => null,
    shouldApply: () => true,
  };
}

/** JSON has no infinity: Grafana writes null for the value of the lowest step. */
function thresholds(panel: PanelInput): Array<{ value: number | null }> {
  const { defaults, overrides } = panel.fieldConfig;
  const all = [defaults.thresholds, ...overrides.flatMap((rule) => rule.properties.filter(({ id }) => id === 'thresholds').map(({ value }) => value))];
  const steps = all.flatMap((one) => one?.steps ?? []);
  for (const step of steps) {
    step.value ??= -Infinity;
  }
  return steps;
}
