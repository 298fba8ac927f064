// Numbers and units as people write them. The API speaks UCUM ("ug/m3", "Cel"); a screen says "µg/m³", "°C".

import type { Property } from './api';

const whole: Record<string, string> = {
  '1': '',
  'Cel': '°C',
  'deg': '°',
  'dB[SPL]': 'dB(A)',
  'dB[mW]': 'dBm',
  '%{LEL}': '% LEL',
  'um/m': 'µm/m',
};

const superscripts = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** UCUM to the written form; a unit it does not know comes back unharmed. */
export function unitText(ucum: string): string {
  if (ucum in whole) return whole[ucum];
  return ucum
    .replace(/[[\]{}]/g, '')
    .replace(/\bu(?=[A-Za-z])/g, 'µ')
    .replace(/(?<=[A-Za-z])-?\d+/g, (n) => n.replace('-', '⁻').replace(/\d/g, (d) => superscripts[Number(d)]))
    .replaceAll('.', '·');
}

/** How many decimals an instrument of this resolution deserves. */
export function decimals(resolution: number): number {
  if (!(resolution > 0) || resolution >= 1) return 0;
  return Math.min(6, Math.ceil(-Math.log10(resolution) - 1e-9));
}

/** A property that can only be 0 or 1: an alarm, a door. */
export function isSwitch(p: Pick<Property, 'min' | 'max' | 'resolution' | 'unit'> | undefined): boolean {
  return p !== undefined && p.unit === '1' && p.min === 0 && p.max === 1 && p.resolution === 1;
}

const thin = '\u202f';

/** A number with thin spaces between thousands, so that it reads the same in both languages. */
export function number(v: number, digits: number): string {
  const [int, frac] = Math.abs(v).toFixed(digits).split('.');
  const sign = v < 0 && Number(v.toFixed(digits)) !== 0 ? '−' : '';
  const grouped = int.length > 4 ? int.replace(/\B(?=(\d{3})+$)/g, thin) : int;
  return sign + grouped + (frac ? '.' + frac : '');
}

/** A count for a headline: 12 345, 1.23 M. */
export function count(n: number): string {
  if (!Number.isFinite(n)) return '–';
  if (n >= 1e9) return number(n / 1e9, 2) + ' G';
  if (n >= 1e6) return number(n / 1e6, 2) + ' M';
  return number(n, n > 0 && n < 10 && !Number.isInteger(n) ? 1 : 0);
}

/** A result in the property's resolution, without its unit. */
export function result(v: number | null | undefined, p: Pick<Property, 'resolution'> | undefined): string {
  if (v === null || v === undefined || !Number.isFinite(v)) return '–';
  if (p) return number(v, decimals(p.resolution));
  return Number.isInteger(v) ? number(v, 0) : number(v, Math.abs(v) < 1 ? 4 : 2);
}
