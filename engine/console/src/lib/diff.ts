// What `diff -u` shows, as rows of one column or of two. Pure.

export type Side = { number: number; text: string } | null
export type DiffRow = { before: Side; after: Side; kind: 'same' | 'changed' | 'gap' }

/** Rows of one column: each line once, as it stands in the diff. */
export function lines(diff: string): DiffRow[] {
  const found: DiffRow[] = []
  let [left, right] = [0, 0]
  for (const line of diff.split('\n')) {
    const start = /^@@ -(\d+)(?:,\d+)? \+(\d+)/.exec(line)
    if (start) {
      ;[left, right] = [Number(start[1]), Number(start[2])]
      if (found.length > 0) found.push({ before: null, after: null, kind: 'gap' })
    } else if (left === 0 && right === 0) {
      continue // the names of the two sides
    } else if (line.startsWith('-')) {
      found.push({ before: { number: left++, text: line.slice(1) }, after: null, kind: 'changed' })
    } else if (line.startsWith('+')) {
      found.push({ before: null, after: { number: right++, text: line.slice(1) }, kind: 'changed' })
    } else if (line.startsWith(' ')) {
      const text = line.slice(1)
      found.push({ before: { number: left++, text }, after: { number: right++, text }, kind: 'same' })
    }
  }
  return found
}

/** Rows of two columns: removed and added lines that follow each other stand side by side. */
export function pairs(list: DiffRow[]): DiffRow[] {
  const found: DiffRow[] = []
  let [gone, come]: [Side[], Side[]] = [[], []]
  const flush = () => {
    for (let i = 0; i < Math.max(gone.length, come.length); i++)
      found.push({ before: gone[i] ?? null, after: come[i] ?? null, kind: 'changed' })
    ;[gone, come] = [[], []]
  }
  for (const row of list) {
    if (row.kind !== 'changed') {
      flush()
      found.push(row)
    } else if (row.before) gone.push(row.before)
    else come.push(row.after)
  }
  flush()
  return found
}
