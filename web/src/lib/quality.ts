// The quality flags of an observation, bit for bit as pkg/sensor/quality.go has them.

export const flags = [
  'out_of_range',
  'rate_of_change',
  'stuck',
  'clock_skew',
  'unit_assumed',
  'late',
  'source_fault',
  'source_calibration',
  'source_over_range',
  'checksum_wrong',
  'length_wrong',
  'moving',
  'no_time',
  'estimated',
  'unit_suspect',
] as const;

export type Flag = (typeof flags)[number] | 'unknown';

/** What the API sends is either the bits or their names joined by '|' ("good" when there are none). */
export type Quality = number | string | null | undefined;

/** The flags set, by name; empty = nobody has doubted this result. */
export function flagsOf(q: Quality): Flag[] {
  if (q === null || q === undefined || q === 0 || q === '' || q === 'good') return [];
  if (typeof q === 'number') {
    const set: Flag[] = flags.filter((_, i) => q & (1 << i));
    return q >> flags.length ? [...set, 'unknown'] : set;
  }
  return q.split('|').map((name) => ((flags as readonly string[]).includes(name) ? (name as Flag) : 'unknown'));
}
