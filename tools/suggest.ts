// "Did you mean ...?": the nearest of some names. Edits are counted as Damerau and Levenshtein do: insert, delete, change, swap neighbours.

/** Edits between two short words. */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      let best = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1);
      row.push(best);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}

/** Up to three names near `word`, nearest first: within a third of its length in edits, or starting or ending as it does. */
export function nearMisses(word: string, names: Iterable<string>): string[] {
  const wanted = word.toLowerCase();
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  const scored: { name: string; score: number }[] = [];
  for (const name of new Set(names)) {
    const candidate = name.toLowerCase();
    const distance = editDistance(wanted, candidate);
    if (distance <= limit) scored.push({ name, score: distance });
    else if (wanted.length >= 3 && (candidate.startsWith(wanted) || candidate.includes(wanted))) scored.push({ name, score: limit + 1 + candidate.length / 100 });
  }
  return scored.sort((p, q) => p.score - q.score || (p.name < q.name ? -1 : 1)).slice(0, 3).map((s) => s.name);
}

/** ' Did you mean a, b or c?', each with `prefix` before it; nothing when nothing is near. */
export function didYouMean(word: string, names: Iterable<string>, prefix = ''): string {
  const near = nearMisses(word, names).map((name) => prefix + name);
  if (near.length === 0) return '';
  const list = near.length === 1 ? near[0]! : `${near.slice(0, -1).join(', ')} or ${near.at(-1)!}`;
  return ` Did you mean ${list}?`;
}
