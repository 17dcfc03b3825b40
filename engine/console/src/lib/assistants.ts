// What assistants do and use, as people read it. Money comes in millionths and is shown in whole units.
import type { Conversation, Schemas } from './api'
import { directory } from './directory.svelte'
import type { Worked } from './history'
import { speech, t, word } from './i18n.svelte'
import { manifest } from './manifest'
import { span } from './time'

const MICROS = 1_000_000

export const units = (micros: number | null | undefined): number | null => (micros == null ? null : micros / MICROS)
export const micros = (units: number | null): number | null => (units == null ? null : Math.round(units * MICROS))

/** Millionths by currency (ISO 4217): what was counted keeps its currency when the organisation changes its own. */
export type Money = Record<string, number>

/** `$1.50`; of several currencies `$1.50 + €0.20`, our own first. Small sums keep their digits. */
export function money(sums: Money, own: string, language: string): string {
  const shown = { [own]: 0, ...sums }
  const digits = { style: 'currency', minimumFractionDigits: 2, maximumFractionDigits: 4 } as const
  return Object.entries(shown)
    .map(([currency, micros]) => new Intl.NumberFormat(language, { ...digits, currency }).format(micros / MICROS))
    .join(' + ')
}

export type Line = Schemas['UsageView']
export type Used = { runs: number; tokens: number; money: Money }
export type Caps = { tokens: number | null; micros: number | null }

export function sum(lines: Line[]): Used {
  const add = (all: Used, it: Line) => ({
    runs: all.runs + it.runs,
    tokens: all.tokens + it.input_tokens + it.output_tokens,
    money:
      it.cost_micros > 0 ? { ...all.money, [it.currency]: (all.money[it.currency] ?? 0) + it.cost_micros } : all.money
  })
  return lines.reduce(add, { runs: 0, tokens: 0, money: {} } as Used)
}

/** Is nothing left for today? Caps are in our own currency. */
export function isSpent(used: Used, caps: Caps, own: string): boolean {
  const over = (used: number, cap: number | null) => cap !== null && used >= cap
  return over(used.tokens, caps.tokens) || over(used.money[own] ?? 0, caps.micros)
}

/** The UTC day of a moment, as usage is counted. */
export const utcDay = (ms: number): string => new Date(ms).toISOString().slice(0, 10)

/** Can the plugin do it: `reply`, `suggest` or `insights`? */
export function can(plugin: string | undefined, task: string): boolean {
  const it = directory.plugins.find((known) => known.id === plugin)
  return (it && manifest(it).assistant?.tasks.includes(task)) ?? false
}

/** Does what it reads stay on this server? */
export function isOffline(plugin: string | undefined): boolean {
  const it = directory.plugins.find((known) => known.id === plugin)
  return (it && manifest(it).assistant?.offline) ?? false
}

/** `Answer: sent · small-1 · 1.2 s · 451 tokens`. */
export function workedText(it: Worked): string {
  const tokens = (it.input_tokens + it.output_tokens).toLocaleString(speech.language)
  const done = t('ai.worked', { task: word('ai.task', it.task), outcome: word('ai.outcome', it.outcome) })
  const why = it.reason && (speech.words[`ai.why.${it.reason}`] ?? it.reason)
  return [done, why, it.model, span(it.took_ms), t('ai.tokens', { n: tokens })].filter(Boolean).join(' · ')
}

type Actor = { kind?: string; id?: string } | null | undefined

/** Who switched the assistant, by name where it is a person. */
export function switcher(ai: Conversation['ai']): string {
  const by = ai.by as Actor
  return directory.user(by?.id)?.name ?? word('actor', by?.kind ?? 'system')
}

/** Why an assistant gave the conversation to people, while somebody still waits for them. */
export function handedOver(it: Conversation): string | null {
  const by = (it.ai.by as Actor)?.kind
  const isTheirs = it.ai.state === 'off' && (by === 'assistant' || by === 'system')
  return isTheirs && it.waiting_since ? (it.ai.reason ?? null) : null
}
