// What the map draws and in which colours: pure data for MapLibre, made from a property. No glyphs, no sprite, no
// foreign address: names are drawn with the browser's own fonts.

import type { DataDrivenPropertyValueSpecification, ExpressionSpecification, LayerSpecification } from 'maplibre-gl';
import type { Property } from './api';
import type { By } from './cells';
import { grey, ramp } from './ramp';
import type { Lang } from './words';

export const ground = '#080b11';
const land = '#111824';
const border = '#b4c6dd';

const emptyCollection = { type: 'FeatureCollection' as const, features: [] };

export const sources = {
  divisions: { type: 'geojson' as const, data: emptyCollection, tolerance: 0.2 },
  names: { type: 'geojson' as const, data: emptyCollection },
  selected: { type: 'geojson' as const, data: emptyCollection },
  things: { type: 'geojson' as const, data: emptyCollection, promoteId: 'id' },
};

/** Live state wins over the tile: a cell is repainted without fetching anything. */
const live = (key: string): ExpressionSpecification => ['coalesce', ['feature-state', key], ['get', key]];

/** From these zooms on there are single Things instead of cells (docs/api.md). */
export const pointsFrom = 15;

function stepped(value: ExpressionSpecification, p: Property): ExpressionSpecification {
  const colours = ramp(p.worse, p.breaks.length + 1);
  if (!p.breaks.length) return ['literal', colours[0]] as unknown as ExpressionSpecification;
  const steps = p.breaks.flatMap((b, i) => [b, colours[i + 1]]);
  return ['step', ['to-number', value, p.breaks[0]], colours[0], ...steps] as ExpressionSpecification;
}

const nothingFresh: ExpressionSpecification = ['==', ['to-number', live('fresh'), 0], 0];

export function cellColour(p: Property, by: By): DataDrivenPropertyValueSpecification<string> {
  return ['case', nothingFresh, grey, stepped(live(by), p)];
}

export function pointColour(p: Property): DataDrivenPropertyValueSpecification<string> {
  return ['case', nothingFresh, grey, stepped(live('result'), p)];
}

const cellOpacity: ExpressionSpecification = [
  'case',
  ['==', ['to-number', live('n'), 1], 0],
  0,
  nothingFresh,
  0.9,
  ['boolean', ['feature-state', 'hover'], false],
  1,
  0.86,
];

/** Hatching says "doubt": some Things of this cell speak, but fewer than half. */
const doubt: ExpressionSpecification = [
  'case',
  ['all', ['>', ['to-number', live('fresh'), 0], 0], ['<', ['*', 2, ['to-number', live('fresh'), 0]], ['to-number', live('n'), 0]]],
  0.75,
  0,
];

export const baseLayers: LayerSpecification[] = [
    { id: 'ground', type: 'background', paint: { 'background-color': ground } },
    { id: 'land', type: 'fill', source: 'divisions', paint: { 'fill-color': land, 'fill-antialias': false } },
    {
      id: 'coast',
      type: 'line',
      source: 'divisions',
      paint: { 'line-color': '#5f86b8', 'line-opacity': 0.1, 'line-width': 9, 'line-blur': 9 },
    },
  ];

export function topLayers(lang: Lang): LayerSpecification[] {
  return [
    {
      id: 'borders',
      type: 'line',
      source: 'divisions',
      layout: { 'line-join': 'round' },
      paint: { 'line-color': border, 'line-opacity': 0.38, 'line-width': ['interpolate', ['linear'], ['zoom'], 5, 0.7, 10, 1.6] },
    },
    { id: 'selected-halo', type: 'line', source: 'selected', layout: { 'line-join': 'round' }, paint: { 'line-color': '#000000', 'line-opacity': 0.6, 'line-width': 5.5 } },
    { id: 'selected', type: 'line', source: 'selected', layout: { 'line-join': 'round' }, paint: { 'line-color': '#ffffff', 'line-width': 2.5 } },
    {
      id: 'things',
      type: 'circle',
      source: 'things',
      maxzoom: pointsFrom,
      paint: {
        'circle-radius': ['case', ['get', 'chosen'], 6.5, 3],
        'circle-color': ['case', ['get', 'chosen'], '#ffffff', '#0b0f16'],
        'circle-stroke-color': ['case', ['get', 'chosen'], '#0b0f16', '#ffffff'],
        'circle-stroke-width': 1.3,
      },
    },
    {
      id: 'thing-chosen',
      type: 'circle',
      source: 'things',
      minzoom: pointsFrom,
      filter: ['get', 'chosen'],
      paint: { 'circle-radius': 15, 'circle-color': 'rgba(0,0,0,0)', 'circle-stroke-color': '#ffffff', 'circle-stroke-width': 2.5 },
    },
    {
      id: 'names',
      type: 'symbol',
      source: 'names',
      maxzoom: 14,
      layout: {
        'text-field': ['get', lang],
        'text-font': ['situ Medium', 'Noto Sans CJK SC', 'Noto Sans SC', 'PingFang SC', 'Microsoft YaHei', 'sans-serif'],
        'text-size': ['interpolate', ['linear'], ['zoom'], 6, 12, 10, 17],
        'text-letter-spacing': lang === 'zh' ? 0.12 : 0.04,
        'text-padding': 3,
        'text-max-width': 12,
        'symbol-sort-key': ['get', 'rank'],
      },
      paint: { 'text-color': '#f3f6fa', 'text-halo-color': 'rgba(5,8,13,0.92)', 'text-halo-width': 1.7, 'text-halo-blur': 0.4 },
    },
  ];
}

export function dataLayers(p: Property, by: By): LayerSpecification[] {
  const cells = { source: 'set', 'source-layer': 'cells', maxzoom: pointsFrom };
  return [
    { id: 'cells', type: 'fill', ...cells, paint: { 'fill-color': cellColour(p, by), 'fill-opacity': cellOpacity, 'fill-antialias': false } },
    { id: 'cells-doubt', type: 'fill', ...cells, paint: { 'fill-pattern': 'doubt', 'fill-opacity': doubt } },
    { id: 'cells-edge', type: 'line', ...cells, paint: { 'line-color': ground, 'line-opacity': 0.9, 'line-width': ['interpolate', ['linear'], ['zoom'], 6, 1.1, 12, 1.8] } },
    {
      id: 'points',
      type: 'circle',
      source: 'set',
      'source-layer': 'points',
      minzoom: pointsFrom,
      paint: {
        'circle-radius': ['interpolate', ['linear'], ['zoom'], 15, 7, 18, 12],
        'circle-color': pointColour(p),
        'circle-stroke-color': ['case', ['boolean', ['feature-state', 'hover'], false], '#ffffff', '#080b11'],
        'circle-stroke-width': 1.8,
      },
    },
  ];
}

/** Diagonal dark stripes, drawn at twice their size. */
export function doubtImage(): { width: number; height: number; data: Uint8ClampedArray } {
  const size = 16;
  const data = new Uint8ClampedArray(size * size * 4);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      if ((x + y) % size < size * 0.36) data.set([6, 9, 14, 255], (y * size + x) * 4);
    }
  }
  return { width: size, height: size, data };
}
