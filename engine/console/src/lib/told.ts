// What a rule made of an event, in the words of the person's language.
import type { Schemas } from './api'
import { speech, t, word } from './i18n.svelte'
import type { Tone } from './tones'

export type RunShown = Schemas['RunShown']

/** One sentence: what became of the rule, and what to do if that is not what was meant. */
export function told(run: RunShown): string {
  const key = run.outcome === 'skipped' ? `rules.skip.${run.reason}` : `rules.told.${run.outcome}`
  return speech.words[key] ?? run.sentence
}

export function outcomeTone(outcome: string): Tone {
  return outcome === 'matched' ? 'accent' : outcome === 'failed' ? 'bad' : 'plain'
}

/** Did the rule look at the event at all? */
export const looked = (run: RunShown) => ['matched', 'not_matched', 'skipped', 'failed'].includes(run.outcome)

export function outcomeWord(run: RunShown): string {
  return looked(run) ? word('outcome', run.outcome) : t('rules.outcome.absent')
}

/** What an intent asks for, for those who do not read code. */
export function asked(intent: unknown): string {
  return word('rules.do', String((intent as { intent?: string } | null)?.intent ?? ''))
}
