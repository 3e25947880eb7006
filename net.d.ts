/* The types of a network written down by handgrad.
x: (4)
y: (3) */

/** One example, flat: numbers, or texts of a column of texts; null for what is missing. */
export type Row = ArrayLike<number | string | null>;
/** The network's own outputs for one example. */
export function predict(row: Row): number[];
export const inputShape: readonly number[];
export const outputShape: readonly number[];
export const columns: readonly { name: string; texts?: string[]; low?: number; high?: number; mean?: number; optional?: boolean }[];
