// What a rule may name, from the vocabulary that the rule room itself documents: events, facts, how they compare, and
// what may be asked for. Pure; fetched with the screens that write rules.
import vocabulary from '../../../../rules/vocabulary.golden.json'

type Field = { name: string; type: string; doc: string; words?: string[] }
type Argument = { name: string; type: string; required: boolean; words?: string[] }
type Word = { name: string; family: string; doc: string; arguments: Argument[]; fields?: Field[] }

export type Fact = { path: string; type: string; doc: string; words: string[]; looksUp: string | null }
export type Operator = { name: string; types: string[] }
export type Asking = { name: string; doc: string; arguments: Argument[] }

const words = vocabulary.functions as Word[]

export const EVENTS: string[] = vocabulary.events.map((event) => event.name)

/** Facts of the situation, then those that look something up by its name, e.g. a calendar. */
export const FACTS: Fact[] = [
  ...(vocabulary.facts as { name: string; fields: Field[] }[]).flatMap((fact) =>
    fact.fields
      .filter((field) => field.type !== 'fields' && field.type !== 'any value')
      .map((field) => made(`${fact.name}.${field.name}`, field, null))
  ),
  ...words.flatMap((word) =>
    (word.fields ?? []).map((field) => made(`${word.name}.${field.name}`, field, word.arguments[0]?.type ?? null))
  )
]

function made(path: string, field: Field, looksUp: string | null): Fact {
  return { path, type: field.type, doc: field.doc, words: field.words ?? [], looksUp }
}

export const OPERATORS: Operator[] = (vocabulary.operators as { name: string; types?: string[] }[]).map((it) => ({
  name: it.name,
  types: it.types ?? []
}))

export const ASKINGS: Asking[] = words.filter((word) => word.family === 'intent')

export function factOf(path: string): Fact | undefined {
  return FACTS.find((fact) => fact.path === path)
}

/** How a fact of this type may compare. */
export function operatorsFor(type: string): Operator[] {
  return OPERATORS.filter((it) => it.types.length === 0 || it.types.includes(type))
}

/** What an operator compares with: nothing, one value, or a list of them; a duration for moments. */
export function operand(operator: string): 'none' | 'one' | 'many' | 'duration' {
  if (operator === 'missing' || operator === 'present') return 'none'
  if (operator === 'longer_ago_than' || operator === 'within_last') return 'duration'
  const takes = words.find((word) => word.name === operator)?.arguments[1]?.type
  return operator === 'one_of' || takes === 'texts' ? 'many' : 'one'
}
