// Answers that must not undo each other. Pure.

/** A question that may be asked again before it is answered. An answer counts unless a later question was answered first. */
export function inOrder<T>(ask: () => Promise<T>, take: (found: T) => void): () => Promise<void> {
  let [asked, answered] = [0, 0]
  return async () => {
    const mine = ++asked
    const found = await ask()
    if (mine < answered) return
    answered = mine
    take(found)
  }
}
