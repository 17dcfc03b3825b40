// What a rule can say: completion and hover from the vocabulary that the rule room itself documents.
import {
  snippetCompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult
} from '@codemirror/autocomplete'
import { hoverTooltip } from '@codemirror/view'
import vocabulary from '../../../../rules/vocabulary.golden.json'

type Fact = { name: string; doc: string; fields: { name: string; type: string; doc: string }[] }

const words: Completion[] = vocabulary.functions.map((word) => ({
  label: word.name,
  type: word.family === 'intent' ? 'method' : 'function',
  detail: word.signature.slice(word.name.length),
  info: `${word.doc}\n\n${word.example}`,
  apply: (view, _, from, to) => {
    const insert = `${word.name}()`
    view.dispatch({ changes: { from, to, insert }, selection: { anchor: from + insert.length - 1 } })
  }
}))

const facts = vocabulary.facts as Fact[]
const names: Completion[] = facts.map((fact) => ({ label: fact.name, type: 'namespace', info: fact.doc }))
const keywords: Completion[] = [
  snippetCompletion('if ${condition} {\n\t${}\n}', { label: 'if', type: 'keyword' }),
  snippetCompletion('let ${name} = ${value};', { label: 'let', type: 'keyword' })
]

/** After `message.` its fields; elsewhere words, facts and keywords. In comments nothing. */
export function completions(context: CompletionContext): CompletionResult | null {
  const line = context.state.doc.lineAt(context.pos)
  const before = line.text.slice(0, context.pos - line.from)
  if (/\/\//.test(before)) return null
  const field = context.matchBefore(/\b\w+\.\w*$/)
  if (field) {
    const [name] = field.text.split('.')
    const fact = facts.find((it) => it.name === name)
    const from = field.from + (name?.length ?? 0) + 1
    const known: Completion[] = (fact?.fields ?? []).map((it) => ({
      label: it.name,
      type: 'property',
      detail: it.type,
      info: it.doc
    }))
    return { from, options: [...known, ...words.filter((word) => word.type === 'function')] }
  }
  const word = context.matchBefore(/\w+$/)
  if (!word && !context.explicit) return null
  return { from: word?.from ?? context.pos, options: [...words, ...names, ...keywords] }
}

/** What a name under the pointer means: its head, and a sentence. Null: it is none of ours. */
export function meaning(text: string): [string, string] | null {
  const [first = '', ...more] = text.split('.')
  const word = vocabulary.functions.find((it) => it.name === text || it.name === more.at(-1))
  if (word) return [word.signature, `${word.doc}\n${word.example}`]
  const event = vocabulary.events.find((it) => it.name === text)
  if (event) return [event.name, event.doc]
  const fact = facts.find((it) => it.name === first)
  const field = fact?.fields.find((it) => it.name === more.join('.'))
  if (field) return [`${text}: ${field.type}`, field.doc]
  if (fact && more.length === 0) return [fact.name, fact.doc]
  const key = vocabulary.header.find((it) => it.key === text)
  return key ? [key.example, key.doc] : null
}

export const hover = hoverTooltip((view, at) => {
  const line = view.state.doc.lineAt(at)
  for (const found of line.text.matchAll(/[a-z_][a-z0-9_.]*/gi)) {
    const from = line.from + found.index
    const end = from + found[0].length
    if (at < from || at > end) continue
    // Of `message.text.contains` what lies up to the part under the pointer counts.
    const point = line.text.indexOf('.', at - line.from)
    const to = point < 0 || line.from + point > end ? end : line.from + point
    const told = meaning(line.text.slice(found.index, to - line.from)) ?? meaning(found[0])
    if (!told) return null
    return {
      pos: from,
      end: to,
      create: () => {
        const dom = document.createElement('div')
        dom.className = 'cm-hover'
        dom.append(Object.assign(document.createElement('strong'), { textContent: told[0] }), `\n${told[1]}`)
        return { dom }
      }
    }
  }
  return null
})
