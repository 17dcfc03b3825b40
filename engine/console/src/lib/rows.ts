// Which rows of a long list are drawn. Pure.

/** Rows drawn beyond each edge, so that fast scrolling meets no hole. */
const BEYOND = 8

export type Range = { from: number; to: number }

/** The rows from `from` up to, not including, `to`. */
export function visible(count: number, row: number, top: number, height: number): Range {
  const first = Math.floor(top / row)
  const last = Math.ceil((top + height) / row)
  const from = Math.max(0, Math.min(count, first - BEYOND))
  return { from, to: Math.max(from, Math.min(count, last + BEYOND)) }
}

/** Where to scroll so that the row is in sight; null: it is already. */
export function into(index: number, row: number, top: number, height: number): number | null {
  const [begin, end] = [index * row, (index + 1) * row]
  if (begin < top) return begin
  return end > top + height ? end - height : null
}
