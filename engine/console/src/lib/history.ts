// A conversation's history: each event with the rules that looked at it. Pure.
import type { Schemas } from './api'

export type Run = {
  rule: string
  name: string
  outcome: 'matched' | 'not_matched' | 'skipped' | 'failed'
  reason?: string
  problem?: { line?: number; message: string }
  intents: [number, string][]
  refusals: { code?: string; reason: string }[]
}

export type Moment = {
  id: string
  at: string
  type: string
  cause: { actor?: { kind?: string; id?: string; name?: string } }
  detail: string
  /** What an assistant did, where the event tells of that. */
  worked: Worked | null
  /** Was the assistant switched on? Null: the event is another one. */
  isOn: boolean | null
  runs: Run[]
}

/** `ai.ran`: what an assistant was asked for, and what came of it. */
export type Worked = {
  task: string
  outcome: string
  reason: string | null
  model: string | null
  took_ms: number
  input_tokens: number
  output_tokens: number
}

type Raw = Omit<Run, 'intents' | 'refusals'> & {
  intents?: [number, unknown][]
  refusals?: { code?: string; reason: string }[]
}

/** Newest first. Rules that were skipped because of their header come last. */
export function gathered(items: Schemas['TimelineItem'][]): Moment[] {
  const moments: Moment[] = []
  for (const item of items) {
    if (item.type === 'event') {
      const event = item.event as { id: string; type: string } & Record<string, unknown>
      moments.push({
        id: event.id,
        at: item.at,
        type: event.type,
        cause: item.cause as Moment['cause'],
        detail: detail(event),
        worked: event.type === 'ai.ran' ? (event as unknown as Worked) : null,
        isOn: event.type === 'ai.toggled' ? event.on === true : null,
        runs: []
      })
    } else {
      const moment = moments.find((it) => it.id === item.event)
      if (moment) moment.runs = (item.rules as Raw[]).map(run).sort((a, b) => weight(a) - weight(b))
    }
  }
  return moments.reverse()
}

function run(it: Raw): Run {
  return {
    ...it,
    intents: (it.intents ?? []).map(([line, intent]) => [line, intentText(intent)]),
    refusals: it.refusals ?? []
  }
}

const weight = (it: Run) => ['failed', 'matched', 'not_matched', 'skipped'].indexOf(it.outcome)

/** `send_message("…")`: the intent's word with what it carries. */
export function intentText(intent: unknown): string {
  const { intent: name, ...values } = (intent ?? {}) as { intent?: string } & Record<string, unknown>
  const given = Object.values(values).filter((value) => value !== null && !(Array.isArray(value) && value.length === 0))
  return `${name ?? '?'}(${given.map((value) => JSON.stringify(value)).join(', ')})`
}

function detail(event: Record<string, unknown>): string {
  const shown = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
  if ('from' in event && 'to' in event) return `${shown(event.from)} → ${shown(event.to)}`
  if (event.changes && typeof event.changes === 'object') {
    return Object.entries(event.changes as Record<string, unknown[]>)
      .filter(([name]) => name !== 'ai') // an event of its own tells of it, with the reason
      .map(([name, [, after]]) => `${name}: ${shown(after)}`)
      .join(', ')
  }
  return ['reason', 'name', 'class', 'template', 'target']
    .map((key) => event[key])
    .filter((value) => typeof value === 'string')
    .join(', ')
}
