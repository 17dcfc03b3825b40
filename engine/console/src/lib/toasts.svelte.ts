// Short notices that something was done or went wrong elsewhere on the page.
import { asRefusal } from './api'
import { said } from './i18n.svelte'

export type Toast = { id: number; text: string; isProblem: boolean }
const SHOWN_MS = 6000

class Toasts {
  list = $state<Toast[]>([])
  #next = 1

  say(text: string, isProblem = false): void {
    const id = this.#next++
    this.list.push({ id, text, isProblem })
    setTimeout(() => this.drop(id), isProblem ? SHOWN_MS * 2 : SHOWN_MS)
  }

  drop(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id)
  }
}

export const toasts = new Toasts()

/** Does it; a refusal becomes a notice. True when it was done. */
export async function tried(act: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await act()
    if (done) toasts.say(done)
    return true
  } catch (error) {
    toasts.say(said(asRefusal(error)), true)
    return false
  }
}
