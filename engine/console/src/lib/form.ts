// A rule as a form, the way the screen holds it: every condition has a number by which its field is found again. Pure.

export type Test = { fact: string; of?: string; is: string; value?: unknown }
export type Joint = 'all' | 'any' | 'none'
export type Group = { id: number; kind: Joint; parts: Part[] }
export type Part = Group | { id: number; kind: 'test'; test: Test }

export type Ask = { id: number; call: string; with: unknown[] }

/** What the API calls a form; `when` and `do` are held apart. */
export type Head = {
  name: string
  about?: string
  on: string[]
  channels?: string[]
  stage?: string
  position?: number
  enabled?: boolean
  chain?: boolean
  cron?: string
  timezone?: string
  where?: string
}
export type Held = { head: Head; when: Group; asks: Ask[] }

type Condition = { [joint in Joint]?: Condition[] } & { test?: Test }
export type Form = Head & { when?: Condition; do: { call: string; with?: unknown[] }[] }

let last = 0
export const next = (): number => ++last

export function held(form: Form): Held {
  const { when, do: asks, ...head } = form
  const part = when ? partOf(when) : null
  // There is always a group on top, so that there is a place for the first condition.
  const top: Group = part && part.kind !== 'test' ? part : { id: next(), kind: 'all', parts: part ? [part] : [] }
  return { head, when: top, asks: asks.map((it) => ({ id: next(), call: it.call, with: it.with ?? [] })) }
}

function partOf(condition: Condition): Part {
  if (condition.test) return { id: next(), kind: 'test', test: condition.test }
  const kind = (['all', 'any', 'none'] as const).find((joint) => condition[joint]) ?? 'all'
  return { id: next(), kind, parts: (condition[kind] ?? []).map(partOf) }
}

export function formOf({ head, when, asks }: Held): Form {
  const condition = when.parts.length > 0 ? conditionOf(when) : undefined
  return {
    ...head,
    ...(condition ? { when: condition } : {}),
    do: asks.map((it) => ({ call: it.call, with: trimmed(it.with) }))
  }
}

function conditionOf(part: Part): Condition {
  if (part.kind === 'test') return { test: part.test }
  return { [part.kind]: part.parts.map(conditionOf) }
}

/** Without what was left out at the end. */
function trimmed(given: unknown[]): unknown[] {
  let end = given.length
  while (end > 0 && given[end - 1] === null) end--
  return given.slice(0, end)
}
