// Words of the console, from the message files. English is part of the first load; others come when they are wanted.
import en from '../../messages/en.json'

export type Key = keyof typeof en
type Words = Record<string, string>

export const LANGUAGES = { en: 'English', es: 'Español' } as const
export type Language = keyof typeof LANGUAGES
const KEPT = 'pointsman.language'

class Speech {
  language = $state<Language>('en')
  words = $state.raw<Words>(en)
  /** What the engine's codes mean. The engine itself speaks English. */
  refusals = $state.raw<Words>({})

  async speak(language: Language): Promise<void> {
    const [words, refusals] = language === 'en' ? [en, {}] : await spanish()
    ;[this.words, this.refusals] = [words, refusals]
    this.language = language
    document.documentElement.lang = language
    try {
      localStorage.setItem(KEPT, language)
    } catch {
      // A browser that keeps nothing asks again next time.
    }
  }
}

async function spanish(): Promise<[Words, Words]> {
  const files = [import('../../messages/es.json'), import('../../messages/refusals.es.json')]
  const [words = {}, refusals = {}] = (await Promise.all(files)).map((file): Words => file.default)
  return [words, refusals]
}

export const speech = new Speech()

/** The language the person chose, or their browser's. */
export function wantedLanguage(): Language {
  let kept: string | null = null
  try {
    kept = localStorage.getItem(KEPT)
  } catch {
    kept = null
  }
  const wanted = [kept, ...navigator.languages].map((tag) => tag?.slice(0, 2))
  return (wanted.find((tag) => tag && tag in LANGUAGES) ?? 'en') as Language
}

/** A message with its holes filled: `{name}`. */
export function fill(text: string, values: Record<string, string | number> = {}): string {
  return text.replace(/\{(\w+)\}/g, (hole, name: string) => String(values[name] ?? hole))
}

export function t(key: Key, values?: Record<string, string | number>): string {
  return fill(speech.words[key] ?? en[key] ?? key, values)
}

/** The message for so many things: `key.one` or `key.other`. */
export function count(key: string, number: number): string {
  const form = new Intl.PluralRules(speech.language).select(number) === 'one' ? 'one' : 'other'
  return t(`${key}.${form}` as Key, { n: number.toLocaleString(speech.language) })
}

/** A language's name in the person's own; its code where nobody knows it. */
export function languageName(code: string): string {
  try {
    return new Intl.DisplayNames(speech.language, { type: 'language' }).of(code) ?? code
  } catch {
    return code
  }
}

/** A word of the API in the person's language; the word itself when it is not known yet. */
export function word(family: string, value: string): string {
  return speech.words[`${family}.${value}`] ?? value.replaceAll('_', ' ')
}

/** What the engine refuses or fails with, in the person's language: by its code, else in its own words, which are
 * also the `{detail}` of what we say instead. */
export function said(it: { code?: string | null; message?: string | null }): string {
  const ours = speech.words[`problem.${it.code}`]
  if (ours) return fill(ours, { detail: it.message ?? '' })
  return speech.refusals[it.code ?? ''] ?? it.message ?? ''
}

/** The same for a failure, as it is kept with what failed. */
export function why(failure: unknown): string {
  const it = failure as { class?: string; message?: string } | null
  return it ? said({ code: it.class, message: it.message }) : ''
}
