// Answers that must not undo each other. Pure.

/**
 * A question that may be asked again before it is answered. An answer counts unless a later question was answered first,
 * or `forget` was called since it was asked.
 */
export function inOrder<T>(
  ask: () => Promise<T>,
  take: (found: T) => void
): (() => Promise<void>) & { forget(): void } {
  let [asked, oldest] = [0, 0]
  const go = async (): Promise<void> => {
    const mine = ++asked
    const found = await ask()
    if (mine < oldest) return
    oldest = mine
    take(found)
  }
  return Object.assign(go, { forget: () => void (oldest = asked + 1) })
}
