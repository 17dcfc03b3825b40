// A watched run of a rule: which lines ran, and what every condition read. Pure.

/** A part of a rule and what it came to. */
export type Read = {
  text: string
  value?: unknown
  is_skipped?: boolean
  problem?: string
  parts?: Read[]
}

export type Condition = { line: number; column: number; kind: string; times: number; looks: Read[] }

export type LineTrace = {
  lines: { line: number; times: number }[]
  conditions: Condition[]
  failure?: { line?: number; message: string; hint?: string }
  is_cut: boolean
}

/** What stands beside a line: did its condition hold, and what was read for it. */
export type Note = { line: number; holds: boolean | null; reads: [string, string][] }

const CHARS_MAX = 60

/** A value as people write it; `nothing` stands for what is missing. */
export function written(value: unknown, nothing: string): string {
  if (value === null || value === undefined) return nothing
  const text = JSON.stringify(value)
  return text.length > CHARS_MAX ? `${text.slice(0, CHARS_MAX)}…` : text
}

/** The facts that a condition looked at, without its own parts. */
export function leaves(read: Read): Read[] {
  if (read.is_skipped) return []
  const parts = (read.parts ?? []).flatMap(leaves)
  if (parts.length > 0) return parts
  return (read.parts ?? []).length === 0 && 'value' in read ? [read] : []
}

/** Is it what it says? Then its value is nothing new. */
export function isLiteral(read: Read): boolean {
  return JSON.stringify(read.value) === read.text.replace(/,\s+/g, ',')
}

/** One note per line, of the last time that it was met. */
export function notes(trace: LineTrace, nothing: string): Note[] {
  const byLine = new Map<number, Note>()
  for (const condition of trace.conditions) {
    const look = condition.looks.at(-1)
    if (!look) continue
    const isTest = ['if', 'while', 'until'].includes(condition.kind)
    const read = isTest ? leaves(look).filter((it) => it.text !== look.text) : [look]
    const reads = read
      .filter((it) => 'value' in it && !isLiteral(it))
      .map((it): [string, string] => [it.text, written(it.value, nothing)])
    const before = byLine.get(condition.line)
    const holds = isTest && typeof look.value === 'boolean' ? look.value : (before?.holds ?? null)
    byLine.set(condition.line, { line: condition.line, holds, reads: [...(before?.reads ?? []), ...reads] })
  }
  return [...byLine.values()].filter((it) => it.holds !== null || it.reads.length > 0).sort((a, b) => a.line - b.line)
}
