// Answers of Prometheus -> data frames, as Grafana's Prometheus data source makes them.
import { FieldType, toDataFrame, type DataFrame } from '@grafana/data';
import type { Answer, Series } from './input';

export function frames(answers: Answer[]): DataFrame[] {
  return answers.flatMap((answer) => (answer.table ? table(answer, answers.length) : answer.series.map((one) => series(answer, one))));
}

function series(answer: Answer, one: Series): DataFrame {
  const name = legend(answer.legend, one.metric);
  return toDataFrame({
    refId: answer.ref,
    name,
    fields: [
      { name: 'Time', type: FieldType.time, config: {}, values: one.values.map(([time]) => time * 1000) },
      {
        name: 'Value',
        type: FieldType.number,
        labels: one.metric,
        config: { displayNameFromDS: name },
        values: one.values.map(([, value]) => number(value)),
      },
    ],
  });
}

function table(answer: Answer, queries: number): DataFrame[] {
  if (answer.series.length === 0) {
    return [];
  }
  const labels = [...new Set(answer.series.flatMap((one) => Object.keys(one.metric)))].sort();
  const last = answer.series.map((one) => one.values[one.values.length - 1]);
  return [
    toDataFrame({
      refId: answer.ref,
      fields: [
        { name: 'Time', type: FieldType.time, config: {}, values: last.map(([time]) => time * 1000) },
        ...labels.map((label) => ({
          name: label,
          type: FieldType.string,
          config: {},
          values: answer.series.map((one) => one.metric[label] ?? ''),
        })),
        {
          name: queries > 1 ? `Value #${answer.ref}` : 'Value',
          type: FieldType.number,
          config: {},
          values: last.map(([, value]) => number(value, NaN)),
        },
      ],
    }),
  ];
}

/** A line has a gap where the value is no number, a table says NaN there unless it is told otherwise. */
function number(text: string, none: number | null = null): number | null {
  const value = Number(text);
  return text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number.isNaN(value) ? none : value;
}

function legend(format: string, labels: Record<string, string>): string {
  if (format !== '' && format !== '__auto') {
    return format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label: string) => labels[label] ?? '');
  }
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return pairs.length === 0 ? 'Value' : `{${pairs.join(', ')}}`;
}
