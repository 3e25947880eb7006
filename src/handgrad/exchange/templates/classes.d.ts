export function predictProbabilities(row: Row): number[];
export function predictClass(row: Row): string;
export const classNames: readonly string[];
