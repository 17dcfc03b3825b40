// What the fields of a form know of it: what was refused. A field names its place, like `/name`, and finds its own problem.
import { getContext, setContext } from 'svelte'
import type { Refusal } from './api'

const FORM = Symbol('form')
type Refused = () => Refusal | null

export function offerForm(refused: Refused): void {
  setContext(FORM, refused)
}

/** What is wrong at this place, or beneath it, if anything is. */
export function useForm(): (at: string | undefined) => string | undefined {
  const refused = getContext<Refused | undefined>(FORM)
  return (at) => {
    if (!at) return undefined
    const errors = refused?.()?.errors ?? []
    return errors.find((it) => it.pointer === at || it.pointer.startsWith(`${at}/`))?.message
  }
}
