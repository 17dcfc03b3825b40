// What a rule can say: completion from the vocabulary that the rule room itself documents.
import {
  snippetCompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult
} from '@codemirror/autocomplete'
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
