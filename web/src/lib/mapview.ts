// The map: MapLibre with one vector source for the chosen set, repainted by feature state as the live link speaks.
// It knows nothing of panels and words; App.svelte tells it what to show and hears what was picked.

import { Map as GLMap, NavigationControl, ScaleControl, setWorkerUrl, type GeoJSONSource, type MapGeoJSONFeature, type VectorTileSource } from 'maplibre-gl';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?url';
import 'maplibre-gl/dist/maplibre-gl.css';
import type { PointRow, Property } from './api';
import { Cells, cellOf, pointOf, type By, type Cell, type Summary } from './cells';
import { divisionName } from './districts';
import { boundsOf, grow, union, type Bounds, type LonLat, type Outlines, type Place } from './geo';
import type { CellsEvent, View } from './live';
import { baseLayers, cellColour, dataLayers, doubtImage, pointColour, pointsFrom, sources, topLayers } from './mapstyle';
import type { Lang } from './words';

setWorkerUrl(workerUrl);

export interface Hover {
  id: string;
  kind: 'cell' | 'thing';
  x: number;
  y: number;
  data: Cell;
}

export interface MapListener {
  pick(kind: 'cell' | 'thing', id: string): void;
  hover(h: Hover | undefined): void;
  /** The viewport left what the live link covers, or another zoom step began. */
  view(v: View): void;
  moved(): void;
  /** Tiles have shown more cells: the summary can be drawn again. */
  seen(): void;
}

export interface Pin {
  id: string;
  at: LonLat;
  chosen: boolean;
}

/** Room the panels take from each side, in pixels of the page. */
export interface Padding {
  top: number;
  right: number;
  bottom: number;
  left: number;
}

const refreshPause = 1500;
const chongqing: Bounds = [105.28, 28.15, 110.2, 32.21];

export class MapView {
  readonly map: GLMap;
  private readonly store = new Cells();
  private readonly centres = new Map<string, LonLat>();
  private readonly inTiles = new Set<string>();
  private readonly refused = new Set<string>();
  private property: Property | undefined;
  private by: By = 'worst';
  private covered: { bounds: Bounds; z: number; set: string } | undefined;
  private hovered: { layer: string; id: string } | undefined;
  private refresh: ReturnType<typeof setTimeout> | undefined;
  private scan: ReturnType<typeof setTimeout> | undefined;
  private version = '0';
  private maxzoom = pointsFrom;
  resolution: number | undefined;
  /** Everything but the constructor wants the style to be there. */
  readonly ready: Promise<void>;

  constructor(
    private readonly container: HTMLElement,
    private readonly to: MapListener,
    private scale: number,
    lang: Lang,
    label: string,
    padding: Padding,
  ) {
    this.stretch();
    this.map = new GLMap({
      container,
      style: { version: 8, sources, layers: [...baseLayers, ...topLayers(lang)] },
      bounds: chongqing,
      fitBoundsOptions: { padding: this.shrink(padding) },
      pixelRatio: devicePixelRatio * scale,
      hash: true,
      minZoom: 4,
      maxZoom: 18.9,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      rollEnabled: false,
      attributionControl: false,
      fadeDuration: 150,
      maxTileCacheSize: 120,
      refreshExpiredTiles: false,
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disableRotation();
    this.map.addControl(new ScaleControl({ maxWidth: 110, unit: 'metric' }), 'bottom-left');
    this.map.addControl(new NavigationControl({ showCompass: false }), 'bottom-left');
    this.map.getCanvas().setAttribute('aria-label', label);
    this.ready = new Promise((done) => {
      this.map.once('style.load', () => {
        this.map.addImage('doubt', doubtImage(), { pixelRatio: 2 });
        done();
      });
    });
    this.listen();
  }

  // On a wall the map is laid out at desk size and drawn with more pixels: hexagons, names and lines are then as big to
  // the eye as at a desk, and the tiles asked for are the same.

  /** The page's size or scale has changed. */
  resize(scale: number): void {
    this.scale = scale;
    this.stretch();
    this.map.setPixelRatio(devicePixelRatio * scale);
    this.map.resize();
  }

  private stretch(): void {
    const style = this.container.style;
    style.width = style.height = `${100 / this.scale}%`;
    style.transformOrigin = '0 0';
    style.transform = `scale(${this.scale})`;
  }

  private shrink(p: Padding): Padding {
    const k = this.scale;
    return { top: p.top / k, right: p.right / k, bottom: p.bottom / k, left: p.left / k };
  }

  /** The whole city, which is the first view when the address names none. */
  home(bounds: Bounds, padding: Padding): void {
    this.map.fitBounds(bounds, { padding: this.shrink(padding), duration: 0 });
  }

  private listen(): void {
    const map = this.map;
    map.on('error', (e) => {
      // A tile that did not come is told by the link banner; the map itself keeps what it has.
      if (!('sourceId' in e)) console.warn('map', e.error.message);
    });
    map.on('moveend', () => {
      this.refused.clear();
      this.cover();
      this.to.moved();
    });
    map.on('sourcedata', (e) => {
      if (e.sourceId === 'set' && this.scan === undefined) this.scan = setTimeout(() => this.look(), 120);
    });
    map.on('mousemove', (e) => this.over(e.point.x, e.point.y));
    map.on('mouseout', () => this.over(-1, -1));
    map.on('dragstart', () => this.over(-1, -1));
    map.on('click', (e) => {
      const hit = this.at(e.point.x, e.point.y);
      if (hit) this.to.pick(hit.kind, hit.id);
    });
  }

  /** Enter on the focused map: what lies under the cross-hair. */
  pickCentre(): void {
    const c = this.map.project(this.map.getCenter());
    const hit = this.at(c.x, c.y);
    if (hit) this.to.pick(hit.kind, hit.id);
  }

  private at(x: number, y: number): { kind: 'cell' | 'thing'; id: string; feature: MapGeoJSONFeature } | undefined {
    const layers = ['points', 'cells'].filter((id) => this.map.getLayer(id));
    if (x < 0 || !layers.length) return undefined;
    const r = 4;
    const points = layers[0] === 'points' ? this.map.queryRenderedFeatures([[x - r, y - r], [x + r, y + r]], { layers: ['points'] }) : [];
    const feature = points[0] ?? this.map.queryRenderedFeatures([x, y], { layers: ['cells'] })[0];
    if (!feature) return undefined;
    const kind = feature.sourceLayer === 'points' ? 'thing' : 'cell';
    return { kind, id: String(feature.id), feature };
  }

  private over(x: number, y: number): void {
    const hit = this.at(x, y);
    if (this.hovered && this.hovered.id !== hit?.id) {
      this.map.setFeatureState({ source: 'set', sourceLayer: this.hovered.layer, id: this.hovered.id }, { hover: false });
      this.hovered = undefined;
    }
    this.map.getCanvas().style.cursor = hit ? 'pointer' : '';
    if (!hit) return this.to.hover(undefined);
    const layer = hit.feature.sourceLayer ?? 'cells';
    if (!this.hovered) {
      this.hovered = { layer, id: hit.id };
      this.map.setFeatureState({ source: 'set', sourceLayer: layer, id: hit.id }, { hover: true });
    }
    const data = this.store.rows.get(hit.id) ?? fromTile(hit.feature.properties);
    this.to.hover({ id: hit.id, kind: hit.kind, x: x * this.scale, y: y * this.scale, data });
  }

  setOutlines(outlines: Outlines, all: readonly Place[]): void {
    this.source('divisions')?.setData(outlines as unknown as GeoJSON.FeatureCollection);
    this.source('names')?.setData({
      type: 'FeatureCollection',
      features: all.map((p) => ({
        type: 'Feature',
        geometry: { type: 'Point', coordinates: p.label },
        properties: { zh: divisionName(p.code, p.name, 'zh', true), en: divisionName(p.code, p.name, 'en', true), rank: -p.area },
      })),
    });
  }

  static boundsOf(all: readonly Place[]): Bounds {
    return all.length ? union(all.map((p) => p.bounds)) : chongqing;
  }

  setLang(lang: Lang, label: string): void {
    this.map.getCanvas().setAttribute('aria-label', label);
    if (this.map.getLayer('names')) this.map.setLayoutProperty('names', 'text-field', ['get', lang]);
  }

  /** Shows another set: other tiles, other colours, nothing left of the one before. */
  show(property: Property, by: By, maxzoom: number): void {
    this.by = by;
    if (this.property?.code === property.code && this.maxzoom === maxzoom) return this.paint(property, by);
    this.property = property;
    this.maxzoom = maxzoom;
    this.version = '0';
    this.store.clear();
    this.inTiles.clear();
    this.refused.clear();
    this.hovered = undefined;
    this.covered = undefined;
    for (const layer of dataLayers(property, by)) if (this.map.getLayer(layer.id)) this.map.removeLayer(layer.id);
    if (this.map.getSource('set')) this.map.removeSource('set');
    this.map.addSource('set', {
      type: 'vector',
      tiles: [this.tileUrl()],
      minzoom: 0,
      maxzoom,
      promoteId: { cells: 'cell', points: 'thing' },
    });
    for (const layer of dataLayers(property, by)) this.map.addLayer(layer, 'borders');
    this.cover();
  }

  private paint(p: Property, by: By): void {
    this.property = p;
    if (!this.map.getLayer('cells')) return;
    this.map.setPaintProperty('cells', 'fill-color', cellColour(p, by));
    this.map.setPaintProperty('points', 'circle-color', pointColour(p));
  }

  private tileUrl(): string {
    return `${location.origin}/tiles/${this.property?.code}/{z}/{x}/{y}.mvt?v=${this.version}`;
  }

  private source(id: string): GeoJSONSource | undefined {
    return this.map.getSource(id) as GeoJSONSource | undefined;
  }

  get bounds(): Bounds {
    const b = this.map.getBounds();
    return [b.getWest(), b.getSouth(), b.getEast(), b.getNorth()];
  }

  private get z(): number {
    return Math.min(this.maxzoom, Math.max(0, Math.floor(this.map.getZoom())));
  }

  get close(): boolean {
    return this.z >= pointsFrom;
  }

  /** Asks for a new live link when the view has left the old one's ground. */
  private cover(): void {
    if (!this.property) return;
    const now = this.bounds;
    const c = this.covered;
    const inside = c && now[0] >= c.bounds[0] && now[1] >= c.bounds[1] && now[2] <= c.bounds[2] && now[3] <= c.bounds[3];
    if (c && inside && c.z === this.z && c.set === this.property.code) return;
    this.covered = { bounds: grow(now, 0.25), z: this.z, set: this.property.code };
    this.to.view(this.covered);
  }

  applyCells(e: CellsEvent, full: boolean): void {
    if (e.set !== this.property?.code || !this.map.getSource('set')) return;
    this.resolution = e.resolution;
    this.take('cells', e.cells.map((row): [string, Cell] => [row[0], cellOf(row)]), full, String(e.version));
  }

  applyPoints(rows: readonly PointRow[], version: string): void {
    if (!this.map.getSource('set')) return;
    this.resolution = undefined;
    this.take('points', rows.map((row): [string, Cell] => [row[0], pointOf(row)]), true, version);
  }

  private take(sourceLayer: string, entries: [string, Cell][], full: boolean, version: string): void {
    if (version) this.version = version;
    if (full) {
      const kept = new Set(entries.map(([id]) => id));
      for (const id of this.store.rows.keys()) if (!kept.has(id)) this.map.removeFeatureState({ source: 'set', sourceLayer, id });
    }
    this.store.apply(entries, full);
    this.repaint(sourceLayer, entries);
  }

  private repaint(sourceLayer: string, entries: [string, Cell][]): void {
    let unknown = false;
    for (const [id, c] of entries) {
      this.map.setFeatureState({ source: 'set', sourceLayer, id }, { n: c.n, fresh: c.fresh, mean: c.mean, worst: c.worst, result: c.worst });
      if (c.n > 0 && !this.inTiles.has(id) && !this.refused.has(id)) unknown = true;
    }
    if (unknown) this.refreshSoon();
  }

  /** Cells the tiles do not have yet: fetch them again, but not more often than a person would notice. */
  private refreshSoon(): void {
    this.refresh ??= setTimeout(() => {
      this.refresh = undefined;
      this.look();
      const missing = [...this.store.rows.keys()].filter((id) => !this.inTiles.has(id) && !this.refused.has(id));
      // What a refresh does not bring lies outside the viewport's tiles: do not ask for it again until the map moves.
      for (const id of missing) this.refused.add(id);
      const source = this.map.getSource('set') as VectorTileSource | undefined;
      if (missing.length && source) source.setTiles([this.tileUrl()]);
    }, refreshPause);
  }

  /** Learns from the loaded tiles which cells they have and where these are. */
  private look(): void {
    this.scan = undefined;
    if (!this.map.getSource('set')) return;
    const boxes = new Map<string, Bounds>();
    for (const sourceLayer of ['cells', 'points']) {
      for (const f of this.map.querySourceFeatures('set', { sourceLayer })) {
        const id = String(f.id);
        this.inTiles.add(id);
        if (f.geometry.type === 'Point') this.centres.set(id, f.geometry.coordinates as LonLat);
        if (f.geometry.type !== 'Polygon') continue;
        const box = boundsOf(f.geometry.coordinates[0] as LonLat[]);
        const before = boxes.get(id);
        boxes.set(id, before ? union([before, box]) : box);
      }
    }
    for (const [id, b] of boxes) this.centres.set(id, [(b[0] + b[2]) / 2, (b[1] + b[3]) / 2]);
    if (this.centres.size > 50_000) this.centres.clear();
    this.to.seen();
  }

  summary(): Summary | undefined {
    if (!this.property) return undefined;
    return this.store.summary(this.property, this.close ? 'worst' : this.by, this.bounds, (id) => this.centres.get(id));
  }

  setSelected(boundary: LonLat[] | undefined): void {
    const ring = boundary && boundary.length ? [...boundary, boundary[0]] : undefined;
    this.source('selected')?.setData({
      type: 'FeatureCollection',
      features: ring ? [{ type: 'Feature', geometry: { type: 'Polygon', coordinates: [ring] }, properties: {} }] : [],
    });
  }

  setPins(pins: readonly Pin[]): void {
    this.source('things')?.setData({
      type: 'FeatureCollection',
      features: pins.map((p) => ({ type: 'Feature', geometry: { type: 'Point', coordinates: p.at }, properties: { id: p.id, chosen: p.chosen } })),
    });
  }

  fly(to: { at: LonLat; zoom: number } | { bounds: Bounds }, padding: Padding): void {
    const duration = reducedMotion() ? 0 : 900;
    const room = this.shrink(padding);
    if ('bounds' in to) this.map.fitBounds(to.bounds, { padding: room, maxZoom: 12.9, duration });
    else this.map.easeTo({ center: to.at, zoom: to.zoom, offset: [(room.left - room.right) / 2, (room.top - room.bottom) / 2], duration });
  }

  remove(): void {
    clearTimeout(this.refresh);
    clearTimeout(this.scan);
    this.map.remove();
  }
}

function fromTile(p: Record<string, unknown>): Cell {
  const num = (k: string) => (typeof p[k] === 'number' ? (p[k] as number) : null);
  const fresh = num('fresh') ?? 0;
  const single = fresh ? num('result') : null;
  return { n: num('n') ?? 1, fresh, mean: num('mean') ?? single, min: num('min') ?? single, max: num('max') ?? single, worst: num('worst') ?? single, newest: num('newest') };
}

function reducedMotion(): boolean {
  return matchMedia('(prefers-reduced-motion: reduce)').matches;
}
