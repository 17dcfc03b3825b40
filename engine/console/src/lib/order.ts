// Moving something in a list. Pure.

/** The list with the item at its new place; the list itself when nothing moves. */
export function moved<T extends { id: string }>(items: T[], id: string, at: number): T[] {
  const from = items.findIndex((item) => item.id === id)
  if (from < 0 || at < 0 || at >= items.length || at === from) return items
  const rest = items.filter((item) => item.id !== id)
  return [...rest.slice(0, at), ...items.slice(from, from + 1), ...rest.slice(at)]
}
