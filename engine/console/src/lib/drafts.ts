// What was typed and not sent, per conversation and browser; survives a reload and a lost connection.
const PREFIX = 'pointsman.draft.'

export function draft(id: string): string {
  try {
    return localStorage.getItem(PREFIX + id) ?? ''
  } catch {
    return ''
  }
}

export function keepDraft(id: string, text: string): void {
  try {
    if (text) localStorage.setItem(PREFIX + id, text)
    else localStorage.removeItem(PREFIX + id)
  } catch {
    // Without storage the text lives as long as the page.
  }
}

/** Signing out on a shared machine leaves no text behind. */
export function forgetDrafts(): void {
  try {
    Object.keys(localStorage)
      .filter((key) => key.startsWith(PREFIX))
      .forEach((key) => localStorage.removeItem(key))
  } catch {
    // Nothing was kept.
  }
}
